import type { Expression, ExpressionBuilder, Insertable, Kysely, SqlBool } from 'kysely';
import type { Actor, ChangeLog, ChangeScope, Within } from './change-log.ts';
import type { Database } from './database.ts';
import { deleteKeys } from './key-repository.ts';
import { contains, isGiven, type Page, type PageRequest } from './list-page.ts';
import { memberId } from './member-id.ts';
import { rowDifference } from './row-difference.ts';
import type { NewUser, UserChanges, UserRow, UserTable } from './tables/owner-tables.ts';

export const USER_SORTS = [
  'created_at_ms',
  'updated_at_ms',
  'user_id',
  'user_alias',
  'user_email',
  'user_role',
  'spend_nano',
  'max_budget_nano',
] as const;
export type UserSort = (typeof USER_SORTS)[number];

/** What is left out, or null, does not matter. */
export interface UserFilter {
  readonly userIds?: readonly string[] | null;
  readonly role?: string | null;
  readonly teamId?: string | null;
  /** Without regard to case. */
  readonly emailContains?: string | null;
  readonly ssoUserIds?: readonly string[] | null;
}

/** Users. Changes are audited and announced as kind `user`. */
export class UserRepository {
  readonly #db: Kysely<Database>;
  readonly #log: ChangeLog;

  constructor(db: Kysely<Database>, log: ChangeLog) {
    this.#db = db;
    this.#log = log;
  }

  /** @throws {StoreError} `conflict` if the id exists. */
  async create(user: NewUser, actor: Actor | ChangeScope): Promise<UserRow> {
    return this.#log.run(actor, async (scope) => {
      const { trx, nowMs, changedBy } = scope;
      const provenance = { created_at_ms: nowMs, updated_at_ms: nowMs, created_by: changedBy, updated_by: changedBy };
      // What is left out has a default in the table.
      const values = { ...provenance, ...user } as Insertable<UserTable>;
      const row = await trx.insertInto('users').values(values).returningAll().executeTakeFirstOrThrow();
      scope.record({ action: 'created', kind: 'user', objectId: row.user_id, before: null, after: row });
      return row;
    });
  }

  async find(userId: string, within: Within = null): Promise<UserRow | null> {
    const query = (within?.trx ?? this.#db).selectFrom('users').selectAll();
    return (await query.where('user_id', '=', userId).executeTakeFirst()) ?? null;
  }

  /** Nobody keeps two users from having one address: the one made first. */
  async findByEmail(email: string, within: Within = null): Promise<UserRow | null> {
    const query = (within?.trx ?? this.#db).selectFrom('users').selectAll().where('user_email', '=', email);
    return (await query.orderBy('created_at_ms').orderBy('user_id').executeTakeFirst()) ?? null;
  }

  /** Those that exist, in no order. At most 10,000 ids. */
  async findMany(userIds: readonly string[]): Promise<UserRow[]> {
    if (userIds.length === 0) return [];
    return this.#db.selectFrom('users').selectAll().where('user_id', 'in', userIds).execute();
  }

  async list(filter: UserFilter, { page, size, sortBy, descending }: PageRequest<UserSort>): Promise<Page<UserRow>> {
    const found = this.#db.selectFrom('users').where((eb) => eb.and(conditions(eb, filter)));
    const rows = await found
      .selectAll()
      .orderBy(sortBy ?? 'created_at_ms', (order) => (descending === true ? order.desc() : order.asc()).nullsLast())
      .orderBy('user_id')
      .limit(size)
      .offset((page - 1) * size)
      .execute();
    const { total } = await found.select(({ fn }) => fn.countAll<number>().as('total')).executeTakeFirstOrThrow();
    return { rows, total };
  }

  /** Changes the columns named. @returns the row as it is now; null: there is no such user. */
  async update(userId: string, changes: UserChanges, actor: Actor | ChangeScope): Promise<UserRow | null> {
    return this.#log.run(actor, async (scope) => {
      const { trx, nowMs, changedBy } = scope;
      const before = await trx.selectFrom('users').selectAll().where('user_id', '=', userId).executeTakeFirst();
      if (before === undefined) return null;
      const after = await trx
        .updateTable('users')
        .set({ updated_by: changedBy, ...changes, updated_at_ms: nowMs })
        .where('user_id', '=', userId)
        .returningAll()
        .executeTakeFirstOrThrow();
      scope.record({ action: 'updated', kind: 'user', objectId: userId, ...rowDifference(before, after, changes) });
      return after;
    });
  }

  /** With their keys and memberships. @returns the ids of those that there were. */
  async delete(userIds: readonly string[], actor: Actor | ChangeScope): Promise<string[]> {
    if (userIds.length === 0) return [];
    return this.#log.run(actor, async (scope) => {
      const { trx } = scope;
      const keys = await trx.selectFrom('keys').select('hash').where('user_id', 'in', userIds).execute();
      await deleteKeys(
        keys.map(({ hash }) => hash),
        scope,
      );
      const memberships = await trx.deleteFrom('team_members').where('user_id', 'in', userIds).returningAll().execute();
      for (const row of memberships) {
        const objectId = memberId(row.team_id, row.user_id);
        scope.record({ action: 'deleted', kind: 'team_member', objectId, before: row, after: null });
      }
      const rows = await trx.deleteFrom('users').where('user_id', 'in', userIds).returningAll().execute();
      for (const row of rows) {
        scope.record({ action: 'deleted', kind: 'user', objectId: row.user_id, before: row, after: null });
      }
      return rows.map((row) => row.user_id);
    });
  }
}

function conditions(
  eb: ExpressionBuilder<Database, 'users'>,
  { userIds, role, teamId, emailContains, ssoUserIds }: UserFilter,
): Expression<SqlBool>[] {
  const found: Expression<SqlBool>[] = [];
  if (isGiven(userIds)) found.push(eb('user_id', 'in', userIds));
  if (isGiven(role)) found.push(eb('user_role', '=', role));
  if (isGiven(teamId)) {
    const members = eb.selectFrom('team_members').select('team_members.user_id').where('team_id', '=', teamId);
    found.push(eb('user_id', 'in', members));
  }
  if (isGiven(emailContains)) found.push(contains('user_email', emailContains));
  if (isGiven(ssoUserIds)) found.push(eb('sso_user_id', 'in', ssoUserIds));
  return found;
}
