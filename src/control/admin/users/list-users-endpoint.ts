import { endpoint } from '../endpoint.ts';
import { listUsersQuery, listUsersReply, USER_SORT_COLUMNS } from '../schemas/user-schemas.ts';
import { shownUsers } from '../shown-spend.ts';
import { userReply } from './user-reply.ts';

export const listUsersEndpoint = endpoint({
  method: 'GET',
  paths: ['/user/list'],
  tag: 'users',
  access: 'admin',
  summary: 'Users of the store, a page at a time.',
  query: listUsersQuery,
  reply: listUsersReply,
  handle: async ({ query }, services) => {
    const { page, page_size: size } = query;
    const { users, db } = services.store();
    const { rows, total } = await users.list(
      {
        userIds: query.user_ids?.split(',').map((id) => id.trim()) ?? null,
        emailContains: query.user_email ?? null,
        teamId: query.team ?? null,
        role: query.role ?? null,
      },
      { page, size, sortBy: USER_SORT_COLUMNS[query.sort_by], descending: query.sort_order === 'desc' },
    );
    const userIds = rows.map((row) => row.user_id);
    if (userIds.length === 0) return { users: [], total, page, page_size: size, total_pages: Math.ceil(total / size) };
    const counted = await db
      .selectFrom('keys')
      .select(({ fn }) => ['user_id', fn.countAll<number>().as('count')])
      .where('user_id', 'in', userIds)
      .groupBy('user_id')
      .execute();
    const memberships = await db
      .selectFrom('team_members')
      .select(['user_id', 'team_id'])
      .where('user_id', 'in', userIds)
      .orderBy('team_id')
      .execute();
    return {
      users: (await shownUsers(rows, services)).map((row) => ({
        ...userReply(
          row,
          memberships.filter(({ user_id: id }) => id === row.user_id).map((membership) => membership.team_id),
        ),
        key_count: counted.find(({ user_id: id }) => id === row.user_id)?.count ?? 0,
      })),
      total,
      page,
      page_size: size,
      total_pages: Math.ceil(total / size),
    };
  },
});
