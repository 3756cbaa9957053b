import { fastify, type FastifyError, type FastifyInstance, type FastifyReply, type FastifyRequest } from 'fastify';
import type { z } from 'zod';
import type { KeyRecord } from '../../contract/key-record.ts';
import { errorBody, errorStatus, type GatewayError, gatewayError } from '../../domain/errors/gateway-error.ts';
import { compileRouteGrant, isRouteAllowed } from '../../domain/keys/route-grant.ts';
import type { Logger } from '../../runtime/logger.ts';
import { clearSocketPath, restrictSocket } from '../unix-socket.ts';
import { authenticate } from './admin-authenticator.ts';
import { answerPreflight, corsHeaders } from './admin-cors.ts';
import { isConflict, StoreError } from '../store/store-error.ts';
import { AdminError, adminError } from './admin-error.ts';
import type { AdminServices } from './admin-services.ts';
import type { Access, AdminEndpoint, Caller } from './endpoint.ts';
import { readAdminKey } from './read-admin-key.ts';
import { storableFault } from './storable-json.ts';
import { withoutEmptyParameters, withoutEmptyTexts } from './without-empty.ts';

/** The gateway's own routes take small JSON. */
const MAX_BODY_BYTES = 1024 * 1024;
const REQUEST_TIMEOUT_MS = 30_000;
/** A key in a path, percent-encoded. */
const MAX_PARAM_LENGTH = 2048;
/** Fields of the request that this version takes and does not act on, with commas between. */
const IGNORED_FIELDS_HEADER = 'x-slipstream-ignored-fields';

declare module 'fastify' {
  interface FastifyContextConfig {
    access?: Access;
  }
}

export interface AdminApiOptions {
  readonly services: AdminServices;
  readonly endpoints: readonly AdminEndpoint[];
  readonly logger: Logger;
  /** On an address of its own, where no sidecar adds CORS headers. */
  readonly isApart: boolean;
}

/** One HTTP server of the control plane, with the routes of an endpoint table. */
export class AdminApi {
  readonly #server: FastifyInstance;
  readonly #options: AdminApiOptions;
  readonly #callers = new WeakMap<FastifyRequest, Caller>();

  constructor(options: AdminApiOptions) {
    this.#options = options;
    this.#server = fastify({
      bodyLimit: MAX_BODY_BYTES,
      requestTimeout: REQUEST_TIMEOUT_MS,
      forceCloseConnections: true,
      routerOptions: { ignoreTrailingSlash: true, maxParamLength: MAX_PARAM_LENGTH },
      // A path that cannot be decoded reaches no hook; it is a route that does not exist, told to whoever may know.
      frameworkErrors: (_error, request, reply) => void this.#refuseUnroutable(request, reply),
    });
    this.#takeAnyBodyAsJson();
    this.#addHooks();
    for (const row of options.endpoints) this.#addRoutes(row);
  }

  /** On a Unix socket that only the sidecar and the owner reach. */
  async listenOnSocket(path: string): Promise<void> {
    await clearSocketPath(path);
    await this.#server.listen({ path });
    restrictSocket(path);
  }

  /** @returns the port, where 0 asked for any. */
  async listenOnPort(host: string, port: number): Promise<number> {
    await this.#server.listen({ host, port });
    const address = this.#server.server.address();
    return typeof address === 'object' && address !== null ? address.port : port;
  }

  async close(): Promise<void> {
    await this.#server.close();
  }

  /** Scripts and curl do not always name the type; a key is needed all the same, so no web page gains by that. */
  #takeAnyBodyAsJson(): void {
    this.#server.removeAllContentTypeParsers();
    const parse = this.#server.getDefaultJsonParser('error', 'error');
    this.#server.addContentTypeParser('*', { parseAs: 'string' }, (request, text, done) => {
      if (text === '') done(null, {});
      else void parse(request, text as string, done);
    });
  }

  #addHooks(): void {
    const { services, isApart } = this.#options;
    this.#server.addHook('onRequest', async (request, reply) => {
      if (isApart) {
        reply.headers(corsHeaders(request.headers.origin, services.state().corsOrigins));
        if (answerPreflight(request, reply, services.state().corsOrigins)) return reply;
      }
      const access = request.is404 ? 'key-holder' : (request.routeOptions.config.access ?? 'admin');
      if (access === 'open') return undefined;
      // In the first moments after a start: a key may be one of the store's.
      if (access === 'key-holder') await services.storeOpened();
      const caller = await this.#authenticate(request);
      // Before anything looks at a body: what kind it is does not matter on a route that does not exist.
      if (request.is404) throw adminError('not_found', this.#notFound(`${request.method} ${pathOf(request.url)}`));
      if (access === 'admin' && caller.role !== 'admin') {
        throw adminError('admin_required', 'This route needs the master key.');
      }
      if (caller.role === 'key-holder') refuseOtherRoutes(caller.record, pathOf(request.url));
      this.#callers.set(request, caller);
      return undefined;
    });
    this.#server.setErrorHandler((error, _request, reply) => {
      refuse(reply, this.#toGatewayError(error));
    });
  }

  #notFound(what: string): string {
    const isElsewhere = this.#options.endpoints.length === 0;
    return isElsewhere ? 'The management API has an address of its own.' : `No such route: ${what}`;
  }

  #authenticate(request: Pick<FastifyRequest, 'headers'>): Promise<Caller> {
    const { services } = this.#options;
    const { masterKeyHash, keyHeaderName } = services.state();
    const known = { masterKeyHash, findKey: (hash: string) => services.findKey(hash) };
    return authenticate(readAdminKey(request.headers, keyHeaderName), known, services.now());
  }

  async #refuseUnroutable(request: FastifyRequest, reply: FastifyReply): Promise<void> {
    try {
      await this.#authenticate(request);
      refuse(reply, gatewayError('not_found', 'No such route.'));
    } catch (error) {
      refuse(reply, this.#toGatewayError(error));
    }
  }

  #toGatewayError(error: unknown): GatewayError {
    if (error instanceof AdminError) return error.gatewayError;
    const { code = '' } = error as Partial<FastifyError>;
    if (code === 'FST_ERR_CTP_BODY_TOO_LARGE') {
      return gatewayError('body_too_large', `The request body is larger than ${MAX_BODY_BYTES} bytes.`);
    }
    if (code.startsWith('FST_ERR_CTP_') || (error instanceof SyntaxError && 'statusCode' in error)) {
      return gatewayError('invalid_json', 'The request body is not one JSON object.');
    }
    if (error instanceof StoreError && (error.kind === 'unavailable' || error.kind === 'newer-schema')) {
      return {
        ...gatewayError('store_unavailable', `The database is not available: ${error.message}`),
        retryAfterSeconds: 1,
      };
    }
    // Someone else was faster than the check before it.
    if (isConflict(error)) return gatewayError('resource_exists', 'Its id, key or alias exists already.');
    const reason = error instanceof Error ? error.message : 'unknown';
    this.#options.logger.error('admin request failed', { reason });
    return gatewayError('internal_error', 'The control plane failed to answer. Its log has the reason.');
  }

  #addRoutes(row: AdminEndpoint): void {
    for (const url of row.paths) {
      this.#server.route({
        method: row.method,
        url,
        config: { access: row.access },
        handler: (request, reply) => this.#answer(row, request, reply),
      });
    }
  }

  async #answer(row: AdminEndpoint, request: FastifyRequest, reply: FastifyReply): Promise<void> {
    const query = row.query === null ? {} : check(row.query, withoutEmptyParameters(request.query));
    const body = row.body === null ? {} : check(row.body, withoutEmptyTexts(request.body ?? {}));
    const changedBy = request.headers['litellm-changed-by'];
    const call = {
      caller: this.#callers.get(request) ?? null,
      params: request.params as Readonly<Record<string, string>>,
      query: query as never,
      body: body as never,
      changedBy: typeof changedBy === 'string' && changedBy !== '' ? changedBy : null,
    };
    const { services } = this.#options;
    if (needsStore(row)) await services.storeOpened();
    const result = row.reply.parse(await row.handle(call as Parameters<typeof row.handle>[0], services));
    // Who makes a key may use it in the same moment.
    if (row.method !== 'GET') await services.changesPublished();
    const ignored = ignoredFields(row, request.body);
    if (ignored.length > 0) reply.header(IGNORED_FIELDS_HEADER, ignored.join(', '));
    await reply.type('application/json').send(JSON.stringify(result));
  }
}

/** All but what the configuration alone answers. */
function needsStore({ tag }: AdminEndpoint): boolean {
  return tag !== 'gateway' && tag !== 'models';
}

/** @throws {AdminError} naming the first field that is wrong, without its value: it can be a secret. */
function check<T>(schema: z.ZodType<T>, given: unknown): T {
  const fault = storableFault(given);
  if (fault !== null) throw invalid(fault.path, fault.message);
  const parsed = schema.safeParse(given);
  if (parsed.success) return parsed.data;
  const [issue] = parsed.error.issues;
  throw invalid(issue?.path ?? [], issue?.message ?? 'is not understood');
}

function invalid(path: readonly PropertyKey[], message: string): AdminError {
  if (path.length === 0) return adminError('invalid_field', `The request ${message}.`);
  const param = path.join('.');
  return adminError('invalid_field', `${param}: ${message}`, param);
}

/** Named by nobody, or known and without effect; given, and not null. Only names that a header can carry. */
function ignoredFields(row: AdminEndpoint, body: unknown): string[] {
  if (row.body === null || typeof body !== 'object' || body === null) return [];
  const { shape } = row.body;
  return Object.entries(body)
    .filter(([name, value]) => value !== null && value !== '' && (!Object.hasOwn(shape, name) || row.inert.has(name)))
    .map(([name]) => name)
    .filter((name) => /^\w{1,64}$/.test(name));
}

function refuse(reply: FastifyReply, error: GatewayError): void {
  void reply
    .code(errorStatus(error))
    .type('application/json')
    .headers(error.retryAfterSeconds > 0 ? { 'retry-after': String(error.retryAfterSeconds) } : {})
    .header('x-slipstream-error', error.name)
    .send(errorBody(error, 'openai'));
}

/** @throws {AdminError} when the key has routes that it may call, and this is none of them. */
function refuseOtherRoutes({ allowedRoutes }: KeyRecord, path: string): void {
  const grant = compileRouteGrant(allowedRoutes);
  if (grant === null || isRouteAllowed(grant, path)) return;
  throw adminError(
    'route_not_allowed',
    `The key may not call ${path}, only allowed_routes=${JSON.stringify(allowedRoutes)}.`,
  );
}

/** Without the query, which can carry a key. */
function pathOf(url: string): string {
  return url.split('?', 1)[0] ?? '';
}
