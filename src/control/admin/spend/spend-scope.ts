import { createHash } from 'node:crypto';
import { adminError } from '../admin-error.ts';
import type { Caller } from '../endpoint.ts';

/** Whose usage a call is about; null = everybody's. */
export interface SpendScope {
  readonly apiKey: string | null;
  readonly userId: string | null;
}

/** The hash that usage is kept under, of a key or of its hash. */
export function hashOfKey(keyOrHash: string | undefined): string | null {
  if (keyOrHash === undefined) return null;
  return keyOrHash.startsWith('sk-') ? createHash('sha256').update(keyOrHash).digest('hex') : keyOrHash;
}

/**
 * With the master key: what is asked for. With a virtual key: what its user used; without a user, what the key used.
 *
 * @throws {AdminError} when it asks for anybody else's.
 */
export function scopeOf(
  caller: Caller,
  asked: { readonly api_key?: string | undefined; readonly user_id?: string | undefined },
): SpendScope {
  const apiKey = hashOfKey(asked.api_key);
  const userId = asked.user_id ?? null;
  if (caller.role === 'admin') return { apiKey, userId };
  const { hash, userId: ownUserId } = caller.record;
  if (userId !== null && userId !== ownUserId) throw adminError('admin_required', 'This is not the user of this key.');
  if (ownUserId !== null) return { apiKey, userId: ownUserId };
  if (apiKey !== null && apiKey !== hash) throw adminError('admin_required', 'This is not the key of this request.');
  return { apiKey: hash, userId: null };
}
