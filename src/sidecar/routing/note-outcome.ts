import { performance } from 'node:perf_hooks';
import type { AttemptEvent } from '../../contract/usage-event.ts';
import { estimatePromptTokens } from '../../domain/usage/estimate-usage.ts';
import type { CompiledDeployment } from '../compiled-snapshot.ts';
import type { Exchange } from '../exchange/exchange.ts';

/** A reply was relayed to its end: what it says of the deployment's speed and of the tokens of this minute. */
export function noteReply(
  exchange: Exchange,
  deployment: CompiledDeployment,
  reply: { readonly status: number; readonly mode: string },
  startedMs: number,
): void {
  const { load } = exchange.worker;
  if (deployment.latencyTtlMs === 0 && !deployment.tracksUsage) return;
  if (reply.status >= 400) return;
  const { usage } = exchange;
  load.used(
    deployment,
    usage === null ? estimatePromptTokens(exchange.body.length) : usage.inputTokens + usage.outputTokens,
  );
  const durationMs = performance.now() - startedMs;
  if (reply.mode !== 'events') load.completed(deployment, durationMs, usage === null ? 0 : usage.outputTokens);
  // A stream that came in one read has its first event here; any other had it long ago.
  else if (!exchange.committed) load.firstEvent(deployment, durationMs);
}

/** A reply was let go before its end: the tokens that it had told of by then are used all the same. */
export function noteAbandoned({ usage, worker }: Exchange, deployment: CompiledDeployment): void {
  if (usage !== null) worker.load.used(deployment, usage.inputTokens + usage.outputTokens);
}

/** An attempt has an outcome: a fault of the deployment makes it look slow. */
export function noteFault(exchange: Exchange, deployment: CompiledDeployment, event: AttemptEvent): void {
  if (deployment.latencyTtlMs === 0 || !isFault(event)) return;
  const isTimeout = event.error === 'upstream_timeout';
  exchange.worker.load.failed(deployment, exchange.stream, event.durationMs, isTimeout);
}

/** Statuses that say something of the deployment and nothing of the request. */
function isFault({ status, error }: AttemptEvent): boolean {
  if (status === 0 || error !== null) return true;
  return status === 401 || status === 403 || status === 408 || status === 429 || status >= 500;
}
