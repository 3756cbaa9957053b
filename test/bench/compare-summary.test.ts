import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { compareRounds, type CompareRound, type Side } from '../../bench/compare-summary.ts';
import type { ArmRound } from '../../src/cli/bench/arm.ts';

function round(side: Side, index: number, cpu: number, failures: Record<string, number> = {}): CompareRound {
  const latency = { count: 1, p50: 100, p90: 100, p99: 100, p999: 100, max: 100 };
  const load = { latency, firstFrame: null, frame: null, achievedQps: 1000, failures } as unknown as ArmRound['load'];
  const processes = [
    { command: 'node slipstream.js start', cpuMicrosPerRequest: 1 },
    { command: 'node slipstream.js sidecar --child', cpuMicrosPerRequest: cpu },
  ];
  const measured = {
    arm: 'slipstream',
    round: index,
    load,
    processes,
    databaseCpuMicros: 0,
    mockCpuMicros: 0,
    generatorCpuMicros: 0,
  } as const;
  return { side, round: index, measured };
}

function rounds(cpuOf: (side: Side, index: number) => number): CompareRound[] {
  return [0, 1, 2, 3, 4].flatMap((index) =>
    (['here', 'ref', 'control'] as const).map((side) => round(side, index, cpuOf(side, index))),
  );
}

describe('the comparison of two versions', () => {
  it('is the ratio of medians over the rounds, with an interval', () => {
    const { figures, problems } = compareRounds(
      rounds((side, index) => (side === 'here' ? 30 : 40) + index),
      1000,
    );
    assert.deepEqual(problems, []);
    const cpu = figures.find(({ name }) => name === 'CPU of the sidecar');
    assert.ok(cpu !== undefined);
    assert.equal(cpu.ratio.value, 32 / 42);
    assert.ok(cpu.ratio.low <= cpu.ratio.value && cpu.ratio.value <= cpu.ratio.high);
    assert.ok(cpu.ratio.high < 1);
    assert.equal(cpu.control.value, 1);
    assert.equal(figures.find(({ name }) => name === 'CPU of all processes')?.here, 33);
  });

  it('is void when the ref differs from itself, or when a request failed', () => {
    const { problems } = compareRounds(
      rounds((side) => (side === 'control' ? 60 : 40)),
      1000,
    );
    assert.match(problems.join(), /void: CPU of the sidecar: the ref against itself is 1\.50/);
    const failed = [...rounds(() => 40), round('here', 5, 40, { closed: 2 })];
    assert.match(compareRounds(failed, 1000).problems.join(), /here, round 6: 2 × closed/);
  });
});
