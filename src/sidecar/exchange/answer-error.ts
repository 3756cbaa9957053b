import { asBytes } from '../../base/bytes.ts';
import { errorBody, errorEvent, errorSpec, errorStatus, type GatewayError } from '../../domain/errors/gateway-error.ts';
import { errorHeaders } from '../forward/answer-headers.ts';
import type { Exchange } from './exchange.ts';
import { outOfMemory } from './request-body.ts';
import { routeMethods } from './route.ts';

/** Answers with `error` in the client's protocol. Before commit only. */
export function answerError(exchange: Exchange, error: GatewayError): void {
  exchange.errorName = error.name;
  if (errorSpec(error).closes) exchange.keepAlive = false;
  // The control plane authenticates its own requests.
  if (exchange.key === null && exchange.route.kind !== 'admin')
    exchange.worker.metrics.refusedBeforeAuthentication.add(1);
  if (error === outOfMemory()) exchange.worker.metrics.refusedForMemory.add(1);
  const body = asBytes(Buffer.from(errorBody(error, exchange.envelope), 'utf8'));
  let headers = errorHeaders(exchange, error);
  // RFC 9110 §15.5.22: the answer names the protocol that is served.
  if (error.name === 'upgrade_unsupported') headers += 'connection: upgrade\r\nupgrade: websocket\r\n';
  if (error.name === 'method_not_allowed') headers += `allow: ${routeMethods(exchange.route)?.join(', ') ?? ''}\r\n`;
  exchange.answerWhole(errorStatus(error), headers, [body]);
}

/** Adds what LiteLLM's clients look for in the errors of a model group. */
export function withModelGroup(exchange: Exchange, error: GatewayError): GatewayError {
  const { model, fallbacks } = exchange;
  if (model === null) return error;
  const list = fallbacks.length === 0 ? 'None' : `[${fallbacks.map((name) => `'${name}'`).join(', ')}]`;
  const sentence = error.message.endsWith('.') ? error.message : `${error.message}.`;
  const message = `${sentence} Received Model Group=${model}\nAvailable Model Group Fallbacks=${list}`;
  return { ...error, message };
}

/**
 * After commit: an error event in the client's protocol if the answer is a stream of events, then the end, then close.
 * Any other answer is cut off, which its framing shows: never a silent truncation.
 */
export function answerInterrupted(exchange: Exchange, error: GatewayError, isEventStream: boolean): void {
  exchange.errorName = error.name;
  if (!isEventStream) {
    exchange.cutOff('upstream_interrupted');
    return;
  }
  // The answer is framed to its end, so the client may send its next request at once: a close right here would lose it.
  exchange.closesWhenUnused = true;
  const { route, envelope } = exchange;
  const isTyped = route.kind === 'llm' && route.endpoint.usage === 'openai-responses';
  const event = errorEvent(error, isTyped ? 'openai-responses' : envelope);
  // The stream may have stopped inside an event: an empty line ends that one first.
  exchange.endAnswer([asBytes(Buffer.from(`\n\n${event}`, 'utf8'))]);
}
