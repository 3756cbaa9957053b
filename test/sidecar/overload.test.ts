import assert from 'node:assert/strict';
import { after, before, beforeEach, describe, it } from 'node:test';
import { CLOCK_SLACK_MS, chatClient, metric, nothingInFlight, since, startFlow } from '../support/flow-support.ts';
import { ask, eventually, RawClient, requestBytes } from '../support/raw-client.ts';
import { deployment, MASTER_KEY, TEST_KEY, type SidecarHarness } from '../support/sidecar-harness.ts';
import { jsonReply, ScriptedUpstream, type UpstreamReply, type UpstreamRequest } from '../support/scripted-upstream.ts';

const LIMIT = 3;
const PLACES = 2;
const WAIT_MS = 1_000;

/** Requests that the provider holds, oldest first. */
interface Held {
  readonly request: UpstreamRequest;
  readonly reply: UpstreamReply;
}

describe('more requests than may be in flight', () => {
  let upstream: ScriptedUpstream;
  let gateway: SidecarHarness;
  let held: Held[] = [];
  /** Since when the last one in the queue may be there. */
  let lastSentMs = 0;
  before(async () => {
    upstream = await ScriptedUpstream.start((request, reply) => {
      held.push({ request, reply });
    });
    gateway = await startFlow(
      [deployment('gpt', upstream.port), deployment('claude', upstream.port, { family: 'anthropic', basePath: '' })],
      { queueWaitMs: WAIT_MS },
      { limits: { maxInFlight: LIMIT, maxQueue: PLACES } },
    );
  });
  beforeEach(() => {
    held = [];
  });
  after(async () => {
    await gateway.stop();
    upstream.stop();
  });

  const answerOldest = (): void => {
    const next = held.shift();
    assert.ok(next !== undefined, 'the provider holds a request');
    next.reply.write(jsonReply('{"model":"upstream-gpt"}'));
  };
  const waits = (count: number): Promise<void> => whenMetric('slipstream_queued_requests', count);
  const whenMetric = async (name: string, value: number): Promise<void> => {
    for (let look = 0; look < 100; look += 1) {
      if ((await metric(gateway.port, name)) === value) return;
      await new Promise((resolve) => setTimeout(resolve, 5));
    }
    assert.equal(await metric(gateway.port, name), value, name);
  };
  /** The limit is reached and the queue full; answers the clients, oldest first. */
  const fill = async (): Promise<RawClient[]> => {
    const clients: RawClient[] = [];
    for (let index = 0; index < LIMIT; index += 1) clients.push(chatClient(gateway.port, 'gpt', `,"n":${index}`));
    await eventually(() => held.length === LIMIT, 'the limit is in flight');
    for (let index = LIMIT; index < LIMIT + PLACES; index += 1) {
      lastSentMs = performance.now();
      clients.push(chatClient(gateway.port, 'gpt', `,"n":${index}`));
      await waits(index - LIMIT + 1);
    }
    return clients;
  };
  const allIsOver = async (clients: readonly RawClient[]): Promise<void> => {
    for (const client of clients) client.close();
    await nothingInFlight(gateway.port);
    assert.equal(await metric(gateway.port, 'slipstream_admitted_requests'), 0);
    assert.equal(await metric(gateway.port, 'slipstream_queued_requests'), 0);
  };

  it('a few wait and are served in order; the rest gets 503 at once, in its protocol', async () => {
    const clients = await fill();
    const refused = await chatClient(gateway.port, 'gpt').reply();
    assert.equal(refused.status, 503);
    assert.equal(refused.header('retry-after'), '1');
    assert.equal(refused.header('x-slipstream-error'), 'overloaded');
    assert.equal(refused.header('connection'), null, 'the connection stays');
    assert.match(refused.text, /^\{"error":\{"message":"Too many requests are in flight\."/);
    const anthropic = await ask(gateway.port, { path: '/v1/messages', key: TEST_KEY, body: '{"model":"claude"}' });
    assert.equal(anthropic.status, 503);
    assert.match(anthropic.text, /"type":"overloaded_error"/);
    assert.equal(held.length, LIMIT, 'no more than the limit reached the provider');
    for (let index = 0; index < clients.length; index += 1) {
      assert.match(held[0]!.request.body, new RegExp(`"n":${index}}`));
      answerOldest();
      assert.equal((await clients[index]!.reply()).status, 200);
      const inFlight = Math.min(LIMIT, clients.length - index - 1);
      await eventually(() => held.length === inFlight, 'the next one follows');
    }
    await allIsOver(clients);
  });

  it('routes of its own are served all the same', async () => {
    const clients = await fill();
    for (const path of ['/health/liveliness', '/health/readiness', '/metrics', '/v1/models']) {
      assert.equal((await ask(gateway.port, { method: 'GET', path, key: MASTER_KEY })).status, 200, path);
    }
    await allIsOver(clients);
  });

  it('a body is not read for a request that will be refused', async () => {
    const clients = await fill();
    const client = new RawClient(gateway.port);
    client.send(requestBytes({ key: TEST_KEY, headers: ['content-length: 1000000', 'expect: 100-continue'] }));
    const reply = await client.reply();
    assert.equal(reply.status, 503);
    assert.equal(reply.header('connection'), 'close');
    await allIsOver([...clients, client]);
  });

  it('one that waits too long is refused, not before its time', async () => {
    const clients = await fill();
    const late = await clients[LIMIT + PLACES - 1]!.reply();
    assert.equal(late.status, 503);
    assert.ok(since(lastSentMs) >= WAIT_MS - CLOCK_SLACK_MS);
    const event = gateway.journal().filter(({ error }) => error === 'overloaded');
    assert.ok(event.length > 0, 'it is recorded');
    await allIsOver(clients);
  });

  it('a client that leaves the queue frees its place', async () => {
    const clients = await fill();
    clients[LIMIT]!.close();
    await waits(PLACES - 1);
    clients.push(chatClient(gateway.port, 'gpt', ',"n":99'));
    await waits(PLACES);
    answerOldest();
    await eventually(() => held.some(({ request }) => request.body.includes(`"n":${LIMIT + 1}}`)), 'the next in line');
    await allIsOver(clients);
  });

  it('clients that leave while they are served give their permits back', async () => {
    const clients = await fill();
    for (const client of clients.slice(0, LIMIT)) client.close();
    await eventually(() => held.length === LIMIT + PLACES, 'those that waited are served');
    await allIsOver(clients);
  });

  it('a permit comes back after each kind of failure', async () => {
    const ends: ((reply: UpstreamReply) => void)[] = [
      (reply) => reply.reset(),
      (reply) => reply.end(),
      (reply) => reply.write('nonsense\r\n\r\n'),
      (reply) => reply.write(jsonReply('{}', 500)),
      (reply) => reply.socket.end('HTTP/1.1 200 OK\r\ncontent-type: audio/mpeg\r\ncontent-length: 9\r\n\r\nx'),
    ];
    for (const end of ends) {
      const client = chatClient(gateway.port, 'gpt', ',"num_retries":0');
      await eventually(() => held.length === 1, 'it arrives');
      end(held.shift()!.reply);
      await whenMetric('slipstream_admitted_requests', 0);
      client.close();
    }
    assert.equal((await ask(gateway.port, { key: TEST_KEY, body: '{"model":"none"}' })).status, 400);
    await allIsOver([]);
  });
});

it('workers share the limit, and one that waits hears of a permit that another worker gave back', async () => {
  const held: UpstreamReply[] = [];
  const upstream = await ScriptedUpstream.start((_request, reply) => {
    held.push(reply);
  });
  const gateway = await startFlow(
    [deployment('gpt', upstream.port)],
    { queueWaitMs: 5_000 },
    { settings: { threads: 2 }, limits: { maxInFlight: 2, maxQueue: 4 } },
  );
  try {
    // Connections go to the workers in turn: two each.
    const clients = [];
    for (let index = 0; index < 2; index += 1) {
      clients.push(chatClient(gateway.port, 'gpt'));
      await eventually(() => held.length === index + 1, 'the limit is in flight');
    }
    clients.push(chatClient(gateway.port, 'gpt'), chatClient(gateway.port, 'gpt'));
    await new Promise((resolve) => setTimeout(resolve, 100));
    assert.equal(held.length, 2);
    for (let index = 0; index < 4; index += 1) {
      await eventually(() => held.length > index, 'the next one follows');
      held[index]!.write(jsonReply('{}'));
    }
    for (const client of clients) assert.equal((await client.reply()).status, 200);
    for (const client of clients) client.close();
    await nothingInFlight(gateway.port);
  } finally {
    await gateway.stop();
    upstream.stop();
  }
});
