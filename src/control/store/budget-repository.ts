import { type Kysely, sql, type Transaction } from 'kysely';
import { parseBudgetRow } from '../../contract/budget-row.ts';
import type { Within } from './change-log.ts';
import type { Database } from './database.ts';
import { NO_NODE } from './tables/budget-tables.ts';

/** SQLite takes 32,766 values. */
const NAMES_PER_QUERY = 5000;

/** What budgets had spent by some point of a node's journal. */
export interface BudgetState {
  /** Of the node's segments. */
  readonly positions: ReadonlyMap<string, number>;
  /** By the row's name. */
  readonly rows: ReadonlyMap<string, { readonly ownNano: bigint; readonly othersNano: bigint }>;
}

/** What was spent in the windows of budgets. Ingestion writes it, together with the events. */
export class BudgetRepository {
  readonly #db: Kysely<Database>;

  constructor(db: Kysely<Database>) {
    this.#db = db;
  }

  /**
   * Of all windows that are not over. One statement, so that positions and sums are of one moment.
   *
   * @param node whose spend is its own, and whose journal the positions are of.
   */
  async state(node: string, nowMs: number): Promise<BudgetState> {
    const isOwn = sql<number>`case when node = ${node} then spend_nano else 0 end`;
    const isOther = sql<number>`case when node = ${node} then 0 else spend_nano end`;
    const found = await this.#db
      .selectFrom('usage_segments')
      .select(['segment as name', 'position', sql<bigint>`0`.as('own_nano'), sql<bigint>`0`.as('others_nano')])
      .where('segment', '>=', `${node}-`)
      .where('segment', '<', `${node}.`)
      .unionAll(
        this.#db
          .selectFrom('budget_spend')
          .select([
            'name',
            sql<number>`-1`.as('position'),
            sql<bigint>`cast(sum(${isOwn}) as bigint)`.as('own_nano'),
            sql<bigint>`cast(sum(${isOther}) as bigint)`.as('others_nano'),
          ])
          .where((eb) => eb.or([eb('end_ms', 'is', null), eb('end_ms', '>', nowMs)]))
          .groupBy('name'),
      )
      .execute();
    const positions = new Map<string, number>();
    const rows = new Map<string, { ownNano: bigint; othersNano: bigint }>();
    for (const { name, position, own_nano: ownNano, others_nano: othersNano } of found) {
      if (position === -1) rows.set(name, { ownNano, othersNano });
      else positions.set(name, position);
    }
    return { positions, rows };
  }

  /** Changes with every write to the rows of `state`; equal values mean, as a rule, that nothing has changed. */
  async version(): Promise<string> {
    const { count, updated } = await this.#db
      .selectFrom('budget_spend')
      .select(({ fn }) => [fn.countAll<number>().as('count'), fn.max('updated_at_ms').as('updated')])
      .executeTakeFirstOrThrow();
    return `${count} ${updated}`;
  }

  /** Nano-dollars by the name of the row; those of which nothing is known are left out. */
  async spent(names: readonly string[]): Promise<Map<string, bigint>> {
    const spent = new Map<string, bigint>();
    for (let place = 0; place < names.length; place += NAMES_PER_QUERY) {
      const found = await this.#db
        .selectFrom('budget_spend')
        .select(['name', ({ fn }) => fn.sum<bigint>('spend_nano').as('sum_nano')])
        .where('name', 'in', names.slice(place, place + NAMES_PER_QUERY))
        .groupBy('name')
        .execute();
      for (const { name, sum_nano: nano } of found) spent.set(name, nano);
    }
    return spent;
  }

  /** The spend of a window becomes `nano`, whatever it was. @param name of the row. */
  async setSpend(name: string, nano: bigint, nowMs: number, within: Within = null): Promise<void> {
    const endMs = parseBudgetRow(name)?.endMs ?? Infinity;
    const set = async (trx: Transaction<Database>): Promise<void> => {
      const found = await trx.selectFrom('budget_spend').select(['spend_nano']).where('name', '=', name).execute();
      const difference = nano - found.reduce((sum, row) => sum + row.spend_nano, 0n);
      await trx
        .insertInto('budget_spend')
        .values({
          name,
          node: NO_NODE,
          end_ms: endMs === Infinity ? null : endMs,
          spend_nano: difference,
          updated_at_ms: nowMs,
        })
        .onConflict((conflict) =>
          conflict.columns(['name', 'node']).doUpdateSet({
            spend_nano: sql`budget_spend.spend_nano + excluded.spend_nano`,
            updated_at_ms: nowMs,
          }),
        )
        .execute();
    };
    await (within === null ? this.#db.transaction().execute(set) : set(within.trx));
  }

  /** What a key had spent is its successor's: the key has a new text, and so another hash. */
  async carryOver(hash: string, newHash: string, nowMs: number, within: Within = null): Promise<void> {
    for (const [from, until] of [
      [`key:${hash}:`, `key:${hash};`],
      [`model:${hash}/`, `model:${hash}0`],
    ] as const) {
      const found = await (within?.trx ?? this.#db)
        .selectFrom('budget_spend')
        .select(['name', 'end_ms', ({ fn }) => fn.sum<bigint>('spend_nano').as('sum_nano')])
        .where('name', '>=', from)
        .where('name', '<', until)
        .groupBy(['name', 'end_ms'])
        .execute();
      for (const { name, sum_nano: spent } of found) {
        await this.setSpend(name.replace(hash, newHash), spent, nowMs, within);
      }
    }
  }

  /** Forgets windows that ended before `beforeMs`. */
  async deleteEnded(beforeMs: number): Promise<void> {
    await this.#db.deleteFrom('budget_spend').where('end_ms', '<', beforeMs).execute();
  }
}
