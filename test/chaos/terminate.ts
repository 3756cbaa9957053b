import { MODES } from '../support/gateway.ts';
import { ChaosRun } from './support/chaos-run.ts';
import type { Scenario } from './support/scenario.ts';

const TIMES = 2;
/** Long enough that clients have heard `connection: close` on every connection. */
const SHUTDOWN_DELAY_SECONDS = 1;

export const scenario: Scenario = {
  name: 'terminate',
  description:
    'SIGTERM under load, then a start on the same data: what was accepted is answered, readiness says it first',
  modes: MODES,
  seconds: 8,
  run: async (context) => {
    const run = await ChaosRun.start(context, {
      mockFlags: ['--tokens', '20', '--token-interval-ms', '5'],
      timeouts: { shutdown_delay: SHUTDOWN_DELAY_SECONDS },
    });
    const tookMs: number[] = [];
    await run.underLoad(
      { qps: 300, clients: 64, plan: (number) => ({ model: 'good', stream: number % 3 === 0 }) },
      async () => {
        for (let i = 0; i < TIMES; i += 1) {
          await run.pause((context.seconds * 600) / TIMES);
          // The counters go with their process.
          run.countersAreWhole = false;
          const fromMs = performance.now();
          const stopping = run.gateway.stop({ keepData: true });
          const readyMs = await run.until(async () => !(await run.isReady()), 'it is not ready any more');
          run.expect(readyMs < SHUTDOWN_DELAY_SECONDS * 1000, `readiness was true for another ${readyMs} ms`);
          const exitCode = await stopping;
          tookMs.push(performance.now() - fromMs);
          run.expect(exitCode === 0, `it ended with ${exitCode}`);
          await run.startAgain();
          // What the kernel had taken and nobody had read is reset by the last close of the socket.
          run.unread.push({ fromMs, untilMs: performance.now() });
          await run.wait(0.1);
        }
      },
    );
    const failed = run.outcomes.filter(
      ({ ending, status }) =>
        ending !== 'unconnected' && (status !== 0 || ending === 'timeout') && !isOk(ending, status),
    );
    run.expect(
      failed.length === 0,
      `${failed.length} accepted requests failed, the first: ${JSON.stringify(failed[0])}`,
    );
    return run.finish({ times: TIMES, tookMs: tookMs.map((ms) => ms.toFixed(0)).join('/') });
  },
};

function isOk(ending: string, status: number): boolean {
  return ending === 'complete' && status === 200;
}
