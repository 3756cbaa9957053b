import type { Candidates } from './candidates.ts';
import { chooseUpTo, lowestValue } from './lowest.ts';

/** What deployments have used in this minute and what they may use, by place. */
export interface UsageView {
  readonly tokens: Float64Array;
  readonly requests: Float64Array;
  /** Infinity = not stated. */
  readonly tokenLimits: Float64Array;
  readonly requestLimits: Float64Array;
}

/**
 * Leaves only the candidates whose limits have room for one request more; all of them where none has: limits of
 * deployments steer, they don't refuse.
 *
 * @param nextTokens what the request is expected to use.
 */
export function keepWithinLimits(candidates: Candidates, usage: UsageView, nextTokens: number): void {
  const { places, count } = candidates;
  let kept = 0;
  for (let index = 0; index < count; index += 1) {
    const place = places[index]!;
    if (usage.requests[place]! + 1 > usage.requestLimits[place]!) continue;
    if (usage.tokens[place]! + nextTokens > usage.tokenLimits[place]!) continue;
    // A swap, so that nothing is lost if none is kept; the order of candidates matters to no strategy.
    places[index] = places[kept]!;
    places[kept] = place;
    kept += 1;
  }
  if (kept > 0) candidates.count = kept;
}

/**
 * LiteLLM's usage-based routing: the fewest tokens in this minute; at random among equals.
 *
 * @param candidates at least one, those within their limits.
 * @param tokens by place.
 * @param random in [0, 1).
 */
export function chooseLowestUsage(candidates: Candidates, tokens: Float64Array, random: number): number {
  return chooseUpTo(candidates, tokens, lowestValue(candidates, tokens), random);
}
