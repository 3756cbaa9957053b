import assert from 'node:assert/strict';
import { after, before, beforeEach, describe, it } from 'node:test';
import type { DeploymentSpec, RoutingSettings } from '../../src/contract/snapshot.ts';
import { startFlow } from '../support/flow-support.ts';
import { eventually, RawClient, requestBytes, type RawReply } from '../support/raw-client.ts';
import { jsonReply } from '../support/scripted-upstream.ts';
import {
  keyRecord,
  MASTER_KEY,
  ROUTING,
  snapshotOf,
  TEST_KEY,
  type SidecarHarness,
} from '../support/sidecar-harness.ts';
import { ThreeUpstreams } from '../support/three-upstreams.ts';

const KEYS = Array.from({ length: 12 }, (_, n) => `sk-affinity-${n}-0123456789`);

const CLAUDE: Partial<DeploymentSpec> = { family: 'anthropic' };

interface Request {
  readonly key?: string;
  readonly headers?: readonly string[];
  readonly body?: object;
  readonly path?: string;
}

let upstreams: ThreeUpstreams;
let gateway: SidecarHarness;

before(async () => {
  upstreams = await ThreeUpstreams.start();
});
beforeEach(() => {
  upstreams.reset();
});
after(() => {
  upstreams.stop();
});

function startWith(affinity: Partial<RoutingSettings['affinity']>, threads = 1): void {
  before(async () => {
    const routing = { ...ROUTING, affinity: { ...ROUTING.affinity, ...affinity } };
    gateway = await startFlow(
      [...upstreams.deployments('gpt'), ...upstreams.deployments('claude', [CLAUDE, CLAUDE, CLAUDE])],
      {},
      { settings: { routing, threads }, harness: { keys: [TEST_KEY, ...KEYS].map((key) => keyRecord(key)) } },
    );
  });
  after(async () => {
    await gateway.stop();
  });
}

async function send({ key = TEST_KEY, headers = [], body = {}, path }: Request): Promise<RawReply> {
  const client = new RawClient(gateway.port);
  const text = JSON.stringify({ model: 'gpt', ...body });
  const reply = await client.send(requestBytes({ key, headers, body: text, ...(path && { path }) })).reply();
  client.close();
  return reply;
}

/** Where `times` such requests go, each place once. */
async function places(request: Request, times = 8): Promise<string[]> {
  const found = new Set<string>();
  for (let n = 0; n < times; n += 1) {
    const reply = await send(request);
    assert.equal(reply.status, 200, reply.text);
    found.add(reply.header('x-slipstream-model-id') ?? '');
  }
  return [...found].sort();
}

const session = (id: string): Request => ({ headers: [`x-session-id: ${id}`] });

describe('session affinity', () => {
  startWith({ session: true }, 2);

  it('keeps a session on one deployment, on every thread, and spreads the sessions', async () => {
    const homes = new Map<string, string>();
    for (let n = 0; n < 12; n += 1) {
      const found = await places(session(`session-${n}`), 4);
      assert.equal(found.length, 1, found.join());
      homes.set(`session-${n}`, found[0]!);
    }
    assert.equal(new Set(homes.values()).size, 3);

    // One deployment less: only its own sessions move. Back again: they return.
    const whole = snapshotOf(upstreams.deployments('gpt'), { settings: { threads: 2 } });
    const routing = { ...ROUTING, affinity: { ...ROUTING.affinity, session: true } };
    const apply = async (deployments: typeof whole.deployments): Promise<void> => {
      const snapshot = snapshotOf(deployments, { settings: { threads: 2, routing } });
      gateway.send({ type: 'snapshot', snapshot });
      const isApplied = (): boolean =>
        gateway.messages.some((message) => message.type === 'snapshot-applied' && message.version === snapshot.version);
      await eventually(isApplied, 'the snapshot is applied');
    };
    await apply(whole.deployments.slice(1));
    for (const [id, home] of homes) {
      const found = await places(session(id), 2);
      assert.equal(found.length, 1);
      if (home === 'gpt-0') assert.notEqual(found[0], home);
      else assert.equal(found[0], home);
    }
    await apply(whole.deployments);
    for (const [id, home] of homes) assert.deepEqual(await places(session(id), 1), [home]);
  });

  it('knows it by each of its names; the header wins', async () => {
    for (let n = 0; n < 4; n += 1) {
      const id = `thread/${n}`;
      const [home] = await places(session(id), 1);
      assert.deepEqual(await places({ headers: [`x-litellm-session-id: ${id}`] }, 2), [home]);
      assert.deepEqual(await places({ body: { litellm_session_id: id } }, 2), [home]);
      assert.deepEqual(await places({ ...session(id), body: { litellm_session_id: `other ${n}` } }, 2), [home]);
    }
  });

  it('without a session the strategy decides', async () => {
    assert.equal((await places({}, 24)).length, 3);
    assert.equal((await places({ body: { litellm_session_id: null } }, 24)).length, 3);
  });

  it('goes elsewhere when the deployment fails, always to the same other one', async () => {
    const [home] = await places(session('failing'), 1);
    const index = Number(home!.at(-1));
    upstreams.all[index]!.script = (_request, reply) => reply.write(jsonReply('{}', 500));
    const found = await places(session('failing'), 4);
    assert.equal(found.length, 1);
    assert.notEqual(found[0], home);
  });
});

describe('key affinity', () => {
  startWith({ key: true });

  it('keeps a virtual key on one deployment, and spreads the keys; the master key is not bound', async () => {
    const homes = new Set<string>();
    for (const key of KEYS) {
      const found = await places({ key }, 4);
      assert.equal(found.length, 1);
      homes.add(found[0]!);
    }
    assert.equal(homes.size, 3);
    assert.equal((await places({ key: MASTER_KEY }, 24)).length, 3);
  });
});

describe('prompt-prefix affinity', () => {
  startWith({ prefixBytes: 256, prefixSpill: 1.5 });

  const SYSTEM = 'You are a helpful assistant with a long system prompt. '.repeat(8);
  const chat = (system: string, ...turns: string[]) => ({
    messages: [{ role: 'system', content: system }, ...turns.map((content) => ({ role: 'user', content }))],
  });

  it('keeps a prompt on one deployment as it grows, whatever else the body says', async () => {
    const [home] = await places({ body: chat(SYSTEM, 'one') });
    assert.deepEqual(await places({ body: chat(SYSTEM, 'one', 'two') }), [home]);
    assert.deepEqual(await places({ body: { temperature: 1, user: 'u', ...chat(SYSTEM, 'else') } }), [home]);
  });

  it('spreads different prompts', async () => {
    const homes = new Set<string>();
    for (let n = 0; n < 12; n += 1) {
      const found = await places({ body: chat(`${n} ${SYSTEM}`) }, 2);
      assert.equal(found.length, 1);
      homes.add(found[0]!);
    }
    assert.equal(homes.size, 3);
  });

  it('does not bind short prompts', async () => {
    assert.equal((await places({ body: chat('short') }, 24)).length, 3);
  });

  it('goes by the system prompt where that is a field of its own, wherever it stands', async () => {
    const ask = (body: object): Request => ({
      path: '/v1/messages',
      body: { model: 'claude', max_tokens: 1, ...body },
    });
    const [home] = await places(ask({ system: SYSTEM, messages: [{ role: 'user', content: 'a' }] }));
    assert.deepEqual(await places(ask({ messages: [{ role: 'user', content: 'b' }], system: SYSTEM })), [home]);
  });

  it('passes over a deployment that is clearly busier', async () => {
    const body = chat(`${SYSTEM} popular`);
    const [home] = await places({ body }, 1);
    const clients = Array.from({ length: 12 }, () =>
      new RawClient(gateway.port).send(
        requestBytes({ key: TEST_KEY, body: JSON.stringify({ model: 'gpt', ...body, hold: true }) }),
      ),
    );
    await eventually(() => upstreams.held.flat().length === 12, 'all are held');
    const held = upstreams.held.map((replies) => replies.length);
    // Up to four anywhere, then one and a half times the share of a third: half of all.
    assert.ok(Math.max(...held) <= 6 && Math.max(...held) >= 4, held.join());
    assert.equal(held.indexOf(Math.max(...held)), Number(home!.at(-1)));
    for (const replies of upstreams.held) for (const reply of replies.splice(0)) reply.write(jsonReply('{}'));
    for (const client of clients) {
      await client.reply();
      client.close();
    }
    assert.deepEqual(await places({ body }), [home]);
  });
});
