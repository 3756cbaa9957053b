import { randomUUID } from 'node:crypto';
import { actorOf } from '../actor.ts';
import { adminError } from '../admin-error.ts';
import type { AdminServices } from '../admin-services.ts';
import { type AdminCall, type AdminEndpoint, endpoint } from '../endpoint.ts';
import { keyReplyWithToken } from '../keys/key-reply.ts';
import {
  deleteTeamsReply,
  deleteTeamsRequest,
  inertTeamFields,
  newTeamRequest,
  teamInfoQuery,
  teamInfoReply,
  teamRequest,
  teamRow,
  updateTeamReply,
  updateTeamRequest,
} from '../schemas/team-schemas.ts';
import { findTeam, refuseDeclaredTeam, teamNotFound } from './find-team.ts';
import { resolveMembers } from './resolve-members.ts';
import { teamColumns } from './team-columns.ts';
import { countEarlierOfTeam } from '../earlier-spend.ts';
import { shownKeys, shownMembers, shownTeam } from '../shown-spend.ts';
import { membershipReply, teamReply } from './team-reply.ts';

/** Keys that /team/info shows; the rest is in /key/list. */
const MAX_SHOWN_KEYS = 500;

const create = endpoint({
  method: 'POST',
  paths: ['/team/new'],
  tag: 'teams',
  access: 'admin',
  summary: 'Makes a team. Its limits, models and budget hold for all its keys together.',
  body: newTeamRequest,
  inert: inertTeamFields,
  reply: teamRow,
  handle: async (call, services) => {
    const { team_id: given, members_with_roles: asked, ...request } = call.body;
    const teamId = given ?? randomUUID();
    refuseDeclaredTeam(teamId, services);
    const { changes, teams } = services.store();
    const row = await changes.run(actorOf(call, services), async (scope) => {
      if ((await teams.find(teamId, scope)) !== null) throw teamExists(teamId);
      const members = await resolveMembers(asked ?? [], services, scope);
      return teams.create({ ...teamColumns(request, {}), team_id: teamId }, members, scope);
    });
    return teamReply(await shownTeam(row, services), await teams.members(teamId));
  },
});

const update = endpoint({
  method: 'POST',
  paths: ['/team/update'],
  tag: 'teams',
  access: 'admin',
  summary: 'Changes the fields that are given; null clears one.',
  body: updateTeamRequest,
  inert: inertTeamFields,
  reply: updateTeamReply,
  handle: async (call, services) => {
    const { team_id: teamId, ...request } = call.body;
    refuseDeclaredTeam(teamId, services);
    const { changes, teams } = services.store();
    const row = await changes.run(actorOf(call, services), async (scope) => {
      const before = await teams.find(teamId, scope);
      const after = before === null ? null : await teams.update(teamId, teamColumns(request, before.extra), scope);
      if (before !== null && after !== null) await countEarlierOfTeam(before, after, services, scope);
      return after;
    });
    if (row === null) throw teamNotFound(teamId);
    return { team_id: teamId, data: teamReply(await shownTeam(row, services), await teams.members(teamId)) };
  },
});

const remove = endpoint({
  method: 'POST',
  paths: ['/team/delete'],
  tag: 'teams',
  access: 'admin',
  summary: 'Deletes teams with their keys. What they spent stays on record.',
  body: deleteTeamsRequest,
  reply: deleteTeamsReply,
  handle: async (call, services) => {
    const { team_ids: teamIds } = call.body;
    for (const teamId of teamIds) refuseDeclaredTeam(teamId, services);
    const { teams } = services.store();
    const known = new Set((await teams.findMany(teamIds)).map((row) => row.team_id));
    const missing = teamIds.find((teamId) => !known.has(teamId));
    if (missing !== undefined) throw teamNotFound(missing);
    return { deleted_teams: await teams.delete(teamIds, actorOf(call, services)) };
  },
});

const info = endpoint({
  method: 'GET',
  paths: ['/team/info'],
  tag: 'teams',
  access: 'key-holder',
  summary: 'One team with its members and keys: any to the master key; to a key its own, and those of its user.',
  query: teamInfoQuery,
  reply: teamInfoReply,
  handle: async ({ caller, query }, services) => {
    const { team_id: teamId } = query;
    const row = await findTeam(teamId, caller, services);
    const members = await shownMembers(await services.store().teams.members(teamId), [row], services);
    // A key sees of the others of its team no more than that they exist.
    const own = caller.role === 'admin' ? {} : { userId: caller.record.userId ?? '' };
    const keys = await services.store().keys.list({ teamId, ...own }, { page: 1, size: MAX_SHOWN_KEYS });
    return {
      team_id: teamId,
      team_info: teamReply(row, members),
      keys: (await shownKeys(keys.rows, services)).map(keyReplyWithToken),
      team_memberships: members.map(membershipReply),
    };
  },
});

const block = endpoint({
  method: 'POST',
  paths: ['/team/block'],
  tag: 'teams',
  access: 'admin',
  summary: 'Requests with keys of the team are refused until it is unblocked.',
  body: teamRequest,
  reply: teamRow,
  handle: (call, services) => setBlocked(call, services, true),
});

const unblock = endpoint({
  method: 'POST',
  paths: ['/team/unblock'],
  tag: 'teams',
  access: 'admin',
  summary: 'Requests with keys of the team are served again.',
  body: teamRequest,
  reply: teamRow,
  handle: (call, services) => setBlocked(call, services, false),
});

async function setBlocked(
  call: AdminCall<unknown, { readonly team_id: string }>,
  services: AdminServices,
  blocked: boolean,
): Promise<ReturnType<typeof teamReply>> {
  const { team_id: teamId } = call.body;
  refuseDeclaredTeam(teamId, services);
  const { teams } = services.store();
  const row = await teams.update(teamId, { blocked }, actorOf(call, services));
  if (row === null) throw teamNotFound(teamId);
  return teamReply(await shownTeam(row, services), await teams.members(teamId));
}

function teamExists(teamId: string): ReturnType<typeof adminError> {
  return adminError(
    'resource_exists',
    `Team id = ${teamId} already exists. Please use a different team id.`,
    'team_id',
  );
}

export const TEAM_ENDPOINTS: readonly AdminEndpoint[] = [create, update, remove, info, block, unblock];
