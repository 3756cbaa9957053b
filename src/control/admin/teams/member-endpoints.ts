import type { TeamMemberRow, TeamRow } from '../../store/tables/owner-tables.ts';
import { actorOf } from '../actor.ts';
import { adminError, type AdminError } from '../admin-error.ts';
import type { AdminServices } from '../admin-services.ts';
import { type AdminEndpoint, endpoint } from '../endpoint.ts';
import { nanoOrNull } from '../grant-columns.ts';
import { isoOrNull } from '../row-reply.ts';
import {
  addMemberReply,
  addMemberRequest,
  deleteMemberRequest,
  teamRow,
  updateMemberReply,
  updateMemberRequest,
} from '../schemas/team-schemas.ts';
import { toUsdOrNull } from '../usd.ts';
import { refuseDeclaredTeam, teamNotFound } from './find-team.ts';
import { resolveMembers } from './resolve-members.ts';
import { countEarlierOfMember } from '../earlier-spend.ts';
import { shownMembers, shownTeam } from '../shown-spend.ts';
import { membershipReply, teamReply } from './team-reply.ts';

const add = endpoint({
  method: 'POST',
  paths: ['/team/member_add'],
  tag: 'teams',
  access: 'admin',
  summary: 'Adds members; users that are not known yet are made.',
  body: addMemberRequest,
  reply: addMemberReply,
  handle: async (call, services) => {
    const { team_id: teamId, member, max_budget_in_team: budget } = call.body;
    refuseDeclaredTeam(teamId, services);
    const { changes, teams, users } = services.store();
    const maxBudget = budget === undefined ? {} : { max_budget_nano: nanoOrNull(budget) };
    const { row, added } = await changes.run(actorOf(call, services), async (scope) => {
      const team = await teams.find(teamId, scope);
      if (team === null) throw teamNotFound(teamId);
      const asked = await resolveMembers(Array.isArray(member) ? member : [member], services, scope);
      const present = new Set((await teams.members(teamId, scope)).map((known) => known.user_id));
      const double = asked.find(({ user_id: userId }) => present.has(userId));
      if (double !== undefined) {
        throw adminError('resource_exists', `User ${double.user_id} is in team ${teamId} already.`, 'member');
      }
      const entries = asked.map((entry) => ({ ...entry, ...maxBudget }));
      return { row: team, added: (await teams.addMembers(teamId, entries, scope)) ?? [] };
    });
    const userRows = await users.findMany(added.map((entry) => entry.user_id));
    const memberships = await Promise.all(userRows.map((user) => teams.memberships(user.user_id)));
    return {
      ...teamReply(await shownTeam(row, services), await teams.members(teamId)),
      updated_users: userRows.map((user, index) => ({
        user_id: user.user_id,
        user_email: user.user_email,
        user_role: user.user_role,
        teams: (memberships[index] ?? []).map((membership) => membership.team_id),
        created_at: isoOrNull(user.created_at_ms),
      })),
      updated_team_memberships: (await shownMembers(added, [row], services)).map(membershipReply),
    };
  },
});

const update = endpoint({
  method: 'POST',
  paths: ['/team/member_update'],
  tag: 'teams',
  access: 'admin',
  summary: 'Changes what is given of a member: role, budget and limits in this team; null clears one.',
  body: updateMemberRequest,
  reply: updateMemberReply,
  handle: async (call, services) => {
    const { team_id: teamId, role, max_budget_in_team: budget, tpm_limit: tpmLimit, rpm_limit: rpmLimit } = call.body;
    const { row: team, member } = await findMember(call.body, services);
    const columns = {
      ...(role === undefined ? {} : { role }),
      ...(budget === undefined ? {} : { max_budget_nano: nanoOrNull(budget) }),
      ...(tpmLimit === undefined ? {} : { tpm_limit: tpmLimit }),
      ...(rpmLimit === undefined ? {} : { rpm_limit: rpmLimit }),
    };
    const userId = member.user_id;
    const { changes, teams } = services.store();
    const row = await changes.run(actorOf(call, services), async (scope) => {
      const after = await teams.updateMember({ teamId, userId }, columns, scope);
      if (after !== null) await countEarlierOfMember([team, member], [team, after], services, scope);
      return after;
    });
    if (row === null) throw noSuchMember(teamId);
    return {
      team_id: teamId,
      user_id: row.user_id,
      user_email: row.user_email,
      role: row.role,
      max_budget_in_team: toUsdOrNull(row.max_budget_nano),
      tpm_limit: row.tpm_limit,
      rpm_limit: row.rpm_limit,
    };
  },
});

const remove = endpoint({
  method: 'POST',
  paths: ['/team/member_delete'],
  tag: 'teams',
  access: 'admin',
  summary: 'Takes a member out, with the keys that the user has in this team.',
  body: deleteMemberRequest,
  reply: teamRow,
  handle: async (call, services) => {
    const { team_id: teamId } = call.body;
    const { row, member } = await findMember(call.body, services);
    const { changes, teams, keys } = services.store();
    const userId = member.user_id;
    await changes.run(actorOf(call, services), async (scope) => {
      await teams.removeMembers(teamId, [userId], scope);
      await keys.delete(await keys.hashesOf({ teamId, userId }, scope), scope);
    });
    return teamReply(await shownTeam(row, services), await teams.members(teamId));
  },
});

async function findMember(
  { team_id: teamId, user_id: userId, user_email: email }: MemberNamed,
  services: AdminServices,
): Promise<{ row: TeamRow; member: TeamMemberRow }> {
  refuseDeclaredTeam(teamId, services);
  if ((userId ?? email ?? null) === null) {
    throw adminError('invalid_field', 'Name the member by user_id or user_email.', 'user_id');
  }
  const { teams } = services.store();
  const row = await teams.find(teamId);
  if (row === null) throw teamNotFound(teamId);
  const members = await teams.members(teamId);
  const member = members.find((known) =>
    userId === null || userId === undefined ? known.user_email === email : known.user_id === userId,
  );
  if (member === undefined) throw noSuchMember(teamId);
  return { row, member };
}

interface MemberNamed {
  readonly team_id: string;
  readonly user_id?: string | null | undefined;
  readonly user_email?: string | null | undefined;
}

function noSuchMember(teamId: string): AdminError {
  return adminError('resource_not_found', `No such member of team ${teamId}.`, 'user_id');
}

export const MEMBER_ENDPOINTS: readonly AdminEndpoint[] = [add, update, remove];
