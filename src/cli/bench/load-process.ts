// The load generator's own process: takes orders from the process that started it and ends with it.
import type { LoadAnswer, LoadCommand } from './load-spec.ts';
import { LoadTicker } from './load-ticker.ts';
import { LoadRun } from './load-run.ts';
import { probe } from './probe.ts';

const ticker = new LoadTicker();

process.on('message', (command: LoadCommand) => {
  void answer(command).then((reply) => process.send?.(reply));
});
process.once('disconnect', () => process.exit(0));

async function answer(command: LoadCommand): Promise<LoadAnswer> {
  try {
    if (command.kind === 'probe') return { kind: 'probe', result: await probe(command.spec) };
    return { kind: 'result', result: await new LoadRun(command.spec, ticker).run() };
  } catch (error) {
    return { kind: 'failed', message: error instanceof Error ? error.message : String(error) };
  }
}
