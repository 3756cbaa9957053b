import { performance } from 'node:perf_hooks';
import type { Bytes } from '../../base/bytes.ts';
import { errorSpec, gatewayError, type GatewayError } from '../../domain/errors/gateway-error.ts';
import { isRouteAllowed } from '../../domain/keys/route-grant.ts';
import { readRequestFields, scanFailureError } from '../../domain/request/read-request-fields.ts';
import { forwardToControl } from '../forward/admin-relay.ts';
import { startAttempt } from '../forward/attempt.ts';
import { firstChoice, noDeployments } from '../forward/next-choice.ts';
import { openTunnel } from '../forward/realtime-tunnel.ts';
import { answerHealth } from '../health/answer-health.ts';
import { tagsNotServed } from '../routing/tags-not-served.ts';
import { admitBudgets } from '../budgets/admit-budgets.ts';
import { admit } from '../limits/admit.ts';
import { answerPreflight } from '../local/answer-preflight.ts';
import { answerLocally } from '../local/local-answers.ts';
import { askAdmission, isOverfull, tooManyInFlight } from '../overload/ask-admission.ts';
import { answerError } from './answer-error.ts';
import { authenticate } from './authenticate.ts';
import { contentEncoding } from './content-encoding.ts';
import type { Exchange } from './exchange.ts';
import { findModel } from './find-model.ts';
import { findResponse } from './find-response.ts';
import { outOfMemory } from './request-body.ts';
import { readRequestOptions } from './request-options.ts';
import { routeMethods } from './route.ts';

/*
 * The life of a request, in order:
 *
 *   head → authenticate → body → queue → resolve model → admit → select → connect → forward → relay → record
 *
 * `onHead`, `onBody` and `onEnd` are called by the downstream connection as bytes arrive; `proceed` goes on once the
 * request is whole and its key known. Connect, forward and relay are `forward/attempt.ts`; record is `Exchange`'s own.
 * Every phase either goes on to the next or refuses; a refusal is answered by `settleRefusal`.
 */

const JOURNAL_UNAVAILABLE: GatewayError = {
  ...gatewayError('journal_unavailable', 'The usage of requests can not be recorded now, so none are served.'),
  retryAfterSeconds: 2,
};

/** Head: the route, and what can be refused without a body. */
export function onHead(exchange: Exchange): void {
  const { head, route } = exchange;
  const methods = routeMethods(route);
  if (methods !== null && !methods.includes(head.method)) {
    refuse(exchange, gatewayError('method_not_allowed', `${head.method} is not served on ${head.path}`));
    return;
  }
  if (head.expectation === 'other') {
    refuse(exchange, gatewayError('expectation_failed', 'the only expectation served is 100-continue'));
    return;
  }
  if (needsNoKey(exchange) || route.kind === 'admin') {
    acceptBody(exchange);
    return;
  }
  if (exchange.worker.journal.isRefusing && exchange.isUsage) {
    refuse(exchange, JOURNAL_UNAVAILABLE);
    return;
  }
  const result = authenticate(exchange, (late) => {
    onAuthenticated(exchange, late);
    exchange.connection.continueReading();
  });
  if (result !== 'wait') onAuthenticated(exchange, result);
}

/** Authenticate: the key is known, or the request refused. */
function onAuthenticated(exchange: Exchange, result: 'ok' | GatewayError): void {
  if (result !== 'ok') refuse(exchange, result);
  else if (exchange.key!.routes !== null && !isRouteAllowed(exchange.key!.routes, exchange.head.path))
    refuse(exchange, routeNotAllowed(exchange));
  else if (isOverfull(exchange)) refuse(exchange, tooManyInFlight());
  else acceptBody(exchange);
}

/** Body, before its first byte: size and encoding. Only now may the client be told to go on. */
function acceptBody(exchange: Exchange): void {
  const { head, route, snapshot } = exchange;
  const { maxBodyBytes, maxJsonBodyBytes } = snapshot.settings.limits;
  const limit = route.kind === 'llm' ? Math.min(maxBodyBytes, maxJsonBodyBytes) : maxBodyBytes;
  if (head.contentLength > limit) {
    refuse(exchange, bodyTooLarge(limit));
    return;
  }
  const { budget } = exchange.worker;
  if (head.contentLength > budget.leftBytes) {
    const isEverPossible = head.contentLength <= budget.maxBytes;
    refuse(exchange, isEverPossible ? outOfMemory() : bodyTooLarge(budget.maxBytes));
    return;
  }
  if (route.kind === 'llm') {
    exchange.encoding = contentEncoding(head.headers);
    exchange.scanner.reset();
  }
  if (head.expectation === 'continue' && head.framing !== 'none' && head.minor === 1)
    exchange.connection.sendContinue();
}

/** Where in a chunk the body bytes lie: the parser, as far as `onBody` needs it. */
interface BodyRange {
  readonly bodyStart: number;
  readonly bodyEnd: number;
}

/** Body: scanned as it arrives, so that its end costs nothing. */
export function onBody(exchange: Exchange, chunk: Bytes, range: BodyRange, isLent: boolean): void {
  const { bodyStart: start, bodyEnd: end } = range;
  if (exchange.refusal !== null) return;
  const { body, route, head } = exchange;
  const isWhole = body.length === 0 && head.contentLength === end - start;
  body.push(chunk, start, end, isWhole, isLent);
  if (body.isOverBudget) {
    refuse(exchange, outOfMemory());
    return;
  }
  const { maxBodyBytes, maxJsonBodyBytes } = exchange.snapshot.settings.limits;
  if (body.length > maxBodyBytes || (route.kind === 'llm' && body.length > maxJsonBodyBytes)) {
    refuse(exchange, bodyTooLarge(route.kind === 'llm' ? maxJsonBodyBytes : maxBodyBytes));
    return;
  }
  if (route.kind !== 'llm' || exchange.encoding !== null) return;
  exchange.scanner.push(chunk, start, end);
  if (exchange.scanner.failure !== null) refuse(exchange, scanFailureError(exchange.scanner.failure));
}

/** The request is whole. */
export function onEnd(exchange: Exchange): void {
  exchange.requestComplete = true;
  exchange.workSinceMs = exchange.connection.deliveredMs;
  if (exchange.refusal !== null) settleRefusal(exchange);
  else if (exchange.state === 'reading' && enterInFlight(exchange)) proceed(exchange);
}

/** Queue: requests to providers are limited in number. */
function enterInFlight(exchange: Exchange): boolean {
  const result = askAdmission(exchange);
  switch (result) {
    case 'admitted':
      return true;
    case 'queued':
      exchange.state = 'queued';
      return false;
    case 'refused':
      refuse(exchange, tooManyInFlight());
      settleRefusal(exchange);
      return false;
    default:
      return result satisfies never;
  }
}

/** A request that had to wait has its permit. */
export function onAdmitted(exchange: Exchange): void {
  exchange.holdsPermit = true;
  exchange.workSinceMs = performance.now();
  try {
    proceed(exchange);
  } catch (error) {
    exchange.worker.onFault(error);
    exchange.connection.destroy();
  }
}

export function onWaitedTooLong(exchange: Exchange): void {
  refuse(exchange, tooManyInFlight());
  settleRefusal(exchange);
}

/** The rest of the phases. */
function proceed(exchange: Exchange): void {
  exchange.state = 'forwarding';
  exchange.body.finish();
  const { route } = exchange;
  switch (route.kind) {
    case 'llm': {
      const refusal =
        readFields(exchange) ?? findModel(exchange) ?? admit(exchange) ?? admitBudgets(exchange) ?? select(exchange);
      if (refusal !== null) answerError(exchange, refusal);
      return;
    }
    case 'response': {
      const refusal =
        readRequestOptions(exchange) ??
        findResponse(exchange) ??
        admit(exchange) ??
        admitBudgets(exchange) ??
        select(exchange);
      if (refusal !== null) answerError(exchange, refusal);
      return;
    }
    case 'realtime':
      openTunnel(exchange);
      return;
    case 'admin':
      forwardToControl(exchange);
      return;
    case 'health':
      answerHealth(exchange);
      return;
    case 'preflight':
      answerPreflight(exchange);
      return;
    case 'server': // refused with its method, in `onHead`
      return;
    case 'models':
    case 'model':
    case 'liveness':
    case 'readiness':
    case 'metrics':
      answerLocally(exchange, route.kind);
      return;
    default:
      return route satisfies never;
  }
}

/** Body, at its end: the fields that decide, and those that are the gateway's own. */
function readFields(exchange: Exchange): GatewayError | null {
  const { body, scanner, route, encoding } = exchange;
  if (route.kind !== 'llm') return null;
  if (encoding !== null) {
    const failure = body.decode(encoding, exchange.snapshot.settings.limits.maxJsonBodyBytes);
    if (failure !== null) return failure;
    for (const part of body.parts) scanner.push(part, 0, part.length);
  }
  scanner.finish();
  if (scanner.failure !== null) return scanFailureError(scanner.failure);
  const fields = readRequestFields(scanner, exchange.bodyText, route.endpoint);
  if ('name' in fields) return fields;
  exchange.fields = fields;
  exchange.model = fields.model;
  exchange.injectsUsage = route.endpoint.injectsUsage && fields.stream && !fields.includeUsageAsked;
  return readRequestOptions(exchange);
}

/** Select: the first deployment; from here the attempt goes on by itself. */
function select(exchange: Exchange): GatewayError | null {
  exchange.callDeadlineMs =
    exchange.workSinceMs + (exchange.timeoutMs ?? exchange.snapshot.settings.timeouts.requestMs);
  const choice = firstChoice(exchange);
  if (choice === null) {
    return tagsNotServed(exchange) ?? noDeployments(exchange);
  }
  startAttempt(exchange, choice);
  return null;
}

/** Refuses; the answer goes out when the request has been read, or at once if that would take too long. */
function refuse(exchange: Exchange, error: GatewayError): void {
  exchange.refusal ??= error;
  exchange.body.reset();
}

/** Answers a refusal. Called when the request is whole, or when the connection decides not to read the rest of it. */
export function settleRefusal(exchange: Exchange): void {
  if (exchange.state === 'done' || exchange.state === 'recording' || exchange.refusal === null) return;
  if (!exchange.requestComplete || errorSpec(exchange.refusal).closes) exchange.keepAlive = false;
  answerError(exchange, exchange.refusal);
}

function needsNoKey(exchange: Exchange): boolean {
  const { route, snapshot } = exchange;
  if (route.kind === 'metrics') return !snapshot.settings.metricsRequireKey;
  return route.kind === 'liveness' || route.kind === 'readiness' || route.kind === 'preflight';
}

function routeNotAllowed({ head, key }: Exchange): GatewayError {
  const routes = JSON.stringify(key!.record.allowedRoutes);
  return gatewayError('route_not_allowed', `the key may not call ${head.path}, only allowed_routes=${routes}`);
}

function bodyTooLarge(limitBytes: number): GatewayError {
  return gatewayError('body_too_large', `the request body is larger than ${limitBytes} bytes`);
}
