import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import pg from 'pg';
import { openStore, type StoreOptions } from '../../src/control/store/open-store.ts';
import type { Store } from '../../src/control/store/store.ts';
import type { StoreEngine } from '../../src/control/store/store-engine.ts';
import type { Actor } from '../../src/control/store/change-log.ts';

const postgresUrl = process.env['TEST_POSTGRES_URL'];

/** The engine that this run of the contract suite is about: SQLite, unless a server was started for it. */
export const ENGINE: StoreEngine = postgresUrl === undefined ? 'sqlite' : 'postgres';

let databases = 0;

/** Options for a database of this test alone; it is gone when the test is over. */
export async function testStoreOptions(t: TestContext): Promise<StoreOptions> {
  const dataDirectory = mkdtempSync(join(tmpdir(), 'slipstream-store-'));
  t.after(() => rmSync(dataDirectory, { recursive: true, force: true }));
  if (postgresUrl === undefined) return { dataDirectory, databaseUrl: null };
  databases += 1;
  const name = `test_${process.pid}_${databases}`;
  await runSql(postgresUrl, `create database ${name}`);
  t.after(() => runSql(postgresUrl, `drop database ${name} with (force)`));
  const url = new URL(postgresUrl);
  url.pathname = `/${name}`;
  return { dataDirectory, databaseUrl: url.href };
}

export async function openTestStore(t: TestContext, options?: StoreOptions): Promise<Store> {
  const store = await openStore(options ?? (await testStoreOptions(t)));
  t.after(() => store.close());
  return store;
}

/** Changes made by the test, at the moment given. */
export function actor(nowMs = 1_000): Actor {
  return { changedBy: 'master key', nowMs };
}

/** With a connection of its own, past everything that the store does. */
export async function runSql(url: string, sql: string): Promise<pg.QueryResult> {
  const client = new pg.Client(url);
  await client.connect();
  try {
    return await client.query(sql);
  } finally {
    await client.end();
  }
}
