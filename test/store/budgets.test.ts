import assert from 'node:assert/strict';
import { test } from 'node:test';
import { NODE, UsageNode } from './usage-node.ts';
import { openTestStore } from './test-store.ts';

const ROW = 'team:t::0-0';
const ENDED = 'key:k:1d:1000-2000';
const NOW_MS = 1_800_000_000_000;

test('what events were charged to is added up with them, by node, and read with the positions it is of', async (t) => {
  const node = await UsageNode.start(t);
  node.live(t, 'a');
  const segment = node.segment('a');
  node.append(segment, node.event({ budgets: [ROW, ENDED] }), node.event({ budgets: [ROW] }), node.event());
  const ingester = node.ingester();
  await ingester.pass();
  await ingester.pass();
  const other = `ffffffff-7a3f-7001-9abc-000000000001`;
  const { positions, rows } = await node.store.budgets.state(NODE, NOW_MS);
  assert.deepEqual([...rows], [[ROW, { ownNano: 14n, othersNano: 0n }]], 'a window that is over is left out');
  assert.deepEqual([...positions.keys()], [segment]);
  assert.ok(positions.get(segment)! > 0);
  const seen = await node.store.budgets.state(other, NOW_MS);
  assert.deepEqual([...seen.rows], [[ROW, { ownNano: 0n, othersNano: 14n }]]);
  assert.equal(seen.positions.size, 0);
  await node.store.budgets.deleteEnded(NOW_MS);
  assert.deepEqual([...(await node.store.budgets.state(NODE, 0)).rows.keys()], [ROW]);
});

test('a request that ended with its process counts as what no journal stands for, until its event comes after all', async (t) => {
  const node = await UsageNode.start(t);
  const release = node.live(t, 'a');
  const segment = node.segment('a');
  const event = node.event({ budgets: [ROW], costNano: 30 });
  node.append(segment, { ...node.open(event), costNano: 20, budgets: [ROW] });
  await node.ingester().pass();
  release();
  await node.ingester().pass();
  const sums = async (): Promise<unknown> => (await node.store.budgets.state(NODE, NOW_MS)).rows.get(ROW);
  assert.deepEqual(await sums(), { ownNano: 0n, othersNano: 20n });
  node.append(node.segment('a', 2), event);
  await node.ingester().pass();
  assert.deepEqual(await sums(), { ownNano: 30n, othersNano: 0n });
});

test('spend can be set', async (t) => {
  const store = await openTestStore(t);
  const before = await store.budgets.version();
  await store.budgets.setSpend(ROW, 9_007_199_254_740_993n, NOW_MS);
  assert.notEqual(await store.budgets.version(), before);
  await store.budgets.setSpend(ROW, 5n, NOW_MS);
  assert.deepEqual((await store.budgets.state(NODE, NOW_MS)).rows.get(ROW), { ownNano: 0n, othersNano: 5n });
});

test('what a key had spent goes over to its successor', async (t) => {
  const store = await openTestStore(t);
  const [key, model, other] = ['key:aa:1mo:1-1900000000000', 'model:aa/gpt:::0-0', 'key:aab::0-0'];
  for (const name of [key, model, other]) await store.budgets.setSpend(name, 7n, NOW_MS);
  await store.budgets.carryOver('aa', 'bb', NOW_MS);
  const { rows } = await store.budgets.state(NODE, NOW_MS);
  assert.deepEqual(
    [...rows]
      .map(([name, { othersNano }]) => [name, othersNano])
      .toSorted(([a], [b]) => (String(a) < String(b) ? -1 : 1)),
    [
      [key, 7n],
      [other, 7n],
      ['key:bb:1mo:1-1900000000000', 7n],
      ['model:aa/gpt:::0-0', 7n],
      ['model:bb/gpt:::0-0', 7n],
    ],
  );
});
