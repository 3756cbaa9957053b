import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { describe, it, type TestContext } from 'node:test';
import pg from 'pg';
import { KeyPublisher } from '../../src/control/keys/key-publisher.ts';
import { LitellmKeys } from '../../src/control/keys/litellm-keys.ts';
import { StateStore } from '../../src/control/state-store.ts';
import { StoreKeeper } from '../../src/control/store/store-keeper.ts';
import { createLogger } from '../../src/runtime/logger.ts';
import { openTestStore, testStoreOptions } from '../store/test-store.ts';

const hashOf = (key: string): string => createHash('sha256').update(key).digest('hex');

/** The columns of LiteLLM's tables that mean something here, and some that do not. */
const TABLES = `
  create table "LiteLLM_VerificationToken" (
    token text primary key, key_name text, key_alias text, spend double precision default 0, expires timestamp(3),
    models text[], aliases jsonb default '{}', config jsonb default '{}', user_id text, team_id text,
    max_parallel_requests integer, metadata jsonb default '{}', blocked boolean, tpm_limit bigint, rpm_limit bigint,
    max_budget double precision, allowed_routes text[] default array[]::text[]);
  create table "LiteLLM_ModelTable" (id serial primary key, aliases jsonb, model_aliases jsonb);
  create table "LiteLLM_TeamTable" (
    team_id text primary key, team_alias text, models text[], tpm_limit bigint, rpm_limit bigint,
    max_parallel_requests integer, metadata jsonb default '{}', blocked boolean default false,
    model_id integer unique);
  create table "LiteLLM_UserTable" (
    user_id text primary key, user_alias text, models text[], tpm_limit bigint, rpm_limit bigint,
    max_parallel_requests integer, metadata jsonb default '{}');
  insert into "LiteLLM_ModelTable" (model_aliases) values ('{"fast": "gpt-small"}');
  insert into "LiteLLM_TeamTable" (team_id, team_alias, models, rpm_limit, model_id) values
    ('t', 'Team', '{gpt,claude}', 100, 1);
  insert into "LiteLLM_UserTable" (user_id, models, tpm_limit, metadata) values
    ('u', '{}', 9007199254740000, '{"model_rpm_limit": {"gpt": 2}}');
  insert into "LiteLLM_VerificationToken"
    (token, key_alias, expires, models, user_id, team_id, metadata, tpm_limit, rpm_limit) values
    ('${hashOf('a')}', 'A', '2030-01-02 03:04:05', '{gpt}', 'u', 't',
     '{"model_tpm_limit": {"gpt": 50}, "tags": ["x"]}', 1000, 10);
  insert into "LiteLLM_VerificationToken" (token, models, blocked) values ('${hashOf('blocked')}', '{}', true);`;

interface Litellm {
  readonly keys: LitellmKeys;
  readonly changed: string[];
  readonly sql: (text: string) => Promise<pg.QueryResult>;
}

async function openLitellm(t: TestContext, tables: string): Promise<Litellm> {
  const options = await testStoreOptions(t);
  // Our own tables are there too, in their schema.
  await openTestStore(t, options);
  const client = new pg.Client(options.databaseUrl ?? '');
  // The database is dropped before this ends.
  client.on('error', () => undefined);
  await client.connect();
  t.after(() => client.end());
  if (tables !== '') await client.query(tables);
  const changed: string[] = [];
  const keys = new LitellmKeys({
    databaseUrl: options.databaseUrl ?? '',
    connectTimeoutMs: 5000,
    logger: createLogger({ level: 'error', format: 'json', name: 'test', write: () => undefined }),
    onChange: (hashes) => changed.push(...hashes),
    recheckIntervalMs: 50,
  });
  t.after(() => keys.close());
  return { keys, changed, sql: (text) => client.query(text) };
}

describe("keys of LiteLLM's tables", () => {
  it('are found with their models, limits, expiry, team and user', async (t) => {
    const { keys } = await openLitellm(t, TABLES);
    const found = await keys.find(['a', 'blocked', 'nobody'].map(hashOf));
    assert.deepEqual([...found.keys()].sort(), ['a', 'blocked'].map(hashOf).sort());
    const record = found.get(hashOf('a'));
    assert.deepEqual(record?.models, ['gpt']);
    assert.deepEqual(record.aliases, { fast: 'gpt-small' });
    assert.deepEqual([record.alias, record.userId, record.teamId], ['A', 'u', 't']);
    assert.deepEqual([record.rpmLimit, record.tpmLimit, record.maxParallelRequests], [10, 1000, null]);
    assert.deepEqual(record.modelLimits, { gpt: { rpmLimit: null, tpmLimit: 50 } });
    assert.equal(record.teamLimits?.rpmLimit, 100);
    assert.deepEqual(record.userLimits?.modelLimits, { gpt: { rpmLimit: 2, tpmLimit: null } });
    assert.equal(record.userLimits.tpmLimit, 9_007_199_254_740_000);
    assert.equal(record.expiresAtMs, Date.UTC(2030, 0, 2, 3, 4, 5));
    assert.deepEqual(record.tags, ['x']);
    assert.equal(record.blocked, false);
    assert.equal(found.get(hashOf('blocked'))?.blocked, true);
  });

  it('that change there are told to be forgotten', async (t) => {
    const { keys, changed, sql } = await openLitellm(t, TABLES);
    await keys.find([hashOf('a'), hashOf('blocked')]);
    await sql(`update "LiteLLM_TeamTable" set blocked = true where team_id = 't'`);
    for (let waitedMs = 0; changed.length === 0 && waitedMs < 10_000; waitedMs += 20) {
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
    assert.deepEqual(changed, [hashOf('a')]);
    assert.equal((await keys.find([hashOf('a')])).get(hashOf('a'))?.blocked, true);
  });

  it('are read only: no row, table or schema but ours is made or changed', async (t) => {
    const { keys, sql } = await openLitellm(t, TABLES);
    const state = async (): Promise<unknown> => {
      const tables = await sql(`
        select schemaname, relname, n_tup_ins, n_tup_upd, n_tup_del from pg_stat_user_tables
        where schemaname <> 'slipstream' order by 1, 2`);
      const schemas = await sql(`select nspname from pg_namespace where nspname !~ '^pg_(toast|temp)' order by 1`);
      const rows = await sql('select * from "LiteLLM_VerificationToken" order by token');
      return [tables.rows, schemas.rows, rows.rows];
    };
    await sql('select pg_stat_force_next_flush()');
    const before = await state();
    await keys.find([hashOf('a')]);
    await sql('select pg_stat_force_next_flush()');
    assert.deepEqual(await state(), before);
  });

  it('are what a sidecar is told when it asks; those of the gateway come first', async (t) => {
    const options = await testStoreOptions(t);
    const store = await openTestStore(t, options);
    const client = new pg.Client(options.databaseUrl ?? '');
    client.on('error', () => undefined);
    await client.connect();
    await client.query(TABLES);
    await client.end();
    await store.keys.create({ hash: hashOf('blocked'), key_alias: 'ours' }, { changedBy: 'test', nowMs: 1 });
    const logger = createLogger({ level: 'error', format: 'json', name: 'test', write: () => undefined });
    const keeper = new StoreKeeper(options, logger);
    const publisher = new KeyPublisher({
      files: new StateStore(options.dataDirectory).keys,
      keeper,
      declared: { keys: [], owners: { users: new Map(), teams: new Map() } },
      settings: { maxResident: 10, readsLitellm: true },
      database: options,
      logger,
      send: () => undefined,
    });
    t.after(async () => {
      await publisher.close();
      await keeper.stop();
    });
    publisher.start();
    keeper.start();
    assert.equal((await publisher.find(hashOf('a')))?.alias, 'A');
    assert.equal((await publisher.find(hashOf('blocked')))?.alias, 'ours');
    assert.equal(await publisher.find(hashOf('nobody')), null);
    const { complete, count } = publisher.status;
    assert.deepEqual([complete, count], [false, 1], 'sidecars have to ask');
  });

  it('are none where LiteLLM was never', async (t) => {
    const { keys } = await openLitellm(t, '');
    assert.equal((await keys.find([hashOf('a')])).size, 0);
  });
});
