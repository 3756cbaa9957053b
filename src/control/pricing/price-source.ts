import type { Price } from '../../domain/pricing/price.ts';
import type { PriceFault } from './litellm-price.ts';

export interface FoundPrice {
  readonly price: Price;
  /** Values that could not be taken as they are written. */
  readonly faults: readonly { readonly key: string; readonly fault: PriceFault }[];
}

/** Prices by LiteLLM's name of the provider and the provider's name of the model. */
export interface PriceSource {
  find(provider: string, model: string): FoundPrice | null;
  /** All models of a provider. */
  models(provider: string): readonly string[];
}
