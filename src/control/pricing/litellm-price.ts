import type { Price, PriceKind, PriceLadder, Prices, ServiceTier } from '../../domain/pricing/price.ts';
import { SERVICE_TIERS } from '../../domain/pricing/price.ts';
import { parsePrice } from '../config/parse-price.ts';

/** LiteLLM's names, in `litellm_params` and in its price map alike. Of several that mean one kind the sum counts. */
export const LITELLM_PRICES: Readonly<Record<string, PriceKind>> = {
  input_cost_per_token: 'input',
  output_cost_per_token: 'output',
  cache_read_input_token_cost: 'cacheRead',
  cache_creation_input_token_cost: 'cacheWrite',
  cache_creation_input_token_cost_above_1hr: 'cacheWrite1h',
  output_cost_per_reasoning_token: 'reasoning',
  input_cost_per_audio_token: 'audioInput',
  output_cost_per_audio_token: 'audioOutput',
  input_cost_per_image_token: 'imageInput',
  output_cost_per_image_token: 'imageOutput',
  citation_cost_per_token: 'citation',
  input_cost_per_request: 'request',
  // Of rerankers; and what DeepSeek's cached tokens were called before all had a price of that kind.
  input_cost_per_query: 'request',
  input_cost_per_token_cache_hit: 'cacheRead',
  input_cost_per_second: 'second',
  output_cost_per_second: 'second',
  input_cost_per_character: 'character',
  input_cost_per_image: 'image',
  output_cost_per_image: 'image',
};

const KEY = /^(.+?)(?:_above_(\d+)(k?)_tokens)?(?:_(batches|flex|priority))?$/;
const THOUSAND = 1000;

/** Why a value does not count as it is written: no price at all, or finer than a pico-dollar. */
export type PriceFault = 'invalid' | 'rounded';

/**
 * A price out of LiteLLM's fields; those that are no prices are passed over.
 *
 * @param fields values as decimal text, dollars per unit.
 * @returns null if none of them is a price.
 */
export function readLitellmPrice(
  fields: Iterable<readonly [key: string, text: string]>,
  report: (key: string, fault: PriceFault) => void,
): Price | null {
  const draft = new PriceDraft();
  for (const [key, text] of fields) {
    const [, name = '', digits, thousand, suffix] = KEY.exec(key) ?? [];
    const kind = Object.hasOwn(LITELLM_PRICES, name) ? LITELLM_PRICES[name] : undefined;
    if (kind === undefined) continue;
    const price = parsePrice(text);
    if (price === null || !price.isExact) report(key, price === null ? 'invalid' : 'rounded');
    if (price === null) continue;
    const tier = suffix === undefined ? null : suffix === 'batches' ? 'batch' : (suffix as ServiceTier);
    const above = digits === undefined ? 0 : Number(digits) * (thousand === 'k' ? THOUSAND : 1);
    draft.add(tier, above, kind, price.picoUsd);
  }
  return draft.finish();
}

/** Gathers prices by service tier and length of the prompt. */
export class PriceDraft {
  readonly #ladders = new Map<ServiceTier | null, Map<number, Partial<Record<PriceKind, number>>>>();

  /** @param above input tokens, 0 for the prices of a prompt of any length. */
  add(tier: ServiceTier | null, above: number, kind: PriceKind, picoUsd: number): void {
    const ladder = this.#ladders.get(tier) ?? new Map<number, Partial<Record<PriceKind, number>>>();
    const prices = ladder.get(above) ?? {};
    prices[kind] = (prices[kind] ?? 0) + picoUsd;
    ladder.set(above, prices);
    this.#ladders.set(tier, ladder);
  }

  finish(): Price | null {
    if (this.#ladders.size === 0) return null;
    const tiers: Partial<Record<ServiceTier, PriceLadder>> = {};
    for (const tier of SERVICE_TIERS) if (this.#ladders.has(tier)) tiers[tier] = this.#ladder(tier);
    return { ...this.#ladder(null), tiers };
  }

  #ladder(tier: ServiceTier | null): PriceLadder {
    const ladder = [...(this.#ladders.get(tier) ?? [])].sort(([a], [b]) => a - b);
    const prices: Prices = ladder.find(([above]) => above === 0)?.[1] ?? {};
    const steps = ladder.filter(([above]) => above > 0).map(([above, step]) => ({ above, prices: step }));
    return { prices, steps };
  }
}
