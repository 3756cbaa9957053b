import assert from 'node:assert/strict';
import { connect, type Socket } from 'node:net';
import { after, before, beforeEach, describe, it } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { CLOCK_SLACK_MS, chatBytes, nothingInFlight, since, startFlow, withFlow } from '../support/flow-support.ts';
import { eventually, RawClient, requestBytes } from '../support/raw-client.ts';
import { deployment, TEST_KEY, type SidecarHarness } from '../support/sidecar-harness.ts';
import { jsonReply, ScriptedUpstream, type UpstreamReply } from '../support/scripted-upstream.ts';

setFlagsFromString('--expose-gc');
const collectGarbage = runInNewContext('gc') as () => void;

const KIB = 1024;
const FIRST_MS = 300;

describe('a request body', { concurrency: true }, () => {
  let upstream: ScriptedUpstream;
  let gateway: SidecarHarness;
  before(async () => {
    upstream = await ScriptedUpstream.start((_request, reply) => reply.write(jsonReply('{}')));
    gateway = await startFlow(
      [deployment('gpt', upstream.port)],
      { clientBodyMs: FIRST_MS },
      { limits: { minBodyRate: 10_000 } },
    );
  });
  after(async () => {
    await gateway.stop();
    upstream.stop();
  });

  it('that comes byte by byte is refused with 408 after its first time', async () => {
    const from = performance.now();
    const client = new RawClient(gateway.port);
    client.send(requestBytes({ key: TEST_KEY, headers: ['content-length: 1000000'] }));
    client.send('{"model":"gpt"');
    const drip = setInterval(() => client.send(' '), 20);
    const reply = await client.reply();
    clearInterval(drip);
    assert.equal(reply.status, 408);
    assert.equal(reply.header('x-slipstream-error'), 'client_timeout');
    assert.ok(since(from) >= FIRST_MS - CLOCK_SLACK_MS);
    await client.ended();
  });

  it('in chunks of a byte each is no better', async () => {
    const client = new RawClient(gateway.port);
    client.send(requestBytes({ key: TEST_KEY, headers: ['transfer-encoding: chunked'] }));
    const drip = setInterval(() => client.send('1\r\n \r\n'), 20);
    assert.equal((await client.reply()).status, 408);
    clearInterval(drip);
    client.close();
  });

  it('that comes slowly, but faster than the least pace, is served', async () => {
    const from = performance.now();
    const body = `{"model":"gpt","pad":"${'x'.repeat(60_000)}"}`;
    const client = new RawClient(gateway.port);
    client.send(requestBytes({ key: TEST_KEY, headers: [`content-length: ${body.length}`] }));
    for (let at = 0; at < body.length; at += 6_000) {
      client.send(body.slice(at, at + 6_000));
      await sleep(60);
    }
    assert.equal((await client.reply()).status, 200);
    assert.ok(since(from) > FIRST_MS * 1.5, 'the test was slow enough to show it');
    client.close();
  });
});

describe('a client that sends far ahead', () => {
  let upstream: ScriptedUpstream;
  let gateway: SidecarHarness;
  let held: UpstreamReply[] = [];
  let closed = 0;
  before(async () => {
    upstream = await ScriptedUpstream.start((_request, reply) => {
      held.push(reply);
    });
    upstream.onConnection = (socket) => socket.once('close', () => (closed += 1));
    gateway = await startFlow([deployment('gpt', upstream.port)]);
  });
  beforeEach(() => {
    held = [];
    closed = 0;
  });
  after(async () => {
    await gateway.stop();
    upstream.stop();
  });
  const next = (bytes: number): Buffer => chatBytes('gpt', `,"pad":"${'x'.repeat(bytes)}"`);

  it('has its next request served after the first', async () => {
    const client = new RawClient(gateway.port).send(Buffer.concat([chatBytes('gpt'), next(300 * KIB)]));
    await eventually(() => held.length === 1, 'the first one is worked on');
    await sleep(100);
    assert.equal(held.length, 1);
    held[0]!.write(jsonReply('{"first":1}'));
    assert.equal((await client.reply()).text, '{"first":1}');
    await eventually(() => held.length === 2, 'the second one follows');
    held[1]!.write(jsonReply('{"second":2}'));
    assert.equal((await client.reply()).text, '{"second":2}');
    client.close();
  });

  for (const [how, leave] of [
    ['closes', (socket: Socket) => socket.end()],
    ['resets', (socket: Socket) => socket.resetAndDestroy()],
  ] as const) {
    it(`is noticed when it ${how}`, async () => {
      const client = new RawClient(gateway.port).send(Buffer.concat([chatBytes('gpt'), next(300 * KIB)]));
      await eventually(() => held.length === 1, 'the first one is worked on');
      await sleep(50);
      leave(client.socket);
      await eventually(() => closed === 1, 'the provider is let go');
      await nothingInFlight(gateway.port);
      assert.equal(gateway.journal().at(-1)!.aborted, 'client_gone');
    });
  }

  it('beyond all measure gets the answer that is being made, and no other', async () => {
    const client = new RawClient(gateway.port).send(Buffer.concat([chatBytes('gpt'), next(4096 * KIB)]));
    await eventually(() => client.socket.writableLength === 0, 'all of it was read', 20_000);
    held[0]!.write(jsonReply('{"first":1}'));
    const reply = await client.reply();
    assert.equal(reply.text, '{"first":1}');
    assert.equal(reply.header('connection'), 'close');
    await client.ended();
    assert.equal(held.length, 1);
    await nothingInFlight(gateway.port);
  });
});

it('a reader that takes one large answer slowly has it whole, though it never catches up', async () => {
  const WRITE_IDLE_MS = 1_000;
  const pad = 'x'.repeat(4_000);
  const names = Array.from({ length: 7_000 }, (_, index) => `group-${index}-${pad}`);
  const spec = deployment('gpt', 1);
  const groups = names.map((name) => ({ name, deploymentIds: [spec.id], limits: null }));
  const gateway = await startFlow([spec], { clientWriteIdleMs: WRITE_IDLE_MS }, { groups });
  try {
    const client = new RawClient(gateway.port);
    let received = 0;
    client.socket.removeAllListeners('data');
    client.socket.on('data', (chunk: Buffer) => {
      received += chunk.length;
      client.socket.pause();
      setTimeout(() => client.socket.resume(), 4);
    });
    const from = performance.now();
    client.send(`GET /v1/models HTTP/1.1\r\nhost: a\r\nauthorization: Bearer ${TEST_KEY}\r\n\r\n`);
    const least = names.length * pad.length;
    await eventually(() => received > least || client.hasEnded, 'all of it', 30_000);
    assert.ok(received > least, `cut off after ${received} bytes`);
    assert.ok(since(from) > WRITE_IDLE_MS * 1.5, 'the test was slow enough to show it');
    client.close();
  } finally {
    await gateway.stop();
  }
});

it('50 clients that stop reading 100 MB hold no more than their buffers', async () => {
  const CLIENTS = 50;
  /** Write queue of the client's socket (64 KiB and the write that filled it), a read of the provider's, and some. */
  const MAX_BYTES_EACH = 256 * KIB;
  const block = Buffer.alloc(1_000_000, 1);
  const pour = (socket: Socket): void => {
    let left = 100;
    const more = (): void => {
      while (left > 0) {
        left -= 1;
        if (!socket.write(block)) {
          socket.once('drain', more);
          return;
        }
      }
    };
    more();
  };
  let poured = 0;
  await withFlow(
    (_request, { socket }) => {
      poured += 1;
      socket.write(`HTTP/1.1 200 OK\r\ncontent-type: audio/mpeg\r\ncontent-length: ${100 * block.length}\r\n\r\n`);
      pour(socket);
    },
    (upstream) => startFlow([deployment('gpt', upstream.port)]),
    async (gateway) => {
      const bytesNow = (): number => {
        collectGarbage();
        return process.memoryUsage().arrayBuffers;
      };
      const before = bytesNow();
      const clients = Array.from({ length: CLIENTS }, () => {
        const socket = connect(gateway.port, '127.0.0.1');
        socket.pause();
        socket.on('error', () => undefined);
        socket.write(chatBytes('gpt', '', { path: '/v1/audio/speech' }));
        return socket;
      });
      await eventually(() => poured === CLIENTS, 'the provider answers all');
      let last = -1;
      for (let same = 0; same < 5;) {
        await sleep(50);
        const now = clients.reduce((sum, socket) => sum + socket.bytesRead, 0) + bytesNow();
        same = Math.abs(now - last) < 10_000 ? same + 1 : 0;
        last = now;
      }
      const each = (bytesNow() - before) / CLIENTS;
      assert.ok(each < MAX_BYTES_EACH, `${Math.round(each)} bytes held for each client`);
      for (const socket of clients) socket.destroy();
      await nothingInFlight(gateway.port);
    },
  );
});
