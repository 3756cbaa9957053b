import assert from 'node:assert/strict';
import { test } from 'node:test';
import { memberId } from '../../src/control/store/member-id.ts';
import { isConflict } from '../../src/control/store/store-error.ts';
import { actor, openTestStore } from './test-store.ts';

const KEY = 'a'.repeat(64);
const OTHER_KEY = 'b'.repeat(64);
const AT = { created_at_ms: 1, updated_at_ms: 1 };
const ALL = { page: 1, size: 100 };

test('a team with its members: made, read, changed, left', async (t) => {
  const { teams, audit } = await openTestStore(t);
  const team = { team_id: 'team-1', team_alias: 'One', model_aliases: { fast: 'm' }, team_member_budget_nano: 7n };
  const members = [
    { user_id: 'ann', role: 'admin' as const },
    { user_id: 'bob', role: 'user' as const },
  ];
  const row = await teams.create(team, members, actor(1));
  assert.deepEqual({ ...row, ...team }, row);
  assert.deepEqual(
    (await teams.members('team-1')).map(({ user_id: id, role, spend_nano: spend }) => [id, role, spend]),
    [
      ['ann', 'admin', 0n],
      ['bob', 'user', 0n],
    ],
  );
  await assert.rejects(teams.create({ team_id: 'team-1' }, [], actor()), isConflict);
  const cid = { user_id: 'cid', role: 'user' as const, user_email: 'c@example.com', max_budget_nano: 3n };
  assert.equal((await teams.addMembers('team-1', [cid], actor(2)))?.[0]?.max_budget_nano, 3n);
  // One of them is a member: none is added.
  await assert.rejects(teams.addMembers('team-1', [{ user_id: 'dan', role: 'user' }, cid], actor(2)), isConflict);
  assert.equal(await teams.addMembers('team-2', [cid], actor()), null);
  const changed = await teams.updateMember(
    { teamId: 'team-1', userId: 'cid' },
    { role: 'admin', rpm_limit: 1 },
    actor(3),
  );
  assert.deepEqual([changed?.role, changed?.rpm_limit, changed?.max_budget_nano], ['admin', 1, 3n]);
  assert.equal(await teams.updateMember({ teamId: 'team-1', userId: 'dan' }, {}, actor()), null);
  assert.deepEqual(
    (await teams.removeMembers('team-1', ['ann', 'dan'], actor(4))).map((left) => left.user_id),
    ['ann'],
  );
  assert.deepEqual((await teams.membersOf(['team-1', 'x'])).map((left) => left.user_id).sort(), ['bob', 'cid']);
  assert.deepEqual(
    (await teams.memberships('cid')).map((member) => member.team_id),
    ['team-1'],
  );
  assert.equal((await teams.findMember('team-1', 'bob'))?.role, 'user');
  assert.equal(await teams.findMember('team-1', 'ann'), null);
  const lines = await audit.list({ kind: 'team_member', objectId: memberId('team-1', 'cid') }, ALL);
  assert.deepEqual(
    lines.rows.map(({ action, after }) => [action, after?.['role']]),
    [
      ['created', 'user'],
      ['updated', 'admin'],
    ],
  );
});

test('a team that is deleted takes its members and keys with it, and each is told', async (t) => {
  const { teams, keys, changes } = await openTestStore(t);
  for (const id of ['team-1', 'team-2']) {
    await teams.create({ team_id: id }, [{ user_id: 'ann', role: 'user' }], actor());
  }
  await keys.create({ hash: KEY, team_id: 'team-1' }, actor());
  await keys.create({ hash: OTHER_KEY, team_id: 'team-2' }, actor());
  const before = await changes.lastSequence();
  assert.deepEqual(await teams.delete(['team-1', 'team-3'], actor()), ['team-1']);
  assert.equal(await teams.find('team-1'), null);
  assert.equal(await keys.find(KEY), null);
  assert.notEqual(await keys.find(OTHER_KEY), null);
  assert.deepEqual(
    (await teams.memberships('ann')).map((member) => member.team_id),
    ['team-2'],
  );
  const told = (await changes.readAfter(before, 10)).changes.map(({ kind, object_id: id }) => `${kind} ${id}`);
  assert.deepEqual(told.sort(), [`key ${KEY}`, 'team team-1']);
});

test('a team of more keys than one query can name is deleted all the same', async (t) => {
  const { teams, keys, db, changes } = await openTestStore(t);
  await teams.create({ team_id: 'team-1' }, [], actor());
  const COUNT = 12_000;
  const hashes = Array.from({ length: COUNT }, (_, index) => index.toString(16).padStart(64, '0'));
  for (let start = 0; start < COUNT; start += 1000) {
    const rows = hashes.slice(start, start + 1000).map((hash) => ({ hash, team_id: 'team-1', ...AT }));
    await db
      .insertInto('keys')
      .values(rows as [])
      .execute();
  }
  const before = await changes.lastSequence();
  await teams.delete(['team-1'], actor());
  assert.equal(await keys.count(), 0);
  assert.equal(await changes.lastSequence(), before + COUNT + 1);
  // And its changes are removed in steps.
  await changes.prune(actor().nowMs + 1);
  assert.equal((await changes.readAfter(0, 9)).changes.length, 1);
});

test('users: made, found, changed; deleted with their keys and memberships', async (t) => {
  const { users, teams, keys, audit } = await openTestStore(t);
  const ann = { user_id: 'ann', user_email: 'Ann@example.com', user_role: 'internal_user', max_budget_nano: 0n };
  assert.equal((await users.create(ann, actor(1))).max_budget_nano, 0n);
  await users.create({ user_id: 'bob', user_role: 'proxy_admin', sso_user_id: 'sso-b' }, actor(2));
  await assert.rejects(users.create({ user_id: 'ann' }, actor()), isConflict);
  assert.equal((await users.findByEmail('Ann@example.com'))?.user_id, 'ann');
  const changed = await users.update('ann', { max_budget_nano: null, blocked: true }, actor(3));
  assert.deepEqual([changed?.max_budget_nano, changed?.blocked, changed?.user_role], [null, true, 'internal_user']);
  assert.equal(await users.update('cid', {}, actor()), null);
  await teams.create({ team_id: 'team-1' }, [{ user_id: 'ann', role: 'user' }], actor());
  await keys.create({ hash: KEY, user_id: 'ann' }, actor());

  const ids = async (filter: Parameters<typeof users.list>[0]): Promise<string[]> =>
    (await users.list(filter, ALL)).rows.map((row) => row.user_id);
  assert.deepEqual(await ids({}), ['ann', 'bob']);
  assert.deepEqual(await ids({ role: 'proxy_admin' }), ['bob']);
  assert.deepEqual(await ids({ emailContains: 'aNN@' }), ['ann']);
  assert.deepEqual(await ids({ teamId: 'team-1' }), ['ann']);
  assert.deepEqual(await ids({ ssoUserIds: ['sso-b'] }), ['bob']);
  assert.deepEqual(await ids({ userIds: ['bob', 'x'] }), ['bob']);

  assert.deepEqual(await users.delete(['ann'], actor(5)), ['ann']);
  assert.equal(await keys.find(KEY), null);
  assert.deepEqual(await teams.members('team-1'), []);
  const { rows } = await audit.list({ action: 'deleted' }, ALL);
  assert.deepEqual(rows.map(({ kind }) => kind).sort(), ['key', 'team_member', 'user']);
});

test('teams are listed by page and filter', async (t) => {
  const { teams } = await openTestStore(t);
  for (const [index, id] of ['t-a', 't-b', 't-c'].entries()) {
    const members = index < 2 ? [{ user_id: 'ann', role: 'user' as const }] : [];
    await teams.create(
      { team_id: id, team_alias: `Al_${id}`, organization_id: `o${index % 2}` },
      members,
      actor(index),
    );
  }
  const ids = async (...args: Parameters<typeof teams.list>): Promise<string> => {
    const { rows, total } = await teams.list(...args);
    return `${rows.map((row) => row.team_id).join(' ')} of ${total}`;
  };
  assert.equal(await ids({}, { page: 2, size: 2 }), 't-c of 3');
  assert.equal(await ids({ userId: 'ann' }, ALL), 't-a t-b of 2');
  assert.equal(await ids({ organizationId: 'o0' }, { ...ALL, descending: true }), 't-c t-a of 2');
  assert.equal(await ids({ alias: 'Al_t-b' }, ALL), 't-b of 1');
  assert.equal(await ids({ aliasContains: 'L_T-' }, ALL), 't-a t-b t-c of 3');
  assert.equal(await ids({ aliasContains: 'lxt' }, ALL), ' of 0');
  assert.deepEqual(
    (await teams.findMany(['t-a', 'x'])).map((row) => row.team_id),
    ['t-a'],
  );
});
