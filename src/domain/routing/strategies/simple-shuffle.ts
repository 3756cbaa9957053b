import type { Candidates } from './candidates.ts';

/**
 * LiteLLM's simple-shuffle: one at random by weight. If all weights are zero they count as equal.
 *
 * @param candidates at least one.
 * @param weights by place in the group; none is negative.
 * @param random in [0, 1).
 * @returns the place chosen.
 */
export function chooseByWeight({ places, count }: Candidates, weights: Float64Array, random: number): number {
  if (count === 1) return places[0]!;
  let total = 0;
  for (let index = 0; index < count; index += 1) total += weights[places[index]!]!;
  if (total === 0) return places[Math.floor(random * count)]!;
  let left = random * total;
  // Where rounding leaves a rest beyond the last weight: the last that has one.
  let last = 0;
  for (let index = 0; index < count; index += 1) {
    const weight = weights[places[index]!]!;
    if (weight === 0) continue;
    left -= weight;
    if (left < 0) return places[index]!;
    last = index;
  }
  return places[last]!;
}
