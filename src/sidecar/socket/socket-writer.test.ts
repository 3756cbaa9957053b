import assert from 'node:assert/strict';
import { once } from 'node:events';
import { connect, createServer, type AddressInfo, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, describe, it } from 'node:test';
import { asBytes, type Bytes } from '../../base/bytes.ts';
import { SocketWriter } from './socket-writer.ts';

const KIB = 1024;

interface Pair {
  readonly socket: Socket;
  readonly peer: Socket;
  readonly writer: SocketWriter;
}

function bytes(length: number, seed: number): Bytes {
  const buffer = Buffer.allocUnsafe(length);
  for (let at = 0; at < length; at += 1) buffer[at] = (seed + at * 31) % 251;
  return asBytes(buffer);
}

describe('SocketWriter', () => {
  const open: Socket[] = [];
  after(() => {
    for (const socket of open) socket.destroy();
  });

  async function startPair(path: string | null = null): Promise<Pair> {
    const server = createServer({ pauseOnConnect: true });
    if (path === null) server.listen(0, '127.0.0.1');
    else server.listen(path);
    await once(server, 'listening');
    const socket = path === null ? connect((server.address() as AddressInfo).port, '127.0.0.1') : connect(path);
    const [[peer]] = (await Promise.all([once(server, 'connection'), once(socket, 'connect')])) as [[Socket], unknown];
    server.close();
    socket.on('error', () => {});
    peer.on('error', () => {});
    open.push(socket, peer);
    return { socket, peer, writer: new SocketWriter(socket) };
  }

  function received(peer: Socket, length: number): Promise<Buffer> {
    const chunks: Buffer[] = [];
    let total = 0;
    return new Promise((resolve) => {
      peer.on('data', (chunk: Buffer) => {
        chunks.push(chunk);
        total += chunk.length;
        if (total >= length) resolve(Buffer.concat(chunks));
      });
      peer.resume();
    });
  }

  for (const kind of ['TCP', 'Unix socket'] as const) {
    it(`sends head, parts and tail of any size, in order (${kind})`, async () => {
      const path = kind === 'TCP' ? null : join(tmpdir(), `slipstream-writer-${process.pid}.sock`);
      const { writer, peer } = await startPair(path);
      const expected: Uint8Array[] = [];
      const sizes = [[0], [1], [500, 0, 3], [64 * KIB], [64 * KIB + 1], [40 * KIB, 30 * KIB], [0]];
      for (const [seed, lengths] of sizes.entries()) {
        const head = `head \u00e9 ${seed}\r\n`;
        const parts = lengths.map((length) => bytes(length, seed));
        const tail = seed % 2 === 0 ? '' : `\r\ntail \u00ff ${seed}`;
        writer.send({ head, parts, tail });
        expected.push(Buffer.from(head, 'latin1'), ...parts, Buffer.from(tail, 'latin1'));
      }
      // A head beyond the room that is kept for it.
      const long = 'x'.repeat(100 * KIB);
      writer.send({ head: long, parts: [], tail: '' });
      expected.push(Buffer.from(long));
      const all = Buffer.concat(expected);
      assert.deepEqual(await received(peer, all.length), all);
      assert.equal(writer.unsentBytes, 0);
    });
  }

  it("with this Node, what the kernel takes at once does not go through Node's stream", async () => {
    const { writer, socket, peer } = await startPair();
    socket.write = () => assert.fail('the stream is not asked');
    assert.equal(writer.send({ head: 'head', parts: [bytes(500, 1)], tail: '' }), true);
    assert.equal(writer.unsentBytes, 0);
    assert.equal((await received(peer, 504)).length, 504);
  });

  it('to a peer that does not read: says so, keeps what is left as it was, drains once, goes on in order', async () => {
    const { writer, socket, peer } = await startPair();
    let drains = 0;
    socket.on('drain', () => (drains += 1));
    const sent: Bytes[] = [];
    const send = (length: number): boolean => {
      const part = bytes(length, sent.length);
      sent.push(part);
      return writer.send({ head: '', parts: [part], tail: '' });
    };
    while (send(60 * KIB)) assert.ok(sent.length < 1000, 'the kernel takes everything');
    assert.ok(writer.unsentBytes >= 60 * KIB, `${writer.unsentBytes} bytes are unsent`);
    // The memory that was written from is others' meanwhile.
    const other = await startPair();
    other.writer.send({ head: 'z'.repeat(60 * KIB), parts: [], tail: '' });
    // More of its own goes behind, whatever was answered.
    send(100);
    send(70 * KIB);
    const all = Buffer.concat(sent);
    const got = await received(peer, all.length);
    assert.ok(got.equals(all), 'the bytes are as they were given');
    await new Promise((resolve) => setImmediate(resolve));
    assert.equal(writer.unsentBytes, 0);
    assert.equal(drains, 1);
    assert.equal(send(100), true);
  });

  it('a small write that does not fit is queued without a word, and nobody is told of a drain', async () => {
    const { writer, socket, peer } = await startPair();
    let drains = 0;
    socket.on('drain', () => (drains += 1));
    let sentBytes = 0;
    const send = (length: number): boolean => {
      sentBytes += length;
      return writer.send({ head: '', parts: [bytes(length, 1)], tail: '' });
    };
    // Below the high-water mark a stream says nothing either.
    while (writer.unsentBytes === 0) assert.equal(send(8 * KIB), true);
    await received(peer, sentBytes);
    await new Promise((resolve) => setImmediate(resolve));
    assert.equal(writer.unsentBytes, 0);
    assert.equal(drains, 0);
  });

  it('the end of the socket comes after what is queued', async () => {
    const { writer, socket, peer } = await startPair();
    let sentBytes = 0;
    do sentBytes += 60 * KIB;
    while (writer.send({ head: '', parts: [bytes(60 * KIB, 2)], tail: '' }));
    socket.end();
    const ended = once(peer, 'end');
    assert.equal((await received(peer, sentBytes)).length, sentBytes);
    await ended;
  });

  it('to a peer that is gone: the socket is closed with the reason, and what is sent then is dropped', async () => {
    const { writer, socket, peer } = await startPair();
    const closed = once(socket, 'error') as Promise<[NodeJS.ErrnoException]>;
    peer.resetAndDestroy();
    // Busy, so that nothing is read and only writing can tell.
    const until = performance.now() + 50;
    while (performance.now() < until);
    const isReady = writer.send({ head: 'for nobody', parts: [], tail: '' });
    assert.equal(isReady, false);
    const [error] = await closed;
    assert.match(error.code ?? '', /^(EPIPE|ECONNRESET)$/);
    assert.equal(error.message, `write ${error.code}`);
    assert.equal(socket.destroyed, true);
    writer.send({ head: 'for nobody', parts: [], tail: '' });
  });

  it('destroyed while bytes are queued: no drain, no error', async () => {
    const { writer, socket } = await startPair();
    const said: string[] = [];
    for (const name of ['drain', 'error']) socket.on(name, () => said.push(name));
    while (writer.send({ head: '', parts: [bytes(60 * KIB, 3)], tail: '' }));
    socket.destroy();
    await once(socket, 'close');
    await new Promise((resolve) => setImmediate(resolve));
    assert.deepEqual(said, []);
  });
});
