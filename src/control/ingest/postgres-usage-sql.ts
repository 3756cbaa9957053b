import { additions, AGGREGATES } from './usage-aggregates.ts';
import { USAGE_COLUMN_NAMES } from './usage-row.ts';

const SCHEMA = 'slipstream';

/** Followed by lines as `copyLine` makes them. */
export const COPY_EVENTS = `copy ${SCHEMA}.usage_events (${USAGE_COLUMN_NAMES.join(', ')}) from stdin`;

const TEXTS: ReadonlySet<string> = new Set([
  'kind',
  'name',
  'api_key',
  'user_id',
  'team_id',
  'model',
  'model_group',
  'provider',
]);

/** `select … from unnest($1::text[], …)`: one parameter per column, whatever the number of rows. */
function unnest(columns: readonly string[]): string {
  const arrays = columns.map((column, place) => `$${place + 1}::${TEXTS.has(column) ? 'text' : 'bigint'}[]`);
  return `select * from unnest(${arrays.join(', ')})`;
}

function upsert(table: keyof typeof AGGREGATES, more = ''): string {
  const { keys, sums } = AGGREGATES[table];
  const columns = table === 'usage_totals' ? [...keys, ...sums, 'last_at_ms'] : [...keys, ...sums];
  return (
    `insert into ${SCHEMA}.${table} (${columns.join(', ')}) ${unnest(columns)} ` +
    `on conflict (${keys.join(', ')}) do update set ${additions(table, sums)}${more}`
  );
}

/** Adds `$2` to the spend of the rows named in `$1`. */
function spend(table: string, id: string): string {
  return (
    `update ${SCHEMA}.${table} as target set spend_nano = target.spend_nano + delta.spend ` +
    `from unnest($1::text[], $2::bigint[]) as delta (name, spend) where target.${id} = delta.name`
  );
}

export const POSTGRES_STATEMENTS = {
  states: `select segment, position, finished_at_ms from ${SCHEMA}.usage_segments where segment = any($1)`,
  'begin-segment': `insert into ${SCHEMA}.usage_segments (segment, writer, position) values ($1, $2, 0) on conflict do nothing`,
  move:
    `update ${SCHEMA}.usage_segments set position = $1, finished_at_ms = $2 ` +
    'where segment = $3 and position = $4 and finished_at_ms is null',
  'open-ids': `select id from ${SCHEMA}.usage_open where writer = $1`,
  'open-writers': `select distinct writer from ${SCHEMA}.usage_open`,
  'begin-open':
    `insert into ${SCHEMA}.usage_open (id, writer, line) select id, $2, line from unnest($1::text[], $3::text[]) as line (id, line) ` +
    `where not exists (select 1 from ${SCHEMA}.usage_events event where event.id = line.id) on conflict do nothing`,
  'end-open': `delete from ${SCHEMA}.usage_open where id = any($1)`,
  'end-writer': `delete from ${SCHEMA}.usage_open where writer = $1 returning line`,
  events: `select ${USAGE_COLUMN_NAMES.join(', ')} from ${SCHEMA}.usage_events where id = any($1)`,
  'delete-event': `delete from ${SCHEMA}.usage_events where id = any($1)`,
  'delete-events':
    `delete from ${SCHEMA}.usage_events where id = any(array(` +
    `select id from ${SCHEMA}.usage_events where at_ms < $1 order by at_ms limit $2))`,
  'forget-segments': `delete from ${SCHEMA}.usage_segments where finished_at_ms < $1`,
  daily: upsert('usage_daily'),
  detail: upsert('usage_detail'),
  total: upsert('usage_totals', ', last_at_ms = greatest(usage_totals.last_at_ms, excluded.last_at_ms)'),
  // What budgets and /key/info show. A replaced key that still works spends its successor's.
  'spend-key':
    `update ${SCHEMA}.keys as target set spend_nano = target.spend_nano + delta.spend from (` +
    'select coalesce(retired.successor_hash, delta.name) as name, sum(delta.spend)::bigint as spend ' +
    'from unnest($1::text[], $2::bigint[]) as delta (name, spend) ' +
    `left join ${SCHEMA}.retired_keys as retired on retired.hash = delta.name group by 1) as delta ` +
    'where target.hash = delta.name',
  'spend-user': spend('users', 'user_id'),
  'spend-team': spend('teams', 'team_id'),
  'spend-member':
    `update ${SCHEMA}.team_members as target set spend_nano = target.spend_nano + delta.spend ` +
    'from unnest($1::text[], $2::text[], $3::bigint[]) as delta (team_id, user_id, spend) ' +
    'where target.team_id = delta.team_id and target.user_id = delta.user_id',
  budget:
    `insert into ${SCHEMA}.budget_spend (name, node, end_ms, spend_nano, updated_at_ms) ` +
    'select name, node, end_ms, spend_nano, $5::bigint from unnest($1::text[], $2::text[], $3::bigint[], $4::bigint[]) ' +
    'as delta (name, node, end_ms, spend_nano) ' +
    'on conflict (name, node) do update set spend_nano = budget_spend.spend_nano + excluded.spend_nano, ' +
    'updated_at_ms = excluded.updated_at_ms',
} as const;

export type PostgresStatementName = keyof typeof POSTGRES_STATEMENTS;
