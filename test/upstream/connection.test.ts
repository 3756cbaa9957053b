import assert from 'node:assert/strict';
import { asBytes } from '../../src/base/bytes.ts';
import { createHash, randomBytes } from 'node:crypto';
import { describe } from 'node:test';
import {
  connected,
  eventually,
  origin,
  RecordingOwner,
  settle,
  socketTest,
  startPeer,
  startPools,
} from './upstream-test-support.ts';

describe('upstream connection', () => {
  socketTest('text goes out as latin1, bytes as they are, what is sent together in one segment', async (test) => {
    const received: Buffer[] = [];
    const peer = await startPeer(test, {
      onConnection: (socket) => {
        socket.on('data', (chunk: Buffer) => received.push(chunk));
        socket.on('end', () => {});
      },
    });
    const pool = startPools(test).poolFor(origin({ port: peer.port }));
    const connection = await connected(pool);
    const parts = [asBytes(Buffer.from([0, 0xff])), asBytes(Buffer.from('body'))];
    assert.equal(connection.send({ head: 'caf\u00e9 ', parts, tail: '\u00e0' }), true);
    await eventually(() => received.length > 0, 'bytes arrived');
    assert.deepEqual(Buffer.concat(received), Buffer.from('636166e92000ff626f6479e0', 'hex'));
    assert.equal(received.length, 1);
    assert.equal(connection.write('\u00e9'), true);
    assert.equal(connection.write(Uint8Array.of(0xfe)), true);
    await eventually(() => Buffer.concat(received).length === 14, 'more bytes arrived');
    assert.deepEqual(Buffer.concat(received).subarray(12), Buffer.of(0xe9, 0xfe));
    assert.equal(connection.bufferedBytes, 0);
  });

  socketTest('chunks stay as they were, however much is read afterwards', async (test) => {
    const sent: Buffer[] = [];
    const peer = await startPeer(test, {
      onConnection: (socket) => {
        socket.on('data', () => {
          // Sizes around those at which the slab changes what it does.
          const block = randomBytes([1, 7, 600, 16_383, 16_384, 65_536, 300_000][sent.length % 7] ?? 1);
          sent.push(block);
          socket.write(block);
        });
      },
    });
    const pool = startPools(test).poolFor(origin({ port: peer.port }));
    const owners = [new RecordingOwner(), new RecordingOwner(), new RecordingOwner()];
    const connections = [];
    for (const owner of owners) connections.push(await connected(pool, owner));
    const expected: Buffer[][] = owners.map(() => []);
    for (let round = 0; round < 70; round++) {
      const which = round % owners.length;
      const owner = owners[which];
      assert.ok(owner !== undefined);
      connections[which]?.write('more');
      const mine = expected[which];
      await eventually(() => sent.length === round + 1, 'the peer replied');
      mine?.push(sent[round] ?? Buffer.alloc(0));
      const total = mine?.reduce((sum, block) => sum + block.length, 0) ?? 0;
      await owner.until(() => owner.chunks.reduce((sum, chunk) => sum + chunk.length, 0) === total);
    }
    for (const [which, owner] of owners.entries()) {
      const digest = (parts: readonly Uint8Array[]): string =>
        createHash('sha256').update(Buffer.concat(parts)).digest('hex');
      assert.equal(digest(owner.chunks), digest(expected[which] ?? []));
    }
  });

  socketTest('write answers false when the provider does not read, drain comes when it does', async (test) => {
    const peer = await startPeer(test, { onConnection: (socket) => socket.pause() });
    const pool = startPools(test).poolFor(origin({ port: peer.port }));
    const owner = new RecordingOwner();
    const connection = await connected(pool, owner);
    const block = Buffer.alloc(1 << 20);
    let written = 0;
    while (connection.write(block)) assert.ok(++written < 200);
    assert.ok(connection.bufferedBytes > 0);
    await settle();
    assert.ok(!owner.events.includes('drain'));
    peer.sockets[0]?.on('data', () => {}).resume();
    await owner.gets('drain');
    assert.equal(connection.bufferedBytes, 0);
  });

  socketTest('pause holds data back, and with it the provider; resume goes on', async (test) => {
    const total = 8 << 20;
    let sent = 0;
    const peer = await startPeer(test, {
      onConnection: (socket) => {
        socket.once('data', () => {
          const more = (): void => {
            while (sent < total) {
              sent += 1 << 16;
              if (!socket.write(Buffer.alloc(1 << 16))) return void socket.once('drain', more);
            }
            socket.end();
          };
          more();
        });
      },
    });
    const pool = startPools(test).poolFor(origin({ port: peer.port }));
    const owner = new RecordingOwner();
    const connection = await connected(pool, owner);
    connection.write('go');
    await owner.gets('data');
    connection.pause();
    await settle();
    const before = owner.chunks.length;
    let last = -1;
    await eventually(() => sent === last || ((last = sent), false), 'the provider stalls');
    assert.ok(sent < total, 'back-pressure reached the provider');
    assert.ok(owner.chunks.length <= before + 1);
    connection.resume();
    await owner.gets('closed');
    assert.equal(owner.failure, null);
    assert.equal(
      owner.chunks.reduce((sum, chunk) => sum + chunk.length, 0),
      total,
    );
  });

  socketTest('the last bytes come before the FIN, and nothing after it', async (test) => {
    const peer = await startPeer(test, { onConnection: (socket) => socket.on('data', () => socket.end('bye')) });
    const pool = startPools(test).poolFor(origin({ port: peer.port }));
    const owner = new RecordingOwner();
    const connection = await connected(pool, owner);
    connection.write('ping');
    await owner.gets('closed');
    assert.deepEqual(owner.events, ['connected', 'data', 'closed']);
    assert.equal(owner.failure, null);
    assert.equal(connection.owner, null);
    assert.equal(pool.stats().busy, 0);
    await settle();
    assert.equal(owner.events.length, 3);
  });

  socketTest('destroy from within onUpstreamData is the end of it', async (test) => {
    const peer = await startPeer(test, {
      onConnection: (socket) => socket.on('data', () => socket.write(Buffer.alloc(1 << 20))),
    });
    const pool = startPools(test).poolFor(origin({ port: peer.port }));
    const owner = new RecordingOwner();
    const connection = await connected(pool, owner);
    const onData = owner.onUpstreamData.bind(owner);
    owner.onUpstreamData = (chunk) => {
      onData(chunk);
      connection.destroy();
    };
    connection.write('ping');
    await eventually(() => peer.sockets[0]?.destroyed === true, 'the provider noticed');
    assert.deepEqual(owner.events, ['connected', 'data']);
  });

  socketTest('release from within onUpstreamData: the next owner gets only its own bytes', async (test) => {
    const peer = await startPeer(test);
    const pool = startPools(test).poolFor(origin({ port: peer.port, maxConnections: 1 }));
    const first = new RecordingOwner();
    const connection = await connected(pool, first);
    const second = new RecordingOwner();
    assert.equal(pool.acquire(second, performance.now()), null);
    const onData = first.onUpstreamData.bind(first);
    first.onUpstreamData = (chunk) => {
      onData(chunk);
      connection.release(null);
      connection.write('ping');
    };
    connection.write('ping');
    await second.gets('data');
    assert.equal(first.text, 'pong');
    assert.equal(second.text, 'pong');
  });
});
