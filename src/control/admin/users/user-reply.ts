import type { UserRow } from '../../store/tables/owner-tables.ts';
import { grantedReply, rowReply, textsOrNull } from '../row-reply.ts';
import type { UserRowReply } from '../schemas/user-schemas.ts';

/** A user as LiteLLM shows it. @param teams ids of those it is a member of. */
export function userReply(row: UserRow, teams: readonly string[]): UserRowReply {
  return {
    ...rowReply(row),
    ...grantedReply(row),
    user_id: row.user_id,
    user_alias: row.user_alias,
    user_email: row.user_email,
    user_role: row.user_role,
    teams: [...teams],
    sso_user_id: row.sso_user_id,
    organizations: textsOrNull(row.extra['organizations']),
    blocked: row.blocked,
    organization_memberships: [],
  };
}
