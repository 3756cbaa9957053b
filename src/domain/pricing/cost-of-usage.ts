import type { TokenUsage } from '../usage/token-usage.ts';
import type { CompiledPrice, RateLadder, Rates } from './compile-price.ts';
import { PRICE_KINDS, type PriceKind } from './price.ts';

const PICO_PER_NANO = 1000;
const FEMTO_PER_PICO = 1000n;
const FEMTO_PER_NANO = 1_000_000n;
const EXACT_BELOW = 2 ** 53;

function place(kind: PriceKind): number {
  return PRICE_KINDS.indexOf(kind);
}

const INPUT = place('input');
const OUTPUT = place('output');
const CACHE_READ = place('cacheRead');
const CACHE_WRITE = place('cacheWrite');
const CACHE_WRITE_1H = place('cacheWrite1h');
const REASONING = place('reasoning');
const AUDIO_INPUT = place('audioInput');
const AUDIO_OUTPUT = place('audioOutput');
const IMAGE_INPUT = place('imageInput');
const IMAGE_OUTPUT = place('imageOutput');
const CITATION = place('citation');
const SEARCH = place('search');
const REQUEST = place('request');
const SECOND = place('second');
const CHARACTER = place('character');
const IMAGE = place('image');

/** What of a call costs besides tokens. */
export interface CallAmounts {
  /** Whole call, ms; counts, to the millisecond, only where there is a price per second. */
  readonly durationMs: number;
  /** Of the text to be spoken. */
  readonly characters: number;
  /** Asked for. */
  readonly images: number;
}

export const NO_AMOUNTS: CallAmounts = Object.freeze({ durationMs: 0, characters: 0, images: 0 });

/** The one being worked on, by place in `PRICE_KINDS`: costs are summed synchronously, so one is enough. */
const amounts = new Float64Array(PRICE_KINDS.length);

/**
 * What a request costs: every amount times its price, summed exactly, rounded once half up.
 *
 * @returns nano-dollars (10⁻⁹ USD), an integer ≥ 0; at most 2⁵³ − 1, nine million dollars, which only counts that no
 *   provider means can reach.
 */
export function costOfUsage(price: CompiledPrice, usage: TokenUsage, call: CallAmounts): number {
  const { details, inputTokens } = usage;
  const tier = details === undefined ? null : details.serviceTier;
  const rates = ratesFor(tier === null ? price.standard : price.tiers[tier], inputTokens);
  if (details === undefined && !price.isTimed && !price.countsPieces) {
    const pico = plainCost(rates, usage);
    if (pico < EXACT_BELOW) return toNano(pico);
  }
  takeAmounts(usage);
  amounts[CHARACTER] = call.characters;
  amounts[IMAGE] = call.images;
  if (price.isTimed) return exactCost(rates, call.durationMs);
  let pico = 0;
  for (let kind = 0; kind < amounts.length; kind += 1) pico += amounts[kind]! * rates[kind]!;
  // No term is negative, so a sum below 2⁵³ had no product and no partial sum above it: each of them was exact.
  if (pico >= EXACT_BELOW) return exactCost(rates, 0);
  return toNano(pico);
}

/** Half up. */
function toNano(pico: number): number {
  const rest = pico % PICO_PER_NANO;
  return (pico - rest) / PICO_PER_NANO + (rest * 2 >= PICO_PER_NANO ? 1 : 0);
}

/** Fast case: none of the rarer parts. A sum below 2⁵³ is exact, for the reason below. */
function plainCost(rates: Rates, usage: TokenUsage): number {
  const { cacheReadTokens, cacheWriteTokens, reasoningTokens } = usage;
  const input = usage.inputTokens - cacheReadTokens - cacheWriteTokens;
  const output = usage.outputTokens - reasoningTokens;
  return (
    Math.max(input, 0) * rates[INPUT]! +
    Math.max(output, 0) * rates[OUTPUT]! +
    cacheReadTokens * rates[CACHE_READ]! +
    cacheWriteTokens * rates[CACHE_WRITE]! +
    reasoningTokens * rates[REASONING]! +
    rates[REQUEST]!
  );
}

function ratesFor(ladder: RateLadder, inputTokens: number): Rates {
  const { steps } = ladder;
  for (let index = 0; index < steps.length; index += 1) {
    if (inputTokens > steps[index]!.above) return steps[index]!.rates;
  }
  return ladder.rates;
}

/** Parts that are more than the whole, which some providers report, leave nothing for the rest; they are never less. */
function takeAmounts(usage: TokenUsage): void {
  const { details, cacheReadTokens, cacheWriteTokens, reasoningTokens } = usage;
  let input = usage.inputTokens - cacheReadTokens - cacheWriteTokens;
  let output = usage.outputTokens - reasoningTokens;
  amounts.fill(0);
  amounts[CACHE_READ] = cacheReadTokens;
  amounts[CACHE_WRITE] = cacheWriteTokens;
  amounts[REASONING] = reasoningTokens;
  amounts[REQUEST] = 1;
  if (details !== undefined) {
    const longWrites = Math.min(details.cacheWrite1hTokens, cacheWriteTokens);
    amounts[CACHE_WRITE] = cacheWriteTokens - longWrites;
    amounts[CACHE_WRITE_1H] = longWrites;
    amounts[AUDIO_INPUT] = details.audioInputTokens;
    amounts[IMAGE_INPUT] = details.imageInputTokens;
    amounts[AUDIO_OUTPUT] = details.audioOutputTokens;
    amounts[IMAGE_OUTPUT] = details.imageOutputTokens;
    amounts[CITATION] = details.citationTokens;
    amounts[SEARCH] = details.searches;
    input -= details.audioInputTokens + details.imageInputTokens;
    output -= details.audioOutputTokens + details.imageOutputTokens;
  }
  amounts[INPUT] = Math.max(input, 0);
  amounts[OUTPUT] = Math.max(output, 0);
}

/** The same in whole numbers of any size; a price per second times milliseconds is in femto-dollars. */
function exactCost(rates: Rates, durationMs: number): number {
  let pico = 0n;
  for (let kind = 0; kind < amounts.length; kind += 1) pico += BigInt(amounts[kind]!) * BigInt(rates[kind]!);
  const femto = pico * FEMTO_PER_PICO + BigInt(Math.round(durationMs)) * BigInt(rates[SECOND]!);
  const nano = (femto + FEMTO_PER_NANO / 2n) / FEMTO_PER_NANO;
  return nano > BigInt(Number.MAX_SAFE_INTEGER) ? Number.MAX_SAFE_INTEGER : Number(nano);
}
