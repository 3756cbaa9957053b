import type { KeyFilter } from '../../store/key-repository.ts';
import { adminError } from '../admin-error.ts';
import type { AdminServices } from '../admin-services.ts';
import { type Caller, endpoint } from '../endpoint.ts';
import { KEY_SORT_COLUMNS, type ListKeysQuery, listKeysQuery, listKeysReply } from '../schemas/key-schemas.ts';
import { shownKeys } from '../shown-spend.ts';
import { keyReplyWithToken } from './key-reply.ts';
import { toHash } from './key-text.ts';

export const listKeysEndpoint = endpoint({
  method: 'GET',
  paths: ['/key/list'],
  tag: 'keys',
  access: 'key-holder',
  summary: 'Keys of the store, a page at a time: all to the master key, to a key those of its user.',
  query: listKeysQuery,
  reply: listKeysReply,
  handle: async ({ caller, query }, services) => {
    const filter = await filterFor(query, caller, services);
    const { page, size } = query;
    const { rows, total } = await services.store().keys.list(filter, {
      page,
      size,
      sortBy: KEY_SORT_COLUMNS[query.sort_by],
      descending: query.sort_order === 'desc',
    });
    return {
      keys: query.return_full_object
        ? (await shownKeys(rows, services)).map(keyReplyWithToken)
        : rows.map(({ hash }) => hash),
      total_count: total,
      current_page: page,
      total_pages: Math.ceil(total / size),
    };
  },
});

async function filterFor(query: ListKeysQuery, caller: Caller, services: AdminServices): Promise<KeyFilter> {
  const filter: KeyFilter = {
    hash: query.key_hash === undefined ? null : toHash(query.key_hash),
    aliasContains: query.key_alias ?? null,
    userId: query.user_id ?? null,
    teamId: query.team_id ?? null,
    organizationId: query.organization_id ?? null,
  };
  if (caller.role === 'admin') {
    if (!query.include_team_keys || query.user_id === undefined) return filter;
    const memberships = await services.store().teams.memberships(query.user_id);
    return { ...filter, orTeamIds: memberships.map((row) => row.team_id) };
  }
  const { hash, userId } = caller.record;
  if (query.user_id !== undefined && query.user_id !== userId) {
    throw adminError('admin_required', 'Keys of another user are listed with the master key only.', 'user_id');
  }
  if (userId !== null) return { ...filter, userId };
  if (filter.hash !== null && filter.hash !== hash) {
    throw adminError('admin_required', 'Other keys are listed with the master key only.', 'key_hash');
  }
  return { ...filter, hash };
}
