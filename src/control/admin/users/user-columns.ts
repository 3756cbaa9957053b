import type { JsonObject } from '../../store/tables/limit-columns.ts';
import type { UserRow } from '../../store/tables/owner-tables.ts';
import { extraColumn, grantColumns, type SomeColumns } from '../grant-columns.ts';
import { inertUserFields, type UpdateUserRequest } from '../schemas/user-schemas.ts';

type UserColumns = SomeColumns<Omit<UserRow, 'user_id' | 'created_at_ms' | 'updated_at_ms'>>;

/** Of `extra`, but columns of their own; and what is ingestion's. */
const { organization_id: _o, sso_user_id: _s, user_role: _r, spend: _p, ...inExtra } = inertUserFields;

/** The columns that a request sets. @param extra of the user as it is. */
export function userColumns(request: Omit<UpdateUserRequest, 'user_id'>, extra: JsonObject): UserColumns {
  const columns: UserColumns = grantColumns(request);
  if (request.user_alias !== undefined) columns.user_alias = request.user_alias;
  if (request.user_email !== undefined) columns.user_email = request.user_email;
  if (request.user_role !== undefined) columns.user_role = request.user_role;
  if (request.sso_user_id !== undefined) columns.sso_user_id = request.sso_user_id;
  if (request.organization_id !== undefined) columns.organization_id = request.organization_id;
  const kept = extraColumn(extra, request, inExtra);
  if (kept !== null) columns.extra = kept;
  return columns;
}
