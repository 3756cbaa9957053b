import assert from 'node:assert/strict';
import { connect, type Socket } from 'node:net';
import { describe } from 'node:test';
import { createServer, TLSSocket } from 'node:tls';
import type { LookupFunction } from '../../src/sidecar/upstream/dns-cache.ts';
import { makeCertificate } from '../../src/cli/mock/certificate-maker.ts';
import {
  eventually,
  exchange,
  listen,
  origin,
  type Peer,
  RecordingOwner,
  refused,
  settle,
  socketTest,
  startPeer,
  startPools,
  type TestScope,
} from './upstream-test-support.ts';
import { closedPort } from '../support/closed-port.ts';

const OPENED = 'HTTP/1.1 200 Connection established\r\n\r\n';
const authority = makeCertificate({ name: 'Test Authority', isAuthority: true });
const certificate = makeCertificate({ name: 'provider.test', altNames: ['provider.test'], issuer: authority });

interface Proxy extends Peer {
  readonly url: string;
  /** Heads received. */
  readonly heads: string[];
}

/** An egress proxy that sends what `answer` says; after a 2xx it joins the two sides, whatever name was asked for. */
async function startProxy(
  test: TestScope,
  targetPort: number,
  answer: string | ((socket: Socket) => void) = OPENED,
): Promise<Proxy> {
  const heads: string[] = [];
  const peer = await startPeer(test, {
    onConnection: (socket) => {
      let head = '';
      socket.on('data', function collect(chunk: Buffer) {
        head += chunk.toString('latin1');
        if (!head.includes('\r\n\r\n')) return;
        heads.push(head);
        socket.off('data', collect);
        if (typeof answer === 'function') return answer(socket);
        socket.write(answer, 'latin1');
        if (!/^HTTP\/1\.[01] 2/.test(answer)) return;
        const target = connect(targetPort, '127.0.0.1');
        target.on('error', () => socket.destroy());
        socket.on('error', () => target.destroy());
        socket.pipe(target).pipe(socket);
        socket.on('close', () => target.destroy());
      });
    },
  });
  return { ...peer, url: `http://127.0.0.1:${peer.port}`, heads };
}

function tlsPeer(test: TestScope): Promise<Peer> {
  const server = createServer({ cert: certificate.certPem, key: certificate.keyPem });
  const answer = (socket: Socket): void => void socket.on('data', () => socket.write('pong'));
  return listen(test, server, { host: '127.0.0.1', port: 0 }, answer, 'secureConnection');
}

/** The provider's name must never be looked up here: that is the proxy's part. */
const noLookup: LookupFunction = (hostname) => assert.fail(`looked up ${hostname}`);

describe('upstream through an egress proxy', () => {
  socketTest('http: a tunnel to host and port, reused like any connection', async (test) => {
    const peer = await startPeer(test);
    const proxy = await startProxy(test, peer.port);
    const pools = startPools(test, { lookup: noLookup });
    const pool = pools.poolFor(origin({ host: 'provider.test', port: 8080, proxyUrl: proxy.url }));
    const connection = await exchange(pool);
    connection.release(null);
    assert.equal(await exchange(pool), connection);
    assert.deepEqual(proxy.heads, ['CONNECT provider.test:8080 HTTP/1.1\r\nHost: provider.test:8080\r\n\r\n']);
    assert.equal(pool.label, 'provider.test:8080');
    connection.release(null);
    peer.sockets[0]?.end();
    await eventually(() => pool.stats().idle === 0, 'the FIN came through');
  });

  socketTest('https: TLS with the provider inside the tunnel', async (test) => {
    const peer = await tlsPeer(test);
    const proxy = await startProxy(test, peer.port);
    const pools = startPools(test, { lookup: noLookup });
    const spec = { scheme: 'https', host: 'provider.test', port: 443, proxyUrl: proxy.url } as const;
    const pool = pools.poolFor(origin({ ...spec, tls: { caPem: authority.certPem } }));
    await exchange(pool);
    await settle();
    await exchange(pool);
    const [first, second] = peer.sockets;
    assert.ok(first instanceof TLSSocket && second instanceof TLSSocket);
    assert.equal(first.servername, 'provider.test');
    assert.equal(second.isSessionReused(), true);
    const distrusting = await refused(pools.poolFor(origin(spec)));
    assert.match(distrusting.message, /^TLS handshake with provider\.test:443 failed: /);
  });

  socketTest("the URL's credentials are sent to the proxy and appear nowhere else", async (test) => {
    const peer = await startPeer(test);
    const proxy = await startProxy(test, peer.port);
    const proxyUrl = `http://gate%40way:p%C3%A4ss%3Aw0rd@127.0.0.1:${proxy.port}`;
    const pools = startPools(test, { lookup: noLookup });
    const pool = pools.poolFor(origin({ host: 'provider.test', port: 80, proxyUrl }));
    await exchange(pool);
    const sent = /Proxy-Authorization: Basic (\S+)\r\n/.exec(proxy.heads[0] ?? '')?.[1] ?? '';
    assert.equal(Buffer.from(sent, 'base64').toString(), 'gate@way:päss:w0rd');
    assert.ok(!/gate|w0rd/.test(JSON.stringify(pools.stats()) + pool.key));
  });

  socketTest('an IPv6 provider is named in brackets', async (test) => {
    const peer = await startPeer(test);
    const proxy = await startProxy(test, peer.port);
    const pool = startPools(test).poolFor(origin({ host: '2001:db8::1', port: 80, proxyUrl: proxy.url }));
    await exchange(pool);
    assert.match(proxy.heads[0] ?? '', /^CONNECT \[2001:db8::1\]:80 HTTP\/1\.1\r\nHost: \[2001:db8::1\]:80\r\n/);
  });

  for (const [what, answer, reason] of [
    ['407', 'HTTP/1.1 407 Auth\r\nProxy-Authenticate: Basic\r\n\r\n', 'asks for other credentials (407)'],
    ['403', 'HTTP/1.1 403 No\r\ncontent-length: 6\r\n\r\nsecret', 'refused the tunnel (403)'],
    ['502', 'HTTP/1.0 502 Bad Gateway\r\n\r\n', 'refused the tunnel (502)'],
    ['304', 'HTTP/1.1 304 Hm\r\n\r\n', 'refused the tunnel (304)'],
    ['garbage', 'SSH-2.0-OpenSSH_9.2\r\n\r\n', 'gave no HTTP reply to CONNECT'],
    ['a status of four digits', 'HTTP/1.1 2000 OK\r\n\r\n', 'gave no HTTP reply to CONNECT'],
    ['HTTP/2', 'HTTP/2 200 OK\r\n\r\n', 'gave no HTTP reply to CONNECT'],
    ['an endless head', `HTTP/1.1 200 OK\r\n${'x: y\r\n'.repeat(4000)}`, 'gave an oversize reply to CONNECT'],
    ['bytes after the head', `${OPENED}HTTP/1.1 200 OK\r\n\r\n`, 'sent bytes of its own into the tunnel'],
  ] as const) {
    socketTest(`${what}: refused in words, the connection closed`, async (test) => {
      const proxy = await startProxy(test, 1, (socket) => void socket.write(answer, 'latin1'));
      const proxyUrl = `http://user:secret@127.0.0.1:${proxy.port}`;
      const pool = startPools(test).poolFor(origin({ host: 'provider.test', port: 443, proxyUrl }));
      assert.deepEqual(await refused(pool), {
        name: 'upstream_unreachable',
        message: `no connection to provider.test:443: egress proxy 127.0.0.1:${proxy.port} ${reason}`,
        systemCode: null,
        reused: false,
        isOurs: false,
      });
      await eventually(() => proxy.sockets[0]?.destroyed === true, 'closed');
    });
  }

  socketTest('closed or reset instead of an answer', async (test) => {
    const pools = startPools(test);
    for (const [how, reason] of [
      ['end', 'closed the connection instead of opening a tunnel'],
      ['resetAndDestroy', 'failed: connection reset'],
    ] as const) {
      const proxy = await startProxy(test, 1, (socket) => void socket[how]());
      const failure = await refused(pools.poolFor(origin({ host: 'provider.test', port: 443, proxyUrl: proxy.url })));
      assert.equal(
        failure.message,
        `no connection to provider.test:443: egress proxy 127.0.0.1:${proxy.port} ${reason}`,
      );
    }
  });

  socketTest('silent: within the connect timeout', async (test) => {
    const proxy = await startProxy(test, 1, () => {});
    const pools = startPools(test, { connectTimeoutMs: 50 });
    const failure = await refused(pools.poolFor(origin({ host: 'provider.test', port: 443, proxyUrl: proxy.url })));
    assert.equal(failure.name, 'upstream_timeout');
    assert.equal(
      failure.message,
      'no connection to provider.test:443 within 50 ms: still waiting for the egress proxy to open a tunnel',
    );
  });

  socketTest('cancelled while it is silent', async (test) => {
    const proxy = await startProxy(test, 1, () => {});
    const pool = startPools(test).poolFor(origin({ host: 'provider.test', port: 443, proxyUrl: proxy.url }));
    const owner = new RecordingOwner();
    pool.acquire(owner, performance.now());
    await eventually(() => proxy.heads.length === 1, 'the proxy was asked');
    pool.cancel(owner);
    await eventually(() => proxy.sockets[0]?.destroyed === true, 'closed');
    assert.deepEqual(owner.events, []);
  });

  socketTest('no proxy there', async (test) => {
    const port = await closedPort();
    const proxyUrl = `http://user:secret@127.0.0.1:${port}`;
    const failure = await refused(startPools(test).poolFor(origin({ host: 'provider.test', port: 443, proxyUrl })));
    assert.equal(failure.message, `could not connect to egress proxy 127.0.0.1:${port}: connection refused`);
  });

  for (const [proxyUrl, reason] of [
    ['https://user:secret@proxy.test', 'only http:// egress proxies are supported'],
    ['socks5://user:secret@proxy.test', 'only http:// egress proxies are supported'],
    ['http://us%zzer:secret@proxy.test', 'user or password of the egress proxy is not percent-encoded correctly'],
    ['http://user:secret@:80', 'the egress proxy address is not a URL'],
  ] as const) {
    socketTest(`${proxyUrl} is refused, its credentials untold`, async (test) => {
      const failure = await refused(startPools(test).poolFor(origin({ host: 'provider.test', port: 443, proxyUrl })));
      assert.equal(failure.message, `no connection to provider.test:443: ${reason}`);
    });
  }

  socketTest('an address without scheme is an http one', async (test) => {
    const peer = await startPeer(test);
    const proxy = await startProxy(test, peer.port);
    const proxyUrl = `user:secret@127.0.0.1:${proxy.port}`;
    await exchange(startPools(test).poolFor(origin({ host: 'provider.test', port: 80, proxyUrl })));
    assert.match(proxy.heads[0] ?? '', /Proxy-Authorization: Basic dXNlcjpzZWNyZXQ=/);
  });

  const reply = 'HTTP/1.1 103 Early\r\na: b\r\n\r\nHTTP/1.1 200 OK\r\nx: y\r\n\r\n';
  socketTest('an interim reply first, split at every byte', async (test) => {
    const peer = await startPeer(test);
    const target = (socket: Socket): void => {
      const upstream = connect(peer.port, '127.0.0.1');
      socket.on('close', () => upstream.destroy()).pipe(upstream);
      upstream.on('error', () => {}).pipe(socket);
    };
    let at = 1;
    const proxy = await startProxy(test, peer.port, (socket) => {
      const split = at++;
      socket.write(reply.slice(0, split), () => {
        setTimeout(() => socket.write(reply.slice(split), () => target(socket)), 2);
      });
    });
    const pool = startPools(test).poolFor(origin({ host: 'provider.test', port: 80, proxyUrl: proxy.url }));
    while (at < reply.length) (await exchange(pool)).destroy();
    assert.equal(proxy.heads.length, reply.length - 1);
  });
});
