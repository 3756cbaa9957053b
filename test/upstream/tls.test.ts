import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import type { Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe } from 'node:test';
import { createServer, type TlsOptions, TLSSocket } from 'node:tls';
import { promisify } from 'node:util';
import type { LookupFunction } from '../../src/sidecar/upstream/dns-cache.ts';
import { makeCertificate } from '../../src/cli/mock/certificate-maker.ts';
import {
  connected,
  eventually,
  exchange,
  listen,
  origin,
  type OriginOverrides,
  type Peer,
  RecordingOwner,
  refused,
  settle,
  socketTest,
  startPeer,
  startPools,
  type TestScope,
} from './upstream-test-support.ts';

const DAY_MS = 86_400_000;
const NAME = 'provider.test';
const authority = makeCertificate({ name: 'Test Authority', isAuthority: true });
const otherAuthority = makeCertificate({ name: 'Other Authority', isAuthority: true });
const good = makeCertificate({ name: NAME, altNames: [NAME, '127.0.0.1'], issuer: authority });
const expired = makeCertificate({
  name: NAME,
  altNames: [NAME],
  issuer: authority,
  notBefore: new Date(Date.now() - 9 * DAY_MS),
  notAfter: new Date(Date.now() - DAY_MS),
});
const early = makeCertificate({
  name: NAME,
  altNames: [NAME],
  issuer: authority,
  notBefore: new Date(Date.now() + DAY_MS),
  notAfter: new Date(Date.now() + 9 * DAY_MS),
});
const selfSigned = makeCertificate({ name: NAME, altNames: [NAME] });
const otherName = makeCertificate({ name: 'other.test', altNames: ['other.test'], issuer: authority });
const clientCertificate = makeCertificate({ name: 'gateway', issuer: authority });
const strangeClient = makeCertificate({ name: 'gateway', issuer: otherAuthority });

const lookup: LookupFunction = (_, callback) => setImmediate(callback, null, [{ address: '127.0.0.1', family: 4 }]);

async function startTlsPeer(test: TestScope, options: TlsOptions = {}): Promise<Peer> {
  const server = createServer({ cert: good.certPem, key: good.keyPem, ALPNProtocols: ['http/1.1'], ...options });
  server.on('tlsClientError', () => {});
  const answer = (socket: Socket): void => void socket.on('data', () => socket.write('pong'));
  return listen(test, server, { host: '127.0.0.1', port: 0 }, answer, 'secureConnection');
}

function tlsOrigin(port: number, overrides: OriginOverrides = {}): ReturnType<typeof origin> {
  return origin({
    scheme: 'https',
    host: NAME,
    port,
    ...overrides,
    tls: { caPem: authority.certPem, ...overrides.tls },
  });
}

function serverSide(peer: Peer, index = 0): TLSSocket {
  const socket = peer.sockets[index];
  assert.ok(socket instanceof TLSSocket);
  return socket;
}

describe('upstream TLS: trust', () => {
  socketTest('a certificate of the given authority: connects, with SNI and ALPN, and is reused', async (test) => {
    const peer = await startTlsPeer(test);
    const pool = startPools(test, { lookup }).poolFor(tlsOrigin(peer.port));
    const connection = await exchange(pool);
    assert.equal(serverSide(peer).servername, NAME);
    assert.equal(serverSide(peer).alpnProtocol, 'http/1.1');
    connection.release(null);
    assert.equal(await exchange(pool), connection);
    assert.equal(connection.reused, true);
    connection.release(null);
    assert.equal(peer.sockets.length, 1);
  });

  socketTest('an address: verified against the certificate, no SNI', async (test) => {
    const peer = await startTlsPeer(test);
    const pools = startPools(test, { lookup });
    await exchange(pools.poolFor(tlsOrigin(peer.port, { host: '127.0.0.1' })));
    assert.equal(serverSide(peer).servername, false);
    const wrong = await startTlsPeer(test, { cert: otherName.certPem, key: otherName.keyPem });
    const failure = await refused(pools.poolFor(tlsOrigin(wrong.port, { host: '127.0.0.1' })));
    assert.equal(failure.systemCode, 'ERR_TLS_CERT_ALTNAME_INVALID');
  });

  socketTest('serverName: that name is sent and verified instead of the host', async (test) => {
    const peer = await startTlsPeer(test, { cert: otherName.certPem, key: otherName.keyPem });
    const pools = startPools(test, { lookup });
    await exchange(pools.poolFor(tlsOrigin(peer.port, { tls: { serverName: 'other.test' } })));
    assert.equal(serverSide(peer).servername, 'other.test');
  });

  socketTest("a fully qualified host's dot is neither sent nor verified", async (test) => {
    const peer = await startTlsPeer(test);
    await exchange(startPools(test, { lookup }).poolFor(tlsOrigin(peer.port, { host: `${NAME}.` })));
    assert.equal(serverSide(peer).servername, NAME);
  });

  for (const [what, certificate, code, reason] of [
    ['expired', expired, 'CERT_HAS_EXPIRED', 'its certificate has expired'],
    ['not valid yet', early, 'CERT_NOT_YET_VALID', 'its certificate is not valid yet'],
    ['self-signed', selfSigned, 'DEPTH_ZERO_SELF_SIGNED_CERT', 'its certificate is self-signed and not trusted'],
    ['of another host', otherName, 'ERR_TLS_CERT_ALTNAME_INVALID', 'its certificate is made for other names'],
  ] as const) {
    socketTest(`a certificate that is ${what}: refused in words, accepted with verify false`, async (test) => {
      const peer = await startTlsPeer(test, { cert: certificate.certPem, key: certificate.keyPem });
      const pools = startPools(test, { lookup });
      assert.deepEqual(await refused(pools.poolFor(tlsOrigin(peer.port))), {
        name: 'upstream_unreachable',
        message: `TLS handshake with ${NAME}:${peer.port} failed: ${reason}`,
        systemCode: code,
        reused: false,
        isOurs: false,
      });
      await exchange(pools.poolFor(tlsOrigin(peer.port, { tls: { verify: false } })));
      // What one pool accepted unseen is no ticket for the other.
      assert.equal((await refused(pools.poolFor(tlsOrigin(peer.port)))).systemCode, code);
    });
  }

  socketTest('the given authority replaces the built-in ones, and without it they decide', async (test) => {
    const peer = await startTlsPeer(test);
    const pools = startPools(test, { lookup });
    for (const caPem of [null, otherAuthority.certPem]) {
      const failure = await refused(pools.poolFor(tlsOrigin(peer.port, { tls: { caPem } })));
      assert.match(failure.message, /: its certificate comes from an authority that is not trusted$/);
    }
    const bundle = otherAuthority.certPem + authority.certPem;
    await exchange(pools.poolFor(tlsOrigin(peer.port, { tls: { caPem: bundle } })));
  });

  for (const [how, environment] of [
    ["the system's store", (file: string) => ({ SSL_CERT_FILE: file })],
    ["the system's store, loaded by Node", (file: string) => ({ SSL_CERT_FILE: file, NODE_USE_SYSTEM_CA: '1' })],
    ['NODE_EXTRA_CA_CERTS', (file: string) => ({ NODE_EXTRA_CA_CERTS: file })],
  ] as [string, (file: string) => Record<string, string>][]) {
    socketTest(`without a given authority, those of ${how} are trusted`, async (test) => {
      const peer = await startTlsPeer(test);
      const folder = mkdtempSync(join(tmpdir(), 'upstream-'));
      test.after(() => rmSync(folder, { recursive: true }));
      writeFileSync(join(folder, 'ca.pem'), authority.certPem);
      const args = [join(import.meta.dirname, 'connect-once.ts'), String(peer.port)];
      const env = { ...process.env, NODE_USE_SYSTEM_CA: '0', ...environment(join(folder, 'ca.pem')) };
      const { stdout } = await promisify(execFile)(process.execPath, args, { env });
      assert.equal(stdout, 'connected\n');
      const strange = await promisify(execFile)(process.execPath, args, {
        env: { ...env, ...environment('/nowhere') },
      });
      assert.match(strange.stdout, /authority that is not trusted/);
    });
  }

  socketTest('an unusable authority, certificate or key fails in words that quote none of it', async (test) => {
    const peer = await startTlsPeer(test);
    const pools = startPools(test, { lookup });
    const unusable = '-----BEGIN SECRET-----\nc2VjcmV0\n-----END SECRET-----\n';
    for (const tls of [
      { certPem: unusable, keyPem: unusable },
      { certPem: clientCertificate.certPem, keyPem: strangeClient.keyPem },
      { certPem: clientCertificate.certPem, keyPem: unusable },
    ]) {
      const failure = await refused(pools.poolFor(tlsOrigin(peer.port, { tls })));
      assert.equal(failure.name, 'upstream_unreachable');
      assert.match(failure.message, /: its CA, client certificate or key can't be used \([A-Z_0-9]+\)$/);
      assert.ok(!/BEGIN|c2VjcmV0/.test(failure.message));
    }
  });
});

describe('upstream TLS: client certificates', () => {
  for (const maxVersion of ['TLSv1.3', 'TLSv1.2'] as const) {
    const demanding: TlsOptions = { requestCert: true, rejectUnauthorized: true, ca: authority.certPem, maxVersion };

    socketTest(`${maxVersion}: shown and accepted`, async (test) => {
      const peer = await startTlsPeer(test, demanding);
      const pools = startPools(test, { lookup });
      const { certPem, keyPem } = clientCertificate;
      await exchange(pools.poolFor(tlsOrigin(peer.port, { tls: { certPem, keyPem } })));
      assert.equal(serverSide(peer).getPeerCertificate().subject.CN, 'gateway');
    });

    // In TLS 1.3 our handshake is done before the peer has looked at the certificate (RFC 8446 §2).
    const isLate = maxVersion === 'TLSv1.3';
    const events = isLate ? ['connected', 'closed'] : ['connect-failed'];

    socketTest(`${maxVersion}: missing, the reason arrives`, async (test) => {
      const peer = await startTlsPeer(test, demanding);
      const owner = new RecordingOwner();
      startPools(test, { lookup }).poolFor(tlsOrigin(peer.port)).acquire(owner, performance.now());
      await owner.until(() => owner.failure !== null);
      assert.deepEqual(owner.events, events);
      assert.deepEqual(owner.failure, {
        name: isLate ? 'upstream_closed' : 'upstream_unreachable',
        message: isLate
          ? `connection to ${NAME}:${peer.port} lost: it asks for a client certificate`
          : `TLS handshake with ${NAME}:${peer.port} failed: it refused the handshake`,
        systemCode: isLate ? 'ERR_SSL_TLSV13_ALERT_CERTIFICATE_REQUIRED' : 'ERR_SSL_SSL/TLS_ALERT_HANDSHAKE_FAILURE',
        reused: false,
        isOurs: false,
      });
    });

    socketTest(`${maxVersion}: of a strange authority, the peer closes`, async (test) => {
      const peer = await startTlsPeer(test, demanding);
      const { certPem, keyPem } = strangeClient;
      const owner = new RecordingOwner();
      const pool = startPools(test, { lookup }).poolFor(tlsOrigin(peer.port, { tls: { certPem, keyPem } }));
      pool.acquire(owner, performance.now());
      await owner.until(() => owner.events.length === events.length);
      assert.deepEqual(owner.events, events);
    });
  }
});

describe('upstream TLS: sessions', () => {
  for (const maxVersion of ['TLSv1.3', 'TLSv1.2'] as const) {
    socketTest(`${maxVersion}: the second connection of a pool resumes the first one's session`, async (test) => {
      const peer = await startTlsPeer(test, { maxVersion });
      const pools = startPools(test, { lookup });
      const pool = pools.poolFor(tlsOrigin(peer.port));
      await exchange(pool);
      await settle();
      await exchange(pool);
      assert.deepEqual([serverSide(peer, 0).isSessionReused(), serverSide(peer, 1).isSessionReused()], [false, true]);
      // Another pool starts afresh.
      await exchange(pools.poolFor(tlsOrigin(peer.port, { maxConnections: 7 })));
      assert.equal(serverSide(peer, 2).isSessionReused(), false);
    });
  }

  socketTest('a ticket that the provider no longer knows does no harm', async (test) => {
    const peer = await startTlsPeer(test);
    const pool = startPools(test, { lookup }).poolFor(tlsOrigin(peer.port));
    await exchange(pool);
    await settle();
    assert.ok('setTicketKeys' in peer.server && typeof peer.server.setTicketKeys === 'function');
    peer.server.setTicketKeys(Buffer.alloc(48, 7));
    await exchange(pool);
    assert.equal(serverSide(peer, 1).isSessionReused(), false);
  });
});

describe('upstream TLS: peers that misbehave', () => {
  socketTest('no TLS at all', async (test) => {
    const peer = await startPeer(test, { reply: 'HTTP/1.1 400 Bad Request\r\n\r\n' });
    const failure = await refused(startPools(test, { lookup }).poolFor(tlsOrigin(peer.port)));
    assert.equal(failure.message, `TLS handshake with ${NAME}:${peer.port} failed: it does not answer in TLS`);
  });

  for (const how of ['end', 'resetAndDestroy'] as const) {
    socketTest(`closed during the handshake (${how})`, async (test) => {
      const peer = await startPeer(test, { onConnection: (socket) => socket.on('data', () => socket[how]()) });
      const failure = await refused(startPools(test, { lookup }).poolFor(tlsOrigin(peer.port)));
      assert.equal(failure.message, `TLS handshake with ${NAME}:${peer.port} failed: connection closed by the peer`);
      assert.equal(failure.name, 'upstream_unreachable');
    });
  }

  socketTest('silent: the handshake is within the connect timeout', async (test) => {
    const peer = await startPeer(test, { reply: null });
    const pool = startPools(test, { lookup, connectTimeoutMs: 50 }).poolFor(tlsOrigin(peer.port));
    const failure = await refused(pool);
    assert.equal(failure.name, 'upstream_timeout');
    assert.equal(failure.message, `no connection to ${NAME}:${peer.port} within 50 ms: still in the TLS handshake`);
    await eventually(() => peer.sockets.every((socket) => socket.destroyed), 'the connection is closed');
  });

  socketTest('cancelled during the handshake', async (test) => {
    const peer = await startPeer(test, { reply: null });
    const pool = startPools(test, { lookup }).poolFor(tlsOrigin(peer.port));
    const owner = new RecordingOwner();
    pool.acquire(owner, performance.now());
    await eventually(() => (peer.sockets[0]?.bytesRead ?? 0) > 0, 'the hello arrived');
    pool.cancel(owner);
    await eventually(() => peer.sockets[0]?.destroyed === true, 'the connection is closed');
    assert.deepEqual(owner.events, []);
  });

  socketTest('HTTP/2 only', async (test) => {
    const peer = await startTlsPeer(test, { ALPNProtocols: ['h2'] });
    const failure = await refused(startPools(test, { lookup }).poolFor(tlsOrigin(peer.port)));
    assert.equal(failure.message, `TLS handshake with ${NAME}:${peer.port} failed: it does not offer HTTP/1.1`);
  });

  socketTest('no version in common', async (test) => {
    const peer = await startTlsPeer(test, { minVersion: 'TLSv1.1', maxVersion: 'TLSv1.1' });
    const failure = await refused(startPools(test, { lookup }).poolFor(tlsOrigin(peer.port)));
    assert.match(failure.message, /failed: (no TLS version in common|it refused the handshake)$/);
  });
});

describe('upstream TLS: established connections', () => {
  socketTest('FIN and RST while idle take it out of the pool; destroy and release as without TLS', async (test) => {
    const peer = await startTlsPeer(test);
    const pool = startPools(test, { lookup }).poolFor(tlsOrigin(peer.port));
    const [a, b, c] = [await exchange(pool), await exchange(pool), await exchange(pool)];
    a.release(null);
    b.release(null);
    assert.equal(pool.stats().idle, 2);
    serverSide(peer, 0).end();
    peer.accepted[1]?.resetAndDestroy();
    await eventually(() => pool.stats().idle === 0, 'both left the pool');
    c.destroy();
    c.destroy();
    await eventually(() => serverSide(peer, 2).destroyed, 'the peer noticed');
    assert.equal(pool.stats().busy, 0);
  });

  socketTest('8 MiB both ways, with pauses', async (test) => {
    const total = 8 << 20;
    let received = 0;
    const peer = await listen(
      test,
      createServer({ cert: good.certPem, key: good.keyPem }),
      { host: '127.0.0.1', port: 0 },
      (socket) => {
        socket.on('data', (chunk: Buffer) => {
          received += chunk.length;
          if (!socket.write(chunk)) {
            socket.pause();
            socket.once('drain', () => socket.resume());
          }
        });
      },
      'secureConnection',
    );
    const pool = startPools(test, { lookup }).poolFor(tlsOrigin(peer.port));
    const owner = new RecordingOwner();
    const connection = await connected(pool, owner);
    const block = Buffer.alloc(1 << 16, 'abcdefgh');
    for (let sent = 0; sent < total; sent += block.length) {
      connection.write(block);
      if (sent === total / 2) {
        connection.pause();
        setTimeout(() => connection.resume(), 30);
      }
    }
    const length = (): number => owner.chunks.reduce((sum, chunk) => sum + chunk.length, 0);
    await owner.until(() => length() === total);
    assert.equal(received, total);
    assert.ok(owner.chunks.every((chunk) => 'abcdefghabcdefgh'.includes(chunk.latin1Slice(0, 8))));
    connection.release(null);
    assert.equal(pool.stats().idle, 1);
  });

  socketTest('a reset while busy is an upstream_closed', async (test) => {
    const peer = await startTlsPeer(test);
    const pool = startPools(test, { lookup }).poolFor(tlsOrigin(peer.port));
    const owner = new RecordingOwner();
    await connected(pool, owner);
    await eventually(() => peer.sockets.length === 1, 'the peer has it');
    peer.accepted[0]?.resetAndDestroy();
    await owner.gets('closed');
    assert.equal(owner.failure?.name, 'upstream_closed');
    assert.equal(owner.failure.message, `connection to ${NAME}:${peer.port} lost: connection reset`);
  });
});
