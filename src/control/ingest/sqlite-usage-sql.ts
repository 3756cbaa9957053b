import { additions, AGGREGATES } from './usage-aggregates.ts';
import { USAGE_COLUMN_NAMES } from './usage-row.ts';

function marks(count: number): string {
  return Array.from({ length: count }, () => '?').join(', ');
}

function upsert(table: keyof typeof AGGREGATES): string {
  const { keys, sums } = AGGREGATES[table];
  const columns = [...keys, ...sums];
  return (
    `insert into ${table} (${columns.join(', ')}) values (${marks(columns.length)}) ` +
    `on conflict (${keys.join(', ')}) do update set ${additions(table, sums)}`
  );
}

const TOTAL_COLUMNS = [...AGGREGATES.usage_totals.keys, ...AGGREGATES.usage_totals.sums, 'last_at_ms'];

export const SQLITE_STATEMENTS = {
  state: 'select position, finished_at_ms from usage_segments where segment = ?',
  'begin-segment': 'insert into usage_segments (segment, writer, position) values (?, ?, 0) on conflict do nothing',
  move: 'update usage_segments set position = ?, finished_at_ms = ? where segment = ? and position = ? and finished_at_ms is null',
  'open-ids': 'select id from usage_open where writer = ?',
  'open-writers': 'select distinct writer from usage_open',
  'begin-open':
    'insert into usage_open (id, writer, line) select ?, ?, ? ' +
    'where not exists (select 1 from usage_events where id = ?) on conflict do nothing',
  'end-open': 'delete from usage_open where id = ?',
  'end-writer': 'delete from usage_open where writer = ? returning line',
  insert:
    `insert into usage_events (${USAGE_COLUMN_NAMES.join(', ')}) ` +
    `values (${marks(USAGE_COLUMN_NAMES.length)}) on conflict (id) do nothing`,
  event: `select ${USAGE_COLUMN_NAMES.join(', ')} from usage_events where id = ?`,
  'delete-event': 'delete from usage_events where id = ?',
  'delete-events':
    'delete from usage_events where id in (select id from usage_events where at_ms < ? order by at_ms limit ?)',
  'forget-segments': 'delete from usage_segments where finished_at_ms < ?',
  daily: upsert('usage_daily'),
  detail: upsert('usage_detail'),
  total:
    `insert into usage_totals (${TOTAL_COLUMNS.join(', ')}) values (${marks(TOTAL_COLUMNS.length)}) ` +
    `on conflict (kind, name) do update set ${additions('usage_totals', AGGREGATES.usage_totals.sums)}, ` +
    'last_at_ms = max(usage_totals.last_at_ms, excluded.last_at_ms)',
  // What budgets and /key/info show. A replaced key that still works spends its successor's.
  'spend-key':
    'update keys set spend_nano = spend_nano + ?1 ' +
    'where hash = coalesce((select successor_hash from retired_keys where hash = ?2), ?2)',
  'spend-user': 'update users set spend_nano = spend_nano + ?1 where user_id = ?2',
  'spend-team': 'update teams set spend_nano = spend_nano + ?1 where team_id = ?2',
  'spend-member': 'update team_members set spend_nano = spend_nano + ? where team_id = ? and user_id = ?',
  budget:
    'insert into budget_spend (name, node, end_ms, spend_nano, updated_at_ms) values (?, ?, ?, ?, ?) ' +
    'on conflict (name, node) do update set spend_nano = budget_spend.spend_nano + excluded.spend_nano, ' +
    'updated_at_ms = excluded.updated_at_ms',
} as const;

export type SqliteStatementName = keyof typeof SQLITE_STATEMENTS;
