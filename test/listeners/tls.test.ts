import assert from 'node:assert/strict';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { connect as connectTcp } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, describe, it } from 'node:test';
import { connect, type ConnectionOptions, type TLSSocket } from 'node:tls';
import type { ClientAuth, ListenerTls } from '../../src/contract/listener.ts';
import { chatBytes, startFlow, withFlow } from '../support/flow-support.ts';
import { eventually, RawClient } from '../support/raw-client.ts';
import { jsonReply } from '../support/scripted-upstream.ts';
import { deployment, LOOPBACK, type SidecarHarness } from '../support/sidecar-harness.ts';
import { type Certificate, makeCertificate } from '../../src/cli/mock/certificate-maker.ts';

const directory = mkdtempSync(join(tmpdir(), 'slipstream-tls-'));
after(() => rmSync(directory, { recursive: true, force: true }));

const authority = makeCertificate({ name: 'authority', isAuthority: true });
const issue = (name: string, issuer = authority): Certificate =>
  makeCertificate({ name, altNames: ['localhost', '127.0.0.1'], issuer });
const first = issue('first');
const second = issue('second');

let files = 0;
function writeFiles(certificate: Certificate, rest: Partial<ListenerTls> = {}): ListenerTls {
  files += 1;
  const certFile = join(directory, `${files}.crt`);
  const keyFile = join(directory, `${files}.key`);
  writeFileSync(certFile, certificate.certPem);
  writeFileSync(keyFile, certificate.keyPem, { mode: 0o600 });
  return { certFile, keyFile, caFile: null, clientAuth: 'none', minVersion: 'TLSv1.2', ...rest };
}

function replace(tls: ListenerTls, { certPem, keyPem }: { certPem: string; keyPem: string }): void {
  writeFileSync(tls.certFile, certPem);
  writeFileSync(tls.keyFile, keyPem);
}

/** Handshake done. */
async function dial(port: number, options: ConnectionOptions = {}): Promise<TLSSocket> {
  const socket = connect({ port, host: '127.0.0.1', ca: authority.certPem, ALPNProtocols: ['http/1.1'], ...options });
  await once(socket, 'secureConnect');
  return socket;
}

const chatOver = async (client: RawClient): Promise<number> => (await client.send(chatBytes('m')).reply()).status;

interface Given {
  readonly tls: ListenerTls;
  readonly threads?: number;
  readonly proxyProtocol?: boolean;
  readonly clientHandshakeMs?: number;
}

function withTls(given: Given, body: (gateway: SidecarHarness, port: number) => Promise<void>): Promise<void> {
  const { tls, threads = 1, proxyProtocol = false, clientHandshakeMs = 10_000 } = given;
  return withFlow(
    (_request, reply) => reply.write(jsonReply('{"model":"up"}')),
    (upstream) =>
      startFlow(
        [deployment('m', upstream.port)],
        { clientHandshakeMs, drainMs: 20 },
        { settings: { threads }, harness: { listeners: [{ ...LOOPBACK, tls, proxyProtocol }] } },
      ),
    (gateway) => body(gateway, gateway.port),
  );
}

for (const threads of [1, 2]) {
  describe(`TLS with ${threads} worker thread(s)`, () => {
    it('serves several requests on a connection, by HTTP/1.1', () =>
      withTls({ tls: writeFiles(first), threads }, async (gateway, port) => {
        const socket = await dial(port);
        assert.equal(socket.alpnProtocol, 'http/1.1');
        assert.equal(socket.getPeerCertificate().subject.CN, 'first');
        const client = new RawClient(socket);
        for (let count = 0; count < 3; count += 1) assert.equal(await chatOver(client), 200);
        client.close();
        await eventually(() => gateway.journal().length === 3, 'their events');
      }));

    it('a session is resumed, whichever worker gets the connection', () =>
      withTls({ tls: writeFiles(first), threads }, async (_gateway, port) => {
        const opened = await dial(port);
        const sessions: Buffer[] = [];
        opened.on('session', (session) => sessions.push(session));
        const client = new RawClient(opened);
        assert.equal(await chatOver(client), 200);
        await eventually(() => sessions.length > 0, 'a session ticket');
        // The first stays open, so that the next ones go to the other worker first.
        const resumed = await Promise.all([1, 2, 3, 4].map(() => dial(port, { session: sessions.at(-1)! })));
        assert.deepEqual(
          resumed.map((socket) => socket.isSessionReused()),
          [true, true, true, true],
        );
        for (const socket of resumed) assert.equal(await chatOver(new RawClient(socket)), 200);
        for (const socket of [opened, ...resumed]) socket.destroy();
      }));

    it('a new certificate counts for new connections and leaves open ones alone; a bad one changes nothing', () => {
      const tls = writeFiles(first);
      return withTls({ tls, threads }, async (gateway, port) => {
        const old = new RawClient(await dial(port));
        assert.equal(await chatOver(old), 200);
        const subject = async (): Promise<string | undefined> => {
          const socket = await dial(port);
          const { subject: found } = socket.getPeerCertificate();
          socket.destroy();
          return String(found.CN);
        };
        const bad: [string, { certPem: string; keyPem: string }, RegExp][] = [
          ['the key of another', { certPem: second.certPem, keyPem: first.keyPem }, /is not that of/],
          ['no certificate', { certPem: 'nothing', keyPem: second.keyPem }, /no certificate in PEM form/],
          ['no key', { certPem: second.certPem, keyPem: 'nothing' }, /no private key in PEM form/],
        ];
        for (const [name, files_, reason] of bad) {
          replace(tls, files_);
          gateway.sidecar.reloadCertificates();
          assert.match(gateway.logs.at(-1) ?? '', reason, name);
          assert.match(gateway.logs.at(-1) ?? '', /the old one stays in use/);
          assert.equal(await subject(), 'first', name);
        }
        replace(tls, second);
        gateway.sidecar.reloadCertificates();
        assert.equal(await subject(), 'second');
        assert.equal(await chatOver(old), 200);
        old.close();
        for (const line of gateway.logs) assert.doesNotMatch(line, /BEGIN|PRIVATE/);
      });
    });
  });
}

describe('files', () => {
  it('that change are read without being told to', () => {
    const tls = writeFiles(first);
    return withTls({ tls }, async (gateway, port) => {
      replace(tls, second);
      await eventually(() => gateway.logs.some((line) => line.includes('certificate taken into use')), 'it is noticed');
      const socket = await dial(port);
      assert.equal(socket.getPeerCertificate().subject.CN, 'second');
      socket.destroy();
    });
  });

  it('that are missing when a sidecar starts leave it serving, TLS as soon as they are there', () => {
    const tls = writeFiles(first);
    rmSync(tls.certFile);
    return withTls({ tls }, async (gateway, port) => {
      await assert.rejects(dial(port));
      writeFileSync(tls.certFile, first.certPem);
      gateway.sidecar.reloadCertificates();
      assert.equal(await chatOver(new RawClient(await dial(port))), 200);
    });
  });
});

describe('handshakes', () => {
  it('that are none are dropped, and counted', () =>
    withTls({ tls: writeFiles(first) }, async (_gateway, port) => {
      const plain = new RawClient(port).send('GET /health/liveness HTTP/1.1\r\nhost: g\r\n\r\n');
      await plain.ended();
      assert.doesNotMatch(plain.received.toString('latin1'), /HTTP/);
      const client = new RawClient(await dial(port));
      const metrics = await client
        .send('GET /metrics HTTP/1.1\r\nhost: g\r\nauthorization: Bearer sk-master-0123456789abcdef\r\n\r\n')
        .reply('GET');
      assert.match(metrics.text, /slipstream_connections_turned_away_total\{reason="tls"\} 1/);
      client.close();
    }));

  it('that never end are ended', () =>
    withTls({ tls: writeFiles(first), clientHandshakeMs: 200 }, async (_gateway, port) => {
      const silent = new RawClient(port);
      const slow = new RawClient(port).send(Buffer.from('160301', 'hex'));
      await Promise.all([silent.ended(), slow.ended()]);
    }));

  it('do not hold up a sidecar that stops', async () => {
    let stoppedInMs = Infinity;
    let startedAtMs = 0;
    await withFlow(
      () => undefined,
      (upstream) =>
        startFlow(
          [deployment('m', upstream.port)],
          { drainMs: 60_000, clientHandshakeMs: 60_000 },
          { harness: { listeners: [{ ...LOOPBACK, tls: writeFiles(first) }] } },
        ),
      async (gateway) => {
        const silent = connectTcp(gateway.port, '127.0.0.1');
        await once(silent, 'connect');
        // It has been accepted when a later one has been served.
        (await dial(gateway.port)).destroy();
        startedAtMs = performance.now();
      },
    );
    stoppedInMs = performance.now() - startedAtMs;
    assert.ok(stoppedInMs < 30_000, String(stoppedInMs));
  });

  it('that are too many push out the oldest', () =>
    withTls({ tls: writeFiles(first) }, async (_gateway, port) => {
      const oldest = new RawClient(port);
      await once(oldest.socket, 'connect');
      const others = Array.from({ length: 1_024 }, () => connectTcp(port, '127.0.0.1').on('error', () => undefined));
      await oldest.ended();
      const client = new RawClient(await dial(port));
      assert.equal(await chatOver(client), 200);
      for (const socket of others) socket.destroy();
      client.close();
    }));

  it('for another protocol than HTTP/1.1 are refused, as is a version too old', async () => {
    await withTls({ tls: writeFiles(first, { minVersion: 'TLSv1.3' }) }, async (_gateway, port) => {
      await assert.rejects(dial(port, { ALPNProtocols: ['h2'] }));
      await assert.rejects(dial(port, { maxVersion: 'TLSv1.2' }));
      // A client that names no protocol gets HTTP/1.1.
      assert.equal(await chatOver(new RawClient(await dial(port, { ALPNProtocols: [] }))), 200);
    });
  });

  it('of clients that leave in the middle cost nobody else', () =>
    withTls({ tls: writeFiles(first) }, async (gateway, port) => {
      for (let count = 0; count < 20; count += 1) {
        const socket = connectTcp(port, '127.0.0.1');
        await once(socket, 'connect');
        socket.write(Buffer.from('1603010200010001fc0303', 'hex'));
        if (count % 2 === 0) socket.resetAndDestroy();
        else socket.end();
      }
      assert.equal(await chatOver(new RawClient(await dial(port))), 200);
      assert.ok(!gateway.logs.some((line) => line.includes('"error"')), gateway.logs.join(''));
    }));
});

describe('client certificates', () => {
  const caFile = join(directory, 'clients-ca.crt');
  writeFileSync(caFile, authority.certPem);
  const good = issue('client');
  const foreign = issue('client', makeCertificate({ name: 'other authority', isAuthority: true }));

  const served = async (clientAuth: ClientAuth, shown: Certificate | null): Promise<boolean> => {
    let isServed = false;
    await withTls({ tls: writeFiles(first, { caFile, clientAuth }) }, async (_gateway, port) => {
      try {
        const options = shown === null ? {} : { cert: shown.certPem, key: shown.keyPem };
        isServed = (await chatOver(new RawClient(await dial(port, options)))) === 200;
      } catch {
        isServed = false;
      }
    });
    return isServed;
  };

  const table: [ClientAuth, boolean, boolean, boolean][] = [
    ['required', false, true, false],
    ['optional', true, true, false],
    ['none', true, true, true],
  ];
  for (const [clientAuth, without, withGood, withForeign] of table) {
    it(clientAuth, async () => {
      assert.equal(await served(clientAuth, null), without, 'without a certificate');
      assert.equal(await served(clientAuth, good), withGood, 'with one of the authority');
      assert.equal(await served(clientAuth, foreign), withForeign, 'with one of another authority');
    });
  }
});

describe('answers over TLS', () => {
  it('that are large are whole, also to a client that reads slowly', async () => {
    const text = 'x'.repeat(3_000_000);
    await withFlow(
      (_request, reply) => reply.write(jsonReply(`{"model":"up","text":"${text}"}`)),
      (upstream) =>
        startFlow(
          [deployment('m', upstream.port)],
          { drainMs: 20 },
          { harness: { listeners: [{ ...LOOPBACK, tls: writeFiles(first) }] } },
        ),
      async (gateway) => {
        const client = new RawClient(await dial(gateway.port));
        client.send(chatBytes('m', `,"pad":"${'y'.repeat(300_000)}"`));
        client.socket.pause();
        await new Promise((resolve) => setTimeout(resolve, 50));
        client.socket.resume();
        const reply = await client.reply();
        assert.equal(JSON.parse(reply.text).text.length, text.length);
        client.close();
      },
    );
  });

  it('whose client leaves are cancelled and recorded', async () => {
    await withFlow(
      () => undefined,
      (upstream) =>
        startFlow(
          [deployment('m', upstream.port)],
          { drainMs: 20 },
          { harness: { listeners: [{ ...LOOPBACK, tls: writeFiles(first) }] } },
        ),
      async (gateway, upstream) => {
        const client = new RawClient(await dial(gateway.port)).send(chatBytes('m'));
        await eventually(() => upstream.requests.length === 1, 'the request at the provider');
        client.close();
        await eventually(() => gateway.journal().length === 1, 'its event');
        assert.equal(gateway.journal()[0]?.aborted, 'client_gone');
      },
    );
  });

  it('to HTTP/1.0 that break off lack a close_notify', async () => {
    await withFlow(
      (_request, reply) => {
        reply.write('HTTP/1.1 200 OK\r\ncontent-type: text/plain\r\ncontent-length: 100\r\n\r\nhalf');
        setTimeout(() => reply.reset(), 50);
      },
      (upstream) =>
        startFlow(
          [deployment('m', upstream.port)],
          { drainMs: 20 },
          { settings: { numRetries: 0 }, harness: { listeners: [{ ...LOOPBACK, tls: writeFiles(first) }] } },
        ),
      async (gateway) => {
        const client = new RawClient(await dial(gateway.port));
        client.send(chatBytes('m').toString('latin1').replace('HTTP/1.1', 'HTTP/1.0'));
        await client.ended();
        assert.equal(gateway.journal()[0]?.aborted, 'upstream_interrupted');
      },
    );
  });
});

it('a PROXY header comes before the handshake', () =>
  withTls({ tls: writeFiles(first), proxyProtocol: true }, async (_gateway, port) => {
    const dialled = async (header: string): Promise<TLSSocket> => {
      const socket = connectTcp(port, '127.0.0.1');
      await once(socket, 'connect');
      socket.write(header);
      return dial(port, { socket });
    };
    const client = new RawClient(await dialled('PROXY TCP4 192.0.2.7 10.0.0.1 1 2\r\n'));
    assert.equal(await chatOver(client), 200);
    client.close();
    await assert.rejects(dialled(''));
  }));
