import { HeaderId } from '../../http1/header-id.ts';
import type { HeaderTable } from '../../http1/header-table.ts';

/** Of a request body: lower case; null for none. Several lines are one list (RFC 9110 §5.3), which no decoder has as its name. */
export function contentEncoding(headers: HeaderTable): string | null {
  const first = headers.find(HeaderId.ContentEncoding);
  if (first === -1) return null;
  let encoding = headers.value(first).toLowerCase();
  for (let index = first + 1; index < headers.count; index += 1) {
    if (headers.id(index) === HeaderId.ContentEncoding) encoding += `, ${headers.value(index).toLowerCase()}`;
  }
  return encoding === 'identity' ? null : encoding;
}
