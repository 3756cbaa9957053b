import type { KeyRow } from '../../store/tables/key-tables.ts';
import { adminError, type AdminError } from '../admin-error.ts';
import type { AdminServices } from '../admin-services.ts';
import { declaredError, declaredKeyRow } from '../declared-rows.ts';
import type { Caller } from '../endpoint.ts';
import { type ShownKey, shownKey, withTotal } from '../shown-spend.ts';
import { toHash } from './key-text.ts';

/** @throws {AdminError} when there is none, or none that the caller may see: the two are not told apart. */
export async function findKey(keyOrHash: string, caller: Caller, services: AdminServices): Promise<ShownKey> {
  const hash = toHash(keyOrHash);
  const declared = services.state().declared.keys.find((grant) => grant.hash === hash);
  const row = declared === undefined ? await services.store().keys.find(hash) : declaredKeyRow(declared);
  if (row === null || !maySee(row, caller)) throw keyNotFound();
  return shownKey(declared === undefined ? row : await withTotal(row, 'key', hash, services), services);
}

/** The hash of a key that the API may change. @throws {AdminError} when the file declares it. */
export function changeableHash(keyOrHash: string, services: AdminServices): string {
  const hash = toHash(keyOrHash);
  const { declared, masterKeyHash } = services.state();
  if (hash === masterKeyHash || declared.keys.some((grant) => grant.hash === hash)) throw declaredError('key');
  return hash;
}

export function keyNotFound(): AdminError {
  return adminError('resource_not_found', 'Key not found in database.', 'key');
}

/** A key-holder sees the key itself, and the others of its user. */
function maySee(row: KeyRow, caller: Caller): boolean {
  if (caller.role === 'admin') return true;
  const { hash, userId } = caller.record;
  return row.hash === hash || (userId !== null && row.user_id === userId);
}
