import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { ArmName, ArmRound } from './arm.ts';
import { LatencyRecorder } from './latency-recorder.ts';
import type { LoadResult } from './load-spec.ts';
import { renderReport } from './overhead-report.ts';
import { summarizeOverhead, type ArmSummary, type OverheadSummary } from './overhead-summary.ts';

const ROUNDS = 20;
const QPS = 1000;
const SIDECAR = 'node slipstream.js sidecar --child';

interface Synthetic {
  /** p50 and p99 in µs of round `i`. */
  readonly p50: (i: number) => number;
  readonly p99?: (i: number) => number;
  readonly cpu?: Readonly<Record<string, number>>;
  readonly database?: number;
  readonly load?: Partial<LoadResult>;
}

function rounds(arm: ArmName, synthetic: Synthetic): ArmRound[] {
  const recorder = new LatencyRecorder();
  recorder.record(100_000);
  return Array.from({ length: ROUNDS }, (_, i) => {
    const p50 = synthetic.p50(i);
    const p99 = synthetic.p99?.(i) ?? p50;
    const latency = { count: 3000, p50, p90: p50, p99, p999: p99, max: p99 };
    const load: LoadResult = {
      scheduled: 3000,
      completed: 3000,
      failures: {},
      failureNotes: [],
      elapsedSeconds: 3,
      achievedQps: QPS,
      lateShare: 0,
      latency,
      refusal: { ...latency, count: 0 },
      firstFrame: null,
      frame: null,
      latencyHistogram: recorder.encode(),
      cpuSeconds: {},
      ownCpuSeconds: 0,
      othersCpuShare: 0,
      ...synthetic.load,
    };
    const processes = Object.entries(synthetic.cpu ?? {}).map(([command, cpuMicrosPerRequest]) => ({
      command,
      cpuMicrosPerRequest,
    }));
    return {
      arm,
      round: i,
      load,
      processes,
      databaseCpuMicros: synthetic.database ?? 0,
      mockCpuMicros: 8,
      generatorCpuMicros: 9,
    };
  });
}

/** What a round adds to all arms alike: a machine that is slower for a while. */
function weather(i: number): number {
  return (i % 7) * 10;
}

function run(change: Partial<Record<ArmName, Synthetic>> = {}, qps = QPS): OverheadSummary {
  const arms: Partial<Record<ArmName, Synthetic>> = {
    direct: { p50: (i) => 40 + weather(i), p99: (i) => 100 + weather(i) },
    haproxy: { p50: (i) => 100 + weather(i), p99: (i) => 200 + weather(i), cpu: { haproxy: 20 } },
    haproxy2: { p50: (i) => 102 + weather(i), p99: (i) => 200 + weather(i), cpu: { haproxy: 20.5 } },
    slipstream: {
      p50: (i) => 130 + weather(i),
      p99: (i) => 100 + weather(i) + 10 * i,
      cpu: { [SIDECAR]: 40, 'node slipstream.js control --child': 4, 'node slipstream.js start': 1 },
      database: 3,
    },
    ...change,
  };
  return summarizeOverhead(
    Object.entries(arms).flatMap(([name, synthetic]) => rounds(name as ArmName, synthetic)),
    qps,
  );
}

function arm(summary: OverheadSummary, name: ArmName): ArmSummary {
  const found = summary.arms.find((each) => each.arm === name);
  assert.ok(found !== undefined);
  return found;
}

function near(actual: number | undefined, expected: number): void {
  assert.ok(
    actual !== undefined && Math.abs(actual - expected) < 0.01 * Math.abs(expected) + 1e-9,
    `${actual} is not ${expected}`,
  );
}

describe('summarizeOverhead', () => {
  it('added p50 is the difference of medians, set against that of HAProxy', () => {
    const { added } = arm(run(), 'slipstream');
    near(added.latency?.p50.value, 90);
    near(added.latency?.p50ToHaproxy?.value, 90 / 60);
    const { low = Number.NaN, high = Number.NaN } = added.latency?.p50ToHaproxy ?? {};
    assert.ok(low <= 1.5 && high >= 1.5);
  });

  it('added p99 is the lower quartile of the differences of each round', () => {
    // Differences are 0, 10, …, 190.
    near(arm(run(), 'slipstream').added.latency?.p99LowerQuartile.value, 47.5);
    near(arm(run(), 'slipstream').added.latency?.p99Median, 95);
  });

  it('CPU: all processes, the sidecar alone, each against HAProxy', () => {
    const own = arm(run(), 'slipstream');
    near(own.cpuAll?.value, 45);
    near(own.cpuSidecar?.value, 40);
    near(own.cpuAllToHaproxy?.value, 45 / 20);
    near(own.cpuServing?.value, 42);
    near(own.cpuServingToHaproxy?.value, 2.1);
    near(own.cpuSidecarToHaproxy?.value, 2);
    assert.equal(arm(run(), 'direct').cpuAll, null);
    assert.equal(own.processes.length, 3);
  });

  it('a good run has no problem', () => {
    assert.deepEqual(run().problems, []);
    assert.deepEqual(run({}, 0).problems, []);
  });

  it('is void when the control differs by more than a tenth: in latency at a rate, in CPU without one', () => {
    const slow = run({ haproxy2: { p50: (i) => 107 + weather(i), cpu: { haproxy: 20 } } });
    assert.match(slow.problems.join('\n'), /^void: .*added latency p50: ratio 1\.12$/);
    const costly = { haproxy2: { p50: (i: number) => 100 + weather(i), cpu: { haproxy: 17 } } };
    assert.deepEqual(run(costly).problems, []);
    assert.match(run(costly, 0).problems.join('\n'), /^void: .*CPU per request: ratio 0\.85$/);
  });

  it('is client-bound when direct does not hold the rate, or the generator is late', () => {
    const direct = (load: Partial<LoadResult>): string =>
      run({ direct: { p50: (i) => 40 + weather(i), load } }).problems.join('\n');
    assert.match(direct({ achievedQps: 980 }), /^direct: 980 of 1000 .*client-bound/);
    assert.match(direct({ lateShare: 0.2 }), /^direct: client-bound/);
  });

  it('names the arm that can not take the rate, and counts failures by kind', () => {
    const slow = run({ slipstream: { p50: () => 200, load: { achievedQps: 900 } } });
    assert.match(slow.problems.join('\n'), /^slipstream: 900 of 1000 .*slipstream can not take it$/);
    const failing = run({ slipstream: { p50: () => 200, load: { failures: { 'status 502': 2, nonce: 1 } } } });
    assert.deepEqual(arm(failing, 'slipstream').failures, { 'status 502': 40, nonce: 20 });
    assert.match(failing.problems.join('\n'), /40 × status 502, 20 × nonce/);
  });

  it('a report shows every arm and whether the run counts', () => {
    const machine = {
      cpu: 'CPU',
      cpuCount: 2,
      memoryBytes: 2 ** 33,
      kernel: 'linux',
      node: 'v26',
      commit: null,
      loadAverage: 0,
      startedAt: '',
    };
    const shape = {
      rounds: ROUNDS,
      qps: QPS,
      seconds: 3,
      connections: 16,
      bodyBytes: 300,
      haproxyVersion: 'HAProxy 9',
    };
    const good = renderReport({ machine, summary: run(), memory: [], ...shape });
    for (const text of ['direct', 'haproxy2', 'slipstream', '1.50 ×', 'HAProxy 9', 'The run counts']) {
      assert.ok(good.includes(text), text);
    }
    const failing = run({ slipstream: { p50: () => 200, load: { failures: { nonce: 1 } } } });
    assert.match(
      renderReport({ machine, summary: failing, memory: [], ...shape }),
      /DOES NOT COUNT:\n {2}slipstream: failures/,
    );
  });
});
