import { performance } from 'node:perf_hooks';
import type { AttemptEvent } from '../../contract/usage-event.ts';
import type { CompiledDeployment } from '../compiled-snapshot.ts';
import type { Exchange } from '../exchange/exchange.ts';
import { attemptCost } from './reply-cost.ts';
import { noteFault } from '../routing/note-outcome.ts';
import type { AttemptOutcome } from '../worker/sidecar-metrics.ts';

/** What is written down of one attempt: its entry in the usage event, and a count. */
export class AttemptRecord {
  readonly #exchange: Exchange;
  readonly #deployment: CompiledDeployment;
  readonly #startedMs: number;
  /** Its entry stands in `exchange.attempts`, as the last one. */
  #noted = false;

  constructor(exchange: Exchange, deployment: CompiledDeployment, startedMs: number) {
    this.#exchange = exchange;
    this.#deployment = deployment;
    this.#startedMs = startedMs;
  }

  /** How it went, as far as is known; a later note takes the place of an earlier one. */
  note(status: number, error: AttemptEvent['error'], nowMs: number = performance.now()): void {
    const { attempts } = this.#exchange;
    const event = this.#event(status, error, nowMs);
    noteFault(this.#exchange, this.#deployment, event);
    if (this.#noted) {
      attempts[attempts.length - 1] = event;
      return;
    }
    this.#noted = true;
    attempts.push(event);
    this.#exchange.worker.metrics.countAttempt(this.#deployment, outcome(status, error !== null));
  }

  /** It was sent, and broken off before an answer. */
  noteCancelled(): void {
    if (this.#noted) return;
    this.#noted = true;
    this.#exchange.attempts.push(this.#event(0, null, performance.now()));
  }

  /** Another attempt follows: what this one cost moves from the exchange to its entry. */
  takeUsage(): void {
    const { attempts, usage } = this.#exchange;
    const last = attempts.at(-1);
    if (usage === null || last === undefined) return;
    const costNano = attemptCost(this.#exchange, this.#deployment, usage);
    attempts[attempts.length - 1] = { ...last, usage, costNano };
    this.#exchange.usage = null;
  }

  #event(status: number, error: AttemptEvent['error'], nowMs: number): AttemptEvent {
    const durationMs = nowMs - this.#startedMs;
    return { deployment: this.#deployment.spec.id, status, error, durationMs, usage: null, costNano: null };
  }
}

function outcome(status: number, isError: boolean): AttemptOutcome {
  if (status === 0) return 'unreachable';
  if (status >= 400 && status < 500) return 'refused';
  return isError || status >= 500 ? 'error' : 'ok';
}
