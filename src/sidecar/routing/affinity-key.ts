import { asBytes, type Bytes } from '../../base/bytes.ts';
import { requestField } from '../../domain/request/request-fields.ts';
import { hashBytes, hashText } from '../../domain/routing/strategies/hash.ts';
import { HeaderId } from '../../http1/header-id.ts';
import type { Exchange } from '../exchange/exchange.ts';
import type { CompiledAffinity } from './compile-selection.ts';

const SESSION_ID = requestField('litellm_session_id');

/** In the order in which providers read them, which is what their prompt caches go by. */
const PREFIX_FIELDS = ['system', 'instructions', 'messages', 'input', 'prompt'].map(requestField);

/**
 * What ties a request to a deployment for good: its session, or else its API key, as far as the configuration goes by
 * them. The master key is everybody's, so it ties nothing.
 *
 * @returns a hash, or −1.
 */
export function stickyKey(exchange: Exchange, affinity: CompiledAffinity): number {
  if (affinity.session) {
    const session = sessionId(exchange);
    if (session !== null && session !== '') return hashText(session);
  }
  const { key } = exchange;
  if (affinity.key && key !== null && !key.isMaster) return hashText(key.record.hash);
  return -1;
}

/**
 * What a provider's prompt cache knows a request by: the first bytes of its system prompt and messages.
 *
 * @returns a hash, or −1 for a prompt that is shorter: providers cache none that is, and its next turn would hash
 * differently.
 */
export function prefixKey(exchange: Exchange, prefixBytes: number): number {
  const { scanner, body, route } = exchange;
  if (route.kind !== 'llm') return -1;
  const parts: Bytes[] = [];
  let left = prefixBytes;
  for (const field of PREFIX_FIELDS) {
    if (left === 0) break;
    if (!scanner.found(field)) continue;
    const start = scanner.valueStart(field);
    const end = Math.min(scanner.valueEnd(field), start + left);
    body.slice(start, end, parts);
    left -= end - start;
  }
  if (left > 0) return -1;
  const prefix = parts.length === 1 ? parts[0]! : asBytes(Buffer.concat(parts));
  return hashBytes(prefix, 0, prefix.length);
}

function sessionId(exchange: Exchange): string | null {
  const { headers } = exchange.head;
  if (headers.find(HeaderId.XOther) !== -1) {
    const index = headers.findName('x-session-id');
    if (index !== -1) return headers.value(index);
  }
  if (headers.find(HeaderId.XLitellm) !== -1) {
    const index = headers.findName('x-litellm-session-id');
    if (index !== -1) return headers.value(index);
  }
  const { route, scanner } = exchange;
  if (route.kind !== 'llm' || !scanner.found(SESSION_ID)) return null;
  // A string without its quotes hashes like the header. Escapes stay: the same text is written the same way each time.
  const text = exchange.bodyText(scanner.valueStart(SESSION_ID), scanner.valueEnd(SESSION_ID));
  return text.startsWith('"') ? text.slice(1, -1) : text === 'null' ? null : text;
}
