// What is in flight at a deployment is counted once in and once out, however an attempt ends.
import assert from 'node:assert/strict';
import { after, before, beforeEach, describe, it } from 'node:test';
import { metric, startFlow } from '../support/flow-support.ts';
import { eventually, RawClient, requestBytes } from '../support/raw-client.ts';
import {
  jsonReply,
  ScriptedUpstream,
  sse,
  type UpstreamReply,
  type UpstreamScript,
} from '../support/scripted-upstream.ts';
import { deployment, TEST_KEY, type SidecarHarness } from '../support/sidecar-harness.ts';
import { closedPort } from '../support/closed-port.ts';

const METRIC = 'slipstream_deployment_in_flight';
const STREAM_HEAD = 'HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\nconnection: close\r\n\r\n';
const EVENT = sse('{"choices":[{"delta":{"content":"a"}}]}');

let upstream: ScriptedUpstream;
let gateway: SidecarHarness;
let client: RawClient;

before(async () => {
  upstream = await ScriptedUpstream.start(() => undefined);
  gateway = await startFlow(
    [
      deployment('gpt', upstream.port),
      deployment('two', upstream.port, { id: 'two-0' }),
      deployment('two', upstream.port, { id: 'two-1' }),
      deployment('gone', await closedPort()),
    ],
    { firstByteMs: 150, streamFirstEventMs: 150 },
  );
});
beforeEach(() => {
  client = new RawClient(gateway.port);
});
after(async () => {
  upstream.stop();
  await gateway.stop();
});

const send = (body: object, path = '/v1/chat/completions'): void => {
  client.send(requestBytes({ key: TEST_KEY, path, body: JSON.stringify({ num_retries: 0, ...body }) }));
};

async function countIs(wanted: number): Promise<void> {
  let last = -1;
  for (let look = 0; look < 200 && last !== wanted; look += 1) last = await metric(gateway.port, METRIC);
  assert.equal(last, wanted);
}

/** A script that reports its answer, for the test to go on with. */
function capture(): { script: UpstreamScript; reply: () => Promise<UpstreamReply> } {
  let taken: UpstreamReply | null = null;
  return {
    script: (_request, reply) => {
      taken = reply;
    },
    reply: async () => {
      await eventually(() => taken !== null, 'the provider has the request');
      return taken!;
    },
  };
}

describe('attempts in flight', () => {
  it('are one while the provider works, none when it has answered', async () => {
    const { script, reply } = capture();
    upstream.script = script;
    send({ model: 'gpt' });
    const answer = await reply();
    await countIs(1);
    answer.write(jsonReply('{}'));
    assert.equal((await client.reply()).status, 200);
    await countIs(0);
    client.close();
  });

  it('are none after a client left before the answer, and in the middle of a stream', async () => {
    for (const start of ['', STREAM_HEAD + EVENT]) {
      const { script, reply } = capture();
      upstream.script = script;
      client = new RawClient(gateway.port);
      send({ model: 'gpt', stream: true });
      const answer = await reply();
      if (start !== '') answer.write(start);
      await countIs(1);
      client.socket.destroy();
      await countIs(0);
    }
  });

  const failures: readonly (readonly [name: string, model: string, script: UpstreamScript, status: number])[] = [
    ['a reset', 'gpt', (_request, reply) => reply.reset(), 502],
    ['a hang', 'gpt', () => undefined, 408],
    ['garbage', 'gpt', (_request, reply) => reply.write('nonsense\r\n\r\n'), 502],
    ['an error of the client', 'gpt', (_request, reply) => reply.write(jsonReply('{}', 400)), 400],
    ['a refused credential', 'gpt', (_request, reply) => reply.write(jsonReply('{}', 401)), 401],
    ['an error of the provider', 'gpt', (_request, reply) => reply.write(jsonReply('{}', 500)), 500],
    ['a provider that is not there', 'gone', () => undefined, 502],
  ];
  for (const [name, model, script, status] of failures) {
    it(`are none after ${name}`, async () => {
      upstream.script = script;
      send({ model });
      assert.equal((await client.reply()).status, status);
      await countIs(0);
      client.close();
    });
  }

  it('are none after a stream that broke off', async () => {
    upstream.script = (_request, reply) => {
      reply.write(STREAM_HEAD.replace('connection: close', 'content-length: 9999') + EVENT);
      reply.reset();
    };
    send({ model: 'gpt', stream: true });
    await client.ended();
    await countIs(0);
  });

  it('move with a retry to the next deployment', async () => {
    const { script, reply } = capture();
    upstream.script = (request, answer, index) => {
      if (request.body.includes('again')) void script(request, answer, index);
    };
    let asked = 0;
    upstream.script = (request, answer, index) => {
      asked += 1;
      if (asked === 1) answer.write(jsonReply('{}', 500));
      else void script(request, answer, index);
    };
    send({ model: 'two', num_retries: 1 });
    const answer = await reply();
    await countIs(1);
    answer.write(jsonReply('{}'));
    assert.equal((await client.reply()).status, 200);
    await countIs(0);
    client.close();
  });

  it('count tunnels, until either side is gone', async () => {
    const { script, reply } = capture();
    upstream.script = script;
    const headers = [
      'connection: upgrade',
      'upgrade: websocket',
      'sec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==',
      'sec-websocket-version: 13',
    ];
    client.send(requestBytes({ method: 'GET', path: '/v1/realtime?model=gpt', key: TEST_KEY, headers }));
    const answer = await reply();
    await countIs(1);
    answer.write('HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: websocket\r\n\r\n');
    await eventually(() => client.received.includes('101'), 'the tunnel is open');
    await countIs(1);
    client.socket.destroy();
    await countIs(0);
  });
});
