import { ENDPOINTS, ENDPOINT_NAMES, type EndpointSpec } from '../../domain/endpoints.ts';

/** What a request is, by its method and path. */
export type Route =
  | { readonly kind: 'llm'; readonly endpoint: EndpointSpec }
  | { readonly kind: 'response'; readonly action: '' | '/cancel' | '/input_items'; readonly methods: readonly string[] }
  | { readonly kind: 'models' }
  | { readonly kind: 'model' }
  | { readonly kind: 'realtime' }
  | { readonly kind: 'liveness' }
  | { readonly kind: 'readiness' }
  | { readonly kind: 'metrics' }
  /** Real calls to the deployments. */
  | { readonly kind: 'health' }
  | { readonly kind: 'server' }
  /** Of CORS, where it is on; whatever the path. */
  | { readonly kind: 'preflight' }
  | { readonly kind: 'admin' };

const ADMIN: Route = Object.freeze({ kind: 'admin' });
export const PREFLIGHT: Route = Object.freeze({ kind: 'preflight' });
const MODEL: Route = Object.freeze({ kind: 'model' });
const RESPONSE: Route = Object.freeze({ kind: 'response', action: '', methods: ['GET', 'DELETE'] });
const RESPONSE_CANCEL: Route = Object.freeze({ kind: 'response', action: '/cancel', methods: ['POST'] });
const RESPONSE_ITEMS: Route = Object.freeze({ kind: 'response', action: '/input_items', methods: ['GET'] });

const ROUTES: ReadonlyMap<string, Route> = new Map([
  ...ENDPOINT_NAMES.flatMap((name): [string, Route][] => {
    const route: Route = Object.freeze({ kind: 'llm', endpoint: ENDPOINTS[name] });
    return [
      [`/v1${ENDPOINTS[name].path}`, route],
      [ENDPOINTS[name].path, route],
    ];
  }),
  ...(['/v1/models', '/models'] as const).map((path): [string, Route] => [path, Object.freeze({ kind: 'models' })]),
  ...(['/v1/realtime', '/realtime'] as const).map((path): [string, Route] => [
    path,
    Object.freeze({ kind: 'realtime' }),
  ]),
  ['/health/liveliness', Object.freeze({ kind: 'liveness' })],
  ['/health/liveness', Object.freeze({ kind: 'liveness' })],
  ['/health/readiness', Object.freeze({ kind: 'readiness' })],
  ['/metrics', Object.freeze({ kind: 'metrics' })],
  ['/health', Object.freeze({ kind: 'health' })],
  // `OPTIONS *`; the parser admits the asterisk with no other method (RFC 9112 §3.2.4).
  ['*', Object.freeze({ kind: 'server' })],
]);

/** The route of `path` (no query). What is not known here is the control plane's. */
export function findRoute(path: string): Route {
  return ROUTES.get(path) ?? findRouteById(path);
}

/** Methods that `route` serves here, or null if the control plane decides. */
export function routeMethods(route: Route): readonly string[] | null {
  switch (route.kind) {
    case 'llm':
      return POST;
    case 'response':
      return route.methods;
    case 'models':
    case 'model':
    case 'liveness':
    case 'readiness':
    case 'metrics':
    case 'health':
      return GET;
    case 'realtime':
      return GET_ONLY;
    case 'server':
      return SERVED;
    case 'preflight':
      return OPTIONS_ONLY;
    case 'admin':
      return null;
    default:
      return route satisfies never;
  }
}

const POST: readonly string[] = ['POST'];
const GET: readonly string[] = ['GET', 'HEAD'];
const OPTIONS_ONLY: readonly string[] = ['OPTIONS'];
const GET_ONLY: readonly string[] = ['GET'];
/** By some route; OPTIONS is not among them. */
const SERVED: readonly string[] = ['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE'];

/** `/responses/{id}…` and `/models/{id}`: the part of the path after the collection. */
export function pathId(path: string, route: Route): string {
  const start = path.startsWith('/v1/') ? 4 : 1;
  const slash = path.indexOf('/', start);
  const end = route.kind === 'response' ? path.length - route.action.length : path.length;
  return path.slice(slash + 1, end);
}

function findRouteById(path: string): Route {
  const start = path.startsWith('/v1/') ? 3 : 0;
  if (path.startsWith('/responses/', start)) {
    const rest = path.slice(start + '/responses/'.length);
    if (rest === '' || rest === 'compact') return ADMIN;
    const slash = rest.indexOf('/');
    if (slash === -1) return RESPONSE;
    const action = rest.slice(slash);
    if (slash > 0 && action === '/cancel') return RESPONSE_CANCEL;
    if (slash > 0 && action === '/input_items') return RESPONSE_ITEMS;
    return ADMIN;
  }
  // Model names may hold slashes; /models/{id} is the model list's and nothing else is under it.
  if (path.startsWith('/models/', start) && path.length > start + '/models/'.length) return MODEL;
  return ADMIN;
}
