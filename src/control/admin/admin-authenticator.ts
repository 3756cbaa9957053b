import { createHash, timingSafeEqual } from 'node:crypto';
import type { KeyRecord } from '../../contract/key-record.ts';
import { gatewayError } from '../../domain/errors/gateway-error.ts';
import { AdminError } from './admin-error.ts';
import type { Caller } from './endpoint.ts';

export interface KnownKeys {
  readonly masterKeyHash: string | null;
  /** The virtual key of this hash, of the file or the store; null: there is none. */
  findKey(hash: string): Promise<KeyRecord | null>;
}

/**
 * Recognizes the master key in constant time, and virtual keys by their hash. The control plane decides itself: that a
 * sidecar passed a request on says nothing of its rights.
 *
 * @throws {AdminError} why the call is refused.
 */
export async function authenticate(key: string | null, known: KnownKeys, nowMs: number): Promise<Caller> {
  if (key === null) throw new AdminError(gatewayError('missing_key', 'No API key was sent.'));
  const hash = createHash('sha256').update(key, 'utf8').digest();
  if (known.masterKeyHash !== null && timingSafeEqual(hash, Buffer.from(known.masterKeyHash, 'hex'))) {
    return { role: 'admin' };
  }
  const record = await known.findKey(hash.toString('hex'));
  if (record === null) throw new AdminError(gatewayError('invalid_key', 'The API key is not known here.'));
  if (record.blocked) {
    throw new AdminError(gatewayError('blocked_key', 'The API key, its user or its team is blocked.'));
  }
  if (record.expiresAtMs !== null && record.expiresAtMs <= nowMs) {
    throw new AdminError(gatewayError('expired_key', 'The API key has expired.'));
  }
  return { role: 'key-holder', record };
}
