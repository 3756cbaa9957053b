import { ENDPOINT_NAMES, ENDPOINTS, type WireFamily } from '../endpoints.ts';

/** Which paths a key may call, made ready for requests. Paths are without `/v1`, which changes nothing. */
export interface RouteGrant {
  readonly exact: ReadonlySet<string>;
  /** What stands before a `*`. */
  readonly prefixes: readonly string[];
}

const MODEL_ROUTES = ['/models', '/models/*'];
const OPENAI_ROUTES = [...pathsOf('openai'), '/responses/*', '/realtime', ...MODEL_ROUTES];
const ANTHROPIC_ROUTES = pathsOf('anthropic');
const INFO_ROUTES = [
  '/key/info',
  '/key/list',
  '/team/info',
  '/team/list',
  '/user/info',
  '/model/info',
  ...MODEL_ROUTES,
];

/** LiteLLM's names for groups of routes. */
const GROUPS: ReadonlyMap<string, readonly string[]> = new Map([
  ['llm_api_routes', [...OPENAI_ROUTES, ...ANTHROPIC_ROUTES]],
  ['openai_routes', OPENAI_ROUTES],
  ['anthropic_routes', ANTHROPIC_ROUTES],
  ['info_routes', INFO_ROUTES],
  ['management_routes', ['/key/*', '/team/*', '/user/*', '/model/info']],
]);

/** @param allowed paths, patterns that end in `*`, names of groups; empty = all, which is null. */
export function compileRouteGrant(allowed: readonly string[]): RouteGrant | null {
  if (allowed.length === 0) return null;
  const patterns = allowed.flatMap((entry) => GROUPS.get(entry) ?? [withoutVersion(entry)]);
  if (patterns.includes('*') || patterns.includes('/*')) return null;
  return Object.freeze({
    exact: new Set(patterns.filter((pattern) => !pattern.endsWith('*'))),
    prefixes: patterns.filter((pattern) => pattern.endsWith('*')).map((pattern) => pattern.slice(0, -1)),
  });
}

/** @param path without query. */
export function isRouteAllowed(grant: RouteGrant, path: string): boolean {
  const plain = withoutVersion(path);
  if (grant.exact.has(plain)) return true;
  for (const prefix of grant.prefixes) if (plain.startsWith(prefix)) return true;
  return false;
}

function pathsOf(family: WireFamily): string[] {
  return ENDPOINT_NAMES.map((name) => ENDPOINTS[name])
    .filter((endpoint) => endpoint.family === family)
    .map((endpoint) => endpoint.path);
}

function withoutVersion(path: string): string {
  return path.startsWith('/v1/') ? path.slice(3) : path;
}
