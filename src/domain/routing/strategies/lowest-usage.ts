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
 * LiteLLM's usage-based routing: the fewest tokens in this minute, of those whose limits leave room for one request more;
 * at random among equals. Where no limit leaves room, the fewest tokens of all: limits of deployments steer, they don't
 * refuse.
 *
 * @param candidates at least one.
 * @param nextTokens what the request is expected to use.
 * @param left room for those under their limits; its content is lost.
 * @param random in [0, 1).
 */
export function chooseLowestUsage(
  candidates: Candidates,
  usage: UsageView,
  nextTokens: number,
  { left, random }: { readonly left: Candidates; readonly random: number },
): number {
  left.clear();
  for (let index = 0; index < candidates.count; index += 1) {
    const place = candidates.places[index]!;
    if (usage.requests[place]! + 1 > usage.requestLimits[place]!) continue;
    if (usage.tokens[place]! + nextTokens > usage.tokenLimits[place]!) continue;
    left.add(place);
  }
  const from = left.count > 0 ? left : candidates;
  return chooseUpTo(from, usage.tokens, lowestValue(from, usage.tokens), random);
}
