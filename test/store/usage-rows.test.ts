import assert from 'node:assert/strict';
import { test } from 'node:test';
import { sql } from 'kysely';
import { fillUsage } from '../../bench/usage-rows.ts';
import { SUM_COLUMNS, UsageDeltas } from '../../src/control/ingest/usage-deltas.ts';
import { openTestStore } from './test-store.ts';

const CATALOGUE = {
  sqlite: `select name, sql from sqlite_master where type = 'index' order by name`,
  postgres: `select indexname, indexdef from pg_indexes where schemaname = 'slipstream' order by indexname`,
} as const;
const OWNERS = Array.from(
  { length: 10 },
  (_none, rank) => [`key-${rank}`, `user-${rank % 3}`, `team-${rank % 2}`] as const,
);

test('generated rows are as many as are wanted, and add up to what ingestion would make of them', async (t) => {
  const store = await openTestStore(t);
  const indexes = async (): Promise<unknown[]> => (await sql.raw(CATALOGUE[store.engine]).execute(store.db)).rows;
  const before = await indexes();
  const untilMs = Date.parse('2026-03-10T12:00:00Z');
  await fillUsage(store, { rows: 2000, days: 3, untilMs, owners: OWNERS }, () => {});
  assert.deepEqual(await indexes(), before);
  const rows = await store.db.selectFrom('usage_events').selectAll().execute();
  assert.equal(rows.length, 2000);
  assert.ok(rows.every(({ at_ms: at }) => at < untilMs && at >= untilMs - 3 * 86_400_000));
  const deltas = new UsageDeltas();
  for (const row of rows) deltas.add({ ...row, spend_nano: Number(row.spend_nano) });
  const textOf = (row: object, names: readonly string[]): string =>
    names.map((name) => String((row as Record<string, unknown>)[name])).join(' ');
  const compare = (there: readonly object[], wanted: readonly object[], names: readonly string[]): void => {
    const texts = (list: readonly object[]): string[] => list.map((row) => textOf(row, names)).sort();
    assert.deepEqual(texts(there), texts(wanted));
  };
  const daily = await store.db.selectFrom('usage_daily').selectAll().execute();
  compare(daily, deltas.daily(), ['day', 'kind', 'name', ...SUM_COLUMNS]);
  const detail = await store.db.selectFrom('usage_detail').selectAll().execute();
  const parts = ['day', 'api_key', 'user_id', 'team_id', 'model', 'model_group', 'provider'];
  compare(detail, deltas.detail(), [...parts, ...SUM_COLUMNS]);
  const totals = await store.db.selectFrom('usage_totals').selectAll().execute();
  compare(totals, deltas.totals(), ['kind', 'name', 'requests', 'tokens', 'spend_nano']);
  const first = daily
    .filter(({ kind, name }) => kind === 'key' && name === 'key-0')
    .reduce((sum, row) => sum + row.requests, 0);
  assert.ok(first > 2000 / 5 && first < 2000 / 2, `by Zipf the first of ten keys has a third: ${first}`);
});
