import { childNamed } from '../support/child-processes.ts';
import { ChaosRun } from './support/chaos-run.ts';
import type { Scenario } from './support/scenario.ts';

const KILLS = 3;

export const scenario: Scenario = {
  name: 'kill-control',
  description: 'kill -9 of the control plane at random moments: traffic does not notice, its own routes answer 503',
  modes: ['sidecar'],
  seconds: 8,
  run: async (context) => {
    const run = await ChaosRun.start(context);
    const statuses = new Set<number>();
    await run.underLoad(
      { qps: 300, clients: 32, plan: (number) => ({ model: 'good', stream: number % 3 === 0 }) },
      async () => {
        for (let i = 0; i < KILLS; i += 1) {
          await run.pause((context.seconds * 600) / KILLS);
          const control = run.childPid('control');
          process.kill(control, 'SIGKILL');
          const isBack = async (): Promise<boolean> => {
            const { status } = await run.admin('/model/info');
            statuses.add(status);
            const now = childNamed(run.supervisorPid(), 'control');
            return status === 200 && now !== null && now !== control;
          };
          await run.until(isBack, 'the control plane is back');
        }
        await run.wait(0.2);
      },
    );
    const failed = run.outcomes.filter(({ ending, status }) => ending !== 'complete' || status !== 200).length;
    run.expect(failed === 0, `${failed} requests noticed`);
    const odd = [...statuses].filter((status) => status !== 200 && status !== 503);
    run.expect(odd.length === 0, `the control plane's routes answered ${odd.join(', ')}`);
    return run.finish({ kills: KILLS });
  },
};
