import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test, type TestContext } from 'node:test';
import { sql } from 'kysely';
import pg from 'pg';
import { openStore } from '../../src/control/store/open-store.ts';
import type { Store } from '../../src/control/store/store.ts';
import { StoreError } from '../../src/control/store/store-error.ts';
import { StoreKeeper } from '../../src/control/store/store-keeper.ts';
import { createLogger } from '../../src/runtime/logger.ts';
import { type PostgresServer, startPostgres } from '../support/postgres-server.ts';
import { actor, openTestStore, runSql, testStoreOptions } from '../store/test-store.ts';

const hashOf = (index: number): string => index.toString(16).padStart(64, '0');

/** One of its own, to be stopped and started. */
function ownServer(t: TestContext): PostgresServer {
  const server = startPostgres();
  t.after(() => server.remove());
  return server;
}

test('nothing outside the schema slipstream is made, changed or read, whatever the search path', async (t) => {
  const options = await testStoreOptions(t);
  const url = options.databaseUrl ?? '';
  await runSql(url, 'create table public.keys (mine text); create table public.changes (mine text)');
  await runSql(url, `alter database ${new URL(url).pathname.slice(1)} set search_path = public`);
  const listing = `select table_schema || '.' || table_name as name from information_schema.tables
    where table_schema not in ('pg_catalog', 'information_schema', 'slipstream') order by 1`;
  const before = (await runSql(url, listing)).rows as unknown[];
  const store = await openTestStore(t, options);
  await store.teams.create({ team_id: 't' }, [{ user_id: 'u', role: 'user' }], actor());
  await store.keys.create({ hash: hashOf(1), team_id: 't' }, actor());
  await store.teams.list({ userId: 'u' }, { page: 1, size: 1 });
  await store.users.list({ teamId: 't' }, { page: 1, size: 1 });
  await store.teams.delete(['t'], actor());
  assert.deepEqual((await runSql(url, listing)).rows, before);
  assert.equal(before.length, 2);
  for (const table of ['keys', 'changes']) {
    assert.deepEqual((await runSql(url, `select * from public.${table}`)).rows, []);
  }
});

test('another gateway hears of a change when it can be read, and not of one that was undone', async (t) => {
  const options = await testStoreOptions(t);
  const store = await openTestStore(t, options);
  const listener = new pg.Client(options.databaseUrl ?? '');
  await listener.connect();
  const heard: (string | undefined)[] = [];
  listener.on('notification', ({ payload }) => heard.push(payload));
  await listener.query('listen slipstream_changes');
  await store.keys.create({ hash: hashOf(1) }, actor());
  await assert.rejects(store.keys.create({ hash: hashOf(1) }, actor()));
  await store.keys.delete([hashOf(1)], actor());
  while (heard.length < 2) await listener.query('select 1');
  await listener.end();
  const { changes } = await store.changes.readAfter(0, 10);
  assert.deepEqual(
    heard,
    changes.map(({ sequence }) => String(sequence)),
  );
});

test('a server that is away does not keep the keeper from starting; it is found when it comes, and again', async (t) => {
  const server = ownServer(t);
  server.stop();
  const lines: string[] = [];
  const logger = createLogger({ level: 'info', format: 'json', name: 'test', write: (line) => lines.push(line) });
  const keeper = new StoreKeeper({ dataDirectory: '', databaseUrl: server.url }, logger);
  t.after(() => keeper.stop());
  keeper.start();
  while (keeper.status.state === 'opening') await new Promise((resolve) => setTimeout(resolve, 10));
  assert.equal(keeper.status.state, 'unavailable');
  assert.throws(() => keeper.require(), StoreError);
  server.start();
  const store = await new Promise<Store>((resolve) => keeper.onOpen(resolve));
  await store.keys.create({ hash: hashOf(1) }, actor());
  // Connections that break, idle ones and one in the middle of a transaction, end nothing but their own work.
  const broken = store.changes.run(actor(), async ({ trx }) => {
    server.stop();
    await trx.selectFrom('keys').select('hash').execute();
  });
  const isAway = (error: unknown): boolean => error instanceof StoreError && error.kind === 'unavailable';
  await assert.rejects(broken, isAway);
  await assert.rejects(store.keys.count(), isAway);
  server.start();
  assert.equal(await store.keys.count(), 1);
  assert.equal(keeper.store, store);
});

test('a gateway that stops in the middle of a change does not keep the others from theirs for ever', async (t) => {
  const { db } = await openTestStore(t);
  const { rows } = await sql<{
    limit: string;
  }>`select current_setting('idle_in_transaction_session_timeout') as limit`.execute(db);
  assert.deepEqual(rows, [{ limit: '15s' }]);
});

test('a connection string that is none, or of a user without rights, is told without its password', async (t) => {
  const options = await testStoreOptions(t);
  const url = new URL(options.databaseUrl ?? '');
  await runSql(url.href, `drop role if exists stranger_${process.pid}; create role stranger_${process.pid} login`);
  t.after(() => runSql(process.env['TEST_POSTGRES_URL'] ?? '', `drop role stranger_${process.pid}`));
  url.username = `stranger_${process.pid}`;
  url.password = 'very-secret';
  const told = async (databaseUrl: string): Promise<string> => {
    const error: unknown = await openStore({ ...options, databaseUrl }).then(
      (store) => store.close(),
      (reason: unknown) => reason,
    );
    assert.ok(error instanceof StoreError);
    return error.message;
  };
  assert.match(await told(url.href), /permission denied for database/);
  assert.match(await told('mysql://user:very-secret@host/db'), /^database_url is not of the form postgresql:/);
  url.pathname = '/no_such_database';
  assert.match(await told(url.href), /database "no_such_database" does not exist/);
});

test('pg_dump of the schema, and its restore into an empty database, bring everything back', async (t) => {
  const source = await testStoreOptions(t);
  const target = await testStoreOptions(t);
  const store = await openTestStore(t, source);
  await store.teams.create({ team_id: 'team' }, [{ user_id: 'ann', role: 'admin' }], actor());
  const key = await store.keys.create({ hash: hashOf(1), spend_nano: 2n ** 60n, metadata: { a: [1] } }, actor());
  const directory = mkdtempSync(join(tmpdir(), 'slipstream-dump-'));
  t.after(() => rmSync(directory, { recursive: true, force: true }));
  const file = join(directory, 'backup.dump');
  // The commands of docs/store.md.
  run('pg_dump', '--format=custom', '--schema=slipstream', `--file=${file}`, source.databaseUrl ?? '');
  run('pg_restore', '--no-owner', '--exit-on-error', `--dbname=${target.databaseUrl}`, file);
  const restored = await openTestStore(t, target);
  assert.deepEqual(await restored.keys.find(hashOf(1)), key);
  assert.equal((await restored.teams.members('team'))[0]?.role, 'admin');
  // What is counted goes on where it was.
  const before = await restored.changes.lastSequence();
  await restored.keys.create({ hash: hashOf(2) }, actor());
  assert.equal(await restored.changes.lastSequence(), before + 1);
});

function run(program: string, ...args: string[]): void {
  execFileSync(join(process.env['TEST_POSTGRES_PROGRAMS'] ?? '', program), args, { stdio: 'pipe' });
}
