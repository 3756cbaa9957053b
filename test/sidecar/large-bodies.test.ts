import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { connect } from 'node:net';
import { after, before, describe, it } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { deployment, snapshotOf, startSidecar, TEST_KEY, type SidecarHarness } from '../support/sidecar-harness.ts';
import { ScriptedUpstream } from '../support/scripted-upstream.ts';

/** Memory of request bodies is shared and used again: bytes of one request must never turn up in another. */
describe('large bodies, many at once', () => {
  let upstream: ScriptedUpstream;
  let harness: SidecarHarness;

  before(async () => {
    upstream = await ScriptedUpstream.start((request, reply) => {
      const digest = createHash('sha256').update(request.body, 'latin1').digest('hex');
      const body = JSON.stringify({ id: 'x', model: 'upstream-gpt', digest });
      reply.write(`HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: ${body.length}\r\n\r\n${body}`);
    });
    harness = await startSidecar({ snapshot: snapshotOf([deployment('gpt', upstream.port)]) });
  });
  after(async () => {
    await harness.stop();
    upstream.stop();
  });

  for (const chunkBytes of [1_000_000, 65_536, 40_000, 7_001, 997]) {
    it(`in writes of ${chunkBytes} bytes`, async () => {
      const workers = Array.from({ length: 6 }, async (_, worker) => {
        for (let round = 0; round < 4; round += 1) {
          const text = `${worker}-${round}-`.repeat(4_000 + worker * 9_000 + round * 3_333);
          const sent = (model: string): string =>
            `{"model":"${model}","messages":[{"role":"user","content":"${text}"}]}`;
          const reply = await post(harness.port, Buffer.from(sent('gpt')), chunkBytes);
          const expected = createHash('sha256').update(sent('upstream-gpt')).digest('hex');
          assert.match(reply, new RegExp(expected), `worker ${worker}, round ${round}`);
        }
      });
      await Promise.all(workers);
    });
  }

  it('while other requests are refused in the middle, cut off, or end in an error', async () => {
    const test = { isOver: false };
    const disturbing = [
      (body: Buffer) => leave(harness.port, body, body.length >> 1),
      (body: Buffer) => leave(harness.port, body, body.length),
      (body: Buffer) => post(harness.port, Buffer.concat([Buffer.from('{"model":"gpt","model":"gpt",'), body]), 50_000),
      (body: Buffer) => post(harness.port, Buffer.concat([body, body]), 50_000),
    ].map(async (disturb, kind) => {
      const body = Buffer.from(
        `{"model":"gpt","messages":[{"role":"user","content":"${`bad${kind}`.repeat(60_000)}"}]}`,
      );
      while (!test.isOver) await disturb(body);
    });
    for (let round = 0; round < 25; round += 1) {
      const text = `good-${round}-`.repeat(40_000 + round);
      const sent = (model: string): string => `{"model":"${model}","messages":[{"role":"user","content":"${text}"}]}`;
      const reply = await post(harness.port, Buffer.from(sent('gpt')), 65_536);
      assert.match(
        reply,
        new RegExp(createHash('sha256').update(sent('upstream-gpt')).digest('hex')),
        `round ${round}`,
      );
    }
    test.isOver = true;
    await Promise.all(disturbing);
  });
});

it('what a client sends after its body was given up lands in nobody’s body', async () => {
  const upstream = await ScriptedUpstream.start((request, reply) => {
    const body = JSON.stringify({
      id: 'x',
      model: 'gpt',
      digest: createHash('sha256').update(request.body, 'latin1').digest('hex'),
    });
    reply.write(`HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: ${body.length}\r\n\r\n${body}`);
  });
  const harness = await startSidecar({
    snapshot: snapshotOf([deployment('gpt', upstream.port)], { timeouts: { clientBodyIdleMs: 300 } }),
  });
  const late = connect({ port: harness.port, host: '127.0.0.1', allowHalfOpen: true });
  late.on('error', () => undefined);
  late.write(requestHead(400_000) + '{"model":"gpt","messages":"' + 'late'.repeat(25_000));
  await once(late, 'data'); // the refusal; what follows is read and dropped

  const good = connect(harness.port, '127.0.0.1');
  const text = `{"model":"gpt","messages":[{"role":"user","content":"${'good'.repeat(40_000)}"}]}`;
  good.write(requestHead(text.length) + text.slice(0, 150_000));
  await sleep(50);
  late.write('late'.repeat(30_000));
  await sleep(50);
  good.write(text.slice(150_000));
  const [reply] = (await once(good, 'data')) as [Buffer];
  assert.match(
    reply.toString(),
    new RegExp(createHash('sha256').update(text.replace('"gpt"', '"upstream-gpt"')).digest('hex')),
  );
  late.destroy();
  good.destroy();
  await harness.stop();
  upstream.stop();
});

/** Sends the first `bytes` of a request and vanishes. */
async function leave(port: number, body: Buffer, bytes: number): Promise<void> {
  const socket = connect(port, '127.0.0.1');
  socket.on('error', () => undefined);
  socket.write(requestHead(body.length));
  socket.write(body.subarray(0, bytes));
  await new Promise((resolve) => setTimeout(resolve, 5));
  socket.destroy();
}

async function post(port: number, body: Buffer, chunkBytes: number): Promise<string> {
  const socket = connect(port, '127.0.0.1');
  socket.setNoDelay(true);
  const bytes = Buffer.concat([Buffer.from(requestHead(body.length)), body]);
  let reply = '';
  socket.on('error', () => undefined); // a refusal may come while we write
  socket.on('data', (chunk: Buffer) => (reply += chunk.toString()));
  const closed = new Promise((resolve) => socket.once('close', resolve));
  for (let at = 0; at < bytes.length; at += chunkBytes) {
    socket.write(bytes.subarray(at, at + chunkBytes));
    if (at % (chunkBytes * 8) === 0) await new Promise((resolve) => setImmediate(resolve));
  }
  await closed;
  return reply;
}

function requestHead(length: number): string {
  return `POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\nauthorization: Bearer ${TEST_KEY}\r\ncontent-type: application/json\r\ncontent-length: ${length}\r\nconnection: close\r\n\r\n`;
}
