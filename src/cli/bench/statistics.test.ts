import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { bootstrap, median, quantile, shuffled } from './statistics.ts';

/** A repeatable stand-in for Math.random (a linear congruential generator). */
function seeded(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state * 1_664_525 + 1_013_904_223) % 2 ** 32;
    return state / 2 ** 32;
  };
}

describe('statistics', () => {
  it('quantiles interpolate and do not need order', () => {
    assert.equal(median([3, 1, 2]), 2);
    assert.equal(median([4, 1, 2, 3]), 2.5);
    assert.equal(quantile([40, 10, 30, 20, 50], 0.25), 20);
    assert.ok(Number.isNaN(median([])));
  });

  it('bootstrap: the interval holds the value, and is wider for what scatters more', () => {
    const narrow = Array.from({ length: 30 }, (_, i) => 100 + (i % 3));
    const wide = Array.from({ length: 30 }, (_, i) => 100 + 30 * (i % 3));
    const of = (values: readonly number[]): ReturnType<typeof bootstrap> =>
      bootstrap(values.length, (indices) => median(indices.map((i) => Number(values[i]))), seeded(1));
    for (const { value, low, high } of [of(narrow), of(wide)]) assert.ok(low <= value && value <= high);
    assert.ok(of(wide).high - of(wide).low > of(narrow).high - of(narrow).low);
  });

  it('bootstrap draws whole rounds: what two series share cancels', () => {
    const one = Array.from({ length: 20 }, (_, i) => 1000 * i);
    const { low, high } = bootstrap(
      20,
      (indices) => median(indices.map((i) => Number(one[i]) + 7)) - median(indices.map((i) => Number(one[i]))),
      seeded(2),
    );
    assert.deepEqual([low, high], [7, 7]);
  });

  it('shuffled keeps the items, changes the order, leaves the original', () => {
    const items = Array.from({ length: 50 }, (_, i) => i);
    const mixed = shuffled(items, seeded(3));
    assert.notDeepEqual(mixed, items);
    assert.deepEqual(
      mixed.toSorted((a, b) => a - b),
      items,
    );
  });
});
