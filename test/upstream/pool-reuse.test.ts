import assert from 'node:assert/strict';
import { createHook } from 'node:async_hooks';
import { describe } from 'node:test';
import type { UpstreamConnection } from '../../src/sidecar/upstream/upstream-connection.ts';
import {
  connected,
  eventually,
  exchange,
  origin,
  RecordingOwner,
  settle,
  socketTest,
  startPeer,
  startPools,
} from './upstream-test-support.ts';

describe('upstream pool: reuse', () => {
  socketTest('the next request goes out on the same connection', async (test) => {
    const peer = await startPeer(test);
    const pool = startPools(test).poolFor(origin({ port: peer.port }));
    const first = await exchange(pool);
    assert.equal(first.reused, false);
    first.release(null);
    assert.equal(first.owner, null);
    const owner = new RecordingOwner();
    const second = pool.acquire(owner, performance.now());
    assert.equal(second, first);
    assert.equal(second.owner, owner);
    assert.equal(second.reused, true);
    second.write('ping');
    await owner.gets('data');
    assert.equal(owner.text, 'pong');
    assert.deepEqual(owner.events, ['data']);
    assert.equal(peer.sockets.length, 1);
    assert.equal(pool.stats().opened, 1);
    assert.equal(pool.stats().reused, 1);
  });

  socketTest('the most recently released connection goes first', async (test) => {
    const peer = await startPeer(test);
    const pool = startPools(test).poolFor(origin({ port: peer.port }));
    const [a, b, c] = await Promise.all([connected(pool), connected(pool), connected(pool)]);
    b.release(null);
    c.release(null);
    a.release(null);
    assert.equal(pool.stats().idle, 3);
    const order: (UpstreamConnection | null)[] = [];
    for (let i = 0; i < 3; i++) order.push(pool.acquire(new RecordingOwner(), performance.now()));
    assert.ok(order[0] === a && order[1] === c && order[2] === b);
  });

  for (const [how, end] of [
    ['FIN', (socket) => socket.end()],
    ['RST', (socket) => socket.resetAndDestroy()],
    ['unasked-for data', (socket) => socket.write('HTTP/1.1 408 Request Timeout\r\n\r\n')],
  ] as [string, (socket: import('node:net').Socket) => void][]) {
    socketTest(`${how} while idle takes it out of the pool without a word`, async (test) => {
      const peer = await startPeer(test);
      const pool = startPools(test).poolFor(origin({ port: peer.port }));
      const owner = new RecordingOwner();
      const first = await connected(pool, owner);
      first.release(null);
      assert.equal(pool.stats().idle, 1);
      for (const socket of peer.sockets) end(socket);
      await eventually(() => pool.stats().idle === 0, 'the connection left the pool');
      assert.equal(pool.stats().busy, 0);
      assert.deepEqual(owner.events, ['connected']);
      const second = await exchange(pool);
      assert.notEqual(second, first);
      assert.equal(second.reused, false);
    });
  }

  socketTest('paused when released, it still notices the FIN', async (test) => {
    const peer = await startPeer(test);
    const pool = startPools(test).poolFor(origin({ port: peer.port }));
    const connection = await exchange(pool);
    connection.pause();
    connection.release(null);
    peer.sockets[0]?.end();
    await eventually(() => pool.stats().idle === 0, 'the connection left the pool');
  });

  for (const how of ['end', 'resetAndDestroy'] as const) {
    socketTest(`a reused connection that dies (${how}) says so, a new one does not`, async (test) => {
      const peer = await startPeer(test, {
        onConnection: (socket) => {
          socket.on('data', (chunk) => (String(chunk) === 'die' ? socket[how]() : socket.write('pong')));
        },
      });
      const pool = startPools(test).poolFor(origin({ port: peer.port }));
      (await exchange(pool)).release(null);
      const owner = new RecordingOwner();
      const reused = await connected(pool, owner);
      assert.equal(reused.reused, true);
      reused.write('die');
      await owner.gets('closed');
      assert.deepEqual(owner.events, ['closed']);
      assert.equal(reused.owner, null);
      assert.equal(pool.stats().busy, 0);

      const freshOwner = new RecordingOwner();
      assert.equal(pool.acquireFresh(freshOwner, performance.now()), null);
      await freshOwner.gets('connected');
      assert.equal(freshOwner.connection?.reused, false);
      freshOwner.connection.write('die');
      await freshOwner.gets('closed');

      if (how === 'end') {
        assert.equal(owner.failure, null);
        assert.equal(freshOwner.failure, null);
      } else {
        assert.deepEqual(owner.failure, {
          name: 'upstream_closed',
          message: `connection to 127.0.0.1:${peer.port} lost: connection reset`,
          systemCode: 'ECONNRESET',
          reused: true,
          isOurs: false,
        });
        assert.equal(freshOwner.failure?.reused, false);
      }
    });
  }

  socketTest('acquireFresh leaves idle connections alone, but makes room at the limit', async (test) => {
    const peer = await startPeer(test);
    const pool = startPools(test).poolFor(origin({ port: peer.port, maxConnections: 2 }));
    const [a] = [await connected(pool)];
    a.release(null);
    const owner = new RecordingOwner();
    assert.equal(pool.acquireFresh(owner, performance.now()), null);
    await owner.gets('connected');
    assert.notEqual(owner.connection, a);
    assert.equal(pool.stats().idle, 1);
    const other = new RecordingOwner();
    assert.equal(pool.acquireFresh(other, performance.now()), null);
    assert.equal(pool.stats().idle, 0);
    await other.gets('connected');
    assert.equal(other.connection?.reused, false);
    assert.equal(peer.sockets.length, 3);
    assert.equal(pool.stats().busy, 2);
  });

  socketTest('release and destroy, each twice and in any order', async (test) => {
    const peer = await startPeer(test);
    const pool = startPools(test).poolFor(origin({ port: peer.port }));
    const owner = new RecordingOwner();
    const a = await connected(pool, owner);
    a.release(null);
    a.release(null);
    assert.equal(pool.stats().idle, 1);
    a.destroy();
    a.destroy();
    a.release(null);
    assert.deepEqual({ ...pool.stats(), label: '' }, { ...pool.stats(), label: '', idle: 0, busy: 0 });
    const b = await connected(pool, owner);
    b.destroy();
    b.release(null);
    b.destroy();
    assert.equal(pool.stats().idle + pool.stats().busy, 0);
    assert.equal(b.write('late'), false);
    await settle();
    assert.deepEqual(owner.events, ['connected', 'connected']);
  });

  socketTest('a connection with request bytes still queued is not reused', async (test) => {
    const peer = await startPeer(test, { onConnection: (socket) => socket.pause() });
    const pool = startPools(test).poolFor(origin({ port: peer.port }));
    const connection = await connected(pool);
    const block = Buffer.alloc(1 << 20);
    for (let i = 0; i < 64 && connection.bufferedBytes === 0; i++) connection.write(block);
    assert.ok(connection.bufferedBytes > 0);
    connection.release(null);
    assert.equal(pool.stats().idle, 0);
    assert.equal(pool.stats().busy, 0);
  });

  socketTest('a connection in the middle of a reply is not reused', async (test) => {
    const peer = await startPeer(test, { reply: 'HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nhalf' });
    const pool = startPools(test).poolFor(origin({ port: peer.port }));
    const owner = new RecordingOwner();
    const connection = await connected(pool, owner);
    connection.parser.expect('GET', false);
    connection.write('GET');
    await owner.gets('data');
    const chunk = owner.chunks[0];
    assert.ok(chunk !== undefined);
    connection.parser.next(chunk, 0, chunk.length);
    connection.release(null);
    assert.equal(pool.stats().idle, 0);
  });

  socketTest('1,000 acquires of idle connections create no timer', async (test) => {
    const peer = await startPeer(test);
    const pools = startPools(test, {}, true);
    const pool = pools.poolFor(origin({ port: peer.port }));
    (await exchange(pool)).release(null);
    const created = new Map<string, number>();
    const hook = createHook({ init: (_id, type) => void created.set(type, (created.get(type) ?? 0) + 1) }).enable();
    try {
      for (let i = 0; i < 1000; i++) {
        const owner = new RecordingOwner();
        const connection = pool.acquire(owner, i);
        assert.ok(connection !== null);
        connection.write('ping');
        await owner.gets('data');
        connection.release(null);
        if (i % 10 === 0) pools.tick(i);
      }
    } finally {
      hook.disable();
    }
    assert.ok((created.get('PROMISE') ?? 0) > 0, 'the hook sees what is created');
    assert.equal(created.get('Timeout') ?? 0, 0);
    assert.equal(created.get('Immediate') ?? 0, 0);
    assert.equal(peer.sockets.length, 1);
  });
});

describe('upstream pool: idle time', () => {
  socketTest('an idle connection is closed after the idle timeout, not before', async (test) => {
    const peer = await startPeer(test);
    const pools = startPools(test, { idleTimeoutMs: 1000 }, true);
    const pool = pools.poolFor(origin({ port: peer.port }));
    (await exchange(pool)).release(null);
    pools.tick(50_000); // the first tick after the release starts the clock
    pools.tick(50_999);
    assert.equal(pool.stats().idle, 1);
    pools.tick(51_000);
    assert.equal(pool.stats().idle, 0);
    assert.equal(pool.stats().busy, 0);
  });

  socketTest('each release starts it anew, and a busy connection has none', async (test) => {
    const peer = await startPeer(test);
    const pools = startPools(test, { idleTimeoutMs: 1000 }, true);
    const pool = pools.poolFor(origin({ port: peer.port }));
    const connection = await exchange(pool);
    connection.release(null);
    pools.tick(1);
    assert.equal(pool.acquire(new RecordingOwner(), 500), connection);
    pools.tick(5000);
    assert.equal(pool.stats().busy, 1);
    connection.release(null);
    pools.tick(5100);
    pools.tick(6099);
    assert.equal(pool.stats().idle, 1);
    pools.tick(6100);
    assert.equal(pool.stats().idle, 0);
  });

  socketTest('one that is overdue is not given out, though the tick is late', async (test) => {
    const peer = await startPeer(test);
    const pools = startPools(test, { idleTimeoutMs: 1000 }, true);
    const pool = pools.poolFor(origin({ port: peer.port }));
    const connection = await exchange(pool);
    connection.release(null);
    pools.tick(100);
    const owner = new RecordingOwner();
    assert.equal(pool.acquire(owner, 1100), null);
    await owner.gets('connected');
    assert.notEqual(owner.connection, connection);
  });

  for (const [keepAliveMs, lastsMs] of [
    [5000, 4000],
    [1001, 1],
    [60_000, 30_000],
  ] as const) {
    socketTest(`Keep-Alive of ${keepAliveMs} ms and 30,000 of our own: idle for ${lastsMs} ms`, async (test) => {
      const peer = await startPeer(test);
      const pools = startPools(test, { idleTimeoutMs: 30_000 }, true);
      const pool = pools.poolFor(origin({ port: peer.port }));
      (await exchange(pool)).release(keepAliveMs);
      pools.tick(100);
      pools.tick(100 + lastsMs - 1);
      assert.equal(pool.stats().idle, 1);
      pools.tick(100 + lastsMs);
      assert.equal(pool.stats().idle, 0);
    });
  }

  for (const keepAliveMs of [0, 1000]) {
    socketTest(`Keep-Alive of ${keepAliveMs} ms: not kept at all`, async (test) => {
      const peer = await startPeer(test);
      const pool = startPools(test).poolFor(origin({ port: peer.port }));
      (await exchange(pool)).release(keepAliveMs);
      assert.equal(pool.stats().idle, 0);
      assert.equal(pool.stats().busy, 0);
    });
  }

  socketTest('the Keep-Alive of one exchange does not outlive the next', async (test) => {
    const peer = await startPeer(test);
    const pools = startPools(test, { idleTimeoutMs: 30_000 }, true);
    const pool = pools.poolFor(origin({ port: peer.port }));
    (await exchange(pool)).release(2000);
    (await exchange(pool)).release(null);
    pools.tick(100);
    pools.tick(29_000);
    assert.equal(pool.stats().idle, 1);
  });
});
