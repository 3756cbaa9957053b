import { ChaosRun } from './support/chaos-run.ts';
import type { Scenario } from './support/scenario.ts';
import { breakThread, type ThreadFault } from './support/thread-faults.ts';

const THREADS = 2;
/** A thread that hangs is replaced after ten heartbeats, one a second. */
const FAULTS: readonly ThreadFault[] = ['throws', 'throws', 'hangs'];
const REPLACED = /"a worker thread ended; its connections were dropped/g;

export const scenario: Scenario = {
  name: 'worker-ends',
  description: 'a worker thread that throws, or hangs: only its own connections drop, and all that it held is returned',
  modes: ['sidecar'],
  seconds: 8,
  run: async (context) => {
    const run = await ChaosRun.start(context, {
      mockFlags: ['--tokens', '8', '--ttft-ms', '50'],
      slipstream: ['limits: { max_in_flight: 5000 }'],
      args: ['--threads', String(Math.max(THREADS, context.threads))],
      env: { SLIPSTREAM_SIDECAR_NODE_OPTIONS: '--inspect=127.0.0.1:0' },
    });
    const sidecar = run.childPid('sidecar');
    const url = /Debugger listening on (ws:\S+)/.exec(run.gateway.output())?.[1] ?? '';
    const replaced = (): number => run.gateway.output().match(REPLACED)?.length ?? 0;
    const tookMs: number[] = [];
    // In turn: every thread has requests all the time.
    await run.underLoad(
      { qps: 400, clients: 64, inTurn: true, plan: (number) => ({ model: 'good', stream: number % 3 === 0 }) },
      async () => {
        for (const fault of FAULTS) {
          await run.pause((context.seconds * 500) / FAULTS.length);
          const before = replaced();
          const fromMs = performance.now();
          await breakThread(url, fault, context.random());
          tookMs.push(await run.until(() => replaced() > before, `the thread that ${fault} is replaced`));
          run.kills.push({ fromMs, untilMs: performance.now() });
          await run.wait(0.1);
        }
      },
    );
    run.expect(run.childPid('sidecar') === sidecar, 'the sidecar was replaced, not the thread');
    for (const [index, { fromMs, untilMs }] of run.kills.entries()) {
      const during = run.outcomes.filter(({ startedMs, endedMs }) => startedMs <= untilMs && endedMs >= fromMs);
      const served = during.filter(({ ending, status }) => ending === 'complete' && status === 200).length;
      run.expect(served < during.length, `${FAULTS[index]}: nothing dropped, so there was no fault`);
      // All but those that one of two threads had at that moment.
      run.expect(served > during.length / 2, `${FAULTS[index]}: ${during.length - served} of ${during.length} dropped`);
    }
    const outside = run.outcomes.filter(
      ({ ending, status, startedMs, endedMs }) =>
        (ending !== 'complete' || status !== 200) &&
        !run.kills.some(({ fromMs, untilMs }) => startedMs <= untilMs && endedMs >= fromMs),
    );
    run.expect(outside.length === 0, `${outside.length} requests failed that no fault can explain`);
    return run.finish({ faults: FAULTS.length, replacedAfterMs: tookMs.map((ms) => ms.toFixed(0)).join('/') });
  },
};
