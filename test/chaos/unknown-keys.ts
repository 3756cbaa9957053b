import { BenchLoad } from './support/bench-load.ts';
import type { Scenario } from './support/scenario.ts';

const GOOD_QPS = 1_000;
const UNKNOWN_QPS = 5_000;
const ROUNDS = 5;
const MAX_RATIO = 1.2;

export const scenario: Scenario = {
  name: 'unknown-keys',
  description:
    '5,000 requests per second with a key nobody knows, each another one: 1,000 good ones are as quick as alone',
  modes: ['sidecar'],
  seconds: 10,
  run: async (context) => {
    const violations: string[] = [];
    const load = await BenchLoad.start(context, ['--tokens', '8'], []);
    const good = load.generator();
    const bad = load.generator();
    const seconds = context.seconds / ROUNDS / 2;
    const goodSpec = load.spec({ qps: GOOD_QPS, connections: 32, seconds, warmUpSeconds: 0.3 });
    const badSpec = load.unknownKeySpec({
      qps: UNKNOWN_QPS,
      connections: 32,
      seconds: seconds + 0.6,
      warmUpSeconds: 0,
    });
    const alone: number[] = [];
    const beside: number[] = [];
    let refused = 0;
    let slowestRefusalP50 = 0;
    for (let round = 0; round < ROUNDS; round += 1) {
      const first = await load.run(good, goodSpec);
      const [second, others] = await Promise.all([load.run(good, goodSpec), load.run(bad, badSpec)]);
      alone.push(first.latency.p50);
      beside.push(second.latency.p50);
      refused += others.refusal.count;
      slowestRefusalP50 = Math.max(slowestRefusalP50, others.refusal.p50);
      for (const { failures } of [first, second]) {
        if (Object.keys(failures).length > 0) violations.push(`good requests failed: ${JSON.stringify(failures)}`);
      }
      if (others.completed > 0) violations.push('a key that nobody knows was let in');
    }
    const ratio = median(beside) / median(alone);
    if (ratio > MAX_RATIO) violations.push(`p50 of good requests is ${ratio.toFixed(2)} times what it is alone`);
    violations.push(...(await load.finish()));
    return {
      facts: {
        p50AloneUs: median(alone),
        p50BesideUs: median(beside),
        ratio: ratio.toFixed(2),
        refused,
        refusalP50Ms: slowestRefusalP50 / 1000,
      },
      violations,
    };
  },
};

function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b);
  return sorted[sorted.length >> 1] ?? 0;
}
