import assert from 'node:assert/strict';
import { describe } from 'node:test';
import type { UpstreamPool } from '../../src/sidecar/upstream/upstream-pool.ts';
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

function queue(pool: UpstreamPool, nowMs: number = performance.now()): RecordingOwner {
  const owner = new RecordingOwner();
  assert.equal(pool.acquire(owner, nowMs), null);
  return owner;
}

describe('upstream pool: connection limit', () => {
  socketTest('at the limit a request waits, and gets the next connection that is released', async (test) => {
    const peer = await startPeer(test);
    const pool = startPools(test).poolFor(origin({ port: peer.port, maxConnections: 2 }));
    const [a, b] = await Promise.all([exchange(pool), exchange(pool)]);
    const first = queue(pool);
    const second = queue(pool);
    await settle();
    assert.equal(pool.stats().waiting, 2);
    b.release(null);
    assert.equal(first.connection, b);
    assert.equal(b.reused, true);
    assert.deepEqual(second.events, []);
    a.release(5000);
    assert.equal(second.connection, a);
    assert.equal(pool.stats().waiting, 0);
    assert.equal(peer.sockets.length, 2);
    a.write('ping');
    await second.gets('data');
    assert.deepEqual(second.events, ['connected', 'data']);
  });

  socketTest('a connection that is destroyed or dies makes room for a new one', async (test) => {
    const peer = await startPeer(test);
    const pool = startPools(test).poolFor(origin({ port: peer.port, maxConnections: 1 }));
    const a = await connected(pool);
    const first = queue(pool);
    const second = queue(pool);
    a.destroy();
    await first.gets('connected');
    assert.equal(first.connection?.reused, false);
    assert.deepEqual(second.events, []);
    peer.sockets[1]?.destroy();
    await second.gets('connected');
    assert.deepEqual(first.events, ['connected', 'closed']);
    assert.equal(pool.stats().opened, 3);
  });

  socketTest('waiting longer than poolWaitMs is an upstream_timeout that tells the limit', async (test) => {
    const peer = await startPeer(test);
    const pools = startPools(test, { poolWaitMs: 3000 }, true);
    const pool = pools.poolFor(origin({ port: peer.port, maxConnections: 1 }));
    const a = await connected(pool);
    const first = queue(pool, 1_000_000);
    const second = queue(pool, 1_000_500);
    pools.tick(1_002_999);
    assert.deepEqual(first.events, []);
    pools.tick(1_003_000);
    assert.deepEqual(first.events, ['connect-failed']);
    assert.deepEqual(first.failure, {
      name: 'upstream_timeout',
      message: `no connection to 127.0.0.1:${peer.port}: none of the 1 connections became free within 3000 ms`,
      systemCode: null,
      reused: false,
      isOurs: true,
    });
    assert.deepEqual(second.events, []);
    a.release(null);
    assert.equal(second.connection, a);
    pools.tick(2_000_000);
    assert.deepEqual(second.events, ['connected']);
    assert.equal(pool.stats().limitFailures, 1);
  });

  socketTest('the wait for a connection does not count as connecting', async (test) => {
    const peer = await startPeer(test);
    const pools = startPools(test, { poolWaitMs: 60_000, connectTimeoutMs: 1000 }, true);
    const pool = pools.poolFor(origin({ port: peer.port, maxConnections: 1 }));
    const a = await connected(pool);
    const owner = queue(pool, 1_000_000);
    pools.tick(1_050_000);
    a.destroy();
    pools.tick(1_050_100); // the connect timeout begins here
    pools.tick(1_051_099);
    await owner.gets('connected');
  });

  socketTest('more waiting than allowed fail in the next turn, not within acquire', async (test) => {
    const peer = await startPeer(test);
    const pool = startPools(test, { maxWaiting: 2 }).poolFor(origin({ port: peer.port, maxConnections: 1 }));
    await connected(pool);
    const waiting = [queue(pool), queue(pool)];
    const refused = queue(pool);
    const cancelled = queue(pool);
    assert.deepEqual(refused.events, []);
    pool.cancel(cancelled);
    await settle();
    assert.deepEqual(refused.events, ['connect-failed']);
    assert.equal(refused.failure?.name, 'upstream_unreachable');
    assert.equal(
      refused.failure.message,
      `no connection to 127.0.0.1:${peer.port}: all 1 connections are in use and 2 requests wait for one`,
    );
    assert.deepEqual(cancelled.events, []);
    for (const owner of waiting) assert.deepEqual(owner.events, []);
  });

  socketTest('a queued owner that cancels is passed over', async (test) => {
    const peer = await startPeer(test);
    const pool = startPools(test).poolFor(origin({ port: peer.port, maxConnections: 1 }));
    const a = await connected(pool);
    const first = queue(pool);
    const second = queue(pool);
    pool.cancel(first);
    pool.cancel(first);
    a.release(null);
    assert.deepEqual(first.events, []);
    assert.equal(second.connection, a);
    // It may come again at once.
    assert.equal(pool.acquire(first, performance.now()), null);
    a.release(null);
    assert.equal(first.connection, a);
  });

  socketTest('an owner that cancels while dialling hands its place to the queue', async (test) => {
    const peer = await startPeer(test);
    const pool = startPools(test).poolFor(origin({ port: peer.port, maxConnections: 1 }));
    const first = queue(pool);
    const second = queue(pool);
    assert.deepEqual([pool.stats().connecting, pool.stats().waiting], [1, 1]);
    pool.cancel(first);
    assert.deepEqual([pool.stats().connecting, pool.stats().waiting], [1, 0]);
    await second.gets('connected');
    assert.deepEqual(first.events, []);
  });

  socketTest('cancel after the connection was handed over does nothing', async (test) => {
    const peer = await startPeer(test);
    const pool = startPools(test).poolFor(origin({ port: peer.port }));
    const owner = new RecordingOwner();
    const connection = await connected(pool, owner);
    pool.cancel(owner);
    connection.write('ping');
    await owner.gets('data');
  });

  socketTest('acquiring twice without an answer is a contradiction', async (test) => {
    const peer = await startPeer(test);
    const pool = startPools(test).poolFor(origin({ port: peer.port }));
    const owner = queue(pool);
    assert.throws(() => pool.acquire(owner, performance.now()), /one connection at a time/);
    await owner.gets('connected');
  });

  socketTest('a released connection goes to one that dials; what it opened becomes idle', async (test) => {
    const peer = await startPeer(test);
    const pool = startPools(test).poolFor(origin({ port: peer.port }));
    const a = await exchange(pool);
    const owner = queue(pool);
    a.release(null);
    assert.equal(owner.connection, a);
    await eventually(() => pool.stats().idle === 1, 'the second connection is idle');
    assert.deepEqual(owner.events, ['connected']);
    const next = await exchange(pool);
    assert.notEqual(next, a);
    assert.equal(next.reused, true, 'it may have died while idle');
  });

  socketTest('the attempt that is left over serves the next waiter', async (test) => {
    const peer = await startPeer(test);
    const pool = startPools(test).poolFor(origin({ port: peer.port, maxConnections: 2 }));
    const a = await exchange(pool);
    const first = queue(pool);
    const second = queue(pool);
    assert.deepEqual([pool.stats().connecting, pool.stats().waiting], [1, 1]);
    a.release(null);
    assert.equal(first.connection, a);
    await second.gets('connected');
    assert.equal(second.connection?.reused, false);
    assert.equal(pool.stats().opened, 2);
  });

  socketTest(
    'a fresh request never gets a released connection: at the head of the queue it makes room',
    async (test) => {
      const peer = await startPeer(test);
      const pool = startPools(test).poolFor(origin({ port: peer.port, maxConnections: 1 }));
      const a = await exchange(pool);
      const fresh = new RecordingOwner();
      assert.equal(pool.acquireFresh(fresh, performance.now()), null);
      const other = queue(pool);
      a.release(null);
      assert.deepEqual([fresh.events, other.events], [[], []]);
      await fresh.gets('connected');
      assert.notEqual(fresh.connection, a);
      assert.equal(fresh.connection?.reused, false);
      fresh.connection.release(null);
      assert.equal(other.connection, fresh.connection);
    },
  );

  socketTest('a fresh request that dials is passed over by released connections', async (test) => {
    const peer = await startPeer(test);
    const pool = startPools(test).poolFor(origin({ port: peer.port }));
    const a = await exchange(pool);
    const fresh = new RecordingOwner();
    pool.acquireFresh(fresh, performance.now());
    a.release(null);
    assert.equal(pool.stats().idle, 1);
    await fresh.gets('connected');
    assert.equal(fresh.connection?.reused, false);
  });

  socketTest('every waiter of a provider that refuses hears of it', async (test) => {
    const peer = await startPeer(test);
    const pool = startPools(test).poolFor(origin({ port: peer.port, maxConnections: 2 }));
    peer.server.close();
    const owners = Array.from({ length: 20 }, () => queue(pool));
    await Promise.all(owners.map((owner) => owner.gets('connect-failed')));
    for (const owner of owners) {
      assert.deepEqual(owner.events, ['connect-failed']);
      assert.equal(owner.failure?.systemCode, 'ECONNREFUSED');
    }
    assert.equal(pool.stats().connectFailures, 20);
    assert.deepEqual([pool.stats().connecting, pool.stats().waiting], [0, 0]);
    peer.server.listen(0);
  });

  socketTest('200 requests at once over 8 connections: each is answered, never more than 8', async (test) => {
    const peer = await startPeer(test);
    const pool = startPools(test).poolFor(origin({ port: peer.port, maxConnections: 8 }));
    let most = 0;
    await Promise.all(
      Array.from({ length: 200 }, async (_, i) => {
        const connection = await exchange(pool);
        // Not counted at the peer: it hears of a close later than of the connection that follows.
        const { idle, busy, connecting } = pool.stats();
        most = Math.max(most, idle + busy + connecting);
        if (i % 10 === 0) connection.destroy();
        else connection.release(null);
      }),
    );
    assert.equal(most, 8);
    assert.equal(pool.stats().busy, 0);
    assert.equal(pool.stats().waiting, 0);
  });
});

describe('upstream pools: by origin, outliving snapshots', () => {
  socketTest('equal specs share a pool; each difference makes another', async (test) => {
    const pools = startPools(test);
    const base = origin({ scheme: 'https', host: 'a.test', port: 443 });
    const pool = pools.poolFor(base);
    assert.equal(pools.poolFor(base), pool);
    assert.equal(pools.poolFor(structuredClone(base)), pool);
    const others = [
      { ...base, scheme: 'http' as const },
      { ...base, host: 'b.test' },
      { ...base, port: 444 },
      { ...base, socketPath: '/run/a.sock' },
      { ...base, proxyUrl: 'http://proxy.test:3128' },
      { ...base, proxyUrl: 'http://user:password@proxy.test:3128' },
      { ...base, maxConnections: 101 },
      { ...base, tls: { ...base.tls, verify: false } },
      { ...base, tls: { ...base.tls, caPem: 'x' } },
      { ...base, tls: { ...base.tls, certPem: 'x' } },
      { ...base, tls: { ...base.tls, keyPem: 'x' } },
      { ...base, tls: { ...base.tls, serverName: 'x' } },
    ];
    const distinct = new Set([pool, ...others.map((spec) => pools.poolFor(spec))]);
    assert.equal(distinct.size, others.length + 1);
    assert.ok(!JSON.stringify([...distinct].map(({ key }) => key)).includes('password'));
  });

  socketTest(
    'a pool that is no longer named closes what is idle, finishes what is busy, and vanishes',
    async (test) => {
      const peer = await startPeer(test);
      const pools = startPools(test);
      const spec = origin({ port: peer.port });
      const pool = pools.poolFor(spec);
      const [a, b] = await Promise.all([exchange(pool), exchange(pool)]);
      b.release(null);
      pools.retain(new Set());
      assert.deepEqual([pool.stats().idle, pool.stats().busy], [0, 1]);
      assert.equal(pools.poolFor(structuredClone(spec)), pool, 'still there, for its limit counts');
      pools.retain(new Set());
      a.write('ping');
      a.release(null);
      assert.deepEqual([pool.stats().idle, pool.stats().busy], [0, 0]);
      await eventually(() => pools.stats().length === 0, 'the pool vanished');
      assert.notEqual(pools.poolFor(spec), pool);
    },
  );

  socketTest('a pool that is named again keeps its connections', async (test) => {
    const peer = await startPeer(test);
    const pools = startPools(test);
    const spec = origin({ port: peer.port });
    const pool = pools.poolFor(spec);
    const a = await exchange(pool);
    pools.retain(new Set());
    pools.retain(new Set([pools.poolFor(structuredClone(spec))]));
    a.release(null);
    assert.equal(pool.stats().idle, 1);
    pools.retain(new Set([pools.poolFor(structuredClone(spec))]));
    assert.equal(pool.acquire(new RecordingOwner(), performance.now()), a);
  });

  socketTest('a request of an old snapshot can still use a pool that vanished, timeouts included', async (test) => {
    const peer = await startPeer(test);
    const pools = startPools(test, { poolWaitMs: 100 });
    const pool = pools.poolFor(origin({ port: peer.port, maxConnections: 1 }));
    pools.retain(new Set());
    assert.equal(pools.stats().length, 0);
    const connection = await exchange(pool);
    const owner = queue(pool);
    await owner.gets('connect-failed');
    assert.equal(owner.failure?.name, 'upstream_timeout');
    connection.release(null);
    assert.equal(pool.stats().idle, 0);
    await eventually(() => pools.stats().length === 0, 'the pool vanished again');
  });

  socketTest('closeAll tells every owner, and nothing can be acquired any more', async (test) => {
    const peer = await startPeer(test);
    const pools = startPools(test);
    const spec = origin({ port: peer.port, maxConnections: 2 });
    const pool = pools.poolFor(spec);
    const busy = new RecordingOwner();
    await connected(pool, busy);
    const dialling = queue(pool);
    const queued = queue(pool);
    pools.closeAll();
    assert.deepEqual(busy.events, ['connected', 'closed']);
    assert.deepEqual(dialling.events, ['connect-failed']);
    assert.deepEqual(queued.events, ['connect-failed']);
    assert.equal(queued.failure?.name, 'upstream_closed');
    const late = queue(pool);
    const other = queue(pools.poolFor(origin({ port: peer.port })));
    await settle();
    assert.deepEqual([late.events, other.events], [['connect-failed'], ['connect-failed']]);
  });
});
