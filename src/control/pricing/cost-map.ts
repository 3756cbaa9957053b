import type { Price } from '../../domain/pricing/price.ts';
import { LITELLM_PRICES, type PriceFault, readLitellmPrice } from './litellm-price.ts';
import type { FoundPrice, PriceSource } from './price-source.ts';

type Fields = Readonly<Record<string, unknown>>;

/** What they call seconds are seconds of sound or film; the call's own are something else. */
const MEDIA_MODES: ReadonlySet<unknown> = new Set([
  'audio_speech',
  'audio_transcription',
  'video_generation',
  'realtime',
]);

/** Prices of web searches differ by the size of the context; what providers search without being asked is this one. */
const SEARCH_SIZE = 'search_context_size_medium';

/**
 * A price map in LiteLLM's format, `{"provider/model": {"input_cost_per_token": …}}`. An entry is read when it is asked
 * for: of some thousand a configuration names few.
 */
export class CostMap implements PriceSource {
  readonly #entries: ReadonlyMap<string, Fields>;
  /** Names by `litellm_provider`. */
  readonly #byProvider = new Map<string, string[]>();

  /** @throws {TypeError} when it is no such map; the message is for the operator. */
  constructor(map: unknown) {
    if (!isFields(map)) throw new TypeError('it is not a map of models');
    const entries = Object.entries(map).filter((entry): entry is [string, Fields] => isFields(entry[1]));
    this.#entries = new Map(entries);
    for (const [name, fields] of entries) this.#index(name, fields);
    if (this.#byProvider.size === 0) throw new TypeError('no entry of it has litellm_provider');
  }

  find(provider: string, model: string): FoundPrice | null {
    for (const name of [`${provider}/${model}`, model]) {
      const fields = this.#entries.get(name);
      if (fields === undefined || (name === model && fields['litellm_provider'] !== provider)) continue;
      return priceOf(fields);
    }
    return null;
  }

  models(provider: string): readonly string[] {
    return this.#byProvider.get(provider) ?? [];
  }

  #index(name: string, fields: Fields): void {
    const provider = fields['litellm_provider'];
    if (typeof provider !== 'string') return;
    const names = this.#byProvider.get(provider) ?? [];
    names.push(name.startsWith(`${provider}/`) ? name.slice(provider.length + 1) : name);
    this.#byProvider.set(provider, names);
  }
}

function priceOf(fields: Fields): FoundPrice | null {
  const texts: [string, string][] = [];
  for (const [key, value] of Object.entries(fields)) {
    const isOfCall = LITELLM_PRICES[key] === 'second' && MEDIA_MODES.has(fields['mode']);
    // The shortest text of a number is the decimal that was written.
    if (typeof value === 'number' && !isOfCall) texts.push([key, String(value)]);
    else if (typeof value === 'string' && key.includes('cost')) texts.push([key, value]);
  }
  const faults: { key: string; fault: PriceFault }[] = [];
  const price = readLitellmPrice(texts, (key, fault) => faults.push({ key, fault }));
  return price === null ? null : { price: withSearch(price, fields), faults };
}

function withSearch(price: Price, fields: Fields): Price {
  const searches = fields['search_context_cost_per_query'];
  const perSearch = isFields(searches) ? searches[SEARCH_SIZE] : undefined;
  if (typeof perSearch !== 'number') return price;
  const read = readLitellmPrice([['input_cost_per_request', String(perSearch)]], () => {});
  const search = read?.prices.request;
  return search === undefined ? price : { ...price, prices: { ...price.prices, search } };
}

function isFields(value: unknown): value is Fields {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
