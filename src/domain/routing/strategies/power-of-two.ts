import type { Candidates } from './candidates.ts';

/**
 * Draws the second of two: by weight, never the first. If no other has a weight, the first again; if none has one at all,
 * any other.
 *
 * @param first a place among the candidates.
 * @param random in [0, 1).
 */
export function drawSecond(candidates: Candidates, weights: Float64Array, first: number, random: number): number {
  const { places, count } = candidates;
  if (count === 1) return first;
  let total = 0;
  for (let index = 0; index < count; index += 1) total += weights[places[index]!]!;
  const isEven = total === 0;
  let left = random * (isEven ? count - 1 : total - weights[first]!);
  let last = first;
  for (let index = 0; index < count; index += 1) {
    const place = places[index]!;
    const weight = isEven ? 1 : weights[place]!;
    if (place === first || weight === 0) continue;
    left -= weight;
    if (left < 0) return place;
    last = place;
  }
  return last;
}

/** What is compared of one deployment. */
export interface LoadView {
  readonly inFlight: number;
  /** Recent latency in any unit that both share; 0 = not known. */
  readonly latency: number;
}

/**
 * What a request more would find there: everything in progress and itself, each as slow as the last ones were. One that
 * is not known is taken to be as fast as the other, and goes first while nothing is in progress there: somebody has to
 * find out, but one request is enough for it.
 */
export function isBusier(a: LoadView, b: LoadView): boolean {
  if (a.latency === 0 && a.inFlight === 0) return false;
  if (b.latency === 0 && b.inFlight === 0) return true;
  const isComparable = a.latency > 0 && b.latency > 0;
  if (!isComparable) return a.inFlight > b.inFlight;
  return (a.inFlight + 1) * a.latency > (b.inFlight + 1) * b.latency;
}
