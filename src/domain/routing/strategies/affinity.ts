import type { Candidates } from './candidates.ts';
import { mix32 } from './hash.ts';

const RANGE = 2 ** 32;

/** What tells the members of a group apart for affinity, by place. */
export interface AffinityView {
  /** A hash of each deployment's id: the same on every machine, whatever else is in the group. */
  readonly seeds: Uint32Array;
  readonly weights: Float64Array;
}

/**
 * Rendezvous hashing: each deployment draws a number from the key and its own id, the best number has the key. When one
 * drops out only its own keys move, each to the next best; when it is back they return. Shares follow the weights.
 *
 * @param candidates at least one.
 * @param key unsigned 32 bits.
 */
export function chooseByKey(candidates: Candidates, view: AffinityView, key: number): number {
  const { places, count } = candidates;
  let best = places[0]!;
  let bestScore = Infinity;
  for (let index = 0; index < count; index += 1) {
    const place = places[index]!;
    const score = distance(view, place, key);
    if (score >= bestScore) continue;
    bestScore = score;
    best = place;
  }
  return best;
}

/**
 * The same, but a deployment that has clearly more than its share in progress is passed over, so that one key that half of
 * the traffic has can't drown it: its requests go to the key's second best, the same one for all of them.
 *
 * @param inFlight by place.
 * @param spill a deployment is full with this many times its share of all that is in progress; from 1 on.
 */
export function chooseByKeyWithSpill(
  candidates: Candidates,
  view: AffinityView,
  key: number,
  { inFlight, spill }: { readonly inFlight: Float64Array; readonly spill: number },
): number {
  const { places, count } = candidates;
  let total = 1;
  let weights = 0;
  for (let index = 0; index < count; index += 1) {
    const place = places[index]!;
    total += inFlight[place]!;
    weights += view.weights[place]!;
  }
  let best = -1;
  let bestScore = Infinity;
  for (let index = 0; index < count; index += 1) {
    const place = places[index]!;
    if (weights > 0 && view.weights[place] === 0) continue;
    const share = weights > 0 ? view.weights[place]! / weights : 1 / count;
    const capacity = Math.max(MIN_CAPACITY, Math.ceil(spill * total * share));
    if (inFlight[place]! >= capacity) continue;
    const score = distance(view, place, key);
    if (score >= bestScore) continue;
    bestScore = score;
    best = place;
  }
  return best === -1 ? chooseByKey(candidates, view, key) : best;
}

/** So few requests in progress are no load, whatever the others have. */
const MIN_CAPACITY = 4;

/** An exponentially distributed number whose rate is the weight: the lowest of several is each one's with its share. */
function distance({ seeds, weights }: AffinityView, place: number, key: number): number {
  const uniform = (mix32(mix32(key) ^ seeds[place]!) + 0.5) / RANGE;
  const weight = weights[place]!;
  // Without any weight it is only taken when all others are out or have none either; among those the shares are equal.
  return weight > 0 ? -Math.log(uniform) / weight : LAST_RESORT * (2 - uniform);
}

const LAST_RESORT = 1e300;
