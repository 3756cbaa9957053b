import assert from 'node:assert/strict';
import { readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, it, type TestContext } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import type { BudgetBase } from '../../src/contract/budget-base.ts';
import type { BudgetSpec, KeyBudgets } from '../../src/contract/budget-spec.ts';
import type { KeyRecord } from '../../src/contract/key-record.ts';
import { DEFAULT_BUDGET_SETTINGS, type BudgetSettings, type DeploymentSpec } from '../../src/contract/snapshot.ts';
import type { Price } from '../../src/domain/pricing/price.ts';
import { closedPort } from '../support/closed-port.ts';
import { metric, startFlow } from '../support/flow-support.ts';
import { ask, type RawReply } from '../support/raw-client.ts';
import { jsonReply, ScriptedUpstream } from '../support/scripted-upstream.ts';
import {
  deployment,
  keyRecord,
  MASTER_KEY,
  sha256,
  TEST_KEY,
  type SidecarHarness,
} from '../support/sidecar-harness.ts';

const OTHER_KEY = 'sk-other-0123456789abcdef';
/** One token costs one nano-dollar, and a reply has ten. */
const PRICE: Price = { prices: { input: 1000, output: 1000 }, steps: [], tiers: {} };
const COST = 10;
const REPLY = jsonReply('{"model":"x","usage":{"prompt_tokens":6,"completion_tokens":4,"total_tokens":10}}');

const NONE: KeyBudgets = { key: null, user: null, team: null, member: null, models: {} };
const max = (maxNano: number | null, rest: Partial<BudgetSpec> = {}): BudgetSpec => ({
  maxNano,
  softNano: null,
  duration: null,
  ...rest,
});

interface Setup {
  /** Of TEST_KEY, then OTHER_KEY. */
  readonly keys: readonly Partial<KeyRecord>[];
  readonly settings?: Partial<BudgetSettings>;
  readonly first?: Partial<DeploymentSpec>;
  readonly dataDirectory?: string;
  readonly fallbacks?: Readonly<Record<string, readonly string[]>>;
}

async function start(
  t: TestContext,
  { keys, settings, first, dataDirectory, fallbacks = {} }: Setup,
): Promise<SidecarHarness> {
  const upstream = await ScriptedUpstream.start((_request, reply) => reply.write(REPLY));
  const { port } = upstream;
  const nobody = await closedPort();
  const gateway = await startFlow(
    [
      deployment('gpt', port, { price: PRICE, ...first }),
      deployment('pair', port, { id: 'one', provider: 'groq', price: PRICE, ...first }),
      deployment('pair', port, { id: 'two', order: 2, price: PRICE }),
      deployment('broken', nobody, { price: PRICE }),
    ],
    {},
    {
      fallbacks,
      settings: { budgets: { ...DEFAULT_BUDGET_SETTINGS, ...settings } },
      harness: {
        keys: keys.map((rest, index) => keyRecord([TEST_KEY, OTHER_KEY][index]!, rest)),
        ...(dataDirectory === undefined ? {} : { dataDirectory }),
      },
    },
  );
  let isStopped = false;
  const stop = gateway.stop.bind(gateway);
  gateway.stop = async (options) => {
    if (isStopped) return;
    isStopped = true;
    await stop(options);
  };
  t.after(async () => {
    await gateway.stop();
    upstream.stop();
  });
  return gateway;
}

function call(gateway: SidecarHarness, key = TEST_KEY, model = 'gpt', more = ''): Promise<RawReply> {
  return ask(gateway.port, { key, body: `{"model":"${model}"${more}}` });
}

async function statuses(count: number, one: () => Promise<RawReply>): Promise<number[]> {
  const all: number[] = [];
  for (let n = 0; n < count; n += 1) all.push((await one()).status);
  return all;
}

describe('a budget', () => {
  it('refuses once it is used up, with the status and sentence of LiteLLM', async (t) => {
    const gateway = await start(t, { keys: [{ budgets: { ...NONE, key: max(2 * COST) } }] });
    const second = [await call(gateway), await call(gateway)][1]!;
    assert.equal(second.status, 200);
    assert.equal(second.header('x-litellm-key-max-budget'), '0.00000002');
    assert.equal(second.header('x-litellm-key-spend'), '0.00000001', 'before this one');
    const refused = await call(gateway);
    assert.equal(refused.status, 422);
    assert.equal(refused.header('x-slipstream-error'), 'budget_exceeded');
    assert.deepEqual(JSON.parse(refused.text), {
      error: {
        message: 'Budget has been exceeded! Current cost: 0.00000002, Max budget: 0.00000002',
        type: 'budget_exceeded',
        param: null,
        code: '422',
      },
    });
    assert.equal(await metric(gateway.port, 'slipstream_budget_refusals_total'), 1);
    const [event] = gateway.journal();
    assert.deepEqual(event?.budgets, [`key:${sha256(TEST_KEY)}::0-0`]);
    assert.equal('budgets' in gateway.journal()[2]!, false, 'a refusal is charged to nobody');
  });

  it('of 0 allows nothing, and of null everything', async (t) => {
    const gateway = await start(t, {
      keys: [{ budgets: { ...NONE, key: max(0) } }, { budgets: { ...NONE, key: max(null) } }],
      settings: { exceededStatus: 429 },
    });
    assert.equal((await call(gateway)).status, 429);
    assert.deepEqual(await statuses(3, () => call(gateway, OTHER_KEY)), [200, 200, 200]);
  });

  it('of a team counts all its keys; its members have their own; the personal one is not asked', async (t) => {
    const budgets = { ...NONE, user: max(0), team: max(3 * COST), member: max(2 * COST) };
    const gateway = await start(t, {
      keys: [
        { teamId: 't', userId: 'a', budgets },
        { teamId: 't', userId: 'b', budgets },
      ],
    });
    assert.deepEqual(await statuses(3, () => call(gateway)), [200, 200, 422]);
    assert.match((await call(gateway)).text, /exceeded! User=a in Team=t Current cost/);
    assert.equal((await call(gateway, OTHER_KEY)).status, 200);
    assert.match(
      (await call(gateway, OTHER_KEY)).text,
      /exceeded! Team=t Current cost: 0.00000003, Max budget: 0.00000003/,
    );
  });

  it('of a user counts where there is no team; that of a model by its name', async (t) => {
    const gateway = await start(t, {
      keys: [
        { userId: 'a', budgets: { ...NONE, user: max(COST) } },
        { budgets: { ...NONE, models: { pair: max(COST) } } },
      ],
    });
    assert.deepEqual(await statuses(2, () => call(gateway)), [200, 422]);
    assert.deepEqual(await statuses(2, () => call(gateway, OTHER_KEY)), [200, 200]);
    assert.deepEqual(await statuses(2, () => call(gateway, OTHER_KEY, 'pair')), [200, 422]);
  });

  it('of all together counts the master key, which it does not refuse', async (t) => {
    const gateway = await start(t, { keys: [{}], settings: { global: max(2 * COST) } });
    assert.deepEqual(await statuses(1, () => call(gateway)), [200]);
    assert.deepEqual(await statuses(2, () => call(gateway, MASTER_KEY)), [200, 200]);
    assert.equal((await call(gateway)).status, 422);
  });

  it('of a deployment or provider sends requests elsewhere', async (t) => {
    const gateway = await start(t, {
      keys: [{}],
      first: { order: 1, budget: max(COST) },
      settings: { providers: { groq: max(5 * COST) } },
    });
    const ids = [];
    for (let n = 0; n < 3; n += 1) ids.push((await call(gateway, TEST_KEY, 'pair')).header('x-litellm-model-id'));
    assert.deepEqual(ids, ['one', 'two', 'two']);
    assert.equal((await call(gateway)).status, 200);
    const out = await call(gateway);
    assert.equal(out.status, 429, 'no deployment is left');
  });

  it('of a model is that of the one a request fell back to', async (t) => {
    const models = { broken: max(COST), gpt: max(2 * COST) };
    const gateway = await start(t, { keys: [{ budgets: { ...NONE, models } }], fallbacks: { broken: ['gpt'] } });
    assert.deepEqual((await statuses(3, () => call(gateway, TEST_KEY, 'broken'))).slice(0, 2), [200, 200]);
    assert.deepEqual(gateway.journal()[0]?.budgets, [`model:${sha256(TEST_KEY)}/gpt::0-0`]);
    assert.equal((await call(gateway)).status, 422, 'the model fallen back to has nothing left');
    assert.notEqual((await call(gateway, TEST_KEY, 'broken')).status, 200, 'as a fallback too');
  });

  it('begins anew with its window', async (t) => {
    const gateway = await start(t, { keys: [{ budgets: { ...NONE, key: max(COST, { duration: '1s' }) } }] });
    // Of three in a row that may fall into two seconds, one is refused.
    assert.ok((await statuses(3, () => call(gateway))).includes(422));
    const deadline = Date.now() + 2500;
    while ((await call(gateway)).status !== 200) assert.ok(Date.now() < deadline, 'a new window has begun');
  });

  it('that is soft is told of once and refuses nothing', async (t) => {
    const gateway = await start(t, { keys: [{ budgets: { ...NONE, key: max(null, { softNano: COST }) } }] });
    assert.deepEqual(await statuses(3, () => call(gateway)), [200, 200, 200]);
    assert.equal(await metric(gateway.port, 'slipstream_soft_budgets_exceeded_total'), 1);
    assert.equal(gateway.logs.filter((line) => line.includes('a soft budget is used up')).length, 1);
  });

  it('with reservation is not overspent by requests at the same time', async (t) => {
    const gateway = await start(t, {
      keys: [{ budgets: { ...NONE, key: max(5 * COST) } }],
      settings: { reserves: true },
    });
    let served = 0;
    // Refused while others hold what is left: asked again, as clients do.
    for (let round = 0; round < 8; round += 1) {
      const replies = await Promise.all(
        Array.from({ length: 4 }, () => call(gateway, TEST_KEY, 'gpt', ',"max_tokens":12')),
      );
      served += replies.filter(({ status }) => status === 200).length;
    }
    assert.equal(served, 5);
  });

  it('is as it was when the sidecar starts again: by the journal alone', async (t) => {
    const keys = [{ budgets: { ...NONE, key: max(2 * COST) } }];
    const before = await start(t, { keys });
    assert.deepEqual(await statuses(3, () => call(before)), [200, 200, 422]);
    await before.stop({ keepData: true });
    const after = await start(t, { keys, dataDirectory: before.dataDirectory });
    assert.equal((await call(after)).status, 422);
  });

  it('counts what others are told to have spent, once however often it is said, and takes it back', async (t) => {
    const gateway = await start(t, { keys: [{ budgets: { ...NONE, key: max(5 * COST) } }] });
    const row = `key:${sha256(TEST_KEY)}::0-0`;
    const tell = async (spent: number): Promise<string | null> => {
      gateway.send({ type: 'budget-others', rows: { [row]: String(spent) } });
      // On another connection than the message: it may come first.
      await sleep(50);
      return (await call(gateway)).header('x-slipstream-error');
    };
    assert.equal(await tell(COST), null);
    assert.equal(await tell(COST), null);
    assert.equal(await tell(3 * COST), 'budget_exceeded');
    assert.equal(await tell(2 * COST), null);
    assert.equal(await tell(2 * COST), 'budget_exceeded');
  });

  it('goes on from the base that the control plane left, and counts no event twice', async (t) => {
    const keys = [{ budgets: { ...NONE, key: max(10 * COST) } }];
    const before = await start(t, { keys });
    await call(before);
    const [event] = before.journal();
    const row = event!.budgets![0]!;
    const bytes = before.journalText().length;
    await call(before);
    const { dataDirectory } = before;
    const segment = readdirSync(join(dataDirectory, 'journal'))[0]!;
    await before.stop({ keepData: true });
    // What is in the journal up to there cost 10; others have spent 70.
    const base: BudgetBase = {
      format: 1,
      positions: { [segment]: bytes },
      rows: { [row]: { own: String(COST), others: String(7 * COST) } },
    };
    writeFileSync(join(dataDirectory, 'budgets.json'), JSON.stringify(base));
    const after = await start(t, { keys, dataDirectory });
    assert.deepEqual(await statuses(2, () => call(after)), [200, 422]);
  });
});
