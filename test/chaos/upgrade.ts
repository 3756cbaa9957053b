import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { childNamed } from '../support/child-processes.ts';
import { ChaosRun } from './support/chaos-run.ts';
import { isAlive } from './support/processes.ts';
import type { Scenario } from './support/scenario.ts';

const LAUNCHER = join(import.meta.dirname, '../../bin/slipstream.js');
const UPGRADES = 3;

export const scenario: Scenario = {
  name: 'upgrade',
  description: 'slipstream upgrade at 1,000 req/s, a third of them streams: no request fails, none is told to wait',
  modes: ['sidecar'],
  seconds: 15,
  run: async (context) => {
    const run = await ChaosRun.start(context, { mockFlags: ['--tokens', '20', '--token-interval-ms', '5'] });
    // Counters begin anew with each sidecar.
    run.countersAreWhole = false;
    const tookMs: number[] = [];
    await run.underLoad(
      { qps: 1_000, clients: 128, plan: (number) => ({ model: 'good', stream: number % 3 === 0 }) },
      async () => {
        for (let i = 0; i < UPGRADES; i += 1) {
          await run.pause((context.seconds * 300) / UPGRADES);
          const before = run.childPid('sidecar');
          tookMs.push(await upgrade(run.gateway.dataDirectory));
          await run.until(() => !isAlive(before), 'the old sidecar has ended');
          run.expect(childNamed(run.supervisorPid(), 'sidecar') !== before, 'the sidecar is another one');
        }
        await run.wait(0.2);
      },
    );
    const failed = run.outcomes.filter(({ ending, status }) => ending !== 'complete' || status !== 200);
    run.expect(failed.length === 0, `${failed.length} requests failed, the first: ${JSON.stringify(failed[0])}`);
    const slowestMs = Math.max(...run.outcomes.map(({ startedMs, endedMs }) => endedMs - startedMs));
    return run.finish({
      upgrades: UPGRADES,
      tookMs: tookMs.map((ms) => ms.toFixed(0)).join('/'),
      slowestRequestMs: slowestMs,
    });
  },
};

function upgrade(dataDirectory: string): Promise<number> {
  const fromMs = performance.now();
  return new Promise((resolve, reject) => {
    execFile(process.execPath, [LAUNCHER, 'upgrade', '--data-dir', dataDirectory], (error, _stdout, stderr) => {
      if (error === null) resolve(performance.now() - fromMs);
      else reject(new Error(`upgrade failed: ${stderr}`));
    });
  });
}
