import { randomUUID } from 'node:crypto';
import type { z } from 'zod';
import type { Actor } from '../../store/change-log.ts';
import { isConflict } from '../../store/store-error.ts';
import type { NewTeamMember, UserRow } from '../../store/tables/owner-tables.ts';
import type { AdminServices } from '../admin-services.ts';
import type { member } from '../schemas/team-schemas.ts';

type MemberRequest = z.output<typeof member>;

/** Users by id or address; one that is not known yet is made, as LiteLLM does. */
export async function resolveMembers(
  requests: readonly MemberRequest[],
  services: AdminServices,
  actor: Actor,
): Promise<NewTeamMember[]> {
  const members = new Map<string, NewTeamMember>();
  for (const request of requests) {
    const { role } = request;
    const { userId, email } = await resolveUser(request, services, actor);
    members.set(userId, { user_id: userId, user_email: email, role });
  }
  return [...members.values()];
}

async function resolveUser(
  { user_id: userId, user_email: email }: MemberRequest,
  services: AdminServices,
  actor: Actor,
): Promise<{ userId: string; email: string | null }> {
  const { users } = services.store();
  if (userId === null || userId === undefined) {
    const known = email === null || email === undefined ? null : await users.findByEmail(email);
    const row = known ?? (await users.create({ user_id: randomUUID(), user_email: email ?? null }, actor));
    return { userId: row.user_id, email: row.user_email };
  }
  if (services.state().declared.owners.users.has(userId)) return { userId, email: email ?? null };
  const row = (await users.find(userId)) ?? (await createUser(userId, email ?? null, services, actor));
  return { userId, email: email ?? row.user_email };
}

/** Someone else may have made it in the meantime. */
async function createUser(
  userId: string,
  email: string | null,
  services: AdminServices,
  actor: Actor,
): Promise<Pick<UserRow, 'user_email'>> {
  try {
    return await services.store().users.create({ user_id: userId, user_email: email }, actor);
  } catch (error) {
    if (isConflict(error)) return { user_email: email };
    throw error;
  }
}
