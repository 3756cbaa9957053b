import { healthCheckRequest, type HealthCheckRequest } from '../../domain/health/health-check-request.ts';
import type { CompiledDeployment } from '../compiled-snapshot.ts';
import type { CheckResult } from '../routing/deployment-health.ts';
import type { WorkerContext } from '../worker/worker-context.ts';
import { HealthCall } from './health-call.ts';

/** Calls at once: a round must not fill the pools that requests use. */
const MAX_CALLS = 16;

type Listener = (deployment: CompiledDeployment, result: CheckResult) => void;

interface Queued {
  readonly deployment: CompiledDeployment;
  readonly request: HealthCheckRequest;
}

/**
 * Asks deployments whether they work: all of them regularly if the configuration says so (the first worker does, for all),
 * and those that someone wants to know of now. Results go to the table that all threads see.
 */
export class HealthChecks {
  readonly #worker: WorkerContext;
  readonly #calls = new Set<HealthCall>();
  readonly #queue: Queued[] = [];
  /** By deployment id: a question that is under way is not asked twice. */
  readonly #listeners = new Map<string, Listener[]>();
  /** Monotonic ms; 0 = at the next tick. */
  #nextRoundMs = 0;

  constructor(worker: WorkerContext) {
    this.#worker = worker;
  }

  /** The question for this deployment, or null if it can't be asked cheaply. */
  requestFor({ spec }: CompiledDeployment): HealthCheckRequest | null {
    const { prompt } = this.#worker.snapshot!.settings.failure.healthChecks;
    const { mode, model, maxTokens } = spec.healthCheck;
    const { family, provider } = spec;
    return healthCheckRequest({ family, provider, model: model ?? spec.upstreamModel, mode, maxTokens }, prompt);
  }

  /** `listener` hears of it once, later. */
  check(deployment: CompiledDeployment, request: HealthCheckRequest, listener: Listener | null): void {
    const { id } = deployment.spec;
    const waiting = this.#listeners.get(id);
    if (waiting !== undefined) {
      if (listener !== null) waiting.push(listener);
      return;
    }
    this.#listeners.set(id, listener === null ? [] : [listener]);
    this.#queue.push({ deployment, request });
    this.#startCalls();
  }

  tick(nowMs: number): void {
    if (this.#calls.size > 0) {
      for (const call of this.#calls) if (call.deadlineMs <= nowMs) call.expire();
    }
    const { snapshot, shared, draining } = this.#worker;
    if (snapshot === null || draining || shared.workerIndex !== 0) return;
    const { inBackground, intervalMs } = snapshot.settings.failure.healthChecks;
    if (!inBackground || nowMs < this.#nextRoundMs) return;
    this.#nextRoundMs = nowMs + intervalMs;
    for (const deployment of snapshot.deployments.values()) {
      if (deployment.spec.healthCheck.isBackgroundOff) continue;
      const request = this.requestFor(deployment);
      if (request !== null) this.check(deployment, request, null);
    }
  }

  #startCalls(): void {
    while (this.#calls.size < MAX_CALLS) {
      const next = this.#queue.shift();
      if (next === undefined) return;
      const call = new HealthCall(next.deployment, next.request, (ended, result) => {
        this.#onDone(ended, result);
      });
      this.#calls.add(call);
      call.start();
    }
  }

  #onDone(call: HealthCall, result: CheckResult): void {
    const { deployment } = call;
    const { steerRouting, ignoreTransient, intervalMs } = this.#worker.snapshot!.settings.failure.healthChecks;
    const isTransient = ignoreTransient && (result.status === 408 || result.status === 429);
    // What is older than two rounds is not believed any more.
    const benchedForMs = steerRouting && !isTransient ? 2 * intervalMs : 0;
    this.#worker.health.onChecked(deployment.health, result, isHealthy(result), benchedForMs);
    this.#calls.delete(call);
    const listeners = this.#listeners.get(deployment.spec.id) ?? [];
    this.#listeners.delete(deployment.spec.id);
    for (const listener of listeners) listener(deployment, result);
    this.#startCalls();
  }
}

export function isHealthy({ status }: CheckResult): boolean {
  return status >= 200 && status < 300;
}
