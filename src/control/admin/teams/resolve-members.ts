import { randomUUID } from 'node:crypto';
import type { z } from 'zod';
import type { ChangeScope } from '../../store/change-log.ts';
import type { NewTeamMember } from '../../store/tables/owner-tables.ts';
import type { AdminServices } from '../admin-services.ts';
import type { member } from '../schemas/team-schemas.ts';

type MemberRequest = z.output<typeof member>;

/** Users by id or address; one that is not known yet is made, as LiteLLM does. */
export async function resolveMembers(
  requests: readonly MemberRequest[],
  services: AdminServices,
  scope: ChangeScope,
): Promise<NewTeamMember[]> {
  const members = new Map<string, NewTeamMember>();
  for (const request of requests) {
    const { role } = request;
    const { userId, email } = await resolveUser(request, services, scope);
    members.set(userId, { user_id: userId, user_email: email, role });
  }
  return [...members.values()];
}

async function resolveUser(
  { user_id: userId, user_email: email }: MemberRequest,
  services: AdminServices,
  scope: ChangeScope,
): Promise<{ userId: string; email: string | null }> {
  const { users } = services.store();
  if (userId === null || userId === undefined) {
    const known = email === null || email === undefined ? null : await users.findByEmail(email, scope);
    const row = known ?? (await users.create({ user_id: randomUUID(), user_email: email ?? null }, scope));
    return { userId: row.user_id, email: row.user_email };
  }
  if (services.state().declared.owners.users.has(userId)) return { userId, email: email ?? null };
  const row =
    (await users.find(userId, scope)) ?? (await users.create({ user_id: userId, user_email: email ?? null }, scope));
  return { userId, email: email ?? row.user_email };
}
