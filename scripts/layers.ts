/** What each layer may import from (ARCHITECTURE.md has the picture). tsconfig references, lint and a test follow it. */
export const LAYERS: Readonly<Record<string, readonly string[]>> = {
  base: [],
  domain: ['base'],
  contract: ['domain', 'base'],
  http1: ['base'],
  runtime: ['base'],
  sidecar: ['contract', 'domain', 'http1', 'runtime', 'base'],
  control: ['contract', 'domain', 'runtime', 'base'],
  cli: ['control', 'sidecar', 'contract', 'domain', 'http1', 'runtime', 'base'],
};

/** No node:*, no npm package, no clock, no randomness: time and ids come in as arguments. */
export const PURE_LAYERS: readonly string[] = ['base', 'domain'];

/** Synchronous per request, with longer functions allowed: one state machine reads better whole. */
export const HOT_LAYERS: readonly string[] = ['http1', 'sidecar'];
