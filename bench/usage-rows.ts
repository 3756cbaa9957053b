import { type Kysely, sql } from 'kysely';
import { DAILY_KINDS, type DailyKind, SUM_COLUMNS } from '../src/control/ingest/usage-deltas.ts';
import { USAGE_COLUMN_NAMES, type UsageColumn } from '../src/control/ingest/usage-row.ts';
import type { Database } from '../src/control/store/database.ts';
import type { Store } from '../src/control/store/store.ts';
import type { StoreEngine } from '../src/control/store/store-engine.ts';

/*
 * Millions of rows of usage, made by the database itself: a tenth of the time that ingestion takes for them. What the rows
 * add up to is worked out by `group by`, which a test compares with what ingestion makes of the same rows.
 */

const DAY_MS = 86_400_000;
const SLOTS = 10_000;
const MODELS = 20;
const TAGS = 12;

export interface UsageRows {
  readonly rows: number;
  readonly days: number;
  /** They end here, Unix ms. */
  readonly untilMs: number;
  /** By rank: key, user, team. The share of each is by Zipf. */
  readonly owners: readonly (readonly [key: string, user: string, team: string])[];
}

export async function fillUsage(store: Store, wanted: UsageRows, progress: (rows: number) => void): Promise<void> {
  const { engine, db } = store;
  const stepMs = (wanted.days * DAY_MS) / wanted.rows;
  await makeSlots(store, wanted.owners);
  const indexes = await dropScattered(store);
  let done = 0;
  while (done < wanted.rows) {
    const firstMs = wanted.untilMs - Math.ceil((wanted.rows - done) * stepMs);
    const endMs = (Math.floor(firstMs / DAY_MS) + 1) * DAY_MS;
    const count = Math.min(wanted.rows - done, Math.max(1, Math.ceil((endMs - firstMs) / stepMs)));
    const from = done;
    await db.transaction().execute(async (trx) => {
      await run(trx, insertEvents(engine, { from, count, firstMs, stepMs, endMs }));
      for (const statement of insertSums(engine, Math.floor(firstMs / DAY_MS))) await run(trx, statement);
    });
    done += count;
    progress(done);
  }
  await db.transaction().execute(async (trx) => {
    await run(trx, insertTotals(engine, wanted.untilMs));
    await run(trx, `drop table ${tableOf(engine, 'bench_slots')}`);
    for (const index of indexes) await run(trx, index);
  });
}

/** Indexes that each row has its own place in: made at the end they cost a fraction. @returns what makes them again. */
async function dropScattered({ engine, db }: Store): Promise<readonly string[]> {
  const scattered = ['usage_events_by_key', 'usage_events_by_user', 'usage_detail_by_key', 'usage_detail_by_user'];
  const names = scattered.map((name) => `'${name}'`).join(', ');
  const found = await sql
    .raw<{ statement: string }>(
      engine === 'postgres'
        ? `select indexdef as statement from pg_indexes where schemaname = 'slipstream' and indexname in (${names})`
        : `select sql as statement from sqlite_master where type = 'index' and name in (${names})`,
    )
    .execute(db);
  if (found.rows.length !== scattered.length) throw new Error('the indexes have other names now');
  await db.transaction().execute(async (trx) => {
    for (const name of scattered) await run(trx, `drop index ${tableOf(engine, name)}`);
  });
  return found.rows.map(({ statement }) => statement);
}

async function run(db: Kysely<Database>, statement: string): Promise<void> {
  await sql.raw(statement).execute(db);
}

function tableOf(engine: StoreEngine, name: string): string {
  return engine === 'postgres' ? `slipstream.${name}` : name;
}

/** 1,000 keys by Zipf, as shares of 10,000 slots. */
async function makeSlots({ engine, db }: Store, owners: UsageRows['owners']): Promise<void> {
  const table = tableOf(engine, 'bench_slots');
  const whole = owners.reduce((sum, _owner, rank) => sum + 1 / (rank + 1), 0);
  const rows: string[] = [];
  let share = 0;
  for (const [rank, owner] of owners.entries()) {
    share += 1 / (rank + 1) / whole;
    while (rows.length < Math.round(share * SLOTS))
      rows.push(`(${rows.length}, ${owner.map((text) => `'${text}'`).join(', ')})`);
  }
  await db.transaction().execute(async (trx) => {
    await run(trx, `create table ${table} (slot bigint primary key, api_key text, user_id text, team_id text)`);
    for (let at = 0; at < rows.length; at += 500) {
      await run(trx, `insert into ${table} values ${rows.slice(at, at + 500).join(', ')}`);
    }
  });
}

interface Chunk {
  readonly from: number;
  readonly count: number;
  readonly firstMs: number;
  readonly stepMs: number;
  /** The next day. */
  readonly endMs: number;
}

/** A number below `below` that looks like chance, of the event's number. */
function chance(multiplier: number, below: number): string {
  return `((event.i * ${multiplier} % 2147483647) / 7 % ${below})`;
}

function insertEvents(engine: StoreEngine, { from, count, firstMs, stepMs, endMs }: Chunk): string {
  const hex = (value: string, digits: number): string =>
    engine === 'postgres' ? `lpad(to_hex(${value}), ${digits}, '0')` : `printf('%0${digits}x', ${value})`;
  const model = chance(48_271, MODELS);
  const [time, place] = [hex('event.at_ms', 12), hex('event.i', 8)];
  const values: Readonly<Record<UsageColumn, string>> = {
    id: `substr(${time}, 1, 8) || '-' || substr(${time}, 9) || '-7' || substr(${place}, 1, 3) || '-8abc-1234567' || substr(${place}, 4)`,
    at_ms: 'event.at_ms',
    duration_us: `100000 + ${chance(16_807, 20_000_000)}`,
    first_byte_us: '99000',
    overhead_us: `60 + ${chance(69_621, 100)}`,
    api_key: 'owner.api_key',
    user_id: 'owner.user_id',
    team_id: 'owner.team_id',
    endpoint: "'chat_completions'",
    model: `'model-' || ${model}`,
    model_group: `'model-' || ${model}`,
    upstream_model: `'provider-model-' || ${model}`,
    deployment: `'deployment-' || ${model} || '-0123456789'`,
    provider: `'provider-' || (${model} % 4)`,
    stream: `(${model} + 1) % 2`,
    status: `case when ${chance(39_373, 50)} = 0 then 500 else 200 end`,
    error: 'null',
    aborted: 'null',
    attempts: '1',
    prompt_tokens: chance(40_692, 8000),
    completion_tokens: chance(40_014, 1000),
    cache_read_tokens: '0',
    cache_write_tokens: '0',
    reasoning_tokens: '0',
    usage_source: "'reported'",
    spend_nano: `${chance(40_692, 8000)} * 150 + ${chance(40_014, 1000)} * 600`,
    priced: '1',
    request_bytes: `${chance(40_692, 8000)} * 4`,
    response_bytes: `${chance(40_014, 1000)} * 5`,
    trace_id: 'null',
    client: "'192.0.2.1'",
    tags: `case when ${chance(45_991, 3)} = 0 then '["tag-' || ${chance(37_189, TAGS)} || '"]' end`,
    details: 'null',
  };
  const atMs = `least(${firstMs} + cast(floor(n.i * ${stepMs}) as bigint), ${endMs - 1})`;
  const inEngine = engine === 'postgres' ? atMs : atMs.replace('least(', 'min(');
  return (
    `insert into ${tableOf(engine, 'usage_events')} (${USAGE_COLUMN_NAMES.join(', ')}) ` +
    `with recursive n(i) as (select cast(0 as bigint) union all select i + 1 from n where i + 1 < ${count}), ` +
    `event as (select n.i + ${from} as i, ${inEngine} as at_ms from n) ` +
    `select ${USAGE_COLUMN_NAMES.map((column) => values[column]).join(', ')} from event ` +
    `join ${tableOf(engine, 'bench_slots')} as owner on owner.slot = ${chance(16_807, SLOTS)}`
  );
}

const SUMS: Readonly<Record<(typeof SUM_COLUMNS)[number], string>> = {
  requests: 'count(*)',
  successes: 'sum(case when status < 400 then 1 else 0 end)',
  prompt_tokens: 'sum(prompt_tokens)',
  completion_tokens: 'sum(completion_tokens)',
  cache_read_tokens: 'sum(cache_read_tokens)',
  cache_write_tokens: 'sum(cache_write_tokens)',
  unpriced: 'sum(1 - priced)',
  spend_nano: 'sum(spend_nano)',
};
const NAMES: Readonly<Record<DailyKind, string>> = {
  total: "''",
  key: 'api_key',
  user: 'user_id',
  team: 'team_id',
  model: 'upstream_model',
  model_group: 'model_group',
  provider: 'provider',
  // At most one each.
  tag: 'substr(tags, 3, length(tags) - 4)',
};

/** Of the events of a day, all of which are there. */
function insertSums(engine: StoreEngine, day: number): string[] {
  const sums = SUM_COLUMNS.map((column) => SUMS[column]).join(', ');
  const events = `from ${tableOf(engine, 'usage_events')} where at_ms >= ${day * DAY_MS} and at_ms < ${(day + 1) * DAY_MS}`;
  const daily = DAILY_KINDS.map(
    (kind) =>
      `insert into ${tableOf(engine, 'usage_daily')} (day, kind, name, ${SUM_COLUMNS.join(', ')}) ` +
      `select ${day}, '${kind}', ${NAMES[kind]}, ${sums} ${events}${kind === 'tag' ? ' and tags is not null' : ''} group by 3`,
  );
  const parts = ['api_key', 'user_id', 'team_id', 'upstream_model', 'model_group', 'provider'].join(', ');
  const detail =
    `insert into ${tableOf(engine, 'usage_detail')} (day, api_key, user_id, team_id, model, model_group, provider, ` +
    `${SUM_COLUMNS.join(', ')}) select ${day}, ${parts}, ${sums} ${events} group by ${parts}`;
  return [...daily, detail];
}

function insertTotals(engine: StoreEngine, lastAtMs: number): string {
  return (
    `insert into ${tableOf(engine, 'usage_totals')} (kind, name, requests, tokens, spend_nano, last_at_ms) ` +
    `select kind, name, sum(requests), sum(prompt_tokens + completion_tokens), sum(spend_nano), ${lastAtMs} ` +
    `from ${tableOf(engine, 'usage_daily')} where kind in ('key', 'user', 'team') group by kind, name`
  );
}
