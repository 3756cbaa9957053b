import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { after, before, beforeEach, describe, it } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Socket } from 'node:net';
import { chatBytes, chatClient, metric, nothingInFlight, openSockets, startFlow } from '../support/flow-support.ts';
import { eventually, RawClient, requestBytes } from '../support/raw-client.ts';
import { deployment, keyRecord, TEST_KEY, type SidecarHarness } from '../support/sidecar-harness.ts';
import { jsonReply, ScriptedUpstream, sse, type UpstreamReply } from '../support/scripted-upstream.ts';

const UNKNOWN_KEY = 'sk-unknown-0123456789abcdef';
const LEAVING = ['FIN', 'RST'] as const;

function leave(client: RawClient, how: (typeof LEAVING)[number]): void {
  if (how === 'FIN') client.socket.end();
  else client.socket.resetAndDestroy();
}

/** That many clients, one after the other, that connect, send `request` and leave, all before the gateway's next turn. */
function comeAndGo(port: number, clients: number, request: string): void {
  const each = `exec 3<>/dev/tcp/127.0.0.1/${port}; printf %s "$REQUEST" >&3; exec 3>&-`;
  const script = `for i in $(seq ${clients}); do ${each}; done`;
  const { status, stderr } = spawnSync('bash', ['-c', script], { env: { ...process.env, REQUEST: request } });
  assert.equal(status, 0, stderr.toString());
}

describe('a client that leaves', () => {
  let upstream: ScriptedUpstream;
  let gateway: SidecarHarness;
  let socketsBefore = 0;
  let answers: UpstreamReply[] = [];
  let closedUpstream = 0;
  let asked: string[] = [];
  before(async () => {
    upstream = await ScriptedUpstream.start((request, reply) => {
      if (request.body.includes('at once')) reply.write(jsonReply('{}'));
      else answers.push(reply);
    });
    upstream.onConnection = (socket: Socket) => socket.once('close', () => (closedUpstream += 1));
    const plain = deployment('gpt', upstream.port);
    gateway = await startFlow(
      [
        plain,
        deployment('single', upstream.port, { origin: { ...plain.origin, maxConnections: 1, host: 'localhost' } }),
        deployment('fresh', upstream.port, { origin: { ...plain.origin, maxConnections: 100, host: 'localhost' } }),
        // Nobody shakes hands there.
        deployment('tls', upstream.port, { origin: { ...plain.origin, scheme: 'https' } }),
      ],
      // The look-up does not end by itself.
      { authLookupMs: 60_000 },
      {
        harness: {
          complete: false,
          keys: [keyRecord(TEST_KEY)],
          onMessage: (message) => {
            if (message.type === 'key-lookup') asked.push(message.hash);
          },
        },
      },
    );
    // The pools' first look at their hosts and the like are behind us.
    const client = chatClient(gateway.port, 'gpt', ',"x":"at once"');
    await client.reply();
    client.close();
    await nothingInFlight(gateway.port);
  });
  beforeEach(async () => {
    await sleep(20);
    answers = [];
    asked = [];
    closedUpstream = 0;
    socketsBefore = openSockets();
  });
  after(async () => {
    await gateway.stop();
    upstream.stop();
  });

  /** Nothing is in flight, no socket is left, and the journal has one more event, or none. */
  async function leavesNothing(event: 'event' | 'no event', events: number): Promise<void> {
    await nothingInFlight(gateway.port);
    // Those to the metrics are kept alive or closing; the rest is back to what it was.
    await eventually(() => openSockets() <= socketsBefore, `sockets: ${openSockets()}, before ${socketsBefore}`);
    const journal = gateway.journal().slice(events);
    if (event === 'no event') assert.deepEqual(journal, []);
    else
      assert.deepEqual(
        journal.map(({ aborted }) => aborted),
        ['client_gone'],
      );
  }

  for (const how of LEAVING) {
    it(`in its head (${how})`, async () => {
      const events = gateway.journal().length;
      const client = new RawClient(gateway.port).send('POST /v1/chat/completions HT');
      await sleep(20);
      leave(client, how);
      await leavesNothing('no event', events);
    });

    it(`in its body (${how})`, async () => {
      const events = gateway.journal().length;
      const gone = await metric(gateway.port, 'slipstream_client_gone_total');
      const client = new RawClient(gateway.port);
      client.send(requestBytes({ key: TEST_KEY, headers: ['content-length: 1000'] })).send('{"model":"gpt",');
      await sleep(20);
      leave(client, how);
      await leavesNothing('event', events);
      const { status, attempts } = gateway.journal().at(-1)!;
      assert.deepEqual({ status, attempts }, { status: 0, attempts: [] });
      assert.equal(await metric(gateway.port, 'slipstream_client_gone_total'), gone + 1);
    });

    it(`while its key is looked up (${how})`, async () => {
      const events = gateway.journal().length;
      const client = chatClient(gateway.port, 'gpt', '', { key: `${UNKNOWN_KEY}-${how}` });
      await eventually(() => asked.length === 1, 'the control plane is asked');
      leave(client, how);
      await leavesNothing('no event', events);
      // The answer finds nobody.
      gateway.send({ type: 'key-answer', id: 1, hash: asked[0]!, record: null, failed: false });
      await sleep(20);
      assert.equal(
        gateway.logs.some((line) => line.includes('"error"')),
        false,
      );
    });

    it(`while a connection is made (${how})`, async () => {
      const events = gateway.journal().length;
      const connections = upstream.connectionCount;
      const client = chatClient(gateway.port, 'tls');
      await eventually(() => upstream.connectionCount === connections + 1, 'it is being made');
      leave(client, how);
      await eventually(() => closedUpstream === 1, 'it is given up');
      await leavesNothing('event', events);
    });

    it(`while it waits for a connection (${how})`, async () => {
      const events = gateway.journal().length;
      const first = chatClient(gateway.port, 'single');
      await eventually(() => answers.length === 1, 'the only connection is taken');
      const second = chatClient(gateway.port, 'single');
      await sleep(20);
      leave(second, how);
      await eventually(() => gateway.journal().length === events + 1, 'the second one is recorded');
      answers[0]!.write(jsonReply('{}'));
      assert.equal((await first.reply()).status, 200);
      // Its place in the queue is free, and the connection good for the next.
      const third = chatClient(gateway.port, 'single', ',"x":"at once"');
      assert.equal((await third.reply()).status, 200);
      first.close();
      third.close();
      await nothingInFlight(gateway.port);
    });

    it(`while it waits for the answer (${how}): the provider is let go, the attempt recorded`, async () => {
      const events = gateway.journal().length;
      const client = chatClient(gateway.port, 'gpt');
      await eventually(() => answers.length === 1, 'the provider has it');
      leave(client, how);
      await eventually(() => closedUpstream === 1, 'it is let go');
      await leavesNothing('event', events);
      const event = gateway.journal().at(-1)!;
      assert.deepEqual(
        event.attempts.map(({ deployment: id, status, error }) => ({ id, status, error })),
        [{ id: `gpt-${upstream.port}`, status: 0, error: null }],
      );
      assert.equal(event.status, 0);
    });

    it(`in a stream (${how}): the provider is let go, what was used so far is recorded`, async () => {
      const events = gateway.journal().length;
      const client = chatClient(gateway.port, 'gpt', ',"stream":true');
      await eventually(() => answers.length === 1, 'the provider has it');
      const usage = '{"choices":[],"usage":{"prompt_tokens":3,"completion_tokens":5}}';
      answers[0]!.write(
        `HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n\r\n${sse('{"choices":[{}]}', usage, '{"choices":[{}]}')}`,
      );
      await client.until((received) => received.includes('data: '));
      await sleep(20);
      leave(client, how);
      await eventually(() => closedUpstream === 1, 'it is let go');
      await leavesNothing('event', events);
      const { status, attempts, usage: used } = gateway.journal().at(-1)!;
      assert.equal(status, 200);
      assert.equal(attempts.length, 1);
      assert.equal(used?.outputTokens, 5);
    });

    it(`in a tunnel (${how})`, async () => {
      const events = gateway.journal().length;
      const client = new RawClient(gateway.port).send(
        'GET /v1/realtime?model=gpt HTTP/1.1\r\nhost: a\r\nconnection: upgrade\r\nupgrade: websocket\r\n' +
          `sec-websocket-version: 13\r\nsec-websocket-key: AAAAAAAAAAAAAAAAAAAAAA==\r\nauthorization: Bearer ${TEST_KEY}\r\n\r\n`,
      );
      await eventually(() => answers.length === 1, 'the provider has it');
      answers[0]!.write('HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: websocket\r\n\r\nhello');
      await client.until((received) => received.includes('hello'));
      leave(client, how);
      await eventually(() => closedUpstream === 1, 'it is let go');
      await leavesNothing('event', events);
      assert.equal(gateway.journal().at(-1)!.status, 101);
    });

    it(`before a retry (${how}): none is made`, async () => {
      const events = gateway.journal().length;
      const client = chatClient(gateway.port, 'gpt');
      await eventually(() => answers.length === 1, 'the provider has it');
      leave(client, how);
      await eventually(() => closedUpstream === 1, 'it is let go');
      answers[0]!.write(jsonReply('{}', 500));
      await sleep(30);
      assert.equal(answers.length, 1);
      await leavesNothing('event', events);
    });
  }

  it('before its request is read, which needs a new connection: the provider is not asked', async () => {
    const events = gateway.journal().length;
    comeAndGo(gateway.port, 10, chatBytes('fresh').toString());
    await eventually(() => gateway.journal().length === events + 10, 'all are recorded');
    await nothingInFlight(gateway.port);
    for (const { status, aborted } of gateway.journal().slice(events)) {
      assert.deepEqual({ status, aborted }, { status: 0, aborted: 'client_gone' });
    }
    await sleep(20);
    assert.equal(answers.length, 0);
  });

  it('before its request is read, in a rush of clients: the request is not begun', async () => {
    comeAndGo(gateway.port, 400, '');
    await sleep(200); // the rush is noticed
    const events = gateway.journal().length;
    const received = await metric(gateway.port, 'slipstream_requests_received_total');
    const abandoned = await metric(gateway.port, 'slipstream_abandoned_before_authentication_total');
    comeAndGo(gateway.port, 50, chatBytes('gpt').toString());
    // Those who stay are served, also with many requests at once or none for a while.
    const client = chatClient(gateway.port, 'gpt', ',"x":"at once"').send(chatBytes('gpt', ',"x":"at once"'));
    assert.equal((await client.reply()).status, 200);
    assert.equal((await client.reply()).status, 200);
    client.close();
    await nothingInFlight(gateway.port);
    assert.equal(gateway.journal().length, events + 2);
    assert.equal(answers.length, 0);
    // They are in the sum all the same.
    assert.equal((await metric(gateway.port, 'slipstream_abandoned_before_authentication_total')) - abandoned, 50);
    assert.ok((await metric(gateway.port, 'slipstream_requests_received_total')) - received >= 52);
  });

  it('with others in flight: only its own provider is let go', async () => {
    const clients = Array.from({ length: 6 }, (_, n) => chatClient(gateway.port, 'gpt', `,"n":${n}`));
    await eventually(() => answers.length === 6, 'all are at the provider');
    clients[2]!.close();
    clients[4]!.close();
    await eventually(() => closedUpstream === 2, 'two are let go');
    for (const answer of answers) answer.write(jsonReply('{}'));
    for (const n of [0, 1, 3, 5]) assert.equal((await clients[n]!.reply()).status, 200);
    assert.equal(closedUpstream, 2);
    for (const client of clients) client.close();
    await nothingInFlight(gateway.port);
  });

  it('that pipelined: the requests behind the one it left in are not begun', async () => {
    const events = gateway.journal().length;
    const client = new RawClient(gateway.port);
    for (let n = 0; n < 3; n += 1) client.send(chatBytes('gpt'));
    await eventually(() => answers.length === 1, 'the first is at the provider');
    client.close();
    await eventually(() => closedUpstream === 1, 'it is let go');
    await leavesNothing('event', events);
    assert.equal(answers.length, 1);
  });
});
