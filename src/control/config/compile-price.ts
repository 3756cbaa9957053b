import type { DeploymentSpec } from '../../contract/snapshot.ts';
import type { Price } from '../../domain/pricing/price.ts';
import type { ResolvedProvider } from '../../domain/providers/resolve-provider.ts';
import { isWhole, mergePrice, type PriceBook } from '../pricing/find-price.ts';
import { type PriceFault, readLitellmPrice } from '../pricing/litellm-price.ts';
import type { ModelEntry } from './litellm-schema.ts';

export interface PriceReport {
  error(path: readonly string[], message: string): void;
  warn(path: readonly string[], message: string): void;
}

/** The price of a deployment: what `litellm_params` says over what is listed of its model, or of `model_info.base_model`. */
export function compilePrices(
  entry: ModelEntry,
  provider: ResolvedProvider,
  book: PriceBook,
  report: PriceReport,
): Pick<DeploymentSpec, 'price' | 'modelPrices'> {
  const own = ownPrice(entry, report);
  const base = entry.model_info?.base_model ?? null;
  const model = base ?? withoutPrefix(provider);
  if (model.includes('*')) {
    if (own !== null && isWhole(own)) return { price: own, modelPrices: null };
    return { price: null, modelPrices: listedPrices(provider, model, own, book) };
  }
  const found = findListed(provider.name, model, book);
  for (const { key, fault } of found?.faults ?? []) {
    report.warn(['litellm_params', 'model'], `${key} of its listed price ${faultText(fault)}`);
  }
  return { price: mergePrice(own, found?.price ?? null), modelPrices: null };
}

function ownPrice({ litellm_params: params }: ModelEntry, report: PriceReport): Price | null {
  const texts = Object.entries(params).filter((entry): entry is [string, string] => typeof entry[1] === 'string');
  return readLitellmPrice(texts, (key, fault) => {
    if (fault === 'invalid') report.error(['litellm_params', key], 'must be a price in dollars, from 0 to 1');
    else report.warn(['litellm_params', key], faultText(fault));
  });
}

function faultText(fault: PriceFault): string {
  return fault === 'rounded' ? 'is rounded to whole pico-dollars' : 'is no price, and passed over';
}

/** `base_model` may be written with its provider, as `model` is. */
function findListed(provider: string, model: string, book: PriceBook): ReturnType<PriceBook['find']> {
  const slash = model.indexOf('/');
  const listed = book.find(provider, model);
  if (listed !== null || slash === -1) return listed;
  return book.find(model.slice(0, slash), model.slice(slash + 1));
}

function listedPrices(
  { name, spec }: ResolvedProvider,
  pattern: string,
  own: Price | null,
  book: PriceBook,
): Readonly<Record<string, Price>> {
  return Object.fromEntries(
    Object.entries(book.findAll(name, pattern)).map(([model, price]) => [
      spec.modelPrefix + model,
      mergePrice(own, price) ?? price,
    ]),
  );
}

/** Lists name models without what the provider wants before them. */
function withoutPrefix({ model, spec }: ResolvedProvider): string {
  const { modelPrefix } = spec;
  return modelPrefix !== '' && model.startsWith(modelPrefix) ? model.slice(modelPrefix.length) : model;
}
