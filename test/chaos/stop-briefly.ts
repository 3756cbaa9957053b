import { setTimeout as sleep } from 'node:timers/promises';
import { ChaosRun } from './support/chaos-run.ts';
import type { Scenario } from './support/scenario.ts';

const STOP_MS = 1_500;

export const scenario: Scenario = {
  name: 'stop-briefly',
  description:
    'SIGSTOP, then SIGCONT of each process at random moments: requests wait, none fails, nothing is replaced',
  modes: ['sidecar', 'no-sidecar'],
  seconds: 6,
  run: async (context) => {
    const run = await ChaosRun.start(context);
    const { mode } = context;
    const names = mode === 'sidecar' ? (['sidecar', 'control', 'supervisor'] as const) : (['supervisor'] as const);
    const pidOf = (name: (typeof names)[number]): number =>
      name === 'supervisor' ? run.supervisorPid() : run.childPid(name);
    const before = names.map(pidOf);
    await run.underLoad(
      { qps: 300, clients: 32, plan: (number) => ({ model: 'good', stream: number % 3 === 0 }) },
      async () => {
        for (const pid of before) {
          await run.pause((context.seconds * 1000) / names.length);
          process.kill(pid, 'SIGSTOP');
          await sleep(STOP_MS);
          process.kill(pid, 'SIGCONT');
        }
        await run.wait(0.2);
      },
    );
    const failed = run.outcomes.filter(({ ending, status }) => ending !== 'complete' || status !== 200).length;
    run.expect(failed === 0, `${failed} requests failed`);
    run.expect(names.map(pidOf).join() === before.join(), 'a process was replaced');
    const slowestMs = Math.max(...run.outcomes.map(({ startedMs, endedMs }) => endedMs - startedMs));
    return run.finish({ slowestMs });
  },
};
