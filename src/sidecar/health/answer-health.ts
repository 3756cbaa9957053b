import { asBytes } from '../../base/bytes.ts';
import { gatewayError } from '../../domain/errors/gateway-error.ts';
import { resolveModel, type CompiledDeployment } from '../compiled-snapshot.ts';
import { answerError } from '../exchange/answer-error.ts';
import type { Exchange, Forwarder } from '../exchange/exchange.ts';
import { localHeaders } from '../forward/answer-headers.ts';
import type { CheckResult } from '../routing/deployment-health.ts';
import { CHECK_TIMED_OUT, CHECK_UNREACHABLE } from './health-call.ts';
import { isHealthy } from './health-checks.ts';

/** `/health`: what a real call to each deployment brought. Needs the master key: it costs, and it names providers. */
export function answerHealth(exchange: Exchange): void {
  if (!exchange.key!.isMaster) {
    answerError(exchange, gatewayError('admin_required', '/health needs the master key'));
    return;
  }
  const query = new URLSearchParams(exchange.head.query);
  const targets = findTargets(exchange, query.get('model'), query.get('model_id'));
  if (targets === null) {
    const name = query.get('model') ?? query.get('model_id') ?? '';
    answerError(exchange, {
      ...gatewayError('unknown_model', `no model or deployment is called ${name}`),
      status: 404,
    });
    return;
  }
  new HealthAnswer(exchange, targets, query.has('model') || query.has('model_id')).start();
}

function findTargets(
  { snapshot }: Exchange,
  model: string | null,
  modelId: string | null,
): readonly CompiledDeployment[] | null {
  if (modelId !== null) {
    const deployment = snapshot.deployments.get(modelId);
    return deployment === undefined ? null : [deployment];
  }
  if (model === null) return [...snapshot.deployments.values()];
  return resolveModel(snapshot, model)?.group.deployments ?? null;
}

/** Gathers the results; the client may leave meanwhile, the checks go on. */
class HealthAnswer implements Forwarder {
  readonly #exchange: Exchange;
  readonly #targets: readonly CompiledDeployment[];
  readonly #isFiltered: boolean;
  readonly #results = new Map<string, CheckResult>();
  readonly #unchecked: CompiledDeployment[] = [];
  #over = false;

  constructor(exchange: Exchange, targets: readonly CompiledDeployment[], isFiltered: boolean) {
    this.#exchange = exchange;
    this.#targets = targets;
    this.#isFiltered = isFiltered;
  }

  start(): void {
    const exchange = this.#exchange;
    const { worker, snapshot } = exchange;
    const { inBackground } = snapshot.settings.failure.healthChecks;
    exchange.attempt = this;
    for (const deployment of this.#targets) {
      const { id, healthCheck } = deployment.spec;
      const request = worker.healthChecks.requestFor(deployment);
      if (request === null) {
        this.#unchecked.push(deployment);
        continue;
      }
      const last = inBackground && !healthCheck.isBackgroundOff ? worker.health.lastCheck(deployment.health) : null;
      if (last !== null) this.#results.set(id, last);
      else
        worker.healthChecks.check(deployment, request, (_deployment, result) => {
          this.#results.set(id, result);
          this.#answerIfComplete();
        });
    }
    this.#answerIfComplete();
  }

  cancel(): void {
    this.#over = true;
  }

  resume(): void {
    // The answer leaves in one piece.
  }

  onTimeout(): void {
    // Each check has its own deadline, and no other is set.
  }

  #answerIfComplete(): void {
    const exchange = this.#exchange;
    if (this.#over || this.#results.size + this.#unchecked.length < this.#targets.length) return;
    this.#over = true;
    const healthy: object[] = [];
    const unhealthy: object[] = [];
    for (const deployment of this.#targets) {
      const result = this.#results.get(deployment.spec.id);
      if (result === undefined) continue;
      if (isHealthy(result)) healthy.push(describe(deployment, result));
      else unhealthy.push({ ...describe(deployment, result), error: errorText(deployment, result) });
    }
    const body = {
      healthy_endpoints: healthy,
      unhealthy_endpoints: unhealthy,
      healthy_count: healthy.length,
      unhealthy_count: unhealthy.length,
      unchecked_endpoints: this.#unchecked.map((deployment) => describe(deployment, null)),
    };
    const isDown = this.#isFiltered && healthy.length === 0 && unhealthy.length > 0;
    const status = isDown ? 503 : 200;
    const bytes = asBytes(Buffer.from(JSON.stringify(body), 'utf8'));
    exchange.answerWhole(status, localHeaders(exchange, status, 'application/json'), [bytes]);
  }
}

/** Names and addresses of the configuration; never a credential, nor what the provider said. */
function describe({ spec }: CompiledDeployment, result: CheckResult | null): object {
  const { origin } = spec;
  const address = origin.socketPath === null ? `${origin.host}:${origin.port}` : `unix:${origin.socketPath}`;
  return {
    model: `${spec.provider}/${spec.healthCheck.model ?? spec.upstreamModel}`,
    model_id: spec.id,
    model_group: spec.groupName,
    api_base: `${origin.scheme}://${address}${spec.basePath}`,
    ...(result === null
      ? {}
      : { checked_at: new Date(result.atUnixMs).toISOString(), duration_ms: Math.round(result.durationMs) }),
  };
}

function errorText({ spec }: CompiledDeployment, { status }: CheckResult): string {
  if (status === CHECK_TIMED_OUT) return `no answer within ${spec.healthCheck.timeoutMs / 1000} s`;
  if (status === CHECK_UNREACHABLE) return 'no connection, or it was lost';
  return `the provider answered with status ${status}`;
}
