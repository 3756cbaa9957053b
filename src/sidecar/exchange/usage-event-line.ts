import { USAGE_EVENT_FORMAT, type AttemptEvent } from '../../contract/usage-event.ts';
import { readTraceParent } from '../../domain/request/trace-parent.ts';
import { estimateUsage } from '../../domain/usage/estimate-usage.ts';
import type { TokenUsage } from '../../domain/usage/token-usage.ts';
import { replyCost } from '../forward/reply-cost.ts';
import { HeaderId } from '../../http1/header-id.ts';
import { clientPart } from './client-address.ts';
import type { Exchange } from './exchange.ts';

/**
 * The `UsageEvent` of a finished exchange as a line of JSON. Written by hand: the parts that configuration and key
 * decide are ready-made texts, which makes a line cost 1 µs instead of 4 with JSON.stringify.
 */
export function usageEventLine(exchange: Exchange, durationMs: number): string {
  const isEstimate = brokeOff(exchange);
  const tokens = finalUsage(exchange, isEstimate);
  const costNano = exchange.costNano ?? replyCost(exchange, tokens, exchange.status);
  const source = isEstimate ? 'estimated' : tokens === null ? 'none' : 'reported';
  return (
    `{"v":${USAGE_EVENT_FORMAT},"id":"${exchange.id}","at":${exchange.startedUnixMs},"durationMs":${milliseconds(durationMs)}` +
    `,"firstByteMs":${exchange.firstByteMs === null ? 'null' : milliseconds(exchange.firstByteMs)}` +
    `,"overheadUs":${Math.round(exchange.overheadUs)}${who(exchange)}${outcome(exchange)}` +
    `,"usage":${usage(tokens)},"usageSource":"${source}","costNano":${costNano}${sizes(exchange)}${budgets(exchange)}}\n`
  );
}

/** What a finished exchange cost, nano-dollars; what is told here is what its event says. */
export function finalCost(exchange: Exchange): number | null {
  exchange.costNano ??= replyCost(exchange, finalUsage(exchange, brokeOff(exchange)), exchange.status);
  return exchange.costNano;
}

function finalUsage(exchange: Exchange, isEstimate: boolean): TokenUsage | null {
  if (!isEstimate) return exchange.usage;
  return estimateUsage(exchange.body.length, exchange.streamReader!.eventCount, exchange.usage);
}

/** The `OpenEvent` of an exchange that goes on. */
export function openEventLine(exchange: Exchange, durationMs: number): string {
  const { streamReader } = exchange;
  const events = streamReader === null ? 0 : streamReader.eventCount;
  const known = streamReader === null ? null : streamReader.usage;
  const costNano = replyCost(exchange, estimateUsage(exchange.body.length, events, known), exchange.status);
  return (
    `{"v":${USAGE_EVENT_FORMAT},"open":"${exchange.id}","at":${exchange.startedUnixMs},"durationMs":${milliseconds(durationMs)}` +
    `,"firstByteMs":${exchange.firstByteMs === null ? 'null' : milliseconds(exchange.firstByteMs)}` +
    `${who(exchange)},"status":${exchange.status},"streamEvents":${events}` +
    `,"usage":${usage(known)},"costNano":${costNano}${sizes(exchange)}${budgets(exchange)}}\n`
  );
}

/** Trace, key and route. */
function who(exchange: Exchange): string {
  const { route, deployment, group } = exchange;
  const endpoint =
    route.kind === 'llm' ? route.endpoint.name : route.kind === 'realtime' ? 'realtime' : 'responses_by_id';
  const asker = `${trace(exchange)}${clientPart(exchange)},${exchange.key!.eventPart},"endpoint":"${endpoint}","model":`;
  // Nearly always: a deployment of its own group, and the model that it names.
  if (deployment !== null && group !== null) {
    const { spec } = deployment;
    if (group.name === spec.groupName && exchange.upstreamModel === spec.upstreamModel) {
      const model = exchange.model === group.name ? group.nameText : text(exchange.model);
      return `${asker}${model},${deployment.eventTexts.route}${exchange.stream}`;
    }
  }
  return (
    `${asker}${text(exchange.model)},"group":${group === null ? 'null' : group.nameText}` +
    `,${deployment === null ? '"deployment":null,"provider":null' : deployment.eventTexts.identity}` +
    `,"upstreamModel":${text(exchange.upstreamModel)},"stream":${exchange.stream}`
  );
}

/** Status, errors and attempts. */
function outcome(exchange: Exchange): string {
  const { attempts, deployment, errorName, aborted, status } = exchange;
  if (attempts.length === 1 && status === 200 && errorName === null && aborted === null) {
    const { status: attemptStatus, error, durationMs, usage: attemptUsage } = attempts[0]!;
    if (deployment !== null && attemptStatus === 200 && error === null && attemptUsage === null) {
      return `${deployment.eventTexts.success}${milliseconds(durationMs)},"usage":null,"costNano":null}]`;
    }
  }
  const name = errorName === null ? 'null' : `"${errorName}"`;
  return `,"status":${status},"error":${name},"aborted":${text(aborted)},"attempts":[${attemptList(attempts)}]`;
}

function sizes(exchange: Exchange): string {
  return (
    `,"requestBytes":${exchange.body.length},"responseBytes":${exchange.responseBytes}` +
    `,"tags":${exchange.tags.length === 0 ? '[]' : JSON.stringify(exchange.tags)}`
  );
}

function budgets({ charge, chargedRows }: Exchange): string {
  const rows = charge === null ? chargedRows : charge.names;
  return rows === '' ? '' : `,"budgets":[${rows}]`;
}

/** A stream that was broken off has been paid for, though its usage, which comes last, never came. */
function brokeOff({ aborted, errorName, streamReader, committed }: Exchange): boolean {
  if (streamReader === null || (aborted === null && errorName === null)) return false;
  return committed && !streamReader.done;
}

function trace(exchange: Exchange): string {
  const header = exchange.head.headers.text(HeaderId.Traceparent);
  const parent = header === null ? null : readTraceParent(header);
  if (parent === null) return ',"traceId":null,"spanId":null';
  return `,"traceId":"${parent.traceId}","spanId":"${parent.spanId}"`;
}

function milliseconds(value: number): number {
  return Math.round(value * 1000) / 1000;
}

function text(value: string | null): string {
  return value === null ? 'null' : JSON.stringify(value);
}

function attemptList(list: readonly AttemptEvent[]): string {
  let json = '';
  for (const attempt of list) {
    if (json !== '') json += ',';
    const error = attempt.error === null ? 'null' : `"${attempt.error}"`;
    json += `{"deployment":${JSON.stringify(attempt.deployment)},"status":${attempt.status},"error":${error},"durationMs":${milliseconds(attempt.durationMs)},"usage":${usage(attempt.usage)},"costNano":${attempt.costNano}}`;
  }
  return json;
}

function usage(tokens: TokenUsage | null): string {
  if (tokens === null) return 'null';
  return (
    `{"inputTokens":${tokens.inputTokens},"outputTokens":${tokens.outputTokens},"cacheReadTokens":${tokens.cacheReadTokens}` +
    `,"cacheWriteTokens":${tokens.cacheWriteTokens},"reasoningTokens":${tokens.reasoningTokens}` +
    (tokens.details === undefined ? '}' : `,"details":${JSON.stringify(tokens.details)}}`)
  );
}
