import assert from 'node:assert/strict';
import { test } from 'node:test';
import { sql } from 'kysely';
import { StoreError } from '../../src/control/store/store-error.ts';
import { actor, openTestStore, testStoreOptions } from './test-store.ts';

const hashOf = (index: number): string => index.toString(16).padStart(64, '0');

test('changes made at the same time by two gateways are read in their order, none is missed', async (t) => {
  const options = await testStoreOptions(t);
  const stores = [await openTestStore(t, options), await openTestStore(t, options)];
  const [first] = stores;
  const COUNT = 60;
  let isDone = false;
  const seen: number[] = [];
  const reading = (async () => {
    for (let last = 0; ;) {
      const wasDone = isDone;
      const { changes, isGap } = await first!.changes.readAfter(last, 7);
      assert.equal(isGap, false);
      for (const { sequence } of changes) seen.push(sequence);
      last = changes.at(-1)?.sequence ?? last;
      if (wasDone && changes.length === 0) return;
    }
  })();
  await Promise.all(
    Array.from({ length: COUNT }, (_, index) => stores[index % 2]!.keys.create({ hash: hashOf(index) }, actor())),
  );
  isDone = true;
  await reading;
  assert.equal(new Set(seen).size, COUNT);
  assert.deepEqual(
    seen,
    seen.toSorted((a, b) => a - b),
  );
});

test('a change that is not finished keeps those of other gateways from overtaking it', async (t) => {
  const options = await testStoreOptions(t);
  const [first, second] = [await openTestStore(t, options), await openTestStore(t, options)];
  const gate = Promise.withResolvers<void>();
  const entered = Promise.withResolvers<void>();
  const held = first.changes.run(actor(), async (scope) => {
    scope.announce('key', 'first');
    entered.resolve();
    await gate.promise;
  });
  await entered.promise;
  let isMade = false;
  const made = second.keys.create({ hash: hashOf(1) }, actor()).then(() => (isMade = true));
  await new Promise((resolve) => setTimeout(resolve, 150));
  assert.equal(isMade, false);
  gate.resolve();
  await Promise.all([held, made]);
  const { changes } = await second.changes.readAfter(0, 10);
  assert.deepEqual(
    changes.map((change) => change.object_id),
    ['first', hashOf(1)],
  );
});

test('listeners here are told after the change can be read', async (t) => {
  const { keys, changes } = await openTestStore(t);
  const told: Promise<unknown>[] = [];
  const stop = changes.onChange((sequence) => {
    told.push(changes.readAfter(sequence - 1, 1).then(({ changes: [change] }) => change?.object_id));
  });
  await keys.create({ hash: hashOf(1) }, actor());
  await keys.update(hashOf(9), { blocked: true }, actor()); // there is no such key: nothing changed
  stop();
  await keys.create({ hash: hashOf(2) }, actor());
  assert.deepEqual(await Promise.all(told), [hashOf(1)]);
});

test('who is behind what was removed has to read everything anew', async (t) => {
  const { keys, changes } = await openTestStore(t);
  for (let index = 1; index <= 5; index += 1) await keys.create({ hash: hashOf(index) }, actor(index));
  const gapAfter = async (sequence: number): Promise<boolean> => (await changes.readAfter(sequence, 10)).isGap;
  assert.equal(await gapAfter(0), false);
  await changes.prune(4);
  assert.deepEqual(await Promise.all([0, 2, 3, 4, 5].map(gapAfter)), [true, true, false, false, false]);
  await changes.prune(1000);
  assert.equal(await changes.lastSequence(), 5);
  assert.deepEqual(await Promise.all([3, 4, 5].map(gapAfter)), [true, false, false]);
  // A database put back from a backup knows less than who followed it.
  assert.equal(await gapAfter(6), true);
});

test('a change whose work fails leaves nothing: no row, no line, no number announced', async (t) => {
  const { changes, audit, keys, db } = await openTestStore(t);
  let told = 0;
  changes.onChange(() => (told += 1));
  const failing = changes.run(actor(), async (scope) => {
    await scope.trx.insertInto('retired_keys').values({ hash: 'x', successor_hash: 'y', valid_until_ms: 1 }).execute();
    scope.record({ action: 'created', kind: 'key', objectId: 'x', before: null, after: {} });
    throw new StoreError('failed', 'on purpose');
  });
  await assert.rejects(failing, /on purpose/);
  assert.equal((await db.selectFrom('retired_keys').selectAll().execute()).length, 0);
  assert.equal((await audit.list({}, { page: 1, size: 1 })).total, 0);
  assert.equal(told, 0);
  // And the next one is not held up by it.
  await keys.create({ hash: hashOf(1) }, actor());
  assert.equal(told, 1);
});

test('sums of money are exact beyond what a number holds; other integers must fit', async (t) => {
  const { keys, db } = await openTestStore(t);
  const half = 2n ** 61n + 1n;
  for (let index = 0; index < 3; index += 1) {
    await keys.create({ hash: hashOf(index), spend_nano: half, rpm_limit: 2 ** 40 }, actor());
  }
  const sums = await db
    .selectFrom('keys')
    .select(({ fn }) => [
      fn.sum<bigint>('spend_nano').as('total_nano'),
      fn.sum<number>('rpm_limit').as('requests'),
      fn.avg<number>('rpm_limit').as('average'),
      fn.countAll<number>().as('count'),
    ])
    .executeTakeFirst();
  assert.deepEqual(sums, { total_nano: half * 3n, requests: 3 * 2 ** 40, average: 2 ** 40, count: 3 });
  await assert.rejects(
    sql`select ${sql.lit(9007199254740993n)} as large`.execute(db),
    (error) => error instanceof StoreError && /too large/.test(error.message),
  );
});
