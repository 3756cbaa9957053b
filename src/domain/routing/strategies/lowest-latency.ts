import type { Candidates } from './candidates.ts';
import { chooseUpTo, lowestValue } from './lowest.ts';

/**
 * LiteLLM's latency-based-routing: one at random of those no slower than the fastest and its buffer.
 *
 * @param candidates at least one.
 * @param latencies by place: 0 = not known, to be tried first; Infinity = not known, and being tried.
 * @param buffer share of the lowest latency: 0.5 lets in what is up to half as slow again.
 * @param random in [0, 1).
 */
export function chooseLowestLatency(
  candidates: Candidates,
  latencies: Float64Array,
  buffer: number,
  random: number,
): number {
  return chooseUpTo(candidates, latencies, lowestValue(candidates, latencies) * (1 + buffer), random);
}
