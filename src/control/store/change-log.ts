import { type Insertable, type Kysely, sql, type Transaction } from 'kysely';
import type { Database } from './database.ts';
import { CHANGES_CHANNEL, type StoreEngine } from './store-engine.ts';
import type { AuditAction, AuditTable, ChangeKind, ChangeRow } from './tables/log-tables.ts';
import type { JsonObject } from './tables/limit-columns.ts';
import { withoutSecrets } from './without-secrets.ts';

/** Of pg_advisory_xact_lock; any number of ours but that of migrations. */
const CHANGE_LOCK = 5_316_202;
/** Values of one INSERT: SQLite takes 32,766. */
const ROWS_PER_INSERT = 1000;
const PRUNED_AT_ONCE = 1000;

/** Who asked for a change, as the audit log shows it: `master key`, a user's id, or the hash of a key. */
export interface Actor {
  readonly changedBy: string;
  readonly nowMs: number;
}

export interface AuditEntry {
  readonly action: AuditAction;
  readonly kind: ChangeKind;
  readonly objectId: string;
  readonly before: object | null;
  readonly after: object | null;
}

/** One transaction that changes what gateways work by. In place of an actor it makes another change part of itself. */
export interface ChangeScope extends Actor {
  readonly trx: Transaction<Database>;
  /** Writes a line of the audit log, and announces the object. */
  record(entry: AuditEntry): void;
  /** Without a line of its own: it changed since another did. */
  announce(kind: ChangeKind, objectId: string): void;
}

/** The change that a read is a part of: it sees what that has done. Null: none. */
export type Within = Pick<ChangeScope, 'trx'> | null;

interface Announcement {
  readonly kind: ChangeKind;
  readonly objectId: string;
}

export interface ChangesRead {
  readonly changes: readonly ChangeRow[];
  /** Some that came after the given one are gone: what was derived from them has to be read anew. */
  readonly isGap: boolean;
}

/**
 * The changes of keys, users and teams: each is written with its line in the audit log and its place in the sequence of
 * changes, all or nothing, and announced: to listeners here, and by NOTIFY to other gateways on the same PostgreSQL.
 */
export class ChangeLog {
  readonly #db: Kysely<Database>;
  readonly #engine: StoreEngine;
  readonly #listeners = new Set<(sequence: number) => void>();

  constructor(db: Kysely<Database>, engine: StoreEngine) {
    this.#db = db;
    this.#engine = engine;
  }

  /** Calls `listener` after each change made through this store, with the number of its last. @returns stops that. */
  onChange(listener: (sequence: number) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /**
   * All or nothing. Changes are made one after another, by all gateways, so that what `work` reads through its
   * transaction stays true until the end of it; through anything else it must not read, which could wait for itself.
   *
   * @param actor who; or the change that this one is a part of.
   */
  async run<T>(actor: Actor | ChangeScope, work: (scope: ChangeScope) => Promise<T>): Promise<T> {
    if ('trx' in actor) return work(actor);
    const { changedBy, nowMs } = actor;
    const { value, sequence } = await this.#db.transaction().execute(async (trx) => {
      // Numbers become visible in their order: changes are made one after another, by all gateways. First thing, so
      // that two of them can't hold rows that the other wants.
      if (this.#engine === 'postgres') await sql`select pg_advisory_xact_lock(${sql.lit(CHANGE_LOCK)})`.execute(trx);
      const entries: AuditEntry[] = [];
      const announced = new Map<string, Announcement>();
      const announce = (kind: ChangeKind, objectId: string): void => {
        announced.set(`${kind} ${objectId}`, { kind, objectId });
      };
      const value = await work({
        trx,
        nowMs,
        changedBy,
        record: (entry) => {
          entries.push(entry);
          announce(entry.kind, entry.objectId);
        },
        announce,
      });
      for (const part of chunks(entries)) {
        await trx
          .insertInto('audit_log')
          .values(part.map((entry) => toAuditRow(entry, changedBy, nowMs)))
          .execute();
      }
      return { value, sequence: await this.#announce(trx, [...announced.values()], nowMs) };
    });
    if (sequence !== null) for (const listener of this.#listeners) listener(sequence);
    return value;
  }

  /** The number of the last change; 0 if there was none. */
  async lastSequence(): Promise<number> {
    const row = await this.#db.selectFrom('changes').select('sequence').orderBy('sequence', 'desc').executeTakeFirst();
    return row?.sequence ?? 0;
  }

  /** What changed after `sequence`, oldest first, `limit` at most. */
  async readAfter(sequence: number, limit: number): Promise<ChangesRead> {
    const changes = await this.#db
      .selectFrom('changes')
      .selectAll()
      .where('sequence', '>', sequence)
      .orderBy('sequence')
      .limit(limit)
      .execute();
    const first = changes[0]?.sequence;
    // Nothing new, unless the database was put back to an older state.
    if (first === undefined) return { changes, isGap: (await this.lastSequence()) < sequence };
    if (first === sequence + 1) return { changes, isGap: false };
    // Numbers are skipped where a transaction was rolled back: only what was removed is a gap.
    const before = await this.#db
      .selectFrom('changes')
      .select('sequence')
      .where('sequence', '<=', sequence)
      .limit(1)
      .executeTakeFirst();
    return { changes, isGap: before === undefined };
  }

  /** Removes those before a moment, never the last: in steps, which hold up others for a moment only. */
  async prune(beforeMs: number): Promise<void> {
    const last = await this.lastSequence();
    for (let removed = PRUNED_AT_ONCE; removed >= PRUNED_AT_ONCE;) {
      const some = this.#db
        .selectFrom('changes')
        .select('sequence')
        .where('at_ms', '<', beforeMs)
        .where('sequence', '<', last)
        .orderBy('sequence')
        .limit(PRUNED_AT_ONCE);
      const { numDeletedRows } = await this.#db
        .deleteFrom('changes')
        .where('sequence', 'in', some)
        .executeTakeFirstOrThrow();
      removed = Number(numDeletedRows);
    }
  }

  async #announce(
    trx: Transaction<Database>,
    announced: readonly Announcement[],
    nowMs: number,
  ): Promise<number | null> {
    let last: number | null = null;
    for (const part of chunks(announced)) {
      const rows = await trx
        .insertInto('changes')
        .values(part.map(({ kind, objectId }) => ({ kind, object_id: objectId, at_ms: nowMs })))
        .returning('sequence')
        .execute();
      for (const { sequence } of rows) last = Math.max(last ?? 0, sequence);
    }
    if (last !== null && this.#engine === 'postgres') {
      await sql`select pg_notify(${CHANGES_CHANNEL}, ${String(last)})`.execute(trx);
    }
    return last;
  }
}

function toAuditRow(
  { action, kind, objectId, before, after }: AuditEntry,
  changedBy: string,
  nowMs: number,
): Insertable<AuditTable> {
  return {
    at_ms: nowMs,
    changed_by: changedBy,
    action,
    kind,
    object_id: objectId,
    before: toJson(before),
    after: toJson(after),
  };
}

/** Money is text in JSON: nano-dollars can be more than a number holds. */
function toJson(row: object | null): JsonObject | null {
  if (row === null) return null;
  return Object.fromEntries(
    Object.entries(row).map(([name, value]) => [
      name,
      typeof value === 'bigint' ? String(value) : withoutSecrets(value),
    ]),
  );
}

function* chunks<T>(items: readonly T[]): Generator<readonly T[]> {
  for (let start = 0; start < items.length; start += ROWS_PER_INSERT) yield items.slice(start, start + ROWS_PER_INSERT);
}
