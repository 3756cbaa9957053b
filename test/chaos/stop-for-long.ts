import { setTimeout as sleep } from 'node:timers/promises';
import { childNamed } from '../support/child-processes.ts';
import { ChaosRun } from './support/chaos-run.ts';
import type { Scenario } from './support/scenario.ts';

/** A hanging child is replaced after 10 s without a heartbeat (runtime/heartbeat.ts). */
const REPLACED_WITHIN_MS = 20_000;

export const scenario: Scenario = {
  name: 'stop-for-long',
  description:
    'SIGSTOP of sidecar and control plane until they are replaced; a supervisor that was stopped kills nobody',
  modes: ['sidecar'],
  seconds: 30,
  run: async (context) => {
    const run = await ChaosRun.start(context);
    let sidecarMs = 0;
    let controlMs = 0;
    await run.underLoad(
      { qps: 100, clients: 32, plan: (number) => ({ model: 'good', stream: number % 3 === 0 }) },
      async () => {
        const control = run.childPid('control');
        process.kill(control, 'SIGSTOP');
        const isControlBack = (): boolean => {
          const now = childNamed(run.supervisorPid(), 'control');
          return now !== null && now !== control;
        };
        controlMs = await run.until(isControlBack, 'the control plane is replaced', REPLACED_WITHIN_MS);
        const failed = run.outcomes.filter(({ ending, status }) => ending !== 'complete' || status !== 200).length;
        run.expect(failed === 0, `${failed} requests noticed that the control plane hangs`);

        const sidecar = run.childPid('sidecar');
        const fromMs = performance.now();
        run.countersAreWhole = false;
        process.kill(sidecar, 'SIGSTOP');
        const isBack = async (): Promise<boolean> => {
          const now = childNamed(run.supervisorPid(), 'sidecar');
          return now !== null && now !== sidecar && (await run.isReady());
        };
        sidecarMs = await run.until(isBack, 'the sidecar is replaced', REPLACED_WITHIN_MS);
        run.kills.push({ fromMs, untilMs: performance.now() });

        const children = [run.childPid('control'), run.childPid('sidecar')];
        process.kill(run.supervisorPid(), 'SIGSTOP');
        await sleep(12_000);
        process.kill(run.supervisorPid(), 'SIGCONT');
        await sleep(3_000);
        const after = [run.childPid('control'), run.childPid('sidecar')];
        run.expect(after.join() === children.join(), 'a supervisor that was stopped itself replaced a child');
      },
    );
    return run.finish({ controlReplacedAfterMs: controlMs, sidecarReplacedAfterMs: sidecarMs });
  },
};
