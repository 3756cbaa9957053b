import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { connect, type Socket } from 'node:net';
import { describe, it } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import {
  CLOCK_SLACK_MS,
  chatBytes,
  chatClient,
  nothingInFlight,
  onlyEvent,
  since,
  startFlow,
  withFlow,
} from '../support/flow-support.ts';
import { eventually, RawClient, requestBytes } from '../support/raw-client.ts';
import { deployment, TEST_KEY } from '../support/sidecar-harness.ts';
import { jsonReply, type UpstreamScript } from '../support/scripted-upstream.ts';

const MB = 1_000_000;
/** What the buffers of two loopback connections hold in the kernel, and generously more. */
const KERNEL_BYTES = 30 * MB;

/** Writes `total` bytes as fast as they are taken; tells how many that was so far. */
function pour(socket: Socket, total: number): { taken: () => number; digest: string } {
  const block = Buffer.from(Array.from({ length: MB }, (_, index) => index % 251));
  const digest = createHash('sha256');
  for (let at = 0; at < total; at += MB) digest.update(block);
  let written = 0;
  const more = (): void => {
    while (written < total) {
      written += MB;
      if (!socket.write(block)) {
        socket.once('drain', more);
        return;
      }
    }
  };
  more();
  return { taken: () => written - socket.writableLength, digest: digest.digest('hex') };
}

/** Waits until `value` has stayed the same for a while. */
async function settled(value: () => number): Promise<number> {
  for (let last = -1, same = 0; ;) {
    const now = value();
    same = now === last ? same + 1 : 0;
    last = now;
    if (same === 10) return now;
    await sleep(20);
  }
}

/** The first `\r\n\r\n` and what follows it, hashed as it comes. */
function hashBody(socket: Socket): { bytes: () => number; digest: () => string } {
  const hash = createHash('sha256');
  let bytes = -1;
  let head = Buffer.alloc(0);
  socket.on('data', (chunk: Buffer) => {
    let body = chunk;
    if (bytes === -1) {
      head = Buffer.concat([head, chunk]);
      const end = head.indexOf('\r\n\r\n');
      if (end === -1) return;
      body = head.subarray(end + 4);
      bytes = 0;
    }
    hash.update(body);
    bytes += body.length;
  });
  return { bytes: () => bytes, digest: () => hash.digest('hex') };
}

describe('back-pressure', { concurrency: true }, () => {
  it('a client that stops reading 100 MB stops the provider; when it goes on it gets every byte', async () => {
    const total = 100 * MB; // of which the kernel's buffers hold a tenth or so
    let poured: ReturnType<typeof pour> | null = null;
    const script: UpstreamScript = (_request, { socket }) => {
      socket.write(`HTTP/1.1 200 OK\r\ncontent-type: audio/mpeg\r\ncontent-length: ${total}\r\n\r\n`);
      poured = pour(socket, total);
    };
    await withFlow(
      script,
      (upstream) => startFlow([deployment('gpt', upstream.port)]),
      async (gateway) => {
        const socket = connect(gateway.port, '127.0.0.1');
        socket.pause();
        socket.write(chatBytes('gpt', '', { path: '/v1/audio/speech' }));
        await eventually(() => poured !== null, 'the provider answers');
        const taken = await settled(() => poured!.taken());
        assert.ok(taken < KERNEL_BYTES, `${taken} bytes were taken from the provider for a client that does not read`);
        const body = hashBody(socket);
        socket.resume();
        await eventually(() => body.bytes() >= total, 'all bytes came', 20_000);
        assert.equal(body.bytes(), total);
        assert.equal(body.digest(), poured!.digest);
        const event = await onlyEvent(gateway);
        assert.equal(event.responseBytes, total);
        assert.equal(event.aborted, null);
        socket.destroy();
      },
    );
  });

  it('a client that leaves instead frees all of it', async () => {
    let closed = false;
    const script: UpstreamScript = (_request, { socket }) => {
      socket.write(`HTTP/1.1 200 OK\r\ncontent-type: audio/mpeg\r\ncontent-length: ${50 * MB}\r\n\r\n`);
      pour(socket, 50 * MB);
      socket.once('close', () => (closed = true));
    };
    await withFlow(
      script,
      (upstream) => startFlow([deployment('gpt', upstream.port)]),
      async (gateway, upstream) => {
        const socket = connect(gateway.port, '127.0.0.1');
        socket.pause();
        socket.write(chatBytes('gpt', '', { path: '/v1/audio/speech' }));
        await eventually(() => upstream.requests.length === 1, 'the provider answers');
        await sleep(50);
        socket.destroy();
        await eventually(() => closed, 'the provider is let go');
        assert.equal((await onlyEvent(gateway)).aborted, 'client_gone');
        await nothingInFlight(gateway.port);
      },
    );
  });

  it('a client that pipelines and does not read is not served ahead of its reading', async () => {
    // Each answer is small enough to leave in one write.
    const count = 600;
    const filler = 'x'.repeat(50_000);
    const script: UpstreamScript = (request, reply) => {
      reply.write(jsonReply(`{"n":${/"n":(\d+)/.exec(request.body)![1]},"filler":"${filler}"}`));
    };
    await withFlow(
      script,
      (upstream) => startFlow([deployment('gpt', upstream.port)]),
      async (gateway, upstream) => {
        const client = connect(gateway.port, '127.0.0.1');
        client.pause();
        for (let n = 0; n < count; n += 1) client.write(chatBytes('gpt', `,"n":${n}`));
        await eventually(() => upstream.requests.length > 0, 'the first one is worked on');
        const served = await settled(() => upstream.requests.length);
        assert.ok(served * filler.length < KERNEL_BYTES, `${served} requests were worked on, though nobody reads`);
        const chunks: Buffer[] = [];
        let bytes = 0;
        client.on('data', (chunk: Buffer) => {
          chunks.push(chunk);
          bytes += chunk.length;
        });
        client.resume();
        await eventually(
          () => bytes > count * filler.length && upstream.requests.length === count,
          'all answers',
          20_000,
        );
        await eventually(() => gateway.journal().length === count, 'all events');
        await settled(() => bytes);
        const numbers = Buffer.concat(chunks)
          .toString('latin1')
          .matchAll(/\{"n":(\d+),/g);
        assert.deepEqual(
          [...numbers].map((match) => Number(match[1])),
          Array.from({ length: count }, (_, index) => index),
        );
        client.destroy();
      },
    );
  });

  it('and is cut off in the end, wherever among its requests it stopped', async () => {
    const filler = 'x'.repeat(400_000);
    const script: UpstreamScript = (_request, reply) => reply.write(jsonReply(`{"filler":"${filler}"}`));
    await withFlow(
      script,
      (upstream) => startFlow([deployment('gpt', upstream.port)], { clientWriteIdleMs: 300 }),
      async (gateway) => {
        const client = new RawClient(gateway.port);
        client.socket.pause();
        const from = performance.now();
        // The last one is not whole: what is left of it must not undo the bound on the answers before.
        for (let n = 0; n < 100; n += 1) client.send(chatBytes('gpt'));
        client.send('POST /v1/chat');
        let closed = false;
        client.socket.once('error', () => (closed = true));
        client.socket.once('close', () => (closed = true));
        await sleep(700);
        const poke = setInterval(() => client.send('x'), 20);
        await eventually(() => closed, 'it is cut off').finally(() => clearInterval(poke));
        assert.ok(since(from) >= 300 - CLOCK_SLACK_MS);
        await nothingInFlight(gateway.port);
      },
    );
  });

  it('a provider that does not read a large request: bounded by its time, and by its client', async () => {
    const body = `{"model":"gpt","pad":"${'x'.repeat(8 * MB)}"}`;
    const closed: number[] = [];
    const script: UpstreamScript = () => undefined;
    await withFlow(
      script,
      (upstream) =>
        startFlow([deployment('gpt', upstream.port)], { firstByteMs: 400 }, { settings: { numRetries: 0 } }),
      async (gateway, upstream) => {
        upstream.onConnection = (socket) => {
          socket.pause();
          socket.once('error', () => undefined);
          socket.once('close', () => closed.push(1));
          // A socket that isn't read hears of its end only by trying.
          setTimeout(() => socket.resume(), 800);
        };
        const client = new RawClient(gateway.port).send(requestBytes({ key: TEST_KEY, body }));
        assert.equal((await client.reply()).status, 408);
        const leaving = new RawClient(gateway.port).send(requestBytes({ key: TEST_KEY, body }));
        await eventually(() => upstream.connectionCount === 2, 'the second one is under way');
        leaving.close();
        await eventually(() => closed.length === 2, 'both connections are closed');
        await nothingInFlight(gateway.port);
      },
    );
  });

  for (const [version, header] of [
    ['1.1', 'connection: close'],
    ['1.0', 'x-a: b'],
  ]) {
    it(`the last answer on an HTTP/${version} connection waits for a slow reader`, async () => {
      // More than the kernel takes for a client that doesn't read, in one piece.
      const groups = Array.from({ length: 9000 }, (_, index) => `group-${index}-${'x'.repeat(1000)}`);
      const spec = deployment('gpt', 1);
      const gateway = await startFlow(
        [spec],
        {},
        { groups: groups.map((name) => ({ name, deploymentIds: [spec.id], limits: null })) },
      );
      try {
        const client = new RawClient(gateway.port);
        client.socket.pause();
        client.send(
          `GET /v1/models HTTP/${version}\r\nhost: a\r\nauthorization: Bearer ${TEST_KEY}\r\n${header}\r\n\r\n`,
        );
        await sleep(2_400); // longer than what is still sent after an answer is read
        client.socket.resume();
        const { data } = JSON.parse((await client.reply()).text) as { data: unknown[] };
        assert.equal(data.length, groups.length);
        await client.ended();
      } finally {
        await gateway.stop();
      }
    });
  }

  it('a stream whose client is slow goes on from where it stopped', async () => {
    const event = `data: {"pad":"${'y'.repeat(1000)}"}\n\n`;
    const count = 10_000;
    const script: UpstreamScript = (_request, { socket }) => {
      socket.write('HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\nconnection: close\r\n\r\n');
      socket.end(`${event.repeat(count)}data: [DONE]\n\n`);
    };
    await withFlow(
      script,
      (upstream) => startFlow([deployment('gpt', upstream.port)], { streamIdleMs: 300 }),
      async (gateway) => {
        const client = chatClient(gateway.port, 'gpt', ',"stream":true');
        client.socket.pause();
        // Longer than streamIdle: the silence is ours, not the provider's.
        await sleep(700);
        client.socket.resume();
        const reply = await client.reply();
        assert.equal(reply.body.length, event.length * count + 'data: [DONE]\n\n'.length);
        assert.equal((await onlyEvent(gateway)).error, null);
      },
    );
  });
});
