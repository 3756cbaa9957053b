import type { Expression, ExpressionBuilder, Insertable, Kysely, SqlBool } from 'kysely';
import type { Actor, ChangeLog, ChangeScope, Within } from './change-log.ts';
import type { Database } from './database.ts';
import { contains, isGiven, type Page, type PageRequest } from './list-page.ts';
import { rowDifference } from './row-difference.ts';
import { StoreError } from './store-error.ts';
import type { KeyChanges, KeyRow, KeyTable, NewKey, RetiredKeyRow } from './tables/key-tables.ts';
import type { AuditAction } from './tables/log-tables.ts';

export const KEY_SORTS = [
  'created_at_ms',
  'updated_at_ms',
  'expires_at_ms',
  'key_alias',
  'key_name',
  'hash',
  'user_id',
  'team_id',
  'spend_nano',
  'max_budget_nano',
] as const;
export type KeySort = (typeof KEY_SORTS)[number];

/** What is left out, or null, does not matter. */
export interface KeyFilter {
  readonly hash?: string | null;
  readonly alias?: string | null;
  /** Without regard to case. */
  readonly aliasContains?: string | null;
  readonly userId?: string | null;
  readonly teamId?: string | null;
  /** Keys of these teams too, besides those that match `userId`. */
  readonly orTeamIds?: readonly string[];
  readonly organizationId?: string | null;
}

/** One of the two, or both. */
export type KeyOwners =
  | { readonly teamId: string; readonly userId?: string }
  | { readonly teamId?: string; readonly userId: string };

/** SQLite takes 32,766 values. */
const HASHES_PER_QUERY = 5000;

export interface Rotation {
  readonly hash: string;
  readonly newHash: string;
  readonly changes: KeyChanges;
  /** The old key works until then; null = it stops at once. */
  readonly graceUntilMs: number | null;
}

/** Virtual keys. Changes are audited and announced as kind `key`. */
export class KeyRepository {
  readonly #db: Kysely<Database>;
  readonly #log: ChangeLog;

  constructor(db: Kysely<Database>, log: ChangeLog) {
    this.#db = db;
    this.#log = log;
  }

  /** @throws {StoreError} `conflict` if the key or its alias exists. */
  async create(key: NewKey, actor: Actor | ChangeScope): Promise<KeyRow> {
    return this.#log.run(actor, async (scope) => {
      const retired = await scope.trx
        .selectFrom('retired_keys')
        .select('hash')
        .where('hash', '=', key.hash)
        .executeTakeFirst();
      if (retired !== undefined) throw new StoreError('conflict', 'this key was replaced by another');
      const row = await insertKey(key, scope);
      scope.record({ action: 'created', kind: 'key', objectId: row.hash, before: null, after: row });
      return row;
    });
  }

  async find(hash: string, within: Within = null): Promise<KeyRow | null> {
    const query = (within?.trx ?? this.#db).selectFrom('keys').selectAll();
    return (await query.where('hash', '=', hash).executeTakeFirst()) ?? null;
  }

  async findByAlias(alias: string, within: Within = null): Promise<KeyRow | null> {
    const query = (within?.trx ?? this.#db).selectFrom('keys').selectAll();
    return (await query.where('key_alias', '=', alias).executeTakeFirst()) ?? null;
  }

  /** Those that exist, in no order. At most 10,000 hashes. */
  async findMany(hashes: readonly string[]): Promise<KeyRow[]> {
    if (hashes.length === 0) return [];
    return this.#db.selectFrom('keys').selectAll().where('hash', 'in', hashes).execute();
  }

  /** The key that replaced this one, if it did and the old one still works. */
  async findRetired(hash: string, nowMs: number): Promise<RetiredKeyRow | null> {
    const query = this.#db.selectFrom('retired_keys').selectAll();
    return (await query.where('hash', '=', hash).where('valid_until_ms', '>', nowMs).executeTakeFirst()) ?? null;
  }

  /** Old keys that still work, of these keys. */
  async retiredOf(hashes: readonly string[], nowMs: number): Promise<RetiredKeyRow[]> {
    if (hashes.length === 0) return [];
    const query = this.#db.selectFrom('retired_keys').selectAll();
    return query.where('successor_hash', 'in', hashes).where('valid_until_ms', '>', nowMs).execute();
  }

  /** Up to `limit` keys in the order of their hashes, from the one after `afterHash` on; '' = from the first. */
  async scan(afterHash: string, limit: number): Promise<KeyRow[]> {
    const query = this.#db.selectFrom('keys').selectAll().where('hash', '>', afterHash);
    return query.orderBy('hash').limit(limit).execute();
  }

  /** All hashes of a team's or user's keys, or of those that a user has in a team, in their order. */
  async hashesOf({ teamId, userId }: KeyOwners, within: Within = null): Promise<string[]> {
    let query = (within?.trx ?? this.#db).selectFrom('keys').select('hash').orderBy('hash');
    if (teamId !== undefined) query = query.where('team_id', '=', teamId);
    if (userId !== undefined) query = query.where('user_id', '=', userId);
    return (await query.execute()).map(({ hash }) => hash);
  }

  async count(): Promise<number> {
    const query = this.#db.selectFrom('keys').select(({ fn }) => fn.countAll<number>().as('count'));
    return (await query.executeTakeFirstOrThrow()).count;
  }

  async list(filter: KeyFilter, { page, size, sortBy, descending }: PageRequest<KeySort>): Promise<Page<KeyRow>> {
    const found = this.#db.selectFrom('keys').where((eb) => eb.and(conditions(eb, filter)));
    const rows = await found
      .selectAll()
      .orderBy(sortBy ?? 'created_at_ms', (order) => (descending === true ? order.desc() : order.asc()).nullsLast())
      .orderBy('hash')
      .limit(size)
      .offset((page - 1) * size)
      .execute();
    const { total } = await found.select(({ fn }) => fn.countAll<number>().as('total')).executeTakeFirstOrThrow();
    return { rows, total };
  }

  /**
   * Changes the columns named. @returns the row as it is now; null: there is no such key.
   *
   * @throws {StoreError} `conflict` if another key has the alias.
   */
  async update(hash: string, changes: KeyChanges, actor: Actor | ChangeScope): Promise<KeyRow | null> {
    return this.#update(hash, changes, actor, 'updated');
  }

  /** @returns the row as it is now; null: there is no such key. */
  async setBlocked(hash: string, blocked: boolean, actor: Actor | ChangeScope): Promise<KeyRow | null> {
    return this.#update(hash, { blocked }, actor, blocked ? 'blocked' : 'unblocked');
  }

  /**
   * Gives a key a new secret: its row moves to the hash of that. Both hashes are announced.
   *
   * @returns the row as it is now; null: there is no such key.
   */
  async rotate({ hash, newHash, changes, graceUntilMs }: Rotation, actor: Actor | ChangeScope): Promise<KeyRow | null> {
    return this.#log.run(actor, async (scope) => {
      const { trx } = scope;
      const moved = { ...changes, hash: newHash };
      const update = await updateKey(hash, moved, scope);
      if (update === null) return null;
      await trx
        .updateTable('retired_keys')
        .set({ successor_hash: newHash })
        .where('successor_hash', '=', hash)
        .execute();
      if (graceUntilMs !== null) {
        const retired = { hash, successor_hash: newHash, valid_until_ms: graceUntilMs };
        await trx.insertInto('retired_keys').values(retired).execute();
      }
      const difference = rowDifference(update.before, update.after, moved);
      scope.record({ action: 'rotated', kind: 'key', objectId: newHash, ...difference });
      scope.announce('key', hash);
      return update.after;
    });
  }

  /** @returns the hashes of those that there were. */
  async delete(hashes: readonly string[], actor: Actor | ChangeScope): Promise<string[]> {
    if (hashes.length === 0) return [];
    return this.#log.run(actor, (scope) => deleteKeys(hashes, scope));
  }

  /** Forgets old keys that no longer work. Their hashes are free again. */
  async removeRetired(beforeMs: number): Promise<void> {
    await this.#db.deleteFrom('retired_keys').where('valid_until_ms', '<', beforeMs).execute();
  }

  #update(hash: string, changes: KeyChanges, actor: Actor, action: AuditAction): Promise<KeyRow | null> {
    return this.#log.run(actor, async (scope) => {
      const update = await updateKey(hash, changes, scope);
      if (update === null) return null;
      const difference = rowDifference(update.before, update.after, changes);
      scope.record({ action, kind: 'key', objectId: hash, ...difference });
      return update.after;
    });
  }
}

/** Also of repositories whose rows own keys. */
export async function deleteKeys(hashes: readonly string[], scope: ChangeScope): Promise<string[]> {
  const { trx } = scope;
  const deleted: string[] = [];
  for (let start = 0; start < hashes.length; start += HASHES_PER_QUERY) {
    const some = hashes.slice(start, start + HASHES_PER_QUERY);
    const rows = await trx.deleteFrom('keys').where('hash', 'in', some).returningAll().execute();
    for (const row of rows) {
      deleted.push(row.hash);
      scope.record({ action: 'deleted', kind: 'key', objectId: row.hash, before: row, after: null });
    }
    const retired = await trx
      .deleteFrom('retired_keys')
      .where('successor_hash', 'in', some)
      .returning('hash')
      .execute();
    for (const { hash } of retired) scope.announce('key', hash);
  }
  return deleted;
}

async function insertKey(key: NewKey, { trx, nowMs, changedBy }: ChangeScope): Promise<KeyRow> {
  const provenance = { created_at_ms: nowMs, updated_at_ms: nowMs, created_by: changedBy, updated_by: changedBy };
  // What is left out has a default in the table.
  const row = { ...provenance, ...key } as Insertable<KeyTable>;
  return trx.insertInto('keys').values(row).returningAll().executeTakeFirstOrThrow();
}

async function updateKey(
  hash: string,
  changes: KeyChanges & { readonly hash?: string },
  { trx, nowMs, changedBy }: ChangeScope,
): Promise<{ before: KeyRow; after: KeyRow } | null> {
  const before = await trx.selectFrom('keys').selectAll().where('hash', '=', hash).executeTakeFirst();
  if (before === undefined) return null;
  const after = await trx
    .updateTable('keys')
    .set({ updated_by: changedBy, ...changes, updated_at_ms: nowMs })
    .where('hash', '=', hash)
    .returningAll()
    .executeTakeFirstOrThrow();
  return { before, after };
}

function conditions(
  eb: ExpressionBuilder<Database, 'keys'>,
  { hash, alias, aliasContains, userId, teamId, orTeamIds = [], organizationId }: KeyFilter,
): Expression<SqlBool>[] {
  const found: Expression<SqlBool>[] = [];
  if (isGiven(hash)) found.push(eb('hash', '=', hash));
  if (isGiven(alias)) found.push(eb('key_alias', '=', alias));
  if (isGiven(aliasContains)) found.push(contains('key_alias', aliasContains));
  if (isGiven(userId)) {
    const own = eb('user_id', '=', userId);
    found.push(orTeamIds.length === 0 ? own : eb.or([own, eb('team_id', 'in', orTeamIds)]));
  }
  if (isGiven(teamId)) found.push(eb('team_id', '=', teamId));
  if (isGiven(organizationId)) found.push(eb('organization_id', '=', organizationId));
  return found;
}
