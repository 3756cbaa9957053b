import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { chooseByKey, chooseByKeyWithSpill, type AffinityView } from './affinity.ts';
import { Candidates } from './candidates.ts';
import { hashBytes, hashText, mix32 } from './hash.ts';
import { chooseLeastBusy } from './least-busy.ts';
import { chooseLowestCost, comparedCost } from './lowest-cost.ts';
import { chooseLowestLatency } from './lowest-latency.ts';
import { chooseLowestUsage, keepWithinLimits } from './lowest-usage.ts';
import { drawSecond, isBusier } from './power-of-two.ts';
import { chooseByWeight } from './simple-shuffle.ts';

const SETTINGS = { seed: 20_261_122, numRuns: 400 };
const random = fc.double({ min: 0, max: 1, noNaN: true, maxExcluded: true });
const LAST_RANDOM = 1 - 2 ** -53;

interface Case {
  readonly candidates: Candidates;
  /** Those that may be chosen. */
  readonly left: readonly number[];
  readonly values: Float64Array;
}

/** A group of up to 12 of which some are left, with a number for each. */
const cases = (values: fc.Arbitrary<number>): fc.Arbitrary<Case> =>
  fc
    .array(fc.record({ isLeft: fc.boolean(), value: values }), { minLength: 1, maxLength: 12 })
    .filter((members) => members.some(({ isLeft }) => isLeft))
    .map((members) => {
      const left = members.flatMap(({ isLeft }, place) => (isLeft ? [place] : []));
      return { candidates: candidatesOf(left), left, values: Float64Array.from(members, ({ value }) => value) };
    });

function candidatesOf(places: Iterable<number>): Candidates {
  const candidates = new Candidates();
  for (const place of places) candidates.add(place);
  return candidates;
}

const range = (count: number): number[] => [...Array.from({ length: count }).keys()];

/** How often each of `count` places comes out of `rounds` choices. */
function shares(count: number, rounds: number, choose: (round: number) => number): number[] {
  const hits = range(count).map(() => 0);
  for (let round = 0; round < rounds; round += 1) {
    const place = choose(round);
    hits[place]! += 1;
  }
  return hits.map((hit) => hit / rounds);
}

/** Evenly spread over [0, 1): the test is the same each time. */
const spread = (round: number, rounds: number): number => (round + 0.5) / rounds;

describe('candidates', () => {
  test('hold as many as there are, in order', () => {
    const candidates = candidatesOf(range(100));
    assert.equal(candidates.count, 100);
    assert.deepEqual([...candidates.places.subarray(0, 100)], range(100));
    candidates.clear();
    assert.equal(candidates.count, 0);
  });
});

describe('simple-shuffle', () => {
  test('chooses one that is left, and none without weight unless no one has any', () => {
    fc.assert(
      fc.property(cases(fc.constantFrom(0, 0, 1, 0.1, 7)), random, ({ candidates, left, values }, r) => {
        const place = chooseByWeight(candidates, values, r);
        assert.ok(left.includes(place));
        if (left.some((other) => values[other]! > 0)) assert.ok(values[place]! > 0 || left.length === 1);
      }),
      SETTINGS,
    );
  });

  test('its shares are the weights', () => {
    const weights = Float64Array.of(1, 0, 3, 6);
    const got = shares(4, 10_000, (round) => chooseByWeight(candidatesOf(range(4)), weights, spread(round, 10_000)));
    assert.deepEqual(got, [0.1, 0, 0.3, 0.6]);
  });

  test('no rounding leads past the last weight', () => {
    assert.equal(chooseByWeight(candidatesOf([0, 1, 2, 3]), Float64Array.of(0.1, 0.1, 0.1, 0), LAST_RANDOM), 2);
  });
});

describe('least-busy', () => {
  test('chooses one of the least busy that are left, each of them at times', () => {
    fc.assert(
      fc.property(cases(fc.nat(4)), ({ candidates, left, values }) => {
        const least = Math.min(...left.map((place) => values[place]!));
        const equal = left.filter((place) => values[place] === least);
        const got = new Set(range(64).map((n) => chooseLeastBusy(candidates, values, spread(n, 64))));
        assert.deepEqual([...got].sort(ascending), equal);
      }),
      SETTINGS,
    );
  });
});

describe('latency-based', () => {
  const latencies = fc.oneof(fc.double({ min: 0.1, max: 1000, noNaN: true }), fc.constantFrom(0, Infinity));

  test('chooses within the buffer over the fastest that is left, each of these at times', () => {
    const buffers = fc.constantFrom(0, 0.1, 0.5, 2);
    fc.assert(
      fc.property(cases(latencies), buffers, ({ candidates, left, values }, buffer) => {
        const limit = Math.min(...left.map((place) => values[place]!)) * (1 + buffer);
        const within = left.filter((place) => values[place]! <= limit);
        const got = new Set(range(64).map((n) => chooseLowestLatency(candidates, values, buffer, spread(n, 64))));
        assert.deepEqual([...got].sort(ascending), within);
      }),
      SETTINGS,
    );
  });

  test('one that nobody knows comes first; one that is being tried waits, unless all are', () => {
    assert.equal(chooseLowestLatency(candidatesOf([0, 1, 2]), Float64Array.of(5, 0, Infinity), 1, 0.9), 1);
    assert.equal(chooseLowestLatency(candidatesOf([0, 2]), Float64Array.of(5, 0, Infinity), 1, 0.9), 0);
    assert.equal(chooseLowestLatency(candidatesOf([0, 1]), Float64Array.of(Infinity, Infinity), 1, 0.9), 1);
  });
});

describe('usage-based', () => {
  const member = fc.record({
    isLeft: fc.boolean(),
    tokens: fc.nat(20),
    requests: fc.nat(5),
    tokenLimit: fc.constantFrom(5, 15, Infinity),
    requestLimit: fc.constantFrom(0, 3, Infinity),
  });
  const members = fc.array(member, { minLength: 1, maxLength: 10 }).filter((all) => all.some((one) => one.isLeft));

  test('keeps those whose limits leave room, else all; of these the fewest tokens are chosen', () => {
    fc.assert(
      fc.property(members, fc.nat(4), random, (all, nextTokens, r) => {
        const left = all.flatMap(({ isLeft }, place) => (isLeft ? [place] : []));
        const usage = {
          tokens: Float64Array.from(all, ({ tokens }) => tokens),
          requests: Float64Array.from(all, ({ requests }) => requests),
          tokenLimits: Float64Array.from(all, ({ tokenLimit }) => tokenLimit),
          requestLimits: Float64Array.from(all, ({ requestLimit }) => requestLimit),
        };
        const hasRoom = (index: number): boolean =>
          all[index]!.tokens + nextTokens <= all[index]!.tokenLimit && all[index]!.requests < all[index]!.requestLimit;
        const wanted = left.some(hasRoom) ? left.filter(hasRoom) : left;
        const candidates = candidatesOf(left);
        keepWithinLimits(candidates, usage, nextTokens);
        assert.deepEqual([...candidates.places.subarray(0, candidates.count)].sort(ascending), wanted);
        const place = chooseLowestUsage(candidates, usage.tokens, r);
        assert.ok(wanted.includes(place));
        assert.equal(all[place]!.tokens, Math.min(...wanted.map((index) => all[index]!.tokens)));
      }),
      SETTINGS,
    );
  });
});

describe('cost-based', () => {
  test('chooses the cheapest that is left', () => {
    fc.assert(
      fc.property(cases(fc.nat(5)), random, ({ candidates, left, values }, r) => {
        const place = chooseLowestCost(candidates, values, r);
        assert.ok(left.includes(place));
        assert.equal(values[place], Math.min(...left.map((other) => values[other]!)));
      }),
      SETTINGS,
    );
  });

  test('a price that is not known is a dollar per token each way', () => {
    assert.equal(comparedCost(null), 2e12);
    assert.equal(comparedCost({ prices: { input: 3_000_000, output: 15_000_000 }, steps: [] }), 18_000_000);
    assert.equal(comparedCost({ prices: { request: 1 }, steps: [] }), 2e12);
  });
});

describe('power of two', () => {
  test('the second is another one that is left, by weight; the first again only if there is none', () => {
    fc.assert(
      fc.property(cases(fc.constantFrom(0, 1, 5)), random, random, ({ candidates, left, values }, r1, r2) => {
        const one = chooseByWeight(candidates, values, r1);
        const other = drawSecond(candidates, values, one, r2);
        assert.ok(left.includes(other));
        const others = left.filter((place) => place !== one);
        const hasWeight = left.some((place) => values[place]! > 0);
        const drawable = hasWeight ? others.filter((place) => values[place]! > 0) : others;
        if (drawable.length === 0) assert.equal(other, one);
        else assert.ok(drawable.includes(other));
      }),
      SETTINGS,
    );
    const weights = Float64Array.of(5, 1, 3);
    const got = shares(3, 1000, (round) => drawSecond(candidatesOf(range(3)), weights, 0, spread(round, 1000)));
    assert.deepEqual(got, [0, 0.25, 0.75]);
  });

  const load = fc.record({ inFlight: fc.nat(50), latency: fc.oneof(fc.constant(0), fc.integer({ min: 1, max: 500 })) });

  test('never prefers the worse: not both are busier, and more of everything known is never preferred', () => {
    fc.assert(
      fc.property(load, load, (a, b) => {
        assert.ok(!(isBusier(a, b) && isBusier(b, a)));
        const isKnown = a.latency > 0 && b.latency > 0;
        if (isKnown && a.inFlight >= b.inFlight && a.latency >= b.latency) assert.ok(!isBusier(b, a));
        if (isKnown && (a.inFlight + 1) * a.latency > (b.inFlight + 1) * b.latency) assert.ok(isBusier(a, b));
      }),
      SETTINGS,
    );
  });

  test('one that nobody knows gets a first request, and no second while that is out', () => {
    assert.ok(isBusier({ inFlight: 0, latency: 10 }, { inFlight: 0, latency: 0 }));
    assert.ok(isBusier({ inFlight: 1, latency: 0 }, { inFlight: 0, latency: 500 }));
    assert.ok(!isBusier({ inFlight: 2, latency: 10 }, { inFlight: 3, latency: 0 }));
  });
});

describe('affinity', () => {
  const KEYS = 20_000;

  function viewOf(weights: readonly number[]): AffinityView {
    return {
      weights: Float64Array.from(weights),
      seeds: Uint32Array.from(weights, (_, place) => hashText(`d${place}`)),
    };
  }

  test('one key, one deployment; without it the key moves, without others it stays; back again it returns', () => {
    const weights = fc.array(fc.constantFrom(0, 1, 3), { minLength: 2, maxLength: 10 });
    fc.assert(
      fc.property(weights, fc.nat(2 ** 32 - 1), fc.nat(), (all, key, pick) => {
        const view = viewOf(all);
        const places = range(all.length);
        const home = chooseByKey(candidatesOf(places), view, key);
        const removed = pick % all.length;
        const without = chooseByKey(candidatesOf(places.filter((place) => place !== removed)), view, key);
        assert.notEqual(without, removed);
        if (removed !== home) assert.equal(without, home);
        assert.equal(chooseByKey(candidatesOf(places), view, key), home);
        if (all.some((weight) => weight > 0)) assert.ok(all[home]! > 0);
      }),
      SETTINGS,
    );
  });

  test('shares follow the weights, also of keys one apart', () => {
    for (const weights of [
      [1, 1, 1, 1],
      [1, 2, 5],
      [0, 1, 1],
      [0, 0],
    ]) {
      const view = viewOf(weights);
      const got = shares(weights.length, KEYS, (key) => chooseByKey(candidatesOf(range(weights.length)), view, key));
      const total = weights.reduce((sum, weight) => sum + weight, 0);
      for (const [place, weight] of weights.entries()) {
        const wanted = total === 0 ? 1 / weights.length : weight / total;
        // √(p(1−p)/20,000) is at most 0.0036: five of it.
        assert.ok(Math.abs(got[place]! - wanted) < 0.018, `${weights.join()}: ${got.join()}`);
      }
    }
  });

  test('a full deployment is passed over for the next best, the same for all requests of the key', () => {
    const view = viewOf([1, 1, 1, 1]);
    const all = candidatesOf(range(4));
    for (let key = 0; key < 100; key += 1) {
      const home = chooseByKey(all, view, key);
      const next = chooseByKey(candidatesOf(range(4).filter((place) => place !== home)), view, key);
      const calm = Float64Array.of(2, 2, 2, 2);
      assert.equal(chooseByKeyWithSpill(all, view, key, { inFlight: calm, spill: 1.5 }), home);
      const busy = Float64Array.from(range(4), (place) => (place === home ? 30 : 8));
      assert.equal(chooseByKeyWithSpill(all, view, key, { inFlight: busy, spill: 1.5 }), next);
      assert.equal(chooseByKeyWithSpill(all, view, key, { inFlight: busy, spill: 10 }), home);
    }
  });

  test('with spill no deployment of a group ever gets far above its share, whatever the keys', () => {
    const loads = fc.array(fc.record({ weight: fc.constantFrom(1, 2, 4), inFlight: fc.nat(40) }), {
      minLength: 2,
      maxLength: 8,
    });
    fc.assert(
      fc.property(loads, fc.nat(2 ** 32 - 1), (members, key) => {
        const view = viewOf(members.map(({ weight }) => weight));
        const inFlight = Float64Array.from(members, (member) => member.inFlight);
        const place = chooseByKeyWithSpill(candidatesOf(range(members.length)), view, key, { inFlight, spill: 1.5 });
        const total = inFlight.reduce((sum, count) => sum + count, 1);
        const weight = members.reduce((sum, member) => sum + member.weight, 0);
        const share = (1.5 * total * members[place]!.weight) / weight;
        assert.ok(inFlight[place]! + 1 <= Math.max(4, Math.ceil(share)));
      }),
      SETTINGS,
    );
  });
});

describe('hashes', () => {
  test('differ where the input does: hardly a collision among 50,000 near-identical inputs', () => {
    const prefix = Buffer.alloc(64, 'x');
    const seen = new Set(
      range(50_000).map((n) => {
        prefix.writeUInt32BE(n, 3 + (n % 5));
        return hashBytes(prefix, 0, prefix.length);
      }),
    );
    // 50,000²/2^33 = 0.3 expected, for distinct inputs; the inputs here are.
    assert.ok(seen.size > 49_900, String(seen.size));
    assert.ok(new Set(range(50_000).map((n) => hashText(`session-${n}`))).size > 49_990);
    assert.equal(new Set(range(50_000).map(mix32)).size, 50_000);
  });

  test('depend on the bytes alone, not on where they lie', () => {
    const bytes = Buffer.from('..the same text..');
    assert.equal(hashBytes(bytes, 2, 15), hashBytes(Buffer.from('the same text'), 0, 13));
    assert.notEqual(hashBytes(bytes, 2, 14), hashBytes(bytes, 2, 15));
  });
});

function ascending(a: number, b: number): number {
  return a - b;
}
