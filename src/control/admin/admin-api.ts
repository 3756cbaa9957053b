import { fastify, type FastifyInstance, type FastifyReply, type FastifyRequest } from 'fastify';
import { errorBody, errorStatus, type GatewayError, gatewayError } from '../../domain/errors/gateway-error.ts';
import type { Logger } from '../../runtime/logger.ts';
import { StoreError } from '../store/store-error.ts';
import { clearSocketPath, restrictSocket } from '../unix-socket.ts';
import { type AdminCaller, authenticate, type Authentication, type KnownKeys } from './admin-authenticator.ts';
import { type ModelInfoSource, modelInfoBody } from './model-info.ts';
import { readAdminKey } from './read-admin-key.ts';

/** The gateway's own routes take small JSON. */
const MAX_BODY_BYTES = 1024 * 1024;
const REQUEST_TIMEOUT_MS = 30_000;

/** What the admin API answers from: always the configuration in force. */
export interface AdminState extends KnownKeys, ModelInfoSource {
  readonly keyHeaderName: string | null;
  /** The body of GET /slipstream/status. */
  status(): unknown;
}

/** The control plane's HTTP side, on a Unix socket that only the sidecar and the owner reach. */
export class AdminApi {
  readonly #server: FastifyInstance;
  readonly #logger: Logger;
  readonly #state: () => AdminState;
  readonly #callers = new WeakMap<FastifyRequest, AdminCaller>();

  constructor(state: () => AdminState, logger: Logger) {
    this.#state = state;
    this.#logger = logger;
    this.#server = fastify({
      bodyLimit: MAX_BODY_BYTES,
      requestTimeout: REQUEST_TIMEOUT_MS,
      forceCloseConnections: true,
      routerOptions: { ignoreTrailingSlash: true },
      // A path that cannot be decoded reaches no hook; it is a route that does not exist, told to whoever may know.
      frameworkErrors: (_error, request, reply) => {
        const result = this.#authenticate(request);
        refuse(reply, 'error' in result ? result.error : gatewayError('not_found', 'No such route.'));
      },
    });
    this.#addHooks();
    this.#addRoutes();
  }

  async listen(path: string): Promise<void> {
    await clearSocketPath(path);
    await this.#server.listen({ path });
    restrictSocket(path);
  }

  async close(): Promise<void> {
    await this.#server.close();
  }

  #addHooks(): void {
    this.#server.addHook('onRequest', (request, reply, done) => {
      const result = this.#authenticate(request);
      if ('error' in result) {
        refuse(reply, result.error);
        return;
      }
      // Before anything looks at a body: what kind it is does not matter on a route that does not exist.
      if (request.is404) {
        refuse(reply, gatewayError('not_found', `No such route: ${request.method} ${pathOf(request.url)}`));
        return;
      }
      this.#callers.set(request, result.caller);
      done();
    });
    this.#server.setErrorHandler((error, _request, reply) => {
      if (error instanceof StoreError && error.kind !== 'conflict' && error.kind !== 'failed') {
        refuse(reply, gatewayError('store_unavailable', `The database is not available: ${error.message}`));
        return;
      }
      this.#logger.error('admin request failed', { reason: error instanceof Error ? error.message : 'unknown' });
      refuse(reply, gatewayError('internal_error', 'The control plane failed to answer. Its log has the reason.'));
    });
  }

  #authenticate(request: Pick<FastifyRequest, 'headers'>): Authentication {
    const state = this.#state();
    return authenticate(readAdminKey(request.headers, state.keyHeaderName), state, Date.now());
  }

  #addRoutes(): void {
    const adminOnly =
      (answer: (request: FastifyRequest, reply: FastifyReply) => unknown) =>
      (request: FastifyRequest, reply: FastifyReply): void => {
        if (this.#callers.get(request) === 'admin') void reply.send(answer(request, reply));
        else refuse(reply, gatewayError('admin_required', 'This route needs the master key.'));
      };
    this.#server.get(
      '/slipstream/status',
      adminOnly(() => this.#state().status()),
    );
    for (const path of ['/model/info', '/v1/model/info']) {
      this.#server.get(
        path,
        adminOnly((request) => modelInfoBody(this.#state(), wantedId(request.query))),
      );
    }
  }
}

function refuse(reply: FastifyReply, error: GatewayError): void {
  void reply
    .code(errorStatus(error))
    .type('application/json')
    .header('x-slipstream-error', error.name)
    .send(errorBody(error, 'openai'));
}

/** Without the query, which can carry a key. */
function pathOf(url: string): string {
  return url.split('?', 1)[0] ?? '';
}

function wantedId(query: unknown): string | null {
  if (typeof query !== 'object' || query === null || !('litellm_model_id' in query)) return null;
  return typeof query.litellm_model_id === 'string' ? query.litellm_model_id : null;
}
