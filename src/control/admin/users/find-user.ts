import type { UserRow } from '../../store/tables/owner-tables.ts';
import { adminError, type AdminError } from '../admin-error.ts';
import type { AdminServices } from '../admin-services.ts';
import { declaredError, declaredUserRow } from '../declared-rows.ts';
import type { Caller } from '../endpoint.ts';
import { shownUser, withTotal } from '../shown-spend.ts';

/** @throws {AdminError} when there is none, or none that the caller may see: the two are not told apart. */
export async function findUser(userId: string, caller: Caller, services: AdminServices): Promise<UserRow> {
  if (caller.role !== 'admin' && caller.record.userId !== userId) throw userNotFound(userId);
  const declared = services.state().declared.owners.users.get(userId);
  const row = declared === undefined ? await services.store().users.find(userId) : declaredUserRow(userId, declared);
  if (row === null) throw userNotFound(userId);
  return shownUser(declared === undefined ? row : await withTotal(row, 'user', userId, services), services);
}

/** @throws {AdminError} when the file declares it. */
export function refuseDeclaredUser(userId: string, services: AdminServices): void {
  if (services.state().declared.owners.users.has(userId)) throw declaredError('user');
}

export function userNotFound(userId: string): AdminError {
  return adminError('resource_not_found', `User not found, passed user_id: ${userId}.`, 'user_id');
}
