import assert from 'node:assert/strict';
import { statSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { MIGRATIONS } from '../../src/control/store/migrations/migrations.ts';
import { openStore } from '../../src/control/store/open-store.ts';
import { StoreError } from '../../src/control/store/store-error.ts';
import { actor, ENGINE, openTestStore, testStoreOptions } from './test-store.ts';

const HASH = 'a'.repeat(64);
const LATER = {
  number: MIGRATIONS.length + 1,
  name: 'of-a-later-version',
  up: async () => undefined,
};

test('what was stored is there after the store was closed and opened again', async (t) => {
  const options = await testStoreOptions(t);
  const first = await openStore(options);
  await first.keys.create({ hash: HASH }, actor());
  await first.close();
  const second = await openTestStore(t, options);
  assert.equal((await second.keys.find(HASH))?.hash, HASH);
  if (ENGINE === 'sqlite') {
    const mode = (name: string): number => statSync(join(options.dataDirectory, name)).mode & 0o777;
    for (const name of ['slipstream.db', 'slipstream.db-wal']) assert.equal(mode(name), 0o600, name);
  }
});

test('tables of a newer version are refused in clear words, and left as they are', async (t) => {
  const options = await testStoreOptions(t);
  await (await openStore({ ...options, migrations: [...MIGRATIONS, LATER] })).close();
  await assert.rejects(
    openStore(options),
    (error) =>
      error instanceof StoreError &&
      error.kind === 'newer-schema' &&
      error.message.startsWith(`the database has version ${LATER.number} of the tables, this program knows`),
  );
  await openTestStore(t, { ...options, migrations: [...MIGRATIONS, LATER] });
});

test('a migration that fails leaves nothing behind, and the next start tries it again', async (t) => {
  const options = await testStoreOptions(t);
  const half = {
    ...LATER,
    up: async (...[db]: Parameters<(typeof MIGRATIONS)[0]['up']>) => {
      await db.schema.createTable('half').addColumn('id', 'integer').execute();
      throw new StoreError('failed', 'on purpose');
    },
  };
  await assert.rejects(openStore({ ...options, migrations: [...MIGRATIONS, half] }), /on purpose/);
  const whole = {
    ...LATER,
    up: async (...[db]: Parameters<(typeof MIGRATIONS)[0]['up']>) => {
      await db.schema.createTable('half').addColumn('id', 'integer').execute();
    },
  };
  const store = await openTestStore(t, { ...options, migrations: [...MIGRATIONS, whole] });
  const versions = await store.db.selectFrom('schema_versions').select('number').orderBy('number').execute();
  assert.deepEqual(
    versions.map(({ number }) => number),
    [...MIGRATIONS.map(({ number }) => number), LATER.number],
  );
});

test('a database of the first version is brought to this one with all that is in it', async (t) => {
  const options = await testStoreOptions(t);
  const old = await openStore({ ...options, migrations: MIGRATIONS.slice(0, 1) });
  await old.db
    .insertInto('keys')
    .values({ hash: HASH, spend_nano: 5n, created_at_ms: 1, updated_at_ms: 1 } as never)
    .execute();
  await old.close();
  const store = await openTestStore(t, options);
  assert.equal((await store.keys.find(HASH))?.spend_nano, 5n);
  assert.ok(MIGRATIONS.every(({ number }, index) => number === index + 1));
});

test('several gateways that start at once migrate once', async (t) => {
  const options = await testStoreOptions(t);
  const stores = await Promise.all([1, 2, 3].map(() => openStore(options)));
  t.after(() => Promise.all(stores.map((store) => store.close())));
  for (const [index, store] of stores.entries()) {
    await store.keys.create({ hash: String(index).repeat(64) }, actor());
  }
  assert.equal(await stores[0]?.keys.count(), 3);
});
