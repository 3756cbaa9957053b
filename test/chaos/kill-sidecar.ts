import { RestartPolicy } from '../../src/runtime/restart-policy.ts';
import { childNamed } from '../support/child-processes.ts';
import { ChaosRun } from './support/chaos-run.ts';
import type { Scenario } from './support/scenario.ts';

const KILLS = 4;
const BACK_MS = 1_000;

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
    // Later ones wait first: to the supervisor it is a process that keeps ending.
    const policy = new RestartPolicy(true);
    policy.onReady();
    const servingMs = tookMs.map((ms) => ms - backOffMs(policy));
    const refused = run.outcomes.filter(({ ending }) => ending === 'unconnected').length;
    run.expect(refused === 0, `${refused} connections refused`);
    const slowestMs = Math.max(...servingMs);
    run.expect(slowestMs < BACK_MS, `back in service ${slowestMs.toFixed(0)} ms after the back-off, not within 1 s`);
    return run.finish({ kills: KILLS, backAfterMs: tookMs.map((ms) => ms.toFixed(0)).join('/') });
  },
};

/** How long the supervisor waits this time, before it starts another one. */
function backOffMs(policy: RestartPolicy): number {
  const decision = policy.onDeath(0);
  return decision.restart ? decision.delayMs : Number.NaN;
}
