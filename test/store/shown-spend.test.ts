import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { AdminServices } from '../../src/control/admin/admin-services.ts';
import { keyReply } from '../../src/control/admin/keys/key-reply.ts';
import { shownKey, shownKeys, shownMembers, shownTeam, shownUser } from '../../src/control/admin/shown-spend.ts';
import type { Store } from '../../src/control/store/store.ts';
import { actor, openTestStore } from './test-store.ts';

const ZONE = 'America/New_York';
/** A Wednesday; the clocks of New York are set forward on the Sunday before, at midnight it is 04:00 UTC. */
const NOW = Date.parse('2026-03-11T12:00:00Z');

function services(store: Store, nowMs: number): AdminServices {
  return {
    now: () => nowMs,
    store: () => store,
    state: () => ({ budgets: { timeZone: ZONE } }),
  } as unknown as AdminServices;
}

const at = (text: string): number => Date.parse(text);

test('the spend that is shown is that of the window now open, and ends with it', async (t) => {
  const store = await openTestStore(t);
  const budget = { max_budget_nano: 100n, spend_nano: 70n };
  const key = await store.keys.create({ hash: 'aa', key_name: 'sk-...aa', ...budget, budget_duration: '1mo' }, actor());
  const [start, end] = [at('2026-03-01T05:00:00Z'), at('2026-04-01T04:00:00Z')];
  await store.budgets.setSpend(`key:aa:1mo:${start}-${end}`, 9_007_199_254_740_993n, NOW);
  const inMarch = await shownKey(key, services(store, NOW));
  assert.equal(inMarch.spend_nano, 9_007_199_254_740_993n);
  assert.equal(keyReply(inMarch).budget_reset_at, '2026-04-01T04:00:00.000Z');
  const inApril = await shownKey(key, services(store, end));
  assert.equal(inApril.spend_nano, 0n);
  assert.equal(inApril.budget_reset_at_ms, at('2026-05-01T04:00:00Z'));
  const endless = await store.keys.create({ hash: 'bb', key_name: 'sk-...bb', ...budget }, actor());
  const [, shown] = await shownKeys([key, endless], services(store, NOW));
  assert.deepEqual([shown!.spend_nano, shown!.budget_reset_at_ms], [70n, null], 'of all time');
});

test('so is that of a key for a model, a team, its members and a user', async (t) => {
  const store = await openTestStore(t);
  const models = { gpt: { budget_limit: 5, time_period: '1d' }, claude: 3 };
  const key = await store.keys.create({ hash: 'aa', key_name: 'sk-...aa', model_max_budget: models }, actor());
  const day = `${at('2026-03-11T04:00:00Z')}-${at('2026-03-12T04:00:00Z')}`;
  const week = `${at('2026-03-09T04:00:00Z')}-${at('2026-03-16T04:00:00Z')}`;
  const spends: readonly (readonly [string, bigint])[] = [
    [`model:aa/gpt:1d:${day}`, 250_000_000n],
    ['model:aa/claude::0-0', 1n],
    [`team:t:7d:${week}`, 30n],
    [`member:t/own:7d:${week}`, 10n],
    [`member:t/of-all:7d:${week}`, 20n],
    [`user:u:1d:${day}`, 5n],
  ];
  for (const [name, nano] of spends) await store.budgets.setSpend(name, nano, NOW);
  const now = services(store, NOW);
  assert.deepEqual(keyReply(await shownKey(key, now)).model_spend, { gpt: 0.25, claude: 1e-9 });

  const members = [
    { user_id: 'own', role: 'user', max_budget_nano: 40n, spend_nano: 90n },
    { user_id: 'of-all', role: 'user', spend_nano: 90n },
  ] as const;
  const team = await store.teams.create(
    { team_id: 't', budget_duration: '7d', team_member_budget_nano: 50n },
    members,
    actor(),
  );
  const ofTeam = await shownTeam(team, now);
  assert.deepEqual([ofTeam.spend_nano, ofTeam.budget_reset_at_ms], [30n, at('2026-03-16T04:00:00Z')]);
  const shown = await shownMembers(await store.teams.members('t'), [team], now);
  assert.deepEqual(Object.fromEntries(shown.map((row) => [row.user_id, row.spend_nano])), { own: 10n, 'of-all': 20n });

  const user = await store.users.create({ user_id: 'u', budget_duration: '24h' }, actor());
  assert.equal((await shownUser(user, now)).spend_nano, 0n, 'another duration is another budget');
  const daily = await store.users.update('u', { budget_duration: '1d' }, actor());
  assert.equal((await shownUser(daily!, now)).spend_nano, 5n);
});
