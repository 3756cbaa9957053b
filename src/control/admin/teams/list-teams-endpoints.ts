import type { TeamFilter } from '../../store/team-repository.ts';
import type { TeamMemberRow } from '../../store/tables/owner-tables.ts';
import { adminError } from '../admin-error.ts';
import { type AdminEndpoint, type Caller, endpoint } from '../endpoint.ts';
import { keyReplyWithToken } from '../keys/key-reply.ts';
import {
  listTeamsPageQuery,
  listTeamsPageReply,
  listTeamsQuery,
  listTeamsReply,
  TEAM_SORT_COLUMNS,
} from '../schemas/team-schemas.ts';
import { shownKeys, shownMembers, shownTeams } from '../shown-spend.ts';
import { membershipReply, teamReply } from './team-reply.ts';

/** LiteLLM's /team/list has no pages; beyond this there is /v2/team/list. */
const MAX_LISTED = 1000;

const listAll = endpoint({
  method: 'GET',
  paths: ['/team/list'],
  tag: 'teams',
  access: 'key-holder',
  summary: `The first ${MAX_LISTED} teams with members and keys: all to the master key, to a key those of its user.`,
  query: listTeamsQuery,
  reply: listTeamsReply,
  handle: async ({ caller, query }, services) => {
    const { teams, db } = services.store();
    const { rows } = await teams.list(filterFor(query, caller), {
      page: 1,
      size: MAX_LISTED,
      sortBy: TEAM_SORT_COLUMNS[query.sort_by],
      descending: query.sort_order === 'desc',
    });
    const teamIds = rows.map((row) => row.team_id);
    const members = byTeam(await shownMembers(await teams.membersOf(teamIds), rows, services));
    // A key sees of the others of its teams no more than that they exist.
    const seesKeys = caller.role === 'admin' && teamIds.length > 0;
    const keys = seesKeys
      ? await db.selectFrom('keys').selectAll().where('team_id', 'in', teamIds).limit(MAX_LISTED).execute()
      : [];
    const shownRows = await shownKeys(keys, services);
    return (await shownTeams(rows, services)).map((row) => ({
      ...teamReply(row, members.get(row.team_id) ?? []),
      keys: shownRows.filter((key) => key.team_id === row.team_id).map(keyReplyWithToken),
      team_memberships: (members.get(row.team_id) ?? []).map(membershipReply),
    }));
  },
});

const listPage = endpoint({
  method: 'GET',
  paths: ['/v2/team/list'],
  tag: 'teams',
  access: 'key-holder',
  summary: 'Teams, a page at a time: all to the master key, to a key those of its user.',
  query: listTeamsPageQuery,
  reply: listTeamsPageReply,
  handle: async ({ caller, query }, services) => {
    const { page, page_size: size } = query;
    const { teams, db } = services.store();
    const { rows, total } = await teams.list(filterFor(query, caller), {
      page,
      size,
      sortBy: TEAM_SORT_COLUMNS[query.sort_by],
      descending: query.sort_order === 'desc',
    });
    const teamIds = rows.map((row) => row.team_id);
    const members = byTeam(await teams.membersOf(teamIds));
    const counted =
      teamIds.length === 0
        ? []
        : await db
            .selectFrom('keys')
            .select(({ fn }) => ['team_id', fn.countAll<number>().as('count')])
            .where('team_id', 'in', teamIds)
            .groupBy('team_id')
            .execute();
    return {
      teams: (await shownTeams(rows, services)).map((row) => ({
        ...teamReply(row, members.get(row.team_id) ?? []),
        members_count: members.get(row.team_id)?.length ?? 0,
        keys_count: counted.find((count) => count.team_id === row.team_id)?.count ?? 0,
      })),
      total,
      page,
      page_size: size,
      total_pages: Math.ceil(total / size),
    };
  },
});

function filterFor(
  query: {
    readonly user_id?: string | undefined;
    readonly team_alias?: string | undefined;
    readonly team_id?: string | undefined;
  },
  caller: Caller,
): TeamFilter {
  const filter: TeamFilter = {
    userId: query.user_id ?? null,
    aliasContains: query.team_alias ?? null,
    teamIds: query.team_id === undefined ? null : [query.team_id],
  };
  if (caller.role === 'admin') return filter;
  const { userId } = caller.record;
  if (userId === null || (query.user_id !== undefined && query.user_id !== userId)) {
    throw adminError('admin_required', 'Teams of others are listed with the master key only.', 'user_id');
  }
  return { ...filter, userId };
}

function byTeam(members: readonly TeamMemberRow[]): ReadonlyMap<string, TeamMemberRow[]> {
  return Map.groupBy(members, (member) => member.team_id);
}

export const LIST_TEAMS_ENDPOINTS: readonly AdminEndpoint[] = [listAll, listPage];
