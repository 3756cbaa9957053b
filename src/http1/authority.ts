import { COLON, HEX_VALUE, HOST_NAME, isDigit } from './byte-class.ts';

const LEFT_BRACKET = 0x5b;
const RIGHT_BRACKET = 0x5d;
const DOT = 0x2e;
/** 65535 has five. */
const MAX_PORT_DIGITS = 5;

/**
 * Whether the bytes are `uri-host [ ":" port ]` (RFC 9110 §7.2): no user information, no path, no second port. The host
 * may be empty; a caller that needs one checks that itself.
 */
export function isAuthority(bytes: Uint8Array, start: number, end: number): boolean {
  let i = start;
  if (bytes[i] === LEFT_BRACKET && i < end) {
    i++;
    while (i < end && (HEX_VALUE[bytes[i]!] !== 255 || bytes[i] === COLON || bytes[i] === DOT)) i++;
    if (i === end || bytes[i] !== RIGHT_BRACKET || i === start + 1) return false;
    i++;
  } else {
    while (i < end && HOST_NAME[bytes[i]!] !== 0) i++;
  }
  if (i === end) return true;
  if (bytes[i] !== COLON || end - i - 1 > MAX_PORT_DIGITS) return false;
  for (i++; i < end; i++) if (!isDigit(bytes[i]!)) return false;
  return true;
}
