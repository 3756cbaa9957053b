import type { Candidates } from './candidates.ts';
import { chooseUpTo, lowestValue } from './lowest.ts';

/**
 * LiteLLM's least-busy: the fewest requests in progress; at random among equals.
 *
 * @param candidates at least one.
 * @param inFlight by place.
 * @param random in [0, 1).
 */
export function chooseLeastBusy(candidates: Candidates, inFlight: Float64Array, random: number): number {
  return chooseUpTo(candidates, inFlight, lowestValue(candidates, inFlight), random);
}
