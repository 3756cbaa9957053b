import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { growth, type Sample } from './soak-growth.ts';

const MEGABYTE = 1024 * 1024;

function sample(minute: number, rest: Partial<Sample> = {}): Sample {
  return {
    minute,
    pid: 1,
    heapBytes: 13 * MEGABYTE,
    externalBytes: 9 * MEGABYTE,
    rssBytes: 0,
    resources: { PipeWrap: 3, Timeout: 1 },
    descriptors: 34,
    controlBytes: 0,
    ...rest,
  };
}

const MINUTES = Array.from({ length: 20 }, (_, index) => index + 1);

describe('the verdict on a soak', () => {
  it('lets memory come and go, and grow before minute 5', () => {
    const heapMb = (minute: number): number => (minute < 5 ? minute : 13 + (minute % 3));
    assert.deepEqual(growth(MINUTES.map((minute) => sample(minute, { heapBytes: heapMb(minute) * MEGABYTE }))), []);
  });

  it('finds a leak of 0.25 MB a minute, on the heap or outside of it', () => {
    for (const part of ['heapBytes', 'externalBytes'] as const) {
      const leaking = MINUTES.map((minute) => sample(minute, { [part]: (10 + minute * 0.25) * MEGABYTE }));
      const problems = growth(leaking);
      assert.ok(problems.length > 0);
      assert.match(problems[0] ?? '', /^minute 18: 3.3 MB against minute 5$/);
    }
  });

  it('finds one descriptor, and one timer, too many', () => {
    const samples = MINUTES.map((minute) => sample(minute, minute === 20 ? { descriptors: 35 } : {}));
    assert.deepEqual(growth(samples), ['minute 20: 35 descriptors, not 34']);
    const timers = MINUTES.map((minute) =>
      sample(minute, minute === 20 ? { resources: { PipeWrap: 3, Timeout: 2 } } : {}),
    );
    assert.deepEqual(growth(timers), ['minute 20: handles PipeWrap 3, Timeout 2, not PipeWrap 3, Timeout 1']);
  });

  it('is no good one without a sample', () => {
    assert.deepEqual(growth([]), ['no sample']);
  });
});
