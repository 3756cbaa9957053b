import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { connect, createServer, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { Worker } from 'node:worker_threads';
import type { LookupFunction } from '../../src/sidecar/upstream/dns-cache.ts';
import { TcpRace } from '../../src/sidecar/upstream/tcp-race.ts';
import {
  connected,
  eventually,
  exchange,
  listen,
  origin,
  RecordingOwner,
  refused,
  settle,
  socketTest,
  startPeer,
  startPools,
  type TestScope,
} from './upstream-test-support.ts';
import { closedPort } from '../support/closed-port.ts';

/** Answers in a later turn, as the thread pool does, and counts. */
function fixedLookup(answers: Readonly<Record<string, readonly string[]>>): {
  lookup: LookupFunction;
  asked: string[];
} {
  const asked: string[] = [];
  const lookup: LookupFunction = (hostname, callback) => {
    asked.push(hostname);
    const addresses = answers[hostname];
    setImmediate(() => {
      if (addresses === undefined) callback(Object.assign(new Error('no'), { code: 'ENOTFOUND' }), []);
      else
        callback(
          null,
          addresses.map((address) => ({ address, family: address.includes(':') ? 6 : 4 })),
        );
    });
  };
  return { lookup, asked };
}

interface DeafPeer {
  readonly port: number;
  /** From now on it accepts. */
  wake(): void;
}

/** An address that takes no more connections: its listener's backlog is full, and nobody accepts. */
async function startDeafPeer(test: TestScope, host: string, port = 0): Promise<DeafPeer> {
  const alarm = new Int32Array(new SharedArrayBuffer(4));
  const code = `
    const { createServer } = require('node:net');
    const { parentPort, workerData } = require('node:worker_threads');
    const { alarm, host, port } = workerData;
    const server = createServer((socket) => socket.on('data', () => socket.write('pong')).on('error', () => {}));
    server.listen({ host, port, backlog: 1 }, () => {
      parentPort.postMessage(server.address().port);
      setImmediate(() => Atomics.wait(alarm, 0, 0));
    });`;
  const worker = new Worker(code, { eval: true, workerData: { alarm, host, port } });
  const wake = (): void => {
    Atomics.store(alarm, 0, 1);
    Atomics.notify(alarm, 0);
  };
  const { promise, resolve } = Promise.withResolvers<number>();
  worker.once('message', resolve);
  const bound = await promise;
  const fillers: Socket[] = [];
  test.after(async () => {
    for (const socket of fillers) socket.destroy();
    wake();
    await worker.terminate();
  });
  for (;;) {
    const filler = connect({ host, port: bound }).on('error', () => {});
    fillers.push(filler);
    const connecting = Promise.withResolvers<boolean>();
    filler.once('connect', () => connecting.resolve(true));
    if (!(await Promise.race([connecting.promise, sleep(100, false)]))) return { port: bound, wake };
    assert.ok(fillers.length < 10, 'the backlog fills up');
  }
}

describe('upstream connecting: TCP and Unix sockets', () => {
  socketTest('refused: says where and why', async (test) => {
    const port = await closedPort();
    const pool = startPools(test).poolFor(origin({ port }));
    assert.deepEqual(await refused(pool), {
      name: 'upstream_unreachable',
      message: `could not connect to 127.0.0.1:${port}: connection refused`,
      systemCode: 'ECONNREFUSED',
      reused: false,
      isOurs: false,
    });
    assert.equal(pool.stats().connectFailures, 1);
  });

  socketTest('nobody accepts: an upstream_timeout, not before connectTimeoutMs', async (test) => {
    const { port } = await startDeafPeer(test, '127.0.0.1');
    const pools = startPools(test, { connectTimeoutMs: 1000 }, true);
    const pool = pools.poolFor(origin({ port }));
    const owner = new RecordingOwner();
    pool.acquire(owner, 5000);
    await settle();
    pools.tick(5999);
    assert.deepEqual(owner.events, []);
    pools.tick(6000);
    assert.deepEqual(owner.failure, {
      name: 'upstream_timeout',
      message: `no connection to 127.0.0.1:${port} within 1000 ms: still connecting`,
      systemCode: null,
      reused: false,
      isOurs: false,
    });
    assert.equal(pool.stats().connectTimeouts, 1);
    assert.equal(pool.stats().connecting, 0);
    await settle();
    assert.deepEqual(owner.events, ['connect-failed']);
  });

  socketTest('cancelled while connecting', async (test) => {
    const { port } = await startDeafPeer(test, '127.0.0.1');
    const pool = startPools(test).poolFor(origin({ port }));
    const owner = new RecordingOwner();
    pool.acquire(owner, performance.now());
    await settle();
    pool.cancel(owner);
    assert.equal(pool.stats().connecting, 0);
    await sleep(20);
    assert.deepEqual(owner.events, []);
  });

  socketTest('cancelled in the same turn', async (test) => {
    const peer = await startPeer(test);
    const pool = startPools(test).poolFor(origin({ port: peer.port }));
    const owner = new RecordingOwner();
    pool.acquire(owner, performance.now());
    pool.cancel(owner);
    await sleep(20);
    assert.deepEqual(owner.events, []);
  });

  socketTest('a Unix socket', async (test) => {
    const folder = mkdtempSync(join(tmpdir(), 'upstream-'));
    test.after(() => rmSync(folder, { recursive: true }));
    const path = join(folder, 'a.sock');
    const pools = startPools(test);
    const spec = origin({ host: 'ignored.test', port: 80, socketPath: path });
    const failure = await refused(pools.poolFor(spec));
    assert.equal(failure.message, `could not connect to unix:${path}: no such socket`);
    assert.equal(failure.systemCode, 'ENOENT');
    await listen(test, createServer(), { path }, (socket) => socket.on('data', () => socket.write('pong')));
    const connection = await exchange(pools.poolFor(spec));
    connection.release(null);
    assert.equal(await exchange(pools.poolFor(spec)), connection);
  });

  socketTest('a Unix path longer than the system allows', async (test) => {
    const socketPath = `/tmp/${'x'.repeat(200)}`;
    const failure = await refused(startPools(test).poolFor(origin({ socketPath })));
    assert.equal(failure.message, `could not connect to unix:${socketPath}: not a valid address`);
  });

  socketTest('a socket that the kernel connected to itself counts as refused', async (test) => {
    const port = await closedPort();
    const { promise, resolve } = Promise.withResolvers<string>();
    const sockets: Socket[] = [];
    const race = new TcpRace(
      {
        openSocket: (host) => {
          const socket = connect({ host, port, localPort: port, localAddress: host });
          sockets.push(socket);
          return socket;
        },
        onRaceWon: (socket) => {
          socket.destroy();
          resolve('won');
        },
        onAddressFailed: () => {},
        onRaceLost: (error) => resolve(`lost: ${'code' in error ? String(error.code) : ''}`),
      },
      ['127.0.0.1'],
    );
    assert.equal(await promise, 'lost: ECONNREFUSED');
    race.cancel();
    test.after(() => sockets.forEach((socket) => socket.destroy()));
  });

  for (const [what, overrides, reason] of [
    ['a host with a line break', { host: 'a\r\nb' }, 'the host of the upstream address is not a name or address'],
    ['an empty host', { host: '' }, 'the host of the upstream address is not a name or address'],
    ['port 0', { host: 'a', port: 0 }, 'port 0 of the upstream address is out of range'],
    ['an empty socket path', { host: 'a', socketPath: '' }, 'the path of the Unix socket is empty'],
    ['port 65536', { host: 'a', port: 65_536 }, 'port 65536 of the upstream address is out of range'],
  ] as const) {
    socketTest(`${what} fails, later and in words`, async (test) => {
      const failure = await refused(startPools(test).poolFor(origin(overrides)));
      assert.ok(failure.message.endsWith(`: ${reason}`), failure.message);
      assert.equal(failure.name, 'upstream_unreachable');
    });
  }
});

describe('upstream connecting: names', () => {
  socketTest('the first address refuses: the second is used, and first from then on', async (test) => {
    const peer = await startPeer(test);
    const { lookup, asked } = fixedLookup({ 'provider.test': ['127.0.0.2', '127.0.0.1'] });
    const pool = startPools(test, { lookup }, true).poolFor(origin({ host: 'provider.test', port: peer.port }));
    await exchange(pool);
    await exchange(pool);
    assert.deepEqual(asked, ['provider.test']);
    assert.equal(peer.sockets.length, 2);
  });

  socketTest('the first address is silent: the second starts 250 ms later, and the loser is closed', async (test) => {
    const { port } = await startDeafPeer(test, '127.0.0.2');
    await startPeer(test, { port });
    const { lookup } = fixedLookup({ 'provider.test': ['127.0.0.2', '127.0.0.1'] });
    const pool = startPools(test, { lookup }).poolFor(origin({ host: 'provider.test', port }));
    const startedMs = performance.now();
    await exchange(pool);
    const firstMs = performance.now() - startedMs;
    assert.ok(firstMs >= 249, `${firstMs} ms`);
    assert.equal(pool.stats().connecting, 0);
  });

  socketTest('the first address is only slow: it stays in the race', async (test) => {
    const slow = await startDeafPeer(test, '127.0.0.2');
    await startDeafPeer(test, '127.0.0.3', slow.port);
    const { lookup } = fixedLookup({ 'provider.test': ['127.0.0.2', '127.0.0.3'] });
    const pool = startPools(test, { lookup }).poolFor(origin({ host: 'provider.test', port: slow.port }));
    setTimeout(() => slow.wake(), 400); // the kernel's second SYN, a second after the first, finds it awake
    await exchange(pool);
  });

  socketTest('all addresses refuse: one failure, which says how many', async (test) => {
    const port = await closedPort();
    const { lookup } = fixedLookup({ 'provider.test': ['127.0.0.2', '127.0.0.3'] });
    const failure = await refused(startPools(test, { lookup }).poolFor(origin({ host: 'provider.test', port })));
    assert.equal(failure.message, `could not connect to provider.test:${port}: connection refused (2 addresses tried)`);
    assert.equal(failure.systemCode, 'ECONNREFUSED');
  });

  socketTest('an unknown name', async (test) => {
    const { lookup, asked } = fixedLookup({});
    const pool = startPools(test, { lookup }).poolFor(origin({ host: 'nowhere.test', port: 443 }));
    const [a, b] = await Promise.all([refused(pool), refused(pool)]);
    assert.equal(a.message, 'could not look up nowhere.test:443: the name does not exist');
    assert.equal(a.systemCode, 'ENOTFOUND');
    assert.equal(b.message, a.message);
    assert.equal(asked.length, 1, 'one look-up for both');
    await refused(pool);
    assert.equal(asked.length, 2, 'a failure is not remembered');
  });

  socketTest('a look-up that hangs is within the connect timeout; a late answer serves the next', async (test) => {
    const peer = await startPeer(test);
    let answer: (() => void) | null = null;
    const lookup: LookupFunction = (_, callback) => {
      answer = () => callback(null, [{ address: '127.0.0.1', family: 4 }]);
    };
    const pools = startPools(test, { lookup, connectTimeoutMs: 50 });
    const pool = pools.poolFor(origin({ host: 'provider.test', port: peer.port }));
    const failure = await refused(pool);
    assert.equal(failure.name, 'upstream_timeout');
    assert.match(failure.message, /within 50 ms: still looking up the name$/);
    const cancelled = new RecordingOwner();
    pool.acquire(cancelled, performance.now());
    pool.cancel(cancelled);
    assert.ok(answer !== null);
    (answer as () => void)();
    await exchange(pool);
    assert.deepEqual(cancelled.events, []);
  });

  socketTest('localhost is loopback, both families, without a look-up', async (test) => {
    const { lookup, asked } = fixedLookup({});
    const pools = startPools(test, { lookup });
    const peer = await startPeer(test);
    await connected(pools.poolFor(origin({ host: 'localhost', port: peer.port })));
    await connected(pools.poolFor(origin({ host: 'API.LocalHost', port: peer.port })));
    assert.deepEqual(asked, []);
    const failure = await refused(pools.poolFor(origin({ host: 'localhost', port: await closedPort() })));
    assert.match(failure.message, /\(2 addresses tried\)$/);
  });

  socketTest('an IPv6 literal, with and without the brackets of a URL', async (test) => {
    const { lookup, asked } = fixedLookup({});
    const pools = startPools(test, { lookup });
    const port = await closedPort();
    for (const host of ['::1', '[::1]']) {
      const failure = await refused(pools.poolFor(origin({ host, port })));
      // Refused with IPv6, no such address without.
      assert.ok(failure.message.startsWith(`could not connect to [::1]:${port}: `), failure.message);
    }
    assert.deepEqual(asked, []);
  });

  socketTest('real names go through dns.lookup', async (test) => {
    const failure = await refused(startPools(test).poolFor(origin({ host: 'no-such-name.invalid', port: 1 })));
    assert.match(failure.message, /^could not look up no-such-name\.invalid:1: the name /);
    assert.equal(failure.name, 'upstream_unreachable');
  });

  socketTest(
    'names are looked up again in the background: the next connection goes to the new address',
    async (test) => {
      const old = await startPeer(test);
      const moved = await startPeer(test, { host: '127.0.0.2', port: old.port });
      const answers: Record<string, string[]> = { 'provider.test': ['127.0.0.1'] };
      const { lookup, asked } = fixedLookup(answers);
      const pools = startPools(test, { lookup }, true);
      const pool = pools.poolFor(origin({ host: 'provider.test', port: old.port }));
      await exchange(pool);
      answers['provider.test'] = ['127.0.0.2'];
      pools.tick(1000);
      pools.tick(30_999);
      await settle();
      await exchange(pool);
      assert.equal(asked.length, 1);
      assert.equal(moved.sockets.length, 0);
      pools.tick(31_000);
      await settle();
      assert.equal(asked.length, 2);
      await exchange(pool);
      assert.equal(moved.sockets.length, 1);
      delete answers['provider.test'];
      pools.tick(31_100);
      pools.tick(90_000);
      await settle();
      assert.equal(asked.length, 3);
      await exchange(pool);
      assert.equal(moved.sockets.length, 2, 'the last good answer is kept');
      await eventually(() => old.sockets.length === 2, 'the first two went to the old address');
    },
  );
});
