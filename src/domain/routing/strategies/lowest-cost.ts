import type { Candidates } from './candidates.ts';
import { chooseUpTo, lowestValue } from './lowest.ts';

/** A dollar per token, in and out: what LiteLLM takes a deployment to cost whose price it does not know. */
const UNKNOWN_PICO_USD = 1e12;

/** Cost of one input and one output token, by which deployments are compared. */
export function comparedCost(price: { readonly inputPicoUsd: number; readonly outputPicoUsd: number } | null): number {
  return price === null ? 2 * UNKNOWN_PICO_USD : price.inputPicoUsd + price.outputPicoUsd;
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
