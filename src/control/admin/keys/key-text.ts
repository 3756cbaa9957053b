import { randomBytes } from 'node:crypto';
import { hashKey } from '../../config/master-key.ts';

const KEY_BYTES = 32;
const HASH = /^[0-9a-f]{64}$/;

/** 256 bits from the system's generator. */
export function newKeyText(): string {
  return `sk-${randomBytes(KEY_BYTES).toString('base64url')}`;
}

/** What may be shown of a key for ever: `sk-...` and its last four characters. */
export function shownName(key: string): string {
  return `sk-...${key.slice(-4)}`;
}

/** Management calls take a key or its hash. (As credential a hash is worth nothing.) */
export function toHash(keyOrHash: string): string {
  return HASH.test(keyOrHash) ? keyOrHash : hashKey(keyOrHash);
}
