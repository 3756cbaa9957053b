import { processTree } from '../../src/cli/bench/process-stats.ts';
import { isAlive } from './support/processes.ts';
import { ChaosRun } from './support/chaos-run.ts';
import type { Scenario } from './support/scenario.ts';

export const scenario: Scenario = {
  name: 'kill-supervisor',
  description: 'kill -9 of the supervisor: its children finish what they have and end; a new one serves the same data',
  modes: ['sidecar', 'no-sidecar'],
  seconds: 6,
  run: async (context) => {
    const run = await ChaosRun.start(context, { mockFlags: ['--tokens', '8', '--ttft-ms', '20'] });
    const { mode } = context;
    let endedMs = 0;
    let backMs = 0;
    await run.underLoad(
      { qps: 300, clients: 32, plan: (number) => ({ model: 'good', stream: number % 3 === 0 }) },
      async () => {
        await run.pause(context.seconds * 500);
        const children = processTree(run.supervisorPid()).map(({ pid }) => pid);
        const fromMs = performance.now();
        run.countersAreWhole = false;
        process.kill(run.supervisorPid(), 'SIGKILL');
        endedMs = await run.until(() => !children.some(isAlive), 'its children have ended');
        await run.startAgain();
        backMs = performance.now() - fromMs;
        // Connections are refused in between, and one that is idle may be closed as it is used.
        run.kills.push({ fromMs, untilMs: performance.now() });
        await run.wait(0.3);
      },
    );
    const cut = run.outcomes.filter(({ ending, status }) => ending === 'cut' && status !== 0).length;
    // With one process there is nobody left who could finish an answer.
    run.expect(mode === 'no-sidecar' || cut === 0, `${cut} answers were cut off`);
    return run.finish({ childrenEndedAfterMs: endedMs, backAfterMs: backMs });
  },
};
