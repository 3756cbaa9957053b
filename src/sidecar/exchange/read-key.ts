import { HeaderId } from '../../http1/header-id.ts';
import type { HeaderTable } from '../../http1/header-table.ts';

/** Where keys are looked for after the gateway's own header, in this order; the first found wins. */
const PLAIN_CARRIERS: readonly number[] = [
  HeaderId.ApiKey,
  HeaderId.XApiKey,
  HeaderId.XGoogApiKey,
  HeaderId.OcpApimSubscriptionKey,
];

const REALTIME_KEY_PROTOCOL = 'openai-insecure-api-key.';

/**
 * The API key a request carries, or null (decisions.md, "Keys on the wire").
 *
 * @param ownHeaderName the configured extra header, lower case, or null.
 * @param isRealtime a browser's WebSocket may carry it as a subprotocol.
 */
export function readKey(headers: HeaderTable, ownHeaderName: string | null, isRealtime: boolean): string | null {
  // Fast case: every SDK but Anthropic's and Azure's sends a bearer token and nothing else.
  const authorization = headers.text(HeaderId.Authorization);
  const own = headers.text(HeaderId.XLitellmApiKey) ?? namedHeader(headers, ownHeaderName);
  if (own !== null) return nonEmpty(bearerToken(own) ?? own);
  if (authorization !== null) {
    const token = bearerToken(authorization);
    if (token !== null) return nonEmpty(token);
  }
  for (const carrier of PLAIN_CARRIERS) {
    const value = headers.text(carrier as HeaderId);
    if (value !== null) return nonEmpty(value);
  }
  return isRealtime ? realtimeKey(headers) : null;
}

function namedHeader(headers: HeaderTable, name: string | null): string | null {
  if (name === null) return null;
  const index = headers.findName(name);
  return index === -1 ? null : headers.value(index);
}

/** The token after a `Bearer` scheme in any case, or null if it is another scheme. */
function bearerToken(value: string): string | null {
  if (value.length < 8 || value.charCodeAt(6) !== 0x20) return null;
  const scheme = value.slice(0, 6);
  if (scheme !== 'Bearer' && scheme.toLowerCase() !== 'bearer') return null;
  return value.slice(7).trim();
}

function realtimeKey(headers: HeaderTable): string | null {
  const protocols = headers.text(HeaderId.SecWebsocketProtocol);
  if (protocols === null) return null;
  for (const protocol of protocols.split(',')) {
    const name = protocol.trim();
    if (name.startsWith(REALTIME_KEY_PROTOCOL)) return nonEmpty(name.slice(REALTIME_KEY_PROTOCOL.length));
  }
  return null;
}

function nonEmpty(key: string): string | null {
  return key === '' ? null : key;
}
