import { PROVIDERS, type ProviderSpec, UNSUPPORTED_PROVIDERS } from './catalogue.ts';

export interface ResolvedProvider {
  readonly kind: 'resolved';
  readonly name: string;
  readonly spec: ProviderSpec;
  /** The model name the provider knows. */
  readonly model: string;
}

export type ProviderResolution =
  | ResolvedProvider
  /** A provider that needs an adapter, or that nobody knows. */
  | { readonly kind: 'unsupported'; readonly name: string };

/** Providers by what `model` says, as LiteLLM reads it: `provider/model`, or a bare name. */
export function resolveProvider(model: string, customProvider: string | null, hasApiBase: boolean): ProviderResolution {
  const slash = model.indexOf('/');
  const prefix = slash === -1 ? '' : model.slice(0, slash);
  if (customProvider !== null) {
    return resolveNamed(customProvider, prefix === customProvider ? model.slice(slash + 1) : model);
  }
  if (PROVIDERS.has(prefix) || UNSUPPORTED_PROVIDERS.has(prefix)) return resolveNamed(prefix, model.slice(slash + 1));
  // `meta-llama/Llama-3-8B` at an address of one's own: the slash belongs to the name.
  if (prefix !== '') return hasApiBase ? resolveNamed('openai', model) : { kind: 'unsupported', name: prefix };
  return resolveNamed(model.startsWith('claude') ? 'anthropic' : 'openai', model);
}

function resolveNamed(name: string, model: string): ProviderResolution {
  const spec = PROVIDERS.get(name);
  if (spec === undefined) return { kind: 'unsupported', name };
  const isShort = spec.modelPrefix !== '' && !/^accounts\/|#|^\*$/.test(model);
  return { kind: 'resolved', name, spec, model: isShort ? spec.modelPrefix + model : model };
}
