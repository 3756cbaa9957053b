import { type Kysely, sql } from 'kysely';
import type { DailyKind, TotalKind } from '../ingest/usage-deltas.ts';
import type { Database } from '../store/database.ts';
import type { StoreEngine } from '../store/store-engine.ts';
import { WholeNumbers } from './whole-numbers.ts';
import type { UsageEventTable, UsageSumColumns } from '../store/tables/usage-tables.ts';

/** Both days included. */
export interface DayRange {
  readonly fromDay: number;
  readonly toDay: number;
}

export interface NamedSpend {
  readonly name: string;
  readonly spend_nano: bigint;
  readonly requests: number;
}

export interface DailySpend {
  readonly day: number;
  readonly name: string;
  readonly spend_nano: bigint;
}

/** Takes what a name has spent on a day, nano-dollars. */
export type TakeDaily = (day: number, name: string, nano: number | bigint) => void;

export interface DailyActivity {
  readonly day: number;
  readonly name: string;
  readonly requests: number;
  readonly tokens: number;
}

export interface DetailFilter extends DayRange {
  readonly apiKey: string | null;
  readonly userId: string | null;
  readonly model: string | null;
}

export interface DetailRow extends UsageSumColumns {
  readonly day: number;
  readonly api_key: string;
  readonly team_id: string;
  readonly model: string;
  readonly model_group: string;
  readonly provider: string;
}

export interface EventFilter {
  readonly requestId: string | null;
  readonly apiKey: string | null;
  readonly userId: string | null;
  /** Unix ms; from included, until excluded. */
  readonly fromMs: number | null;
  readonly untilMs: number | null;
  readonly limit: number;
  readonly offset: number;
}

export type EventRow = Readonly<UsageEventTable>;

/**
 * For one transaction of PostgreSQL: a thousand names over 90 days add up in 6 MB, twice as fast as through a temporary
 * file, which the default of 4 MB means. Not for every query: of others the planner would sort more than it need.
 */
const ENOUGH_MEMORY = sql`select set_config('work_mem', '16MB', true)
  where pg_size_bytes(current_setting('work_mem')) < pg_size_bytes('16MB')`;
const COUNT_LIVES_MS = 30_000;
const MAX_COUNTS = 100;

/**
 * What was spent, from the aggregates that ingestion keeps: no query reads events but `events`, so that none grows with
 * their number.
 */
export class SpendQueries {
  readonly #db: Kysely<Database>;
  readonly #engine: StoreEngine;
  readonly #counts = new Map<string, { readonly count: number; readonly atMs: number }>();

  constructor(db: Kysely<Database>, engine: StoreEngine) {
    this.#db = db;
    this.#engine = engine;
  }

  /** Of all time. */
  async total(): Promise<bigint> {
    const row = await this.#db
      .selectFrom('usage_daily')
      .where('kind', '=', 'total')
      .select(({ fn }) => fn.sum<bigint>('spend_nano').as('sum_nano'))
      .executeTakeFirst();
    return row?.sum_nano ?? 0n;
  }

  /** Of one key, user or team, of all time. */
  async totalOf(kind: TotalKind, name: string): Promise<bigint> {
    const row = await this.#db
      .selectFrom('usage_totals')
      .select('spend_nano')
      .where('kind', '=', kind)
      .where('name', '=', name)
      .executeTakeFirst();
    return row?.spend_nano ?? 0n;
  }

  /** Of a user's keys that no team pays for, of all time. */
  async ownOfUser(userId: string): Promise<bigint> {
    const row = await this.#db
      .selectFrom('usage_detail')
      .where('user_id', '=', userId)
      .where('team_id', '=', '')
      .select(({ fn }) => fn.sum<bigint>('spend_nano').as('sum_nano'))
      .executeTakeFirst();
    return row?.sum_nano ?? 0n;
  }

  /** Most spent first. */
  async byName(kind: DailyKind, range: DayRange, limit: number): Promise<NamedSpend[]> {
    return this.#dailyRows(kind, range)
      .groupBy('name')
      .select(({ fn }) => [
        'name',
        fn.sum<bigint>('spend_nano').as('spend_nano'),
        fn.sum<number>('requests').as('requests'),
      ])
      .orderBy(sql.ref('spend_nano'), 'desc')
      .orderBy('name')
      .limit(limit)
      .execute();
  }

  /** Oldest first. @param names null: all. */
  async daily(kind: DailyKind, range: DayRange, names: readonly string[] | null = null): Promise<DailySpend[]> {
    let query = this.#dailyRows(kind, range);
    if (names !== null) query = query.where('name', 'in', names.length === 0 ? [''] : names);
    return query.select(['day', 'name', 'spend_nano']).orderBy('day').orderBy('name').execute();
  }

  /**
   * What each name has spent on each day, in no order, without a row for each: of a thousand keys over 90 days, lists cross
   * the threads many times faster.
   */
  async eachDaily(kind: DailyKind, range: DayRange, take: TakeDaily): Promise<void> {
    if (this.#engine === 'sqlite') await this.#eachByDay(kind, range, take);
    else await this.#eachByName(kind, range, take);
  }

  /** The primary key has the days in order: SQLite has nothing to sort. */
  async #eachByDay(kind: DailyKind, range: DayRange, take: TakeDaily): Promise<void> {
    const rows = await this.#dailyRows(kind, range)
      .groupBy('day')
      .select([
        'day',
        // In one order, though in none that is stated: each row goes to both. To sort them would take half of the time.
        sql<string>`json_group_array(name)`.as('names'),
        sql<string>`group_concat(spend_nano)`.as('spends'),
      ])
      .execute();
    for (const { day, names, spends } of rows) {
      const amounts = new WholeNumbers(spends);
      for (const name of JSON.parse(names) as string[]) take(day, name, amounts.next());
    }
  }

  /** PostgreSQL adds up faster than it sends: so each name goes over the connection once, and nothing needs quoting. */
  async #eachByName(kind: DailyKind, range: DayRange, take: TakeDaily): Promise<void> {
    const query = this.#dailyRows(kind, range)
      .groupBy('name')
      .select([
        'name',
        sql<string>`string_agg(day::text, ',')`.as('days'),
        sql<string>`string_agg(spend_nano::text, ',')`.as('spends'),
      ]);
    const rows = await this.#db.transaction().execute(async (transaction) => {
      await ENOUGH_MEMORY.execute(transaction);
      const result = await transaction.executeQuery(query);
      return result.rows;
    });
    for (const row of rows) {
      const [days, amounts] = [new WholeNumbers(row.days), new WholeNumbers(row.spends)];
      while (days.hasMore) take(Number(days.next()), row.name, amounts.next());
    }
  }

  async activity(kind: DailyKind, range: DayRange): Promise<DailyActivity[]> {
    return this.#dailyRows(kind, range)
      .select(({ eb }) => [
        'day',
        'name',
        'requests',
        eb('prompt_tokens', '+', eb.ref('completion_tokens')).as('tokens'),
      ])
      .orderBy('day')
      .orderBy('name')
      .execute();
  }

  /** At most half a minute old: who reads page after page asks it with each, and of a million rows it takes as long as they. */
  async countDetail(filter: DetailFilter, nowMs: number): Promise<number> {
    const id = JSON.stringify(filter);
    const known = this.#counts.get(id);
    if (known !== undefined && nowMs - known.atMs < COUNT_LIVES_MS) return known.count;
    const count = await this.#countDetail(filter);
    if (this.#counts.size >= MAX_COUNTS) this.#counts.clear();
    this.#counts.set(id, { count, atMs: nowMs });
    return count;
  }

  async #countDetail(filter: DetailFilter): Promise<number> {
    const row = await this.#detail(filter)
      .select(({ fn }) => fn.countAll<number>().as('count'))
      .executeTakeFirst();
    return row?.count ?? 0;
  }

  /** Newest day first; the order within is that of the primary key, so that pages never overlap. */
  async detail(filter: DetailFilter, limit: number, offset: number): Promise<DetailRow[]> {
    return this.#detail(filter)
      .selectAll()
      .orderBy('day', 'desc')
      .orderBy('api_key', 'desc')
      .orderBy('user_id', 'desc')
      .orderBy('team_id', 'desc')
      .orderBy('model', 'desc')
      .orderBy('model_group', 'desc')
      .orderBy('provider', 'desc')
      .limit(limit)
      .offset(offset)
      .execute();
  }

  /** Daily spend by model and user of one key or one user. */
  async detailByDay(
    filter: DetailFilter,
  ): Promise<{ day: number; api_key: string; user_id: string; model: string; spend_nano: bigint }[]> {
    return this.#detail(filter)
      .groupBy(['day', 'api_key', 'user_id', 'model'])
      .select(({ fn }) => ['day', 'api_key', 'user_id', 'model', fn.sum<bigint>('spend_nano').as('spend_nano')])
      .orderBy('day')
      .execute();
  }

  /** Newest first. */
  async events(filter: EventFilter): Promise<EventRow[]> {
    let query = this.#db.selectFrom('usage_events').selectAll();
    if (filter.requestId !== null) query = query.where('id', '=', filter.requestId);
    if (filter.apiKey !== null) query = query.where('api_key', '=', filter.apiKey);
    if (filter.userId !== null) query = query.where('user_id', '=', filter.userId);
    if (filter.fromMs !== null) query = query.where('at_ms', '>=', filter.fromMs);
    if (filter.untilMs !== null) query = query.where('at_ms', '<', filter.untilMs);
    return query.orderBy('at_ms', 'desc').limit(filter.limit).offset(filter.offset).execute();
  }

  #dailyRows(kind: DailyKind, { fromDay, toDay }: DayRange) {
    return this.#db
      .selectFrom('usage_daily')
      .where('kind', '=', kind)
      .where('day', '>=', fromDay)
      .where('day', '<=', toDay);
  }

  #detail({ fromDay, toDay, apiKey, userId, model }: DetailFilter) {
    let query = this.#db.selectFrom('usage_detail').where('day', '>=', fromDay).where('day', '<=', toDay);
    if (apiKey !== null) query = query.where('api_key', '=', apiKey);
    if (userId !== null) query = query.where('user_id', '=', userId);
    if (model !== null) query = query.where('model', '=', model);
    return query;
  }
}
