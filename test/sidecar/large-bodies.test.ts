import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { connect } from 'node:net';
import { after, before, describe, it } from 'node:test';
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
});

async function post(port: number, body: Buffer, chunkBytes: number): Promise<string> {
  const socket = connect(port, '127.0.0.1');
  socket.setNoDelay(true);
  const head = `POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\nauthorization: Bearer ${TEST_KEY}\r\ncontent-type: application/json\r\ncontent-length: ${body.length}\r\nconnection: close\r\n\r\n`;
  const bytes = Buffer.concat([Buffer.from(head), body]);
  let reply = '';
  socket.on('data', (chunk: Buffer) => (reply += chunk.toString()));
  const closed = new Promise((resolve) => socket.once('close', resolve));
  for (let at = 0; at < bytes.length; at += chunkBytes) {
    socket.write(bytes.subarray(at, at + chunkBytes));
    if (at % (chunkBytes * 8) === 0) await new Promise((resolve) => setImmediate(resolve));
  }
  await closed;
  return reply;
}
