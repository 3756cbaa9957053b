import type { Candidates } from './candidates.ts';

/** The lowest of the candidates' `values` (by place, no NaN). */
export function lowestValue({ places, count }: Candidates, values: Float64Array): number {
  let lowest = Infinity;
  for (let index = 0; index < count; index += 1) {
    const value = values[places[index]!]!;
    if (value < lowest) lowest = value;
  }
  return lowest;
}

/**
 * One of the candidates whose value is at most `limit`, each with the same chance.
 *
 * @param limit at least one candidate's value is no higher.
 * @param random in [0, 1).
 */
export function chooseUpTo(candidates: Candidates, values: Float64Array, limit: number, random: number): number {
  const { places, count } = candidates;
  let within = 0;
  for (let index = 0; index < count; index += 1) if (values[places[index]!]! <= limit) within += 1;
  let skip = Math.floor(random * within);
  for (let index = 0; index < count; index += 1) {
    const place = places[index]!;
    if (values[place]! > limit) continue;
    if (skip === 0) return place;
    skip -= 1;
  }
  return places[count - 1]!;
}
