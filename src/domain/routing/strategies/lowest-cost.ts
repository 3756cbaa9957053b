import type { PriceLadder } from '../../pricing/price.ts';
import type { Candidates } from './candidates.ts';
import { chooseUpTo, lowestValue } from './lowest.ts';

/** A dollar per token, in and out: what LiteLLM takes a deployment to cost whose price it does not know. */
const UNKNOWN_PICO_USD = 1e12;

/** Cost of one input and one output token, by which deployments are compared. */
export function comparedCost(price: PriceLadder | null): number {
  const { input, output } = price?.prices ?? {};
  if (input === undefined && output === undefined) return 2 * UNKNOWN_PICO_USD;
  return (input ?? 0) + (output ?? 0);
}

/**
 * LiteLLM's cost-based-routing: the cheapest; at random among equals.
 *
 * @param candidates at least one.
 * @param costs `comparedCost`, by place.
 * @param random in [0, 1).
 */
export function chooseLowestCost(candidates: Candidates, costs: Float64Array, random: number): number {
  return chooseUpTo(candidates, costs, lowestValue(candidates, costs), random);
}
