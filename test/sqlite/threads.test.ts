import assert from 'node:assert/strict';
import { monitorEventLoopDelay } from 'node:perf_hooks';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test, type TestContext } from 'node:test';
import { DatabaseSync } from 'node:sqlite';
import { sql } from 'kysely';
import { openStore } from '../../src/control/store/open-store.ts';
import type { Store } from '../../src/control/store/store.ts';
import { StoreError } from '../../src/control/store/store-error.ts';
import { StoreKeeper } from '../../src/control/store/store-keeper.ts';
import { createLogger } from '../../src/runtime/logger.ts';

const hashOf = (index: number): string => index.toString(16).padStart(64, '0');
const ACTOR = { changedBy: 'master key', nowMs: 1 };
/** Of rows counted by SQLite; about half a second. */
const SLOW = 'with recursive n(i) as (select 1 union all select i + 1 from n where i < 4000000) select count(*) from n';

function dataDirectory(t: TestContext): string {
  const directory = mkdtempSync(join(tmpdir(), 'slipstream-sqlite-'));
  t.after(() => rmSync(directory, { recursive: true, force: true }));
  return directory;
}

async function open(t: TestContext, directory = dataDirectory(t)): Promise<Store> {
  const store = await openStore({ dataDirectory: directory, databaseUrl: null });
  t.after(() => store.close());
  return store;
}

/** How many of `work` end one after another while `slow` lasts, and the longest that the loop stood still meanwhile. */
async function during(
  slow: Promise<unknown>,
  work: (index: number) => Promise<unknown>,
): Promise<{ count: number; tookMs: number; stoodStillMs: number }> {
  const startedAt = performance.now();
  const delay = monitorEventLoopDelay({ resolution: 5 });
  delay.enable();
  const over: number[] = [];
  const ended = slow.then(() => over.push(performance.now() - startedAt));
  let count = 0;
  for (; over.length === 0; count += 1) await work(count);
  await ended;
  delay.disable();
  return { count, tookMs: over[0] ?? 0, stoodStillMs: delay.max / 1e6 };
}

test('a slow query of the reader holds up neither writes nor the event loop', async (t) => {
  const store = await open(t);
  const slow = sql.raw(`select * from (${SLOW})`).execute(store.db);
  const { count, tookMs, stoodStillMs } = await during(slow, (index) =>
    store.keys.create({ hash: hashOf(index) }, ACTOR),
  );
  assert.ok(count > 20, `${count} writes in ${tookMs} ms`);
  assert.ok(stoodStillMs < tookMs / 3, `the loop stood still for ${stoodStillMs} of ${tookMs} ms`);
});

test('a slow write holds up neither reads nor the event loop', async (t) => {
  const store = await open(t);
  await store.keys.create({ hash: hashOf(1) }, ACTOR);
  const slow = sql.raw(`insert into retired_keys select 'a', 'b', (${SLOW})`).execute(store.db);
  const { count, tookMs, stoodStillMs } = await during(slow, () => store.keys.find(hashOf(1)));
  assert.ok(count > 100, `${count} reads in ${tookMs} ms`);
  assert.ok(stoodStillMs < tookMs / 3, `the loop stood still for ${stoodStillMs} of ${tookMs} ms`);
});

test('transactions are on the disk when they are answered; the rest, usage above all, when it suits', async (t) => {
  const { db } = await open(t);
  const synchronous = async (on: Store['db']): Promise<unknown> => (await sql`pragma synchronous`.execute(on)).rows;
  const [normal, full] = [[{ synchronous: 1 }], [{ synchronous: 2 }]];
  assert.deepEqual(await synchronous(db), normal);
  assert.deepEqual(await db.transaction().execute(synchronous), full);
  assert.deepEqual(await synchronous(db), normal);
  await assert.rejects(db.transaction().execute(() => Promise.reject(new StoreError('failed', 'on purpose'))));
  assert.deepEqual(await synchronous(db), normal);
});

test('writes wait for a lock that another process holds', async (t) => {
  const directory = dataDirectory(t);
  const store = await open(t, directory);
  const other = new DatabaseSync(join(directory, 'slipstream.db'));
  t.after(() => other.close());
  other.exec('BEGIN IMMEDIATE');
  let isMade = false;
  const made = store.keys.create({ hash: hashOf(1) }, ACTOR).then(() => (isMade = true));
  assert.equal(await store.keys.count(), 0);
  await new Promise((resolve) => setTimeout(resolve, 100));
  assert.equal(isMade, false);
  other.exec('ROLLBACK');
  await made;
  assert.equal(await store.keys.count(), 1);
});

test('what is no database is said, and the keeper opens the store once it is gone', async (t) => {
  const directory = dataDirectory(t);
  const path = join(directory, 'slipstream.db');
  writeFileSync(path, 'this is no database at all, however long it is'.repeat(100));
  const lines: string[] = [];
  const logger = createLogger({ level: 'info', format: 'json', name: 'test', write: (line) => lines.push(line) });
  const keeper = new StoreKeeper({ dataDirectory: directory, databaseUrl: null }, logger);
  t.after(() => keeper.stop());
  keeper.start();
  while (keeper.status.state === 'opening') await new Promise((resolve) => setTimeout(resolve, 5));
  const { engine, state, reason } = keeper.status;
  assert.deepEqual([engine, state], ['sqlite', 'unavailable']);
  assert.match(reason ?? '', /slipstream\.db cannot be used: file is not a database/);
  assert.throws(
    () => keeper.require(),
    (error) => error instanceof StoreError && error.kind === 'unavailable',
  );
  rmSync(path);
  const store = await new Promise<Store>((resolve) => keeper.onOpen(resolve));
  assert.equal(await store.keys.count(), 0);
  assert.equal(keeper.status.state, 'open');
  assert.equal(lines.filter((line) => line.includes('store unavailable')).length, 1);
});

test('a thread that dies of a result too large is replaced; who waited for it is told', async (t) => {
  const lines: string[] = [];
  const logger = createLogger({ level: 'info', format: 'json', name: 'test', write: (line) => lines.push(line) });
  const keeper = new StoreKeeper({ dataDirectory: dataDirectory(t), databaseUrl: null }, logger);
  t.after(() => keeper.stop());
  keeper.start();
  const first = await new Promise<Store>((resolve) => keeper.onOpen(resolve));
  await first.keys.create({ hash: hashOf(1) }, ACTOR);
  const second = new Promise<Store>((resolve) => keeper.onOpen((store) => store !== first && resolve(store)));
  const large =
    'with recursive n(i) as (select 1 union all select i + 1 from n where i < 2000) select i, hex(zeroblob(250000)) as x from n';
  await assert.rejects(
    sql.raw(`select * from (${large})`).execute(first.db),
    (error) => error instanceof StoreError && error.kind === 'unavailable' && /memory/.test(error.message),
  );
  assert.equal((await (await second).keys.find(hashOf(1)))?.hash, hashOf(1));
});

test('a full disk refuses changes whole, keeps reads, and is forgotten when there is room', async (t) => {
  const store = await open(t);
  await store.keys.create({ hash: hashOf(1) }, ACTOR);
  const pages = async (limit: string): Promise<void> => {
    await sql.raw(`pragma max_page_count${limit}`).execute(store.db);
  };
  await pages(' = 1'); // no more than there are
  const isFull = (error: unknown): boolean => error instanceof StoreError && error.kind === 'unavailable';
  const large = { hash: hashOf(2), metadata: { text: 'x'.repeat(100_000) } };
  await assert.rejects(store.keys.create(large, ACTOR), isFull);
  assert.equal(await store.keys.count(), 1);
  await pages(' = 1000000');
  await store.keys.create(large, ACTOR);
  assert.deepEqual(
    (await store.changes.readAfter(0, 9)).changes.map((change) => change.object_id),
    [hashOf(1), hashOf(2)],
  );
});
