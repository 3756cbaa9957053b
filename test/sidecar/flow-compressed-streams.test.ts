import assert from 'node:assert/strict';
import { it } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { createGzip, gunzipSync, constants } from 'node:zlib';
import { chatClient, startFlow, withFlow } from '../support/flow-support.ts';
import { eventually } from '../support/raw-client.ts';
import { deployment } from '../support/sidecar-harness.ts';

const HEAD =
  'HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ncontent-encoding: gzip\r\ntransfer-encoding: chunked\r\n\r\n';

const chunk = (bytes: Uint8Array): Buffer =>
  Buffer.concat([Buffer.from(`${bytes.length.toString(16)}\r\n`), bytes, Buffer.from('\r\n')]);

it('a compressed stream of events may last longer than the call timeout, as long as events come', async () => {
  await withFlow(
    async (_request, reply) => {
      const gzip = createGzip();
      const packed: Buffer[] = [];
      gzip.on('data', (bytes: Buffer) => packed.push(bytes));
      reply.write(HEAD);
      for (let count = 0; count < 8; count += 1) {
        gzip.write(`data: {"n":${count}}\n\n`);
        await new Promise<void>((resolve) => gzip.flush(constants.Z_SYNC_FLUSH, () => resolve()));
        reply.write(chunk(Buffer.concat(packed.splice(0))));
        await sleep(80);
      }
      gzip.end();
      await new Promise((resolve) => gzip.once('end', resolve));
      reply.write(Buffer.concat([chunk(Buffer.concat(packed)), Buffer.from('0\r\n\r\n')]));
    },
    (upstream) => startFlow([deployment('m', upstream.port)], { requestMs: 300, streamIdleMs: 5_000 }),
    async (gateway) => {
      const client = chatClient(gateway.port, 'm', ',"stream":true');
      const reply = await client.reply();
      const text = gunzipSync(reply.body).toString();
      assert.equal(text.match(/data:/g)?.length, 8);
      assert.equal(gateway.journal()[0]?.aborted, null);
      client.close();
    },
  );
});

it('one that falls silent is cut off after stream_idle, not after the call timeout', async () => {
  await withFlow(
    (_request, reply) => reply.write(`${HEAD}2\r\nxx\r\n`),
    (upstream) => startFlow([deployment('m', upstream.port)], { requestMs: 60_000, streamIdleMs: 200 }),
    async (gateway) => {
      const client = chatClient(gateway.port, 'm', ',"stream":true');
      await client.ended();
      await eventually(() => gateway.journal().length === 1, 'its event');
      assert.equal(gateway.journal()[0]?.aborted, 'upstream_interrupted');
    },
  );
});
