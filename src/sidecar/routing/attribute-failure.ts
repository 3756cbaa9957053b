import { performance } from 'node:perf_hooks';
import type { BenchReason, BreakerFailure } from '../../domain/routing/breaker.ts';
import { countFor, type FailureClass } from '../../domain/routing/failure-class.ts';
import { retryAfterMs, type RetryHints } from '../../domain/routing/retry-after.ts';
import { HeaderId } from '../../http1/header-id.ts';
import type { HeaderTable } from '../../http1/header-table.ts';
import type { CompiledDeployment } from '../compiled-snapshot.ts';
import type { Exchange } from '../exchange/exchange.ts';
import type { Ticket } from './deployment-health.ts';

/** A refused credential is refused again until somebody changes it: one real request a minute is enough to notice. */
const CREDENTIAL_BENCH_MS = 60_000;

/** An attempt that failed, as far as its deployment may be to blame. */
export interface FailedAttempt {
  readonly deployment: CompiledDeployment;
  readonly ticket: Ticket;
  readonly failure: FailureClass;
  /** Headers of the reply, if there was one. */
  readonly headers: HeaderTable | null;
  /** It failed by what the client or the gateway itself decided: a deadline that the client set, a limit of ours. */
  readonly isOurs: boolean;
}

/** Tells the deployment's breaker and budget. */
export function reportFailure(exchange: Exchange, failed: FailedAttempt): void {
  const { deployment, ticket } = failed;
  const { health } = exchange.worker;
  const counted = failed.isOurs ? null : breakerFailure(exchange, failed);
  if (counted === null) {
    // A request that is refused for its own fault was answered all the same: the deployment works.
    const isAlive = failed.headers !== null && failed.failure !== 'not_found';
    if (isAlive) health.onSuccess(deployment.health, ticket);
    else health.onGivenUp(deployment.health, ticket);
    return;
  }
  deployment.health.budget.onFailure(performance.now());
  if (exchange.snapshot.settings.failure.areCooldownsOff) health.onGivenUp(deployment.health, ticket);
  else health.onFailure(deployment.health, ticket, counted);
}

/** Null: it does not count against the deployment. */
function breakerFailure(exchange: Exchange, failed: FailedAttempt): BreakerFailure | null {
  const { failure, deployment } = failed;
  const settings = exchange.snapshot.settings.failure;
  const policy = countFor(failure, settings.allowedFailsPolicy);
  const cooldownMs = deployment.spec.cooldownMs ?? settings.cooldownMs;
  const { isAlone } = deployment;
  switch (failure) {
    case 'client':
    case 'context_window':
    case 'content_policy':
    case 'conflict':
      return null;
    case 'not_found':
      // Of a wildcard, or of a response by its id, the client chose the name that is not there.
      if (deployment.isWildcard || exchange.pinned !== null) return null;
      return { reason: 'not_found', benchMs: cooldownMs, tolerated: 0, isAlone };
    case 'credential':
      return { reason: 'credential', benchMs: CREDENTIAL_BENCH_MS, tolerated: policy ?? 0, isAlone };
    case 'rate_limit': {
      const hintMs = failed.headers === null ? null : retryAfterMs(retryHints(failed.headers), Date.now());
      if (hintMs !== null && hintMs > 0) {
        return { reason: 'retry_after', benchMs: hintMs, tolerated: policy ?? 0, isAlone };
      }
      // Told to come back at once: that it is limited counts, but does not bench by itself.
      const tolerated = policy ?? (hintMs === 0 ? settings.allowedFails : 0);
      return { reason: 'rate_limit', benchMs: cooldownMs, tolerated, isAlone };
    }
    case 'timeout':
    case 'server':
    case 'connection':
      return {
        reason: failure satisfies BenchReason,
        benchMs: cooldownMs,
        tolerated: policy ?? settings.allowedFails,
        isAlone,
      };
    default:
      return failure satisfies never;
  }
}

/** Names of the limits whose rest and reset providers tell. */
const OPENAI_LIMITS = ['requests', 'tokens'] as const;
const ANTHROPIC_LIMITS = ['requests', 'tokens', 'input-tokens', 'output-tokens'] as const;

function retryHints(headers: HeaderTable): RetryHints {
  const text = (name: string): string | null => {
    const index = headers.findName(name);
    return index === -1 ? null : headers.value(index);
  };
  return {
    retryAfterMs: headers.text(HeaderId.RetryAfterMs),
    retryAfter: headers.text(HeaderId.RetryAfter),
    limits: [
      { remaining: text('x-ratelimit-remaining'), reset: text('x-ratelimit-reset') },
      ...OPENAI_LIMITS.map((limit) => ({
        remaining: text(`x-ratelimit-remaining-${limit}`),
        reset: text(`x-ratelimit-reset-${limit}`),
      })),
      ...ANTHROPIC_LIMITS.map((limit) => ({
        remaining: text(`anthropic-ratelimit-${limit}-remaining`),
        reset: text(`anthropic-ratelimit-${limit}-reset`),
      })),
    ],
  };
}
