import { performance } from 'node:perf_hooks';
import { errorStatus, type GatewayError } from '../../domain/errors/gateway-error.ts';
import { HeaderId } from '../../http1/header-id.ts';
import type { ResponseHead } from '../../http1/response-head.ts';
import { statusLine } from '../../http1/serializer.ts';
import type { Exchange } from '../exchange/exchange.ts';
import { budgetHeaders } from '../budgets/admit-budgets.ts';
import { rateLimitHeaders } from '../limits/admit.ts';
import { attemptCountLines } from '../deployment-details.ts';
import { connectionOptions } from './connection-options.ts';
import { isHopByHop } from './upstream-request.ts';

/** Provider headers that never reach a client (decisions.md, "Headers to the client"). */
const WITHHELD = new Uint8Array(256);
for (const id of [
  HeaderId.SetCookie,
  HeaderId.OpenaiOrganization,
  HeaderId.OpenaiProject,
  HeaderId.AltSvc,
  HeaderId.StrictTransportSecurity,
  HeaderId.XLitellm,
  HeaderId.XSlipstream,
  HeaderId.SecWebsocketProtocol, // may hold our key; realtime-tunnel.ts writes its own
]) {
  WITHHELD[id] = 1;
}

const NONE_WITHHELD = new Uint8Array(256);

/** Where the answer tells what is left of the key's own limits, the provider's are its echo only. */
const LIMITS_WITHHELD = WITHHELD.slice();
LIMITS_WITHHELD[HeaderId.XRatelimit] = 2;

/**
 * Status line and header lines of the answer to a provider's reply: the provider's own but for those withheld, and if
 * the configuration says so each again as `llm_provider-<name>`. Where the gateway itself says
 * something about CORS, the provider does not. Framing, connection and our own lines follow later.
 */
export function providerHeaders(head: ResponseHead, exchange: Exchange): string {
  const limits = exchange.key === null ? null : exchange.key.limits;
  const withheld = limits !== null && limits.hidesProviders ? LIMITS_WITHHELD : WITHHELD;
  const { settings, cors } = exchange.snapshot;
  return relayedHeaders(head, withheld, settings.echoProviderHeaders, cors !== null);
}

/** Status line and header lines of the control plane's reply: all but hop-by-hop ones, it is a part of the gateway. */
export function controlHeaders(head: ResponseHead): string {
  return relayedHeaders(head, NONE_WITHHELD, false, false);
}

function relayedHeaders(head: ResponseHead, withheld: Uint8Array, echo: boolean, hasOwnCors: boolean): string {
  const { headers } = head;
  const dropped = connectionOptions(headers);
  let lines = statusLine(head.status);
  let echoed = '';
  for (let index = 0; index < headers.count; index += 1) {
    const id = headers.id(index);
    if (withheld[id] === 1 || isHopByHop(id)) continue;
    // Two lines of this kind, and browsers refuse the answer.
    if (hasOwnCors && headers.name(index).startsWith('access-control-')) continue;
    if (dropped !== null && dropped.has(headers.name(index))) continue;
    const line = headers.bytes.latin1Slice(headers.lineStart(index), headers.lineEnd(index));
    if (withheld[id] === 0) lines += line;
    if (echo) echoed += `llm_provider-${line}`;
  }
  return lines + echoed;
}

/** The gateway's own lines on every answer that a deployment gave. */
export function gatewayHeaders(exchange: Exchange): string {
  const nowMs = performance.now();
  exchange.overheadUs = exchange.sendOverheadUs + (nowMs - exchange.replyReadMs) * 1000;
  return (
    `x-slipstream-call-id: ${exchange.id}\r\nx-litellm-call-id: ${exchange.id}\r\n` +
    attemptLines(exchange) +
    (exchange.reservation === null ? '' : rateLimitHeaders(exchange, nowMs)) +
    (exchange.charge === null ? '' : budgetHeaders(exchange)) +
    overheadLines(Math.round(exchange.overheadUs))
  );
}

/** Which deployment answered, and what went before. */
function attemptLines({ deployment, attempts, fallbackCount }: Exchange): string {
  // Fast case: the first attempt was the last.
  if (deployment !== null && attempts.length === 1 && fallbackCount === 0) return deployment.firstAnswerHeaders;
  const retries = Math.max(0, attempts.length - 1 - fallbackCount);
  return (
    (deployment === null ? '' : deployment.answerHeaders) + attemptCountLines(attempts.length, retries, fallbackCount)
  );
}

/** Three decimals of every millisecond: a look-up costs a tenth of `toFixed`. */
const DECIMALS: readonly string[] = Array.from({ length: 1000 }, (_, number) => String(number).padStart(3, '0'));

/** @param overheadUs a whole number ≥ 0. */
function overheadLines(overheadUs: number): string {
  const decimals = overheadUs % 1000;
  const milliseconds = (overheadUs - decimals) / 1000;
  return `x-slipstream-overhead-us: ${overheadUs}\r\nx-litellm-overhead-duration-ms: ${milliseconds}.${DECIMALS[decimals]!}\r\n`;
}

/** Status line and header lines of an answer that the gateway itself makes. */
export function localHeaders(exchange: Exchange, status: number, contentType: string): string {
  return (
    `${statusLine(status)}content-type: ${contentType}\r\nx-slipstream-call-id: ${exchange.id}\r\n` +
    `x-litellm-call-id: ${exchange.id}\r\n`
  );
}

export function errorHeaders(exchange: Exchange, error: GatewayError): string {
  let lines = `${localHeaders(exchange, errorStatus(error), 'application/json')}x-slipstream-error: ${error.name}\r\n`;
  if (error.retryAfterSeconds > 0) lines += `retry-after: ${error.retryAfterSeconds}\r\n`;
  lines += error.headerLines;
  if (exchange.attempts.length > 0) lines += `x-slipstream-attempts: ${exchange.attempts.length}\r\n`;
  return lines;
}
