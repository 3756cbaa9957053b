import { type Kysely, sql } from 'kysely';
import type { DailyKind, TotalKind } from '../ingest/usage-deltas.ts';
import type { Database } from '../store/database.ts';
import type { StoreEngine } from '../store/store-engine.ts';
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

export interface DailyList {
  readonly day: number;
  readonly names: readonly string[];
  /** Nano-dollars of each, as text. */
  readonly spends: readonly string[];
}

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
    return this.#db
      .selectFrom('usage_daily')
      .where('kind', '=', kind)
      .where('day', '>=', range.fromDay)
      .where('day', '<=', range.toDay)
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
    let query = this.#db
      .selectFrom('usage_daily')
      .where('kind', '=', kind)
      .where('day', '>=', range.fromDay)
      .where('day', '<=', range.toDay);
    if (names !== null) query = query.where('name', 'in', names.length === 0 ? [''] : names);
    return query.select(['day', 'name', 'spend_nano']).orderBy('day').orderBy('name').execute();
  }

  /**
   * The same with one row a day: of a thousand keys over 90 days, two lists for each day cross the threads many times
   * faster than a row for each.
   */
  async dailyLists(kind: DailyKind, range: DayRange): Promise<DailyList[]> {
    const list = sql.raw(this.#engine === 'sqlite' ? 'json_group_array' : 'json_agg');
    const rows = await this.#db
      .selectFrom('usage_daily')
      .where('kind', '=', kind)
      .where('day', '>=', range.fromDay)
      .where('day', '<=', range.toDay)
      .groupBy('day')
      .orderBy('day')
      .select([
        'day',
        // In one order, though in none that is stated: each row goes to both. To sort them would take half of the time.
        sql<string | string[]>`${list}(name)`.as('names'),
        // As texts, for JSON would have them as fractions.
        sql<string | string[]>`${list}(cast(spend_nano as text))`.as('spends'),
      ])
      .execute();
    return rows.map(({ day, names, spends }) => ({ day, names: parsed(names), spends: parsed(spends) }));
  }

  async activity(kind: DailyKind, range: DayRange): Promise<DailyActivity[]> {
    return this.#db
      .selectFrom('usage_daily')
      .where('kind', '=', kind)
      .where('day', '>=', range.fromDay)
      .where('day', '<=', range.toDay)
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

  #detail({ fromDay, toDay, apiKey, userId, model }: DetailFilter) {
    let query = this.#db.selectFrom('usage_detail').where('day', '>=', fromDay).where('day', '<=', toDay);
    if (apiKey !== null) query = query.where('api_key', '=', apiKey);
    if (userId !== null) query = query.where('user_id', '=', userId);
    if (model !== null) query = query.where('model', '=', model);
    return query;
  }
}

/** SQLite gives JSON as text, `pg` what it says. */
function parsed(list: string | string[]): readonly string[] {
  return typeof list === 'string' ? (JSON.parse(list) as string[]) : list;
}
