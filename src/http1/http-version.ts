import { isDigit } from './byte-class.ts';
import type { RefusalRule } from './refusals.ts';

/** Bytes of `HTTP/1.1`. */
export const VERSION_LENGTH = 8;

const H = 0x48;
const T = 0x54;
const P = 0x50;
const SLASH = 0x2f;
const DOT = 0x2e;
const ZERO = 0x30;
const ONE = 0x31;

/** Bytes that may stand in a version while it is incomplete: visible ASCII. */
export function isVersionByte(byte: number): boolean {
  return byte > 0x20 && byte < 0x7f;
}

/**
 * The rule that the eight bytes at `start` break as an HTTP-version (RFC 9112 §2.3, case-sensitive), or null.
 *
 * RFC 9110 §2.5 would have us take 1.2 to 1.9 for 1.1. They don't exist, no client sends them, and what intermediaries
 * make of them differs, so they are refused like every other version that isn't ours.
 */
export function versionFault(bytes: Uint8Array, start: number): RefusalRule | null {
  const isWellFormed =
    bytes[start] === H &&
    bytes[start + 1] === T &&
    bytes[start + 2] === T &&
    bytes[start + 3] === P &&
    bytes[start + 4] === SLASH &&
    isDigit(bytes[start + 5]!) &&
    bytes[start + 6] === DOT &&
    isDigit(bytes[start + 7]!);
  if (!isWellFormed) return 'bad_version';
  const isOurs = bytes[start + 5] === ONE && (bytes[start + 7] === ZERO || bytes[start + 7] === ONE);
  return isOurs ? null : 'unsupported_version';
}

/** Minor version of a version that has no fault. */
export function minorVersion(bytes: Uint8Array, start: number): 0 | 1 {
  return bytes[start + 7] === ONE ? 1 : 0;
}
