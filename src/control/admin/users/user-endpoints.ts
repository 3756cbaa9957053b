import { randomUUID } from 'node:crypto';
import { gatewayError } from '../../../domain/errors/gateway-error.ts';
import { actorOf } from '../actor.ts';
import { AdminError, adminError } from '../admin-error.ts';
import { type AdminEndpoint, endpoint } from '../endpoint.ts';
import { checkOwners, createKey } from '../keys/create-key.ts';
import { keyReplyWithToken } from '../keys/key-reply.ts';
import { isoOrNull } from '../row-reply.ts';
import {
  deleteUsersReply,
  deleteUsersRequest,
  inertUserFields,
  newUserReply,
  newUserRequest,
  updateUserReply,
  updateUserRequest,
  userInfoQuery,
  userInfoReply,
} from '../schemas/user-schemas.ts';
import { refuseDeclaredTeam } from '../teams/find-team.ts';
import { teamReply } from '../teams/team-reply.ts';
import { findUser, refuseDeclaredUser, userNotFound } from './find-user.ts';
import { userColumns } from './user-columns.ts';
import { countEarlierOfUser } from '../earlier-spend.ts';
import { shownKeys, shownTeams, shownUser } from '../shown-spend.ts';
import { userReply } from './user-reply.ts';

/** Keys that /user/info shows; the rest is in /key/list. */
const MAX_SHOWN_KEYS = 500;

const create = endpoint({
  method: 'POST',
  paths: ['/user/new'],
  tag: 'users',
  access: 'admin',
  summary: 'Makes a user, and a first key unless `auto_create_key` is false.',
  body: newUserRequest,
  inert: inertUserFields,
  reply: newUserReply,
  handle: async (call, services) => {
    const { user_id: given, teams: asked, auto_create_key: makesKey, ...request } = call.body;
    const userId = given ?? randomUUID();
    refuseDeclaredUser(userId, services);
    for (const teamId of asked ?? []) refuseDeclaredTeam(teamId, services);
    const { changes, users, teams } = services.store();
    const { key_alias, duration, aliases, user_email: email } = request;
    const created = await changes.run(actorOf(call, services), async (scope) => {
      if ((await users.find(userId, scope)) !== null) throw userExists(userId);
      await users.create({ ...userColumns(request, {}), user_id: userId }, scope);
      for (const teamId of new Set(asked)) {
        await checkOwners({ team_id: teamId }, services, scope);
        await teams.addMembers(teamId, [{ user_id: userId, user_email: email ?? null, role: 'user' }], scope);
      }
      return makesKey ? createKey({ user_id: userId, key_alias, duration, aliases }, services, scope) : null;
    });
    const memberships = await teams.memberships(userId);
    const row = await users.find(userId);
    if (row === null) throw userNotFound(userId);
    return {
      ...userReply(
        await shownUser(row, services),
        memberships.map((membership) => membership.team_id),
      ),
      key: created?.key ?? null,
      key_name: created?.row.key_name ?? null,
      key_alias: created?.row.key_alias ?? null,
      token: created?.row.hash ?? null,
      token_id: created?.row.hash ?? null,
      expires: isoOrNull(created?.row.expires_at_ms ?? null),
      duration: duration ?? null,
    };
  },
});

const update = endpoint({
  method: 'POST',
  paths: ['/user/update'],
  tag: 'users',
  access: 'admin',
  summary: 'Changes the fields that are given; null clears one.',
  body: updateUserRequest,
  inert: inertUserFields,
  reply: updateUserReply,
  handle: async (call, services) => {
    const { user_id: userId, ...request } = call.body;
    refuseDeclaredUser(userId, services);
    const { changes, users, teams } = services.store();
    const row = await changes.run(actorOf(call, services), async (scope) => {
      const before = await users.find(userId, scope);
      const after = before === null ? null : await users.update(userId, userColumns(request, before.extra), scope);
      if (before !== null && after !== null) await countEarlierOfUser(before, after, services, scope);
      return after;
    });
    if (row === null) throw userNotFound(userId);
    const memberships = await teams.memberships(userId);
    return {
      user_id: userId,
      data: userReply(
        await shownUser(row, services),
        memberships.map((membership) => membership.team_id),
      ),
    };
  },
});

const remove = endpoint({
  method: 'POST',
  paths: ['/user/delete'],
  tag: 'users',
  access: 'admin',
  summary: 'Deletes users with their keys and memberships. What they spent stays on record.',
  body: deleteUsersRequest,
  reply: deleteUsersReply,
  handle: async (call, services) => {
    const { user_ids: userIds } = call.body;
    for (const userId of userIds) refuseDeclaredUser(userId, services);
    const { users } = services.store();
    const known = new Set((await users.findMany(userIds)).map((row) => row.user_id));
    const missing = userIds.find((userId) => !known.has(userId));
    if (missing !== undefined) throw userNotFound(missing);
    return (await users.delete(userIds, actorOf(call, services))).length;
  },
});

const info = endpoint({
  method: 'GET',
  paths: ['/user/info'],
  tag: 'users',
  access: 'key-holder',
  summary: 'One user with keys and teams: any to the master key, to a key its own.',
  query: userInfoQuery,
  reply: userInfoReply,
  handle: async ({ caller, query }, services) => {
    const userId = query.user_id ?? (caller.role === 'key-holder' ? caller.record.userId : null);
    if (userId === null) throw adminError('invalid_field', 'Name the user in `user_id`.', 'user_id');
    const row = await findUser(userId, caller, services);
    const { keys, teams } = services.store();
    const memberships = await teams.memberships(userId);
    const teamIds = memberships.map((membership) => membership.team_id);
    const members = Map.groupBy(await teams.membersOf(teamIds), (member) => member.team_id);
    const owned = await keys.list({ userId }, { page: 1, size: MAX_SHOWN_KEYS });
    return {
      user_id: userId,
      user_info: userReply(row, teamIds),
      keys: (await shownKeys(owned.rows, services)).map(keyReplyWithToken),
      teams: (await shownTeams(await teams.findMany(teamIds), services)).map((team) =>
        teamReply(team, members.get(team.team_id) ?? []),
      ),
    };
  },
});

function userExists(userId: string): AdminError {
  return new AdminError({
    ...gatewayError('resource_exists', `User with id ${userId} already exists.`, 'user_id'),
    status: 409,
  });
}

export const USER_ENDPOINTS: readonly AdminEndpoint[] = [create, update, remove, info];
