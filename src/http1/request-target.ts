import { isAuthority } from './authority.ts';
import { SLASH } from './byte-class.ts';
import { equalsIgnoringCase } from './header-table.ts';
import type { RefusalRule } from './refusals.ts';
import type { RequestHeadScanner } from './request-head-scanner.ts';

const ASTERISK = 0x2a;
const SCHEMES = ['http://', 'https://'] as const;

/**
 * Which of the four forms of RFC 9112 §3.2 the target has, and where its path is. Fast case: it begins with a slash.
 */
export class RequestTarget {
  /** Range of the path, before any `?`; empty for an absolute URI without one, which stands for `/` (RFC 9110 §4.2.3). */
  pathStart: number = 0;
  pathEnd: number = 0;

  /** Answers the rule that the target breaks, or null. */
  read(bytes: Uint8Array, head: RequestHeadScanner, method: string): RefusalRule | null {
    this.pathStart = head.targetStart;
    this.pathEnd = head.pathEnd;
    if (method === 'CONNECT') return 'connect';
    if (bytes[head.targetStart] === SLASH) return null;
    if (bytes[head.targetStart] === ASTERISK && head.targetEnd === head.targetStart + 1) {
      return method === 'OPTIONS' ? null : 'target_form';
    }
    return this.#readAbsolute(bytes, head);
  }

  /** `scheme://authority path-abempty`; a proxy's clients send it, and servers must accept it (RFC 9112 §3.2.2). */
  #readAbsolute(bytes: Uint8Array, head: RequestHeadScanner): RefusalRule | null {
    const authorityStart = endOfScheme(bytes, head.targetStart, head.pathEnd);
    if (authorityStart === -1) return 'target_form';
    let authorityEnd = authorityStart;
    while (authorityEnd < head.pathEnd && bytes[authorityEnd] !== SLASH) authorityEnd++;
    // An http URI with an empty host must be refused (RFC 9110 §4.2.1); so must user information (§4.2.4).
    const isNamed = authorityEnd > authorityStart && bytes[authorityStart] !== 0x3a;
    if (!isNamed || !isAuthority(bytes, authorityStart, authorityEnd)) return 'target_authority';
    this.pathStart = authorityEnd;
    return null;
  }
}

/** Offset behind `http://` or `https://` in any case (RFC 3986 §3.1), or −1. */
function endOfScheme(bytes: Uint8Array, start: number, end: number): number {
  for (const scheme of SCHEMES) {
    const schemeEnd = start + scheme.length;
    if (schemeEnd <= end && equalsIgnoringCase(bytes, start, schemeEnd, scheme)) return schemeEnd;
  }
  return -1;
}
