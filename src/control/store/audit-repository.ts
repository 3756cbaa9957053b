import type { Expression, ExpressionBuilder, Kysely, SqlBool } from 'kysely';
import type { Database } from './database.ts';
import { isGiven, type Page, type PageRequest } from './list-page.ts';
import type { AuditAction, AuditRow, ChangeKind } from './tables/log-tables.ts';

export const AUDIT_SORTS = ['at_ms', 'changed_by', 'action', 'kind', 'object_id'] as const;
export type AuditSort = (typeof AUDIT_SORTS)[number];

/** What is left out, or null, does not matter. */
export interface AuditFilter {
  readonly changedBy?: string | null;
  readonly action?: AuditAction | null;
  readonly kind?: ChangeKind | null;
  readonly objectId?: string | null;
  /** From this moment on. */
  readonly fromMs?: number | null;
  /** Before this moment. */
  readonly untilMs?: number | null;
}

/** The audit log. Its lines are written by `ChangeLog`, with what they tell of. */
export class AuditRepository {
  readonly #db: Kysely<Database>;

  constructor(db: Kysely<Database>) {
    this.#db = db;
  }

  async find(id: number): Promise<AuditRow | null> {
    return (await this.#db.selectFrom('audit_log').selectAll().where('id', '=', id).executeTakeFirst()) ?? null;
  }

  async list(filter: AuditFilter, { page, size, sortBy, descending }: PageRequest<AuditSort>): Promise<Page<AuditRow>> {
    const found = this.#db.selectFrom('audit_log').where((eb) => eb.and(conditions(eb, filter)));
    const direction = descending === true ? 'desc' : 'asc';
    const rows = await found
      .selectAll()
      .orderBy(sortBy ?? 'at_ms', direction)
      .orderBy('id', direction)
      .limit(size)
      .offset((page - 1) * size)
      .execute();
    const { total } = await found.select(({ fn }) => fn.countAll<number>().as('total')).executeTakeFirstOrThrow();
    return { rows, total };
  }
}

function conditions(
  eb: ExpressionBuilder<Database, 'audit_log'>,
  { changedBy, action, kind, objectId, fromMs, untilMs }: AuditFilter,
): Expression<SqlBool>[] {
  const found: Expression<SqlBool>[] = [];
  if (isGiven(changedBy)) found.push(eb('changed_by', '=', changedBy));
  if (isGiven(action)) found.push(eb('action', '=', action));
  if (isGiven(kind)) found.push(eb('kind', '=', kind));
  if (isGiven(objectId)) found.push(eb('object_id', '=', objectId));
  if (isGiven(fromMs)) found.push(eb('at_ms', '>=', fromMs));
  if (isGiven(untilMs)) found.push(eb('at_ms', '<', untilMs));
  return found;
}
