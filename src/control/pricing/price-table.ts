import { readFileSync } from 'node:fs';
import type { Price, PriceKind, PriceLadder, ServiceTier } from '../../domain/pricing/price.ts';
import { SERVICE_TIERS } from '../../domain/pricing/price.ts';
import { parsePrice } from '../config/parse-price.ts';
import { PriceDraft } from './litellm-price.ts';
import type { FoundPrice, PriceSource } from './price-source.ts';

/** Files of the table, one per provider. */
export const PRICED_PROVIDERS = [
  'anthropic',
  'cerebras',
  'deepseek',
  'groq',
  'mistral',
  'moonshot',
  'openai',
  'perplexity',
  'xai',
  'zai',
] as const;

/** The same models under another name of the provider. */
const SAME_PRICES: Readonly<Record<string, (typeof PRICED_PROVIDERS)[number]>> = { 'text-completion-openai': 'openai' };

/** Members of an entry, and to which power of ten a price is the dollars written there: a million tokens, a thousand searches. */
const MEMBERS: Readonly<Record<string, readonly [kind: PriceKind, exponent: number]>> = {
  input: ['input', -6],
  output: ['output', -6],
  cache_read: ['cacheRead', -6],
  cache_write: ['cacheWrite', -6],
  cache_write_1h: ['cacheWrite1h', -6],
  reasoning: ['reasoning', -6],
  audio_input: ['audioInput', -6],
  audio_output: ['audioOutput', -6],
  image_input: ['imageInput', -6],
  image_output: ['imageOutput', -6],
  citation: ['citation', -6],
  characters: ['character', -6],
  searches: ['search', -3],
  requests: ['request', -3],
};
const STEP = /^above_(\d+)k$/;

type Amounts = Readonly<Record<string, number>>;
/** Prices of a service tier: so many times the standard ones, or each by itself. */
type TierEntry = number | Amounts;
export type TableEntry = Readonly<Record<string, TierEntry>>;

export interface PriceFile {
  readonly provider: string;
  readonly source: string;
  /** Month in which the prices were last compared with their source. */
  readonly checked: string;
  /** What holds for every model that doesn't say otherwise. */
  readonly all: TableEntry;
  /** A text: priced as the model of that name. */
  readonly models: Readonly<Record<string, TableEntry | string>>;
}

/** The gateway's own prices (tables/*.json), read and parsed when a provider is first asked for. */
class PriceTable implements PriceSource {
  readonly #files = new Map<string, PriceFile>();
  readonly #prices = new Map<string, Price>();

  find(provider: string, model: string): FoundPrice | null {
    const file = this.#file(provider);
    const name = file === null ? null : nameIn(file, model);
    if (file === null || name === null) return null;
    const key = `${file.provider}/${name}`;
    const price = this.#prices.get(key) ?? priceOfEntry(file, name);
    this.#prices.set(key, price);
    return { price, faults: [] };
  }

  models(provider: string): readonly string[] {
    const file = this.#file(provider);
    return file === null ? [] : Object.keys(file.models);
  }

  #file(provider: string): PriceFile | null {
    const name = PRICED_PROVIDERS.find((each) => each === (SAME_PRICES[provider] ?? provider));
    if (name === undefined) return null;
    const file = this.#files.get(name) ?? readPriceFile(name);
    this.#files.set(name, file);
    return file;
  }
}

export const PRICE_TABLE: PriceSource = new PriceTable();

export function readPriceFile(provider: (typeof PRICED_PROVIDERS)[number]): PriceFile {
  return JSON.parse(readFileSync(new URL(`./tables/${provider}.json`, import.meta.url), 'utf8')) as PriceFile;
}

/** A snapshot of a model that the table does not name costs what the model does; a fine-tuned one what all of its kind do. */
function nameIn({ models }: PriceFile, model: string): string | null {
  const tuned = /^(ft:[^:]+)/.exec(model)?.[1] ?? model;
  const undated = tuned.replace(/-(?:\d{8}|\d{4}-\d{2}-\d{2})$/, '');
  for (const name of [model, tuned, undated]) if (Object.hasOwn(models, name)) return name;
  return null;
}

/** @throws {TypeError} for an entry that is not as it should be: the table's own test finds it. */
export function priceOfEntry(file: PriceFile, name: string): Price {
  const entry = file.models[name];
  if (entry === undefined) throw new TypeError(`${file.provider}: no entry for ${name}`);
  if (typeof entry === 'string') return priceOfEntry(file, entry);
  const { standard, tiers } = split({ ...file.all, ...entry }, `${file.provider}/${name}`);
  const price = standard.finish();
  if (price === null) throw new TypeError(`${file.provider}/${name} has no price`);
  const ladders: Partial<Record<ServiceTier, PriceLadder>> = {};
  for (const [tier, given] of tiers) {
    ladders[tier] = typeof given === 'number' ? scaled(price, given) : ladderOf(given, `${name} ${tier}`);
  }
  return { ...price, tiers: ladders };
}

function split(entry: TableEntry, where: string): { standard: PriceDraft; tiers: [ServiceTier, TierEntry][] } {
  const standard = new PriceDraft();
  const tiers: [ServiceTier, TierEntry][] = [];
  for (const [member, value] of Object.entries(entry)) {
    const tier = SERVICE_TIERS.find((each) => each === member);
    const step = STEP.exec(member)?.[1];
    if (tier !== undefined) tiers.push([tier, value]);
    else if (step !== undefined && typeof value === 'object') addAll(standard, Number(step) * 1000, value, where);
    else if (typeof value === 'number') addAll(standard, 0, { [member]: value }, where);
    else throw new TypeError(`${where}: ${member} is no member of an entry`);
  }
  return { standard, tiers };
}

function ladderOf(amounts: Amounts, where: string): PriceLadder {
  const draft = new PriceDraft();
  addAll(draft, 0, amounts, where);
  const { prices, steps } = draft.finish()!;
  return { prices, steps };
}

function addAll(draft: PriceDraft, above: number, amounts: Amounts, where: string): void {
  for (const [member, dollars] of Object.entries(amounts)) {
    const known = MEMBERS[member];
    const price = known === undefined ? null : parsePrice(`${dollars}e${known[1]}`);
    if (known === undefined || price === null || !price.isExact) {
      throw new TypeError(`${where}: ${member} is no price`);
    }
    draft.add(null, above, known[0], price.picoUsd);
  }
}

/** Per token; what is charged by the search or the request costs the same in every tier. */
function scaled({ prices, steps }: PriceLadder, factor: number): PriceLadder {
  const scale = (each: Price['prices']): Price['prices'] =>
    Object.fromEntries(
      Object.entries(each).map(([kind, pico]) => [
        kind,
        kind === 'search' || kind === 'request' ? pico : exactly(pico * factor),
      ]),
    );
  return { prices: scale(prices), steps: steps.map((step) => ({ above: step.above, prices: scale(step.prices) })) };
}

/** Factors are halves, quarters and whole numbers, which binary fractions hold exactly. */
function exactly(picoUsd: number): number {
  if (!Number.isSafeInteger(picoUsd)) throw new TypeError(`${picoUsd} is no whole number of pico-dollars`);
  return picoUsd;
}
