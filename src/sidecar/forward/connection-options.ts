import { HeaderId } from '../../http1/header-id.ts';
import type { HeaderTable } from '../../http1/header-table.ts';

/**
 * Names of headers that the message's own `Connection` makes hop-by-hop (RFC 9110 §7.6.1), lower case; null if there are
 * none to look for.
 */
export function connectionOptions(headers: HeaderTable): ReadonlySet<string> | null {
  let index = headers.find(HeaderId.Connection);
  // Fast case: no such header, or one of the two that nearly all send.
  if (index === -1) return null;
  let options: Set<string> | null = null;
  for (; index < headers.count; index += 1) {
    if (headers.id(index) !== HeaderId.Connection) continue;
    if (headers.valueEquals(index, 'keep-alive') || headers.valueEquals(index, 'close')) continue;
    options ??= new Set();
    for (const option of headers.value(index).split(',')) options.add(option.trim().toLowerCase());
  }
  return options;
}
