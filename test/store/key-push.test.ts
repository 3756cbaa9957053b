import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, it, type TestContext } from 'node:test';
import type { KeyChangesMessage, ToSidecar } from '../../src/contract/control-messages.ts';
import type { KeyRecord } from '../../src/contract/key-record.ts';
import type { Snapshot } from '../../src/contract/snapshot.ts';
import type { DeclaredKeys } from '../../src/control/config/compile-keys.ts';
import type { KeyGrant } from '../../src/control/keys/fold-key.ts';
import { KeyPublisher } from '../../src/control/keys/key-publisher.ts';
import { StateStore } from '../../src/control/state-store.ts';
import type { StoreOptions } from '../../src/control/store/open-store.ts';
import type { Store } from '../../src/control/store/store.ts';
import { StoreKeeper } from '../../src/control/store/store-keeper.ts';
import { createLogger } from '../../src/runtime/logger.ts';
import { until } from '../control/control-harness.ts';
import { actor, openTestStore, testStoreOptions } from './test-store.ts';

const NOTHING: DeclaredKeys = { keys: [], owners: { users: new Map(), teams: new Map() } };

function hashOf(name: string): string {
  return createHash('sha256').update(name).digest('hex');
}

interface Gateway {
  readonly publisher: KeyPublisher;
  readonly messages: ToSidecar[];
  readonly directory: string;
  /** What a sidecar that follows knows of a key; undefined: nothing. */
  known(name: string): KeyRecord | null | undefined;
  close(): Promise<void>;
}

interface GatewaySettings {
  readonly declared?: DeclaredKeys;
  readonly maxResident?: number;
  readonly directory?: string;
}

/** The part of a control plane that tells sidecars of keys, with a data directory of its own. */
async function startGateway(t: TestContext, store: StoreOptions, settings: GatewaySettings = {}): Promise<Gateway> {
  const directory = settings.directory ?? mkdtempSync(join(tmpdir(), 'slipstream-push-'));
  t.after(() => rmSync(directory, { recursive: true, force: true }));
  const logger = createLogger({ level: 'error', format: 'json', name: 'test', write: () => undefined });
  const keeper = new StoreKeeper(store, logger);
  const messages: ToSidecar[] = [];
  const state = new StateStore(directory);
  // Keys are loaded only beside a snapshot.
  state.saveSnapshot({ version: 'test' } as Snapshot);
  const publisher = new KeyPublisher({
    files: state.keys,
    keeper,
    declared: settings.declared ?? NOTHING,
    settings: { maxResident: settings.maxResident ?? 1000, readsLitellm: false },
    database: store,
    logger,
    send: (message) => messages.push(message),
  });
  publisher.start();
  keeper.start();
  let isClosed = false;
  const close = async (): Promise<void> => {
    if (isClosed) return;
    isClosed = true;
    await publisher.close();
    await keeper.stop();
  };
  t.after(close);
  await publisher.find(hashOf('whatever, once all has been read'));
  const known = (name: string): KeyRecord | null | undefined => {
    const changes = messages.filter((message): message is KeyChangesMessage => message.type === 'key-changes');
    return changes.flatMap((message) => message.changes).findLast(({ hash }) => hash === hashOf(name))?.record;
  };
  return { publisher, messages, directory, known, close };
}

async function within1s(condition: () => boolean): Promise<void> {
  const startedAtMs = performance.now();
  await until(condition);
  const tookMs = performance.now() - startedAtMs;
  assert.ok(tookMs < 1000, `took ${Math.round(tookMs)} ms`);
}

function keyOf(name: string, fields: object = {}): Parameters<Store['keys']['create']>[0] {
  return { hash: hashOf(name), key_alias: name, ...fields };
}

function declaredKey(name: string, fields: Partial<KeyGrant> = {}): KeyGrant {
  return {
    hash: hashOf(name),
    alias: name,
    userId: null,
    teamId: null,
    models: [],
    aliases: {},
    allowedRoutes: [],
    rpmLimit: null,
    tpmLimit: null,
    maxParallelRequests: null,
    modelLimits: {},
    expiresAtMs: null,
    blocked: false,
    ...fields,
  };
}

describe('a change made by another gateway', () => {
  it('of a key reaches this one within a second: made, limited, blocked, deleted', async (t) => {
    const options = await testStoreOptions(t);
    const other = await openTestStore(t, options);
    const gateway = await startGateway(t, options);
    await other.keys.create(keyOf('a'), actor());
    await within1s(() => gateway.known('a')?.alias === 'a');
    await other.keys.update(hashOf('a'), { rpm_limit: 7, models: ['m'] }, actor());
    await within1s(() => gateway.known('a')?.rpmLimit === 7);
    await other.keys.setBlocked(hashOf('a'), true, actor());
    await within1s(() => gateway.known('a')?.blocked === true);
    await other.keys.delete([hashOf('a')], actor());
    await within1s(() => gateway.known('a') === null);
    assert.equal(await gateway.publisher.find(hashOf('a')), null);
  });

  it('that nobody announces, as behind PgBouncer, reaches this one all the same', async (t) => {
    const options = await testStoreOptions(t);
    const other = await openTestStore(t, options);
    await other.keys.create(keyOf('a'), actor());
    const gateway = await startGateway(t, options);
    for (const limit of [1, 2, 3]) {
      await other.db.transaction().execute(async (trx) => {
        await trx.updateTable('keys').set({ rpm_limit: limit }).where('hash', '=', hashOf('a')).execute();
        await trx
          .insertInto('changes')
          .values({ kind: 'key', object_id: hashOf('a'), at_ms: 1 })
          .execute();
      });
      await within1s(() => gateway.known('a')?.rpmLimit === limit);
    }
  });

  it('of a team or user reaches all their keys', async (t) => {
    const options = await testStoreOptions(t);
    const other = await openTestStore(t, options);
    await other.teams.create({ team_id: 't' }, [], actor());
    await other.users.create({ user_id: 'u' }, actor());
    for (const name of ['a', 'b']) await other.keys.create(keyOf(name, { team_id: 't' }), actor());
    await other.keys.create(keyOf('c', { user_id: 'u' }), actor());
    const declared = { ...NOTHING, keys: [declaredKey('of-file', { teamId: 't' })] };
    const gateway = await startGateway(t, options, { declared });
    await other.teams.update('t', { blocked: true, tpm_limit: 9 }, actor());
    await within1s(() => ['a', 'b', 'of-file'].every((name) => gateway.known(name)?.teamLimits?.tpmLimit === 9));
    assert.ok(['a', 'b', 'of-file'].every((name) => gateway.known(name)?.blocked === true));
    await other.users.update('u', { models: ['only'] }, actor());
    await within1s(() => gateway.known('c')?.models[0] === 'only');
    await other.teams.delete(['t'], actor());
    await within1s(() => gateway.known('a') === null && gateway.known('b') === null);
  });

  it('of a key that the file declares changes nothing', async (t) => {
    const options = await testStoreOptions(t);
    const other = await openTestStore(t, options);
    const declared = { ...NOTHING, keys: [declaredKey('a', { rpmLimit: 3 })] };
    const gateway = await startGateway(t, options, { declared });
    await other.keys.create(keyOf('a', { blocked: true }), actor());
    await other.keys.create(keyOf('b'), actor());
    await within1s(() => gateway.known('b') !== undefined);
    const record = await gateway.publisher.find(hashOf('a'));
    assert.deepEqual([record?.rpmLimit, record?.blocked], [3, false]);
    // The file lets go of it: the store's counts.
    gateway.publisher.setDeclared(NOTHING);
    await within1s(() => gateway.known('a')?.blocked === true);
  });

  it('an old key follows the one that replaced it', async (t) => {
    const options = await testStoreOptions(t);
    const other = await openTestStore(t, options);
    await other.keys.create(keyOf('old'), actor());
    const gateway = await startGateway(t, options);
    const graceUntilMs = Date.now() + 3600_000;
    await other.keys.rotate({ hash: hashOf('old'), newHash: hashOf('new'), changes: {}, graceUntilMs }, actor());
    await within1s(() => gateway.known('old')?.hash === hashOf('new'));
    assert.equal(gateway.known('old')?.expiresAtMs, graceUntilMs);
    await other.keys.setBlocked(hashOf('new'), true, actor());
    await within1s(() => gateway.known('old')?.blocked === true);
  });
});

describe('what is told', () => {
  it('is in sequence, and on disk for a control plane and a sidecar that start without a database', async (t) => {
    const options = await testStoreOptions(t);
    const store = await openTestStore(t, options);
    for (const name of ['a', 'b']) await store.keys.create(keyOf(name), actor());
    const first = await startGateway(t, options);
    await store.keys.delete([hashOf('a')], actor());
    await store.keys.create(keyOf('c'), actor());
    await within1s(() => first.known('c') !== undefined);
    const changes = first.messages.filter((message) => message.type === 'key-changes');
    for (const [index, message] of changes.entries()) {
      assert.equal(message.toSequence, message.fromSequence + 1);
      if (index > 0) assert.equal(message.fromSequence, changes[index - 1]?.toSequence);
    }
    await first.close();
    const loaded = new StateStore(first.directory).keys.load();
    assert.deepEqual(
      loaded?.changes.slice(-2).map(({ hash, record }) => [hash, record?.alias]),
      [
        [hashOf('a'), undefined],
        [hashOf('c'), 'c'],
      ],
    );
    assert.equal(loaded?.sequence, changes.at(-1)?.toSequence);
  });

  it('beyond the keys that sidecars hold, is asked for, and forgotten when it changes', async (t) => {
    const options = await testStoreOptions(t);
    const store = await openTestStore(t, options);
    for (let n = 0; n < 5; n += 1) await store.keys.create(keyOf(`k${n}`), actor());
    const gateway = await startGateway(t, options, { maxResident: 3 });
    assert.equal(gateway.publisher.status.complete, false);
    assert.equal(gateway.publisher.status.count, 3);
    for (let n = 0; n < 5; n += 1) assert.equal((await gateway.publisher.find(hashOf(`k${n}`)))?.alias, `k${n}`);
    assert.equal(await gateway.publisher.find(hashOf('none')), null);
    for (let n = 0; n < 5; n += 1) await store.keys.setBlocked(hashOf(`k${n}`), true, actor());
    const isTold = (n: number): boolean => gateway.known(`k${n}`) === null || gateway.known(`k${n}`)?.blocked === true;
    await within1s(() => [0, 1, 2, 3, 4].every(isTold));
    assert.equal([0, 1, 2, 3, 4].filter((n) => gateway.known(`k${n}`) === null).length, 2);
    for (let n = 0; n < 5; n += 1) assert.equal((await gateway.publisher.find(hashOf(`k${n}`)))?.blocked, true);
  });

  it('when the keys no longer fit: a directory that is not complete', async (t) => {
    const options = await testStoreOptions(t);
    const store = await openTestStore(t, options);
    const gateway = await startGateway(t, options, { maxResident: 1 });
    await store.keys.create(keyOf('a'), actor());
    await within1s(() => gateway.known('a') !== undefined);
    assert.equal(gateway.publisher.status.complete, true);
    await store.keys.create(keyOf('b'), actor());
    await within1s(() => gateway.messages.at(-1)?.type === 'key-directory');
    assert.equal(gateway.publisher.status.complete, false);
    assert.equal((await gateway.publisher.find(hashOf('b')))?.alias, 'b');
  });
});
