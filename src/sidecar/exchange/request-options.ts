import { gatewayError, type GatewayError } from '../../domain/errors/gateway-error.ts';
import { HeaderId } from '../../http1/header-id.ts';
import type { Exchange } from './exchange.ts';

/** A client may ask for at most this many retries. */
const MAX_RETRIES = 10;

/**
 * What the client asked of the gateway itself: fields of the body (already read), then `x-litellm-*` headers, then the
 * configuration; the narrower wins. Tags of the key come to those of the request.
 */
export function readRequestOptions(exchange: Exchange): GatewayError | null {
  const refusal = readOptions(exchange);
  const { tags } = exchange.key!.record;
  if (tags.length > 0) exchange.tags = exchange.tags.length === 0 ? tags : [...new Set([...exchange.tags, ...tags])];
  return refusal;
}

function readOptions(exchange: Exchange): GatewayError | null {
  const { fields, snapshot } = exchange;
  exchange.numRetries = Math.min(snapshot.settings.numRetries, MAX_RETRIES);
  if (fields !== null) {
    exchange.timeoutMs = fields.timeoutMs;
    exchange.streamTimeoutMs = fields.streamTimeoutMs;
    exchange.tags = fields.tags;
    if (fields.numRetries !== null) exchange.askedRetries = Math.min(fields.numRetries, MAX_RETRIES);
    exchange.disableFallbacks = fields.disableFallbacks;
    if (fields.fallbacks !== null) exchange.askedFallbacks = fields.fallbacks.slice(0, snapshot.settings.maxFallbacks);
  }
  // Fast case: no header of ours at all.
  if (exchange.head.headers.find(HeaderId.XLitellm) === -1) return null;
  return readHeaders(exchange);
}

function readHeaders(exchange: Exchange): GatewayError | null {
  const timeout = number(exchange, 'x-litellm-timeout');
  const streamTimeout = number(exchange, 'x-litellm-stream-timeout');
  const retries = number(exchange, 'x-litellm-num-retries');
  if (timeout !== null && !(timeout > 0)) return invalidHeader('x-litellm-timeout', 'a number of seconds above 0');
  if (streamTimeout !== null && !(streamTimeout > 0))
    return invalidHeader('x-litellm-stream-timeout', 'a number of seconds above 0');
  if (retries !== null && !Number.isInteger(retries)) return invalidHeader('x-litellm-num-retries', 'a whole number');
  if (timeout !== null) exchange.timeoutMs ??= Math.ceil(timeout * 1000);
  if (streamTimeout !== null) exchange.streamTimeoutMs ??= Math.ceil(streamTimeout * 1000);
  if (retries !== null) exchange.askedRetries ??= Math.min(retries, MAX_RETRIES);
  if (exchange.tags.length === 0) exchange.tags = list(exchange, 'x-litellm-tags') ?? [];
  exchange.askedFallbacks ??=
    list(exchange, 'x-litellm-fallbacks')?.slice(0, exchange.snapshot.settings.maxFallbacks) ?? null;
  if (header(exchange, 'x-litellm-disable-fallbacks')?.toLowerCase() === 'true') exchange.disableFallbacks = true;
  return null;
}

/** Values between commas; null without the header. */
function list(exchange: Exchange, name: string): string[] | null {
  const text = header(exchange, name);
  if (text === null) return null;
  return text
    .split(',')
    .map((value) => value.trim())
    .filter((value) => value !== '');
}

/** The number in header `name`; null without the header, NaN if it is none. */
function number(exchange: Exchange, name: string): number | null {
  const text = header(exchange, name);
  if (text === null) return null;
  return DECIMAL.test(text) ? Number(text) : Number.NaN;
}

/** Looked at only where a header of ours came. */
const DECIMAL = /^\d+(?:\.\d+)?(?:e\d{1,2})?$/i;

function invalidHeader(name: string, expected: string): GatewayError {
  return gatewayError('invalid_field', `${name} must be ${expected}`);
}

function header(exchange: Exchange, name: string): string | null {
  const { headers } = exchange.head;
  const index = headers.findName(name);
  return index === -1 ? null : headers.value(index);
}
