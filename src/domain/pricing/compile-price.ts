import {
  type Price,
  PRICE_KINDS,
  type PriceKind,
  type PriceLadder,
  type Prices,
  type PriceStep,
  type ServiceTier,
} from './price.ts';

/** Prices by place in `PRICE_KINDS`, nothing left out. */
export type Rates = Float64Array;

export interface RateStep {
  readonly above: number;
  readonly rates: Rates;
}

export interface RateLadder {
  readonly rates: Rates;
  /** Descending by `above`, so that the first one that fits is the one. */
  readonly steps: readonly RateStep[];
}

/** A price in the form in which costs are summed: nothing of it has to be decided per request. */
export interface CompiledPrice {
  readonly standard: RateLadder;
  readonly tiers: Readonly<Record<ServiceTier, RateLadder>>;
  /** The call as such costs, whatever was used: there is a price per request or per second. */
  readonly chargesCalls: boolean;
  /** There is a price per character or image, which only the request tells (request-pieces.ts). */
  readonly countsPieces: boolean;
  /** There is a price per second: the time of the call counts. */
  readonly isTimed: boolean;
}

/**
 * What a part costs whose own price is not told. A cached token that has no price is charged as any other: taking it for
 * free, as LiteLLM does, makes a long prompt cost nothing.
 */
const FALLBACK_KINDS: Readonly<Record<PriceKind, PriceKind | null>> = {
  input: null,
  output: null,
  cacheRead: 'input',
  cacheWrite: 'input',
  cacheWrite1h: 'cacheWrite',
  reasoning: 'output',
  audioInput: 'input',
  audioOutput: 'output',
  imageInput: 'input',
  imageOutput: 'output',
  citation: null,
  search: null,
  request: null,
  second: null,
  character: null,
  image: null,
};

export function compilePrice(price: Price): CompiledPrice {
  const tier = (name: ServiceTier): RateLadder => {
    const own = price.tiers[name];
    return own === undefined ? standard : compileLadder(price.prices, own);
  };
  const standard = compileLadder({}, price);
  const isTimed = (price.prices.second ?? 0) > 0;
  const countsPieces = (price.prices.character ?? 0) > 0 || (price.prices.image ?? 0) > 0;
  return Object.freeze({
    standard,
    tiers: Object.freeze({ batch: tier('batch'), flex: tier('flex'), priority: tier('priority') }),
    chargesCalls: (price.prices.request ?? 0) > 0 || isTimed,
    countsPieces,
    isTimed,
  });
}

function compileLadder(under: Prices, ladder: PriceLadder): RateLadder {
  const base = { ...under, ...ladder.prices };
  const step = ({ above, prices }: PriceStep): RateStep =>
    Object.freeze({ above, rates: ratesOf({ ...base, ...prices }) });
  const steps = ladder.steps.map(step).sort((a, b) => b.above - a.above);
  return Object.freeze({ rates: ratesOf(base), steps: Object.freeze(steps) });
}

function ratesOf(prices: Prices): Rates {
  return Float64Array.from(PRICE_KINDS, (kind) => priceOf(prices, kind));
}

function priceOf(prices: Prices, kind: PriceKind): number {
  const fallback = FALLBACK_KINDS[kind];
  return prices[kind] ?? (fallback === null ? 0 : priceOf(prices, fallback));
}
