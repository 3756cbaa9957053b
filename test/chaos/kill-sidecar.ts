import { childNamed } from '../support/child-processes.ts';
import { ChaosRun } from './support/chaos-run.ts';
import type { Scenario } from './support/scenario.ts';

const KILLS = 4;

export const scenario: Scenario = {
  name: 'kill-sidecar',
  description: 'kill -9 of the sidecar at random moments: no connection refused, every answer in the journal',
  modes: ['sidecar'],
  seconds: 8,
  run: async (context) => {
    const run = await ChaosRun.start(context, { mockFlags: ['--tokens', '8', '--ttft-ms', '5'] });
    const tookMs: number[] = [];
    await run.underLoad(
      { qps: 400, clients: 64, plan: (number) => ({ model: 'good', stream: number % 3 === 0 }) },
      async () => {
        for (let i = 0; i < KILLS; i += 1) {
          await run.wait(0.5 / KILLS);
          await run.pause((context.seconds * 500) / KILLS);
          const sidecar = run.childPid('sidecar');
          const isBack = async (): Promise<boolean> =>
            childNamed(run.supervisorPid(), 'sidecar') !== sidecar && (await run.isReady());
          tookMs.push(await run.killServing(sidecar, isBack, 'the sidecar is back'));
        }
        await run.wait(0.2);
      },
    );
    // Later ones wait for the back-off of a process that keeps ending.
    const [firstMs = Number.NaN] = tookMs;
    const refused = run.outcomes.filter(({ ending }) => ending === 'unconnected').length;
    run.expect(refused === 0, `${refused} connections refused`);
    run.expect(firstMs < 1000, `back in service after ${firstMs.toFixed(0)} ms, not within 1 s`);
    return run.finish({ kills: KILLS, backAfterMs: tookMs.map((ms) => ms.toFixed(0)).join('/') });
  },
};
