import assert from 'node:assert/strict';
import { test } from 'node:test';
import { isConflict } from '../../src/control/store/store-error.ts';
import { actor, openTestStore } from './test-store.ts';

const HASH = 'a'.repeat(64);
const OTHER = 'b'.repeat(64);

test('a key has the defaults of its table, and every column is read as it was written', async (t) => {
  const { keys } = await openTestStore(t);
  assert.deepEqual(await keys.create({ hash: HASH }, actor(5)), {
    hash: HASH,
    key_name: null,
    key_alias: null,
    user_id: null,
    team_id: null,
    organization_id: null,
    project_id: null,
    agent_id: null,
    aliases: {},
    allowed_routes: [],
    budget_limits: [],
    temp_budget_increase_nano: null,
    temp_budget_expiry_ms: null,
    key_type: null,
    expires_at_ms: null,
    models: [],
    metadata: {},
    tags: [],
    blocked: false,
    extra: {},
    rpm_limit: null,
    tpm_limit: null,
    max_parallel_requests: null,
    model_rpm_limit: {},
    model_tpm_limit: {},
    spend_nano: 0n,
    max_budget_nano: null,
    soft_budget_nano: null,
    budget_duration: null,
    budget_reset_at_ms: null,
    model_max_budget: {},
    created_at_ms: 5,
    updated_at_ms: 5,
    created_by: 'master key',
    updated_by: 'master key',
  });
  const full = {
    hash: OTHER,
    key_name: 'sk-...abcd',
    key_alias: "O'Brien — ключ 🔑",
    user_id: 'user-1',
    team_id: 'team-1',
    organization_id: 'org-1',
    project_id: 'project-1',
    agent_id: 'agent-1',
    aliases: { fast: 'gpt-4o-mini' },
    allowed_routes: ['/v1/chat/completions', 'llm_api_routes'],
    budget_limits: [{ budget_duration: '1d', max_budget: 0.5 }],
    temp_budget_increase_nano: 2n ** 60n + 1n,
    temp_budget_expiry_ms: 1_800_000_000_000,
    key_type: 'llm_api',
    expires_at_ms: 1_900_000_000_123,
    models: ['openai/*', 'all-team-models'],
    metadata: { note: 'null \u2028 "quoted"', list: [1, null, { deep: true }], ключ: -0.5 },
    tags: ['prod', '["not json"]'],
    blocked: true,
    extra: { permissions: { allow: [] } },
    rpm_limit: 0,
    tpm_limit: 2 ** 31,
    max_parallel_requests: 7,
    model_rpm_limit: { 'gpt-4o': 5 },
    model_tpm_limit: { 'gpt-4o': 0 },
    spend_nano: -(2n ** 62n),
    max_budget_nano: 0n,
    soft_budget_nano: 2n ** 53n + 1n,
    budget_duration: '1mo',
    budget_reset_at_ms: 1_700_000_000_001,
    model_max_budget: { 'gpt-4o': { budget_limit: '0.01', time_period: '1d' } },
    created_by: 'user-1',
    updated_by: null,
  };
  await keys.create(full, actor(6));
  assert.deepEqual(await keys.find(OTHER), { ...full, created_at_ms: 6, updated_at_ms: 6 });
  assert.deepEqual((await keys.findByAlias(full.key_alias))?.hash, OTHER);
  assert.equal(await keys.find('c'.repeat(64)), null);
  assert.deepEqual((await keys.findMany([HASH, OTHER, 'x'])).map(({ hash }) => hash).sort(), [HASH, OTHER]);
});

test('two keys have neither the hash nor the alias in common; no alias is no alias', async (t) => {
  const { keys, audit } = await openTestStore(t);
  await keys.create({ hash: HASH, key_alias: 'one' }, actor());
  await assert.rejects(keys.create({ hash: HASH }, actor()), isConflict);
  await assert.rejects(keys.create({ hash: OTHER, key_alias: 'one' }, actor()), isConflict);
  await keys.create({ hash: OTHER }, actor());
  await keys.create({ hash: 'c'.repeat(64) }, actor());
  await assert.rejects(keys.update(OTHER, { key_alias: 'one' }, actor()), isConflict);
  assert.equal(await keys.count(), 3);
  // What was refused has left nothing behind.
  assert.equal((await audit.list({}, { page: 1, size: 10 })).total, 3);
});

test('an update changes the columns named; it is audited, and counted among the changes', async (t) => {
  const { keys, audit, changes } = await openTestStore(t);
  await keys.create({ hash: HASH, models: ['a'], max_budget_nano: 5n, rpm_limit: 3 }, actor(1));
  const after = await keys.update(HASH, { models: ['b'], max_budget_nano: null, rpm_limit: 3 }, actor(2));
  assert.deepEqual([after?.models, after?.max_budget_nano, after?.rpm_limit], [['b'], null, 3]);
  assert.deepEqual([after?.created_at_ms, after?.updated_at_ms], [1, 2]);
  assert.equal((await keys.setBlocked(HASH, true, actor(3)))?.blocked, true);
  assert.equal((await keys.setBlocked(HASH, false, { changedBy: 'user-7', nowMs: 4 }))?.updated_by, 'user-7');
  assert.equal(await keys.update(OTHER, { models: [] }, actor(5)), null);
  const { rows } = await audit.list({ objectId: HASH }, { page: 1, size: 10 });
  assert.deepEqual(
    rows.map(({ action, before, after: now, changed_by: by, at_ms: at }) => ({ action, before, now, by, at })).slice(1),
    [
      {
        action: 'updated',
        before: { models: ['a'], max_budget_nano: '5' },
        now: { models: ['b'], max_budget_nano: null },
        by: 'master key',
        at: 2,
      },
      { action: 'blocked', before: { blocked: false }, now: { blocked: true }, by: 'master key', at: 3 },
      { action: 'unblocked', before: { blocked: true }, now: { blocked: false }, by: 'user-7', at: 4 },
    ],
  );
  assert.deepEqual(
    (await changes.readAfter(0, 10)).changes.map(({ kind, object_id: id, at_ms: at }) => ({ kind, id, at })),
    [1, 2, 3, 4].map((at) => ({ kind: 'key', id: HASH, at })),
  );
});

test('keys that are deleted are gone, each with its line', async (t) => {
  const { keys, audit } = await openTestStore(t);
  await keys.create({ hash: HASH }, actor());
  await keys.create({ hash: OTHER }, actor());
  assert.deepEqual((await keys.delete([HASH, OTHER, 'x'], actor())).sort(), [HASH, OTHER]);
  assert.deepEqual(await keys.delete([HASH], actor()), []);
  assert.equal(await keys.find(HASH), null);
  const { rows } = await audit.list({ action: 'deleted' }, { page: 1, size: 10 });
  assert.deepEqual(rows.map((row) => row.object_id).sort(), [HASH, OTHER]);
  assert.equal(rows[0]?.before?.['spend_nano'], '0');
  assert.equal(rows[0]?.after, null);
});

test('a rotated key keeps its row under the new hash; the old one leads to it for as long as it may', async (t) => {
  const { keys, changes } = await openTestStore(t);
  const THIRD = 'c'.repeat(64);
  await keys.create({ hash: HASH, key_alias: 'one', spend_nano: 9n }, actor(1));
  const rotation = { hash: HASH, newHash: OTHER, changes: { rpm_limit: 4 }, graceUntilMs: 100 };
  const row = await keys.rotate(rotation, actor(2));
  assert.deepEqual([row?.hash, row?.key_alias, row?.spend_nano, row?.rpm_limit], [OTHER, 'one', 9n, 4]);
  assert.equal(await keys.find(HASH), null);
  assert.equal((await keys.findRetired(HASH, 99))?.successor_hash, OTHER);
  assert.equal(await keys.findRetired(HASH, 100), null);
  await keys.rotate({ hash: OTHER, newHash: THIRD, changes: {}, graceUntilMs: null }, actor(3));
  assert.equal((await keys.findRetired(HASH, 99))?.successor_hash, THIRD);
  assert.equal(await keys.findRetired(OTHER, 99), null);
  assert.deepEqual(
    (await keys.retiredOf([THIRD], 99)).map(({ hash }) => hash),
    [HASH],
  );
  const told = (await changes.readAfter(1, 10)).changes.map((change) => change.object_id);
  assert.deepEqual(told, [OTHER, HASH, THIRD, OTHER]);
  await assert.rejects(keys.create({ hash: HASH }, actor(4)), isConflict);
  await keys.delete([THIRD], actor(5));
  assert.equal(await keys.findRetired(HASH, 99), null);
  assert.ok((await changes.readAfter(5, 10)).changes.some((change) => change.object_id === HASH));
});

test('keys are listed by page, filter and order, those without a value last', async (t) => {
  const { keys } = await openTestStore(t);
  for (let index = 0; index < 25; index += 1) {
    const name = String.fromCharCode(97 + index);
    const alias = index % 5 === 0 ? null : `Team_${name}`;
    const key = { hash: name.repeat(64), key_alias: alias, user_id: `user-${index % 2}`, team_id: `team-${index % 3}` };
    await keys.create({ ...key, spend_nano: BigInt(100 - index) }, actor(index));
  }
  const initials = async (...args: Parameters<typeof keys.list>): Promise<string> => {
    const { rows, total } = await keys.list(...args);
    return `${rows.map(({ hash }) => hash[0]).join('')} ${total}`;
  };
  assert.equal(await initials({}, { page: 1, size: 10 }), 'abcdefghij 25');
  assert.equal(await initials({}, { page: 3, size: 10 }), 'uvwxy 25');
  assert.equal(await initials({}, { page: 9, size: 10 }), ' 25');
  assert.equal(await initials({ userId: 'user-1', teamId: 'team-0' }, { page: 1, size: 9 }), 'djpv 4');
  assert.equal(await initials({ userId: 'user-1', orTeamIds: ['team-0'] }, { page: 1, size: 5 }), 'abdfg 17');
  assert.equal(await initials({}, { page: 1, size: 3, sortBy: 'spend_nano' }), 'yxw 25');
  assert.equal(await initials({}, { page: 1, size: 3, sortBy: 'key_alias', descending: true }), 'yxw 25');
  assert.equal(await initials({}, { page: 5, size: 5, sortBy: 'key_alias', descending: true }), 'afkpu 25');
  assert.equal(await initials({}, { page: 5, size: 5, sortBy: 'key_alias' }), 'afkpu 25');
  assert.equal(await initials({ aliasContains: 'TEAM_B' }, { page: 1, size: 5 }), 'b 1');
  assert.equal(await initials({ aliasContains: '%' }, { page: 1, size: 5 }), ' 0');
  assert.deepEqual(
    await keys.hashesOf({ teamId: 'team-2' }),
    Array.from('cfilorux').map((name) => name.repeat(64)),
  );
  assert.deepEqual(
    (await keys.scan('v'.repeat(64), 2)).map(({ hash }) => hash[0]),
    ['w', 'x'],
  );
});
