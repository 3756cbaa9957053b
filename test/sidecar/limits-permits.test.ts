import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Worker as Thread } from 'node:worker_threads';
import type { KeyBudgets } from '../../src/contract/budget-spec.ts';
import type { LimitSpec, OwnerLimits } from '../../src/contract/key-record.ts';
import { nothingInFlight, startFlow } from '../support/flow-support.ts';
import { ask, eventually, RawClient, requestBytes } from '../support/raw-client.ts';
import {
  jsonReply,
  ScriptedUpstream,
  sse,
  type UpstreamReply,
  type UpstreamScript,
} from '../support/scripted-upstream.ts';
import { deployment, keyRecord, TEST_KEY } from '../support/sidecar-harness.ts';

/* One place at the same time, for the key, its user, its team, the model group and the deployment: lost once, lost for good. */

const ONE: LimitSpec = { rpmLimit: null, tpmLimit: null, maxParallelRequests: 1 };
const OWNER: OwnerLimits = { ...ONE, modelLimits: {} };
const NO_BUDGETS: KeyBudgets = { key: null, user: null, team: null, member: null, models: {} };
const LIMITED_KEY = keyRecord(TEST_KEY, { ...ONE, userId: 'u', userLimits: OWNER, teamId: 't', teamLimits: OWNER });
const HEAD = 'HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n';
const event = (data: string): string => {
  const text = sse(data);
  return `${Buffer.byteLength(text).toString(16)}\r\n${text}\r\n`;
};

const fine: UpstreamScript = (_request, reply) => {
  reply.write(jsonReply('{}'));
};

interface Ending {
  readonly name: string;
  /** What the provider does with the request under test. */
  readonly script: UpstreamScript;
  /** Body after `{"model":"gpt"`. */
  readonly more?: string;
  /** What the client does; without it, it reads its answer. */
  readonly act?: (client: RawClient, upstream: ScriptedUpstream) => Promise<void>;
}

const isAsked = (upstream: ScriptedUpstream): Promise<void> =>
  eventually(() => upstream.requests.length > 0, 'the provider is asked');

const ENDINGS: readonly Ending[] = [
  { name: 'answered', script: fine },
  {
    name: 'answered by a stream',
    more: ',"stream":true',
    script: (_request, reply) => {
      reply.write(`${HEAD}${event('{}')}${event('[DONE]')}0\r\n\r\n`);
    },
  },
  {
    name: 'refused by the provider',
    script: (_request, reply) => {
      reply.write(jsonReply('{}', 400));
    },
  },
  {
    name: 'failed in every attempt',
    script: (_request, reply) => {
      reply.write(jsonReply('{}', 500));
    },
  },
  {
    name: 'refused for the credential',
    script: (_request, reply) => {
      reply.write(jsonReply('{}', 401));
    },
  },
  {
    name: 'answered with garbage',
    script: (_request, reply) => {
      reply.write('SMTP ready\r\n\r\n');
    },
  },
  {
    name: 'reset in every attempt',
    script: (_request, reply) => {
      reply.reset();
    },
  },
  { name: 'timed out', more: ',"timeout":0.05', script: () => undefined },
  {
    name: 'a stream that breaks off',
    more: ',"stream":true',
    script: async (_request, reply) => {
      reply.write(`${HEAD}${event('{}')}`);
      await sleep(10);
      reply.reset();
    },
  },
  {
    name: 'a stream that falls silent',
    more: ',"stream":true',
    script: (_request, reply) => {
      reply.write(`${HEAD}${event('{}')}`);
    },
  },
  {
    name: 'a client that leaves before the answer',
    script: () => undefined,
    act: async (client, upstream) => {
      await isAsked(upstream);
      client.close();
    },
  },
  {
    name: 'a client that leaves in the middle of a stream',
    more: ',"stream":true',
    script: (_request, reply) => {
      reply.write(`${HEAD}${event('{}')}`);
    },
    act: async (client) => {
      await client.until((received) => received.includes('data: '));
      client.socket.resetAndDestroy();
    },
  },
  {
    name: 'a client that leaves while its request is being sent again',
    script: (_request, reply, index) => {
      if (index === 0) reply.reset();
    },
    act: async (client, upstream) => {
      await eventually(() => upstream.requests.length > 1, 'the provider is asked again');
      client.close();
    },
  },
  {
    name: 'a client that leaves while its next try is waited for',
    script: (_request, reply) => {
      reply.write(jsonReply('{}', 500));
    },
    act: async (client, upstream) => {
      await isAsked(upstream);
      client.close();
    },
  },
  {
    name: 'a client that does not read its answer',
    script: (_request, reply) => {
      const body = Buffer.alloc(32_000_000, 32);
      reply.write(`HTTP/1.1 200 OK\r\ncontent-type: text/plain\r\ncontent-length: ${body.length}\r\n\r\n`);
      reply.write(body);
    },
    act: async (client) => {
      await client.until((received) => received.includes('200 OK'));
      client.socket.pause();
    },
  },
  { name: 'refused for its model', more: ',"model ":1', script: fine },
];

describe('a place among parallel requests is free again after a request that is', () => {
  for (const { name, script, more = '', act } of ENDINGS) {
    it(name, async (t) => {
      const upstream = await ScriptedUpstream.start(script);
      const gateway = await startFlow(
        [deployment('gpt', upstream.port, { limits: ONE })],
        { streamIdleMs: 100, clientWriteIdleMs: 300 },
        { settings: { numRetries: 1 }, groupLimits: { gpt: ONE }, harness: { keys: [LIMITED_KEY] } },
      );
      t.after(async () => {
        await gateway.stop();
        upstream.stop();
      });
      const client = new RawClient(gateway.port);
      client.send(requestBytes({ key: TEST_KEY, body: `{"model":"gpt"${more}}` }));
      if (act === undefined) await client.reply();
      else await act(client, upstream);
      await nothingInFlight(gateway.port);
      upstream.script = fine;
      // Twice: the second one would find the first one's.
      for (let round = 0; round < 2; round += 1) {
        await assertAdmitted(gateway.port);
      }
      client.close();
    });
  }

  it('refused by its budget, after all limits had a place for it', async (t) => {
    const upstream = await ScriptedUpstream.start(fine);
    const nothing = { maxNano: 0, softNano: null, duration: null };
    const spent = keyRecord('sk-spent', { ...ONE, budgets: { ...NO_BUDGETS, key: nothing } });
    const gateway = await startFlow(
      [deployment('gpt', upstream.port, { limits: ONE })],
      {},
      { groupLimits: { gpt: ONE }, harness: { keys: [LIMITED_KEY, spent] } },
    );
    t.after(async () => {
      await gateway.stop();
      upstream.stop();
    });
    for (let round = 0; round < 2; round += 1) {
      const refused = await ask(gateway.port, { key: 'sk-spent', body: '{"model":"gpt"}' });
      assert.equal(refused.header('x-slipstream-error'), 'budget_exceeded');
    }
    await assertAdmitted(gateway.port);
  });

  it('a tunnel, for as long as it is open', async (t) => {
    const upstream = await ScriptedUpstream.start((request, reply) => {
      if (!request.head.includes('upgrade')) reply.write(jsonReply('{}'));
      else reply.write('HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: websocket\r\n\r\n');
    });
    const gateway = await startFlow(
      [deployment('gpt', upstream.port, { limits: ONE })],
      {},
      { groupLimits: { gpt: ONE }, harness: { keys: [LIMITED_KEY] } },
    );
    t.after(async () => {
      await gateway.stop();
      upstream.stop();
    });
    const headers = ['connection: upgrade', 'upgrade: websocket', 'sec-websocket-key: x', 'sec-websocket-version: 13'];
    const path = '/v1/realtime?model=gpt';
    const client = new RawClient(gateway.port).send(requestBytes({ method: 'GET', path, key: TEST_KEY, headers }));
    await client.until((received) => received.includes('101 '));
    const refused = await ask(gateway.port, { method: 'GET', path, key: TEST_KEY, headers });
    assert.equal(refused.status, 429);
    assert.equal((await ask(gateway.port, { key: TEST_KEY, body: '{"model":"gpt"}' })).status, 429);
    client.close();
    await nothingInFlight(gateway.port);
    await assertAdmitted(gateway.port);
  });

  it('a fault of the gateway itself', async (t) => {
    const upstream = await ScriptedUpstream.start(fine);
    const gateway = await startFlow(
      ['a', 'b'].map((id) => deployment('gpt', upstream.port, { id, limits: ONE })),
      {},
      { groupLimits: { gpt: ONE }, harness: { keys: [LIMITED_KEY] } },
    );
    t.after(async () => {
      await gateway.stop();
      upstream.stop();
    });
    // The choice between two deployments draws a number: the throw comes when the key's limits have admitted the request.
    t.mock.method(Math, 'random', () => {
      throw new RangeError('a fault for the test');
    });
    const client = new RawClient(gateway.port).send(requestBytes({ key: TEST_KEY, body: '{"model":"gpt"}' }));
    await client.ended();
    t.mock.restoreAll();
    assert.match(gateway.logs.join(''), /a fault for the test/);
    assert.equal((await ask(gateway.port, { key: TEST_KEY, body: '{"model":"gpt"}' })).status, 200);
  });

  it('held by a worker thread that ends', async (t) => {
    const held: UpstreamReply[] = [];
    const upstream = await ScriptedUpstream.start((_request, reply) => {
      held.push(reply);
    });
    const threads: Thread[] = [];
    const onWorker = (thread: Thread): void => void threads.push(thread);
    process.on('worker', onWorker);
    const four: LimitSpec = { ...ONE, maxParallelRequests: 4 };
    const gateway = await startFlow(
      [deployment('gpt', upstream.port, { limits: four })],
      {},
      { settings: { threads: 2 }, groupLimits: { gpt: four }, harness: { keys: [keyRecord(TEST_KEY, four)] } },
    );
    t.after(async () => {
      process.off('worker', onWorker);
      await gateway.stop();
      upstream.stop();
    });
    const clients = Array.from({ length: 4 }, () =>
      new RawClient(gateway.port).send(requestBytes({ key: TEST_KEY, body: '{"model":"gpt"}' })),
    );
    await eventually(() => held.length === 4, 'four requests are held');
    assert.equal((await ask(gateway.port, { key: TEST_KEY, body: '{"model":"gpt"}' })).status, 429);
    // Connections are spread evenly: two of the four are this one's.
    await threads[0]!.terminate();
    upstream.script = fine;
    await assertAdmitted(gateway.port);
    const others = Array.from({ length: 2 }, () => ask(gateway.port, { key: TEST_KEY, body: '{"model":"gpt"}' }));
    assert.deepEqual(
      (await Promise.all(others)).map(({ status }) => status),
      [200, 200],
    );
    for (const reply of held) reply.write(jsonReply('{}'));
    await eventually(() => clients.every((client) => client.hasEnded || client.received.length > 0), 'all are over');
    await threads[1]!.terminate();
    // None is left in use, and none is free twice: four at the same time, not five.
    upstream.script = (_request, reply) => {
      held.push(reply);
    };
    held.length = 0;
    await eventually(() => threads.length === 4, 'both threads are replaced');
    const last = Array.from({ length: 5 }, () => ask(gateway.port, { key: TEST_KEY, body: '{"model":"gpt"}' }));
    assert.equal((await Promise.race(last)).status, 429);
    await eventually(() => held.length === 4, 'four requests are held again');
    for (const reply of held) reply.write(jsonReply('{}'));
    const statuses = (await Promise.all(last)).map(({ status }) => status);
    assert.deepEqual(
      statuses.toSorted((a, b) => a - b),
      [200, 200, 200, 200, 429],
    );
    for (const client of clients) client.close();
  });
});

async function assertAdmitted(port: number): Promise<void> {
  const { status, text } = await ask(port, { key: TEST_KEY, body: '{"model":"gpt"}' });
  assert.equal(status, 200, text);
}
