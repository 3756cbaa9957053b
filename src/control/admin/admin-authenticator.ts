import { createHash, timingSafeEqual } from 'node:crypto';
import type { KeyRecord } from '../../contract/key-record.ts';
import { type GatewayError, gatewayError } from '../../domain/errors/gateway-error.ts';

export type AdminCaller = 'admin' | 'key-holder';

/** Who calls, or why the call is refused. */
export type Authentication = { readonly caller: AdminCaller } | { readonly error: GatewayError };

export interface KnownKeys {
  readonly masterKeyHash: string | null;
  readonly keys: ReadonlyMap<string, KeyRecord>;
}

/**
 * Recognizes the master key in constant time, and virtual keys by their hash. The control plane decides itself: that a
 * sidecar passed a request on says nothing of its rights.
 */
export function authenticate(key: string | null, known: KnownKeys, nowMs: number): Authentication {
  if (key === null) return { error: gatewayError('missing_key', 'No API key was sent.') };
  const hash = createHash('sha256').update(key, 'utf8').digest();
  if (known.masterKeyHash !== null && timingSafeEqual(hash, Buffer.from(known.masterKeyHash, 'hex'))) {
    return { caller: 'admin' };
  }
  const record = known.keys.get(hash.toString('hex'));
  if (record === undefined) return { error: gatewayError('invalid_key', 'The API key is not known here.') };
  if (record.blocked) return { error: gatewayError('blocked_key', 'The API key, its user or its team is blocked.') };
  if (record.expiresAtMs !== null && record.expiresAtMs <= nowMs) {
    return { error: gatewayError('expired_key', 'The API key has expired.') };
  }
  return { caller: 'key-holder' };
}
