import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { BenchChild, BenchError } from './child-process.ts';
import type { LoadAnswer, LoadCommand, LoadResult, LoadSpec, ProbeResult } from './load-spec.ts';

const LOAD_PROCESS = fileURLToPath(new URL('./load-process.ts', import.meta.url));

/** The load generator in a process of its own, so that nothing of ours shares its event loop. */
export class LoadGenerator {
  readonly #child: BenchChild;

  constructor(cpus: string | null) {
    this.#child = new BenchChild('load generator', [process.execPath, LOAD_PROCESS], { cpus, ipc: true });
  }

  /** @throws {BenchError} */
  async run(spec: LoadSpec): Promise<LoadResult> {
    const answer = await this.#ask({ kind: 'run', spec });
    if (answer.kind === 'result') return answer.result;
    throw new BenchError(answer.kind === 'failed' ? answer.message : 'unexpected answer of the load generator');
  }

  /** @throws {BenchError} */
  async probe(spec: LoadSpec): Promise<ProbeResult> {
    const answer = await this.#ask({ kind: 'probe', spec });
    if (answer.kind === 'probe') return answer.result;
    throw new BenchError(answer.kind === 'failed' ? answer.message : 'unexpected answer of the load generator');
  }

  async stop(): Promise<void> {
    await this.#child.stop();
  }

  async #ask(command: LoadCommand): Promise<LoadAnswer> {
    const { process: child } = this.#child;
    const ended = new AbortController();
    const onEnd = (): void => ended.abort();
    child.once('exit', onEnd);
    child.send(command);
    try {
      const [answer] = (await once(child, 'message', { signal: ended.signal })) as [LoadAnswer];
      return answer;
    } catch {
      throw new BenchError(`the load generator ended: ${this.#child.output || 'no output'}`);
    } finally {
      child.off('exit', onEnd);
    }
  }
}
