import type { DeploymentSpec } from '../contract/snapshot.ts';
import { type CompiledPrice, compilePrice } from '../domain/pricing/compile-price.ts';

/**
 * What a deployment charges. A price is compiled when it is first needed: a snapshot with thousands of deployments must not
 * wait for the prices of all.
 */
export class DeploymentPrices {
  readonly #spec: Pick<DeploymentSpec, 'price' | 'modelPrices'>;
  #price: CompiledPrice | null = null;
  #byModel: Map<string, CompiledPrice> | null = null;

  constructor(spec: Pick<DeploymentSpec, 'price' | 'modelPrices'>) {
    this.#spec = spec;
  }

  /**
   * @param model as the provider is asked for it.
   * @returns null where its price is not known.
   */
  of(model: string | null): CompiledPrice | null {
    if (this.#price !== null) return this.#price;
    const { price, modelPrices } = this.#spec;
    if (price !== null) {
      this.#price = compilePrice(price);
      return this.#price;
    }
    if (modelPrices === null || model === null || !Object.hasOwn(modelPrices, model)) return null;
    this.#byModel ??= new Map();
    let compiled = this.#byModel.get(model);
    if (compiled === undefined) {
      compiled = compilePrice(modelPrices[model]!);
      this.#byModel.set(model, compiled);
    }
    return compiled;
  }
}
