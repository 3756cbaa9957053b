import { gatewayError, type GatewayError } from '../../domain/errors/gateway-error.ts';
import { classifyErrorBody, MAX_CLASSIFIED_BYTES } from '../../domain/reply/classify-error-body.ts';
import { parseJson } from '../../domain/reply/parse-json.ts';
import { classOfStatus, type FailureClass } from '../../domain/routing/failure-class.ts';
import { readTokenUsage, type TokenUsage } from '../../domain/usage/token-usage.ts';
import type { ResponseHead } from '../../http1/response-head.ts';
import type { CompiledDeployment } from '../compiled-snapshot.ts';
import { withModelGroup } from '../exchange/answer-error.ts';
import type { Exchange } from '../exchange/exchange.ts';
import type { ReplyRelay } from './reply-relay.ts';

/** These statuses stand for a wrong request, a prompt too long and refused content alike: only their body tells. */
export function needsItsBody({ status, framing, contentLength }: ResponseHead): boolean {
  const isTelling = status === 400 || status === 403 || status === 413 || status === 422;
  return isTelling && framing !== 'none' && contentLength !== 0;
}

/** The body is here, or as much of it as is looked at. */
export function failureOfBody(relay: ReplyRelay): FailureClass {
  const byStatus = classOfStatus(relay.status);
  const kind = classifyErrorBody(relay.heldText(MAX_CLASSIFIED_BYTES));
  switch (kind) {
    case 'context_window':
      return byStatus === 'credential' ? byStatus : 'context_window';
    case 'content_policy':
      return 'content_policy';
    case 'invalid_request':
    case 'other':
      return byStatus;
    default:
      return kind satisfies never;
  }
}

/** A stream whose first event is an error: what is held ends with that event. */
export function failureOfFirstEvent(relay: ReplyRelay): FailureClass {
  const text = relay.heldText(MAX_CLASSIFIED_BYTES);
  const kind = classifyErrorBody(dataOfLastEvent(text));
  switch (kind) {
    case 'context_window':
    case 'content_policy':
      return kind;
    case 'invalid_request':
      return 'client';
    case 'other':
      return 'server';
    default:
      return kind satisfies never;
  }
}

/** The first `data:` line that holds an object; events before it were comments and pings. */
function dataOfLastEvent(text: string): string {
  for (const line of text.split(/\r\n|\r|\n/)) {
    if (line.startsWith('data:') && line.includes('error')) return line.slice(5).trim();
  }
  return '';
}

/** 401 and 403 keep their status, but the body is ours: the provider's text can quote the gateway's credential. */
export function withheldError(exchange: Exchange, status: number, failure: FailureClass): GatewayError | null {
  if (status !== 401 && status !== 403) return null;
  const group = JSON.stringify(exchange.group?.name ?? '');
  const error =
    failure === 'content_policy'
      ? gatewayError('upstream_refused_content', `the provider's filter refused the content for model group ${group}`)
      : gatewayError(
          'upstream_refused_credential',
          `the provider refused the gateway's credential for model group ${group} with status ${status}`,
        );
  return withModelGroup(exchange, { ...error, status });
}

/** Some providers charge for what they refuse, and say so. */
export function usageOfBody(relay: ReplyRelay, exchange: Exchange): TokenUsage | null {
  const { route } = exchange;
  if (route.kind !== 'llm') return null;
  const value = parseJson(relay.heldText(MAX_CLASSIFIED_BYTES));
  if (typeof value !== 'object' || value === null) return null;
  return readTokenUsage((value as { usage?: unknown }).usage, route.endpoint.usage);
}

/** From sending the request to the head of the answer, or to the first event of a stream. */
export function firstAnswerTimeoutMs(exchange: Exchange, deployment: CompiledDeployment): number {
  const { timeouts } = exchange.snapshot.settings;
  if (exchange.stream)
    return exchange.streamTimeoutMs ?? deployment.spec.streamTimeoutMs ?? timeouts.streamFirstEventMs;
  return exchange.timeoutMs ?? deployment.spec.timeoutMs ?? timeouts.firstByteMs;
}

/**
 * A timeout that the client chose says nothing of the provider: a client could bench every deployment with it. Nor does the
 * end of the whole call while the answer is on its way: the client may be the slow one.
 */
export function isNotProvidersTimeout(exchange: Exchange, relay: ReplyRelay | null): boolean {
  if (exchange.committed) return relay?.mode !== 'events';
  return exchange.timeoutMs !== null || (exchange.stream && exchange.streamTimeoutMs !== null);
}
