import type { Expression, ExpressionBuilder, Insertable, Kysely, SqlBool } from 'kysely';
import type { Actor, ChangeLog, ChangeScope, Within } from './change-log.ts';
import type { Database } from './database.ts';
import { deleteKeys } from './key-repository.ts';
import { contains, isGiven, type Page, type PageRequest } from './list-page.ts';
import { memberId } from './member-id.ts';
import { rowDifference } from './row-difference.ts';
import type {
  NewTeam,
  NewTeamMember,
  TeamChanges,
  TeamMemberChanges,
  TeamMemberRow,
  TeamMemberTable,
  TeamRow,
  TeamTable,
} from './tables/owner-tables.ts';

export const TEAM_SORTS = [
  'created_at_ms',
  'updated_at_ms',
  'team_id',
  'team_alias',
  'spend_nano',
  'max_budget_nano',
] as const;
export type TeamSort = (typeof TEAM_SORTS)[number];

/** What is left out, or null, does not matter. */
export interface TeamFilter {
  readonly teamIds?: readonly string[] | null;
  /** Teams that this user is a member of. */
  readonly userId?: string | null;
  readonly organizationId?: string | null;
  readonly alias?: string | null;
  /** Without regard to case. */
  readonly aliasContains?: string | null;
}

/** Teams and their members. Changes are audited and announced as kind `team` and `team_member`. */
export class TeamRepository {
  readonly #db: Kysely<Database>;
  readonly #log: ChangeLog;

  constructor(db: Kysely<Database>, log: ChangeLog) {
    this.#db = db;
    this.#log = log;
  }

  /** @throws {StoreError} `conflict` if the id exists. */
  async create(team: NewTeam, members: readonly NewTeamMember[], actor: Actor | ChangeScope): Promise<TeamRow> {
    return this.#log.run(actor, async (scope) => {
      const { trx, nowMs, changedBy } = scope;
      const provenance = { created_at_ms: nowMs, updated_at_ms: nowMs, created_by: changedBy, updated_by: changedBy };
      // What is left out has a default in the table.
      const values = { ...provenance, ...team } as Insertable<TeamTable>;
      const row = await trx.insertInto('teams').values(values).returningAll().executeTakeFirstOrThrow();
      scope.record({ action: 'created', kind: 'team', objectId: row.team_id, before: null, after: row });
      for (const member of members) await insertMember(row.team_id, member, scope);
      return row;
    });
  }

  async find(teamId: string, within: Within = null): Promise<TeamRow | null> {
    const query = (within?.trx ?? this.#db).selectFrom('teams').selectAll();
    return (await query.where('team_id', '=', teamId).executeTakeFirst()) ?? null;
  }

  /** Those that exist, in no order. At most 10,000 ids. */
  async findMany(teamIds: readonly string[]): Promise<TeamRow[]> {
    if (teamIds.length === 0) return [];
    return this.#db.selectFrom('teams').selectAll().where('team_id', 'in', teamIds).execute();
  }

  async list(filter: TeamFilter, { page, size, sortBy, descending }: PageRequest<TeamSort>): Promise<Page<TeamRow>> {
    const found = this.#db.selectFrom('teams').where((eb) => eb.and(conditions(eb, filter)));
    const rows = await found
      .selectAll()
      .orderBy(sortBy ?? 'created_at_ms', (order) => (descending === true ? order.desc() : order.asc()).nullsLast())
      .orderBy('team_id')
      .limit(size)
      .offset((page - 1) * size)
      .execute();
    const { total } = await found.select(({ fn }) => fn.countAll<number>().as('total')).executeTakeFirstOrThrow();
    return { rows, total };
  }

  /** Changes the columns named. @returns the row as it is now; null: there is no such team. */
  async update(teamId: string, changes: TeamChanges, actor: Actor | ChangeScope): Promise<TeamRow | null> {
    return this.#log.run(actor, async (scope) => {
      const { trx, nowMs, changedBy } = scope;
      const before = await trx.selectFrom('teams').selectAll().where('team_id', '=', teamId).executeTakeFirst();
      if (before === undefined) return null;
      const after = await trx
        .updateTable('teams')
        .set({ updated_by: changedBy, ...changes, updated_at_ms: nowMs })
        .where('team_id', '=', teamId)
        .returningAll()
        .executeTakeFirstOrThrow();
      scope.record({ action: 'updated', kind: 'team', objectId: teamId, ...rowDifference(before, after, changes) });
      return after;
    });
  }

  /** With their members and their keys. @returns the ids of those that there were. */
  async delete(teamIds: readonly string[], actor: Actor | ChangeScope): Promise<string[]> {
    if (teamIds.length === 0) return [];
    return this.#log.run(actor, async (scope) => {
      const { trx } = scope;
      const keys = await trx.selectFrom('keys').select('hash').where('team_id', 'in', teamIds).execute();
      await deleteKeys(
        keys.map(({ hash }) => hash),
        scope,
      );
      const rows = await trx.deleteFrom('teams').where('team_id', 'in', teamIds).returningAll().execute();
      for (const row of rows) {
        scope.record({ action: 'deleted', kind: 'team', objectId: row.team_id, before: row, after: null });
      }
      return rows.map((row) => row.team_id);
    });
  }

  /** In the order in which they were added. */
  async members(teamId: string, within: Within = null): Promise<TeamMemberRow[]> {
    const query = (within?.trx ?? this.#db).selectFrom('team_members').selectAll().where('team_id', '=', teamId);
    return query.orderBy('created_at_ms').orderBy('user_id').execute();
  }

  /** Of all these teams; in no order. */
  async membersOf(teamIds: readonly string[]): Promise<TeamMemberRow[]> {
    if (teamIds.length === 0) return [];
    return this.#db.selectFrom('team_members').selectAll().where('team_id', 'in', teamIds).execute();
  }

  async memberships(userId: string): Promise<TeamMemberRow[]> {
    const query = this.#db.selectFrom('team_members').selectAll().where('user_id', '=', userId);
    return query.orderBy('team_id').execute();
  }

  async findMember(teamId: string, userId: string): Promise<TeamMemberRow | null> {
    const query = this.#db.selectFrom('team_members').selectAll().where('team_id', '=', teamId);
    return (await query.where('user_id', '=', userId).executeTakeFirst()) ?? null;
  }

  /**
   * @returns null: there is no such team.
   * @throws {StoreError} `conflict` if one of them is a member: then none was added.
   */
  async addMembers(
    teamId: string,
    members: readonly NewTeamMember[],
    actor: Actor | ChangeScope,
  ): Promise<readonly TeamMemberRow[] | null> {
    return this.#log.run(actor, async (scope) => {
      const team = await scope.trx
        .selectFrom('teams')
        .select('team_id')
        .where('team_id', '=', teamId)
        .executeTakeFirst();
      if (team === undefined) return null;
      const rows: TeamMemberRow[] = [];
      for (const member of members) rows.push(await insertMember(teamId, member, scope));
      return rows;
    });
  }

  /** Changes the columns named. @returns the row as it is now; null: there is no such member. */
  async updateMember(
    { teamId, userId }: { readonly teamId: string; readonly userId: string },
    changes: TeamMemberChanges,
    actor: Actor | ChangeScope,
  ): Promise<TeamMemberRow | null> {
    return this.#log.run(actor, async (scope) => {
      const { trx, nowMs } = scope;
      const query = trx.selectFrom('team_members').selectAll();
      const before = await query.where('team_id', '=', teamId).where('user_id', '=', userId).executeTakeFirst();
      if (before === undefined) return null;
      const after = await trx
        .updateTable('team_members')
        .set({ ...changes, updated_at_ms: nowMs })
        .where('team_id', '=', teamId)
        .where('user_id', '=', userId)
        .returningAll()
        .executeTakeFirstOrThrow();
      const difference = rowDifference(before, after, changes);
      scope.record({ action: 'updated', kind: 'team_member', objectId: memberId(teamId, userId), ...difference });
      return after;
    });
  }

  /**
   * Their keys stay; whoever wants them gone deletes them.
   *
   * @returns those that were members.
   */
  async removeMembers(
    teamId: string,
    userIds: readonly string[],
    actor: Actor | ChangeScope,
  ): Promise<TeamMemberRow[]> {
    if (userIds.length === 0) return [];
    return this.#log.run(actor, async (scope) => {
      const rows = await scope.trx
        .deleteFrom('team_members')
        .where('team_id', '=', teamId)
        .where('user_id', 'in', userIds)
        .returningAll()
        .execute();
      for (const row of rows) {
        const objectId = memberId(teamId, row.user_id);
        scope.record({ action: 'deleted', kind: 'team_member', objectId, before: row, after: null });
      }
      return rows;
    });
  }
}

async function insertMember(teamId: string, member: NewTeamMember, scope: ChangeScope): Promise<TeamMemberRow> {
  const { trx, nowMs } = scope;
  // What is left out has a default in the table.
  const values = {
    created_at_ms: nowMs,
    updated_at_ms: nowMs,
    ...member,
    team_id: teamId,
  } as Insertable<TeamMemberTable>;
  const row = await trx.insertInto('team_members').values(values).returningAll().executeTakeFirstOrThrow();
  const objectId = memberId(teamId, row.user_id);
  scope.record({ action: 'created', kind: 'team_member', objectId, before: null, after: row });
  return row;
}

function conditions(
  eb: ExpressionBuilder<Database, 'teams'>,
  { teamIds, userId, organizationId, alias, aliasContains }: TeamFilter,
): Expression<SqlBool>[] {
  const found: Expression<SqlBool>[] = [];
  if (isGiven(teamIds)) found.push(eb('team_id', 'in', teamIds));
  if (isGiven(userId)) {
    const memberOf = eb.selectFrom('team_members').select('team_members.team_id').where('user_id', '=', userId);
    found.push(eb('team_id', 'in', memberOf));
  }
  if (isGiven(organizationId)) found.push(eb('organization_id', '=', organizationId));
  if (isGiven(alias)) found.push(eb('team_alias', '=', alias));
  if (isGiven(aliasContains)) found.push(contains('team_alias', aliasContains));
  return found;
}
