import type { Price } from '../../domain/pricing/price.ts';
import { matchModelPattern } from '../../domain/routing/model-pattern.ts';
import type { FoundPrice, PriceSource } from './price-source.ts';
import { PRICE_TABLE } from './price-table.ts';

/** The price of a model: out of the map that the configuration names, else out of the gateway's own table. */
export class PriceBook {
  readonly #sources: readonly PriceSource[];

  /** @param costMap null where the configuration names none, or it could not be had. */
  constructor(costMap: PriceSource | null) {
    this.#sources = costMap === null ? [PRICE_TABLE] : [costMap, PRICE_TABLE];
  }

  find(provider: string, model: string): FoundPrice | null {
    for (const source of this.#sources) {
      const found = source.find(provider, model);
      if (found !== null) return found;
    }
    return null;
  }

  /** Prices of all models that `pattern`, which has a `*`, stands for. */
  findAll(provider: string, pattern: string): Readonly<Record<string, Price>> {
    const prices: Record<string, Price> = {};
    for (const model of new Set(this.#sources.flatMap((source) => source.models(provider)))) {
      const found = matchModelPattern(pattern, model) === null ? null : this.find(provider, model);
      if (found !== null) prices[model] = found.price;
    }
    return prices;
  }
}

/**
 * What the configuration says over what is listed. With a price of its own for tokens or the call, the listed one is not
 * that of this deployment, and nothing of it counts; else it is the listed one with some parts different.
 */
export function mergePrice(own: Price | null, listed: Price | null): Price | null {
  if (own === null || listed === null) return own ?? listed;
  if (isWhole(own)) return own;
  return {
    prices: { ...listed.prices, ...own.prices },
    steps: own.steps.length > 0 ? own.steps : listed.steps,
    tiers: { ...listed.tiers, ...own.tiers },
  };
}

/** It has a price for tokens, the call or its pieces: nothing is missing that a listed price would have to tell. */
export function isWhole({ prices }: Price): boolean {
  const { input, output, request, second, character, image } = prices;
  return (input ?? output ?? request ?? second ?? character ?? image) !== undefined;
}
