import { actorOf } from '../actor.ts';
import { type AdminEndpoint, endpoint } from '../endpoint.ts';
import { texts } from '../row-reply.ts';
import { permissionsReply, teamInfoQuery, teamRow, updatePermissionsRequest } from '../schemas/team-schemas.ts';
import { shownTeam } from '../shown-spend.ts';
import { findTeam, refuseDeclaredTeam, teamNotFound } from './find-team.ts';
import { teamReply } from './team-reply.ts';

/* What LiteLLM lets members of a team do with its keys. Kept for those who read back what they wrote. */

const list = endpoint({
  method: 'GET',
  paths: ['/team/permissions_list'],
  tag: 'teams',
  access: 'key-holder',
  summary: 'What was written as permissions of the team’s members; without effect in this version.',
  query: teamInfoQuery,
  reply: permissionsReply,
  handle: async ({ caller, query }, services) => {
    const row = await findTeam(query.team_id, caller, services);
    return {
      team_id: row.team_id,
      team_member_permissions: texts(row.extra['team_member_permissions']),
      all_available_permissions: [],
    };
  },
});

const update = endpoint({
  method: 'POST',
  paths: ['/team/permissions_update'],
  tag: 'teams',
  access: 'admin',
  summary: 'Replaces the permissions of the team’s members; without effect in this version.',
  body: updatePermissionsRequest,
  inert: { team_member_permissions: true },
  reply: teamRow,
  handle: async (call, services) => {
    const { team_id: teamId, team_member_permissions: permissions } = call.body;
    refuseDeclaredTeam(teamId, services);
    const { changes, teams } = services.store();
    const row = await changes.run(actorOf(call, services), async (scope) => {
      const before = await teams.find(teamId, scope);
      const extra = { ...before?.extra, team_member_permissions: permissions };
      return before === null ? null : teams.update(teamId, { extra }, scope);
    });
    if (row === null) throw teamNotFound(teamId);
    return teamReply(await shownTeam(row, services), await teams.members(teamId));
  },
});

export const PERMISSION_ENDPOINTS: readonly AdminEndpoint[] = [list, update];
