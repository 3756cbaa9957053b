/** Whose trace a request belongs to, and the caller's span in it. */
export interface TraceParent {
  /** 32 hex digits. */
  readonly traceId: string;
  /** 16 hex digits: `parent-id` of the header. */
  readonly spanId: string;
}

const LENGTH = 55;
const DASH = 0x2d;
const NO_TRACE = '0'.repeat(32);
const NO_SPAN = '0'.repeat(16);

/**
 * Reads `traceparent` (W3C Trace Context §3.2): `<version 2>-<trace-id 32>-<parent-id 16>-<flags 2>`, lower-case hex.
 * A version above 00 may go on after a dash (§4.3); version ff and ids of zeros only are invalid.
 *
 * @returns null for anything else: the header is then ignored, as the specification asks.
 */
export function readTraceParent(text: string): TraceParent | null {
  if (text.length < LENGTH) return null;
  const isNewer = text[0] !== '0' || text[1] !== '0';
  if (text.length > LENGTH && (!isNewer || text.charCodeAt(LENGTH) !== DASH)) return null;
  for (let at = 0; at < LENGTH; at += 1) {
    const code = text.charCodeAt(at);
    const isDash = at === 2 || at === 35 || at === 52;
    if (isDash ? code !== DASH : !isLowerHex(code)) return null;
  }
  if (text[0] === 'f' && text[1] === 'f') return null;
  const traceId = text.slice(3, 35);
  const spanId = text.slice(36, 52);
  return traceId === NO_TRACE || spanId === NO_SPAN ? null : { traceId, spanId };
}

function isLowerHex(code: number): boolean {
  return (code >= 0x30 && code <= 0x39) || (code >= 0x61 && code <= 0x66);
}
