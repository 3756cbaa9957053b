/**
 * What a price can be asked for, one amount of a usage each. Amounts don't overlap: `input` is what is left of the prompt
 * when every part with a price of its own is taken out.
 */
export const PRICE_KINDS = [
  'input',
  'output',
  'cacheRead',
  'cacheWrite',
  'cacheWrite1h',
  'reasoning',
  'audioInput',
  'audioOutput',
  'imageInput',
  'imageOutput',
  'citation',
  'search',
  'request',
  'second',
  'character',
  'image',
] as const;
export type PriceKind = (typeof PRICE_KINDS)[number];

/**
 * Integers of pico-dollars (10⁻¹² USD): per token; per web search, request, second of the call, character to be spoken and
 * image asked for with the kinds of that name. Absent: as `FALLBACK_KINDS` of compile-price.ts says.
 */
export type Prices = Readonly<Partial<Record<PriceKind, number>>>;

/** Ways of being served that have prices of their own; everything else is the standard one. */
export const SERVICE_TIERS = ['batch', 'flex', 'priority'] as const;
export type ServiceTier = (typeof SERVICE_TIERS)[number];

/** Prices of a whole request whose prompt is longer. */
export interface PriceStep {
  /** Input tokens, cached ones included. */
  readonly above: number;
  /** What differs from the prices below. */
  readonly prices: Prices;
}

export interface PriceLadder {
  readonly prices: Prices;
  /** Ascending by `above`. */
  readonly steps: readonly PriceStep[];
}

/** What a model costs. Plain JSON: it stands in the snapshot. */
export interface Price extends PriceLadder {
  /** What differs from the standard prices; a ladder without steps has none, however long the prompt. */
  readonly tiers: Readonly<Partial<Record<ServiceTier, PriceLadder>>>;
}

/** @returns null for a name that means the standard tier, or nothing known. */
export function serviceTierOf(name: unknown): ServiceTier | null {
  return SERVICE_TIERS.find((tier) => tier === name) ?? null;
}
