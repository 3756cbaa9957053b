import { HeaderId } from '../../http1/header-id.ts';
import type { ResponseHead } from '../../http1/response-head.ts';

/** Type and subtype of a reply in lower case, without parameters (RFC 9110 §8.3.1); empty if it names none. */
export function mediaType(head: ResponseHead): string {
  const value = head.headers.text(HeaderId.ContentType);
  if (value === null) return '';
  // Fast case: what nearly all replies are.
  if (value === 'application/json' || value === 'text/event-stream') return value;
  const end = value.indexOf(';');
  return (end === -1 ? value : value.slice(0, end)).trim().toLowerCase();
}
