import { BenchLoad, otherFailures } from './support/bench-load.ts';
import type { Scenario } from './support/scenario.ts';

const LIMIT = 64;
const FIRST_BYTE_MS = 50;
/** What the limit lets through, requests per second. */
const CAPACITY = LIMIT / (FIRST_BYTE_MS / 1000);
const MIN_SHARE = 0.9;
const MAX_REFUSAL_MS = 20;
/** A request that is served has waited for one before it at most; four times that, for one in a hundred, is a stall. */
const MAX_SERVED_P99_MS = 4 * 2 * FIRST_BYTE_MS;
const RECOVERY_MS = 2_000;

export const scenario: Scenario = {
  name: 'overload',
  description:
    'twice as many requests as max_in_flight lets through: nine tenths of that succeed, the rest knows at once',
  modes: ['sidecar'],
  seconds: 5,
  run: async (context) => {
    const violations: string[] = [];
    const limits = `limits: { max_in_flight: ${LIMIT} }`;
    const load = await BenchLoad.start(context, ['--ttft-ms', String(FIRST_BYTE_MS), '--tokens', '8'], [limits]);
    const pid = load.servingPid();
    const offered = 2 * CAPACITY;
    const direct = await load.generator().run(load.directSpec({ qps: 0, connections: LIMIT, seconds: 1 }));
    if (direct.achievedQps < MIN_SHARE * CAPACITY) violations.push(`the provider serves ${direct.achievedQps} itself`);
    const result = await load.run(
      load.generator(),
      load.spec({ qps: offered, connections: 512, seconds: context.seconds }),
    );
    const endedMs = performance.now();
    const succeeded = result.completed / context.seconds;
    const refusalMs = result.refusal.p50 / 1000;
    const refused = result.failures['status 503'] ?? 0;
    if (succeeded < MIN_SHARE * CAPACITY) violations.push(`${succeeded} per second succeeded`);
    if (!(refusalMs < MAX_REFUSAL_MS)) violations.push(`refusals took ${refusalMs} ms`);
    const servedP99Ms = result.latency.p99 / 1000;
    if (!(servedP99Ms < MAX_SERVED_P99_MS)) violations.push(`one in a hundred was served after ${servedP99Ms} ms`);
    if (refused === 0) violations.push('nothing was refused');
    const others = otherFailures(result);
    if (others !== '') violations.push(`other failures: ${others}`);
    let afterMs = await load.oneRequestMs();
    while (afterMs > 2 * FIRST_BYTE_MS && performance.now() - endedMs < RECOVERY_MS)
      afterMs = await load.oneRequestMs();
    if (afterMs > 2 * FIRST_BYTE_MS) violations.push(`after ${RECOVERY_MS} ms a request still takes ${afterMs} ms`);
    if ((await load.metric('slipstream_admitted_requests')) !== 0) violations.push('permits were not given back');
    if (load.servingPid() !== pid) violations.push('the process that serves died');
    violations.push(...(await load.finish()));
    return {
      facts: {
        offered,
        capacity: CAPACITY,
        directPerSecond: direct.achievedQps,
        succeededPerSecond: succeeded,
        successP50Ms: result.latency.p50 / 1000,
        successP99Ms: servedP99Ms,
        refusalP50Ms: refusalMs,
        refusalP99Ms: result.refusal.p99 / 1000,
        lateShare: `${(result.lateShare * 100).toFixed(1)} %`,
        peakMb: load.peakBytes / 2 ** 20,
      },
      violations,
    };
  },
};
