import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { BoundSocket, connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, describe, it } from 'node:test';
import type { SidecarListener } from '../../src/sidecar/listeners.ts';
import { chatBytes, startFlow, withFlow } from '../support/flow-support.ts';
import { RawClient } from '../support/raw-client.ts';
import { jsonReply } from '../support/scripted-upstream.ts';
import { deployment, LOOPBACK, type SidecarHarness } from '../support/sidecar-harness.ts';

const directory = mkdtempSync(join(tmpdir(), 'slipstream-address-'));
after(() => rmSync(directory, { recursive: true, force: true }));

interface Given {
  readonly trustedProxies?: readonly string[];
  readonly record?: boolean;
  readonly threads?: number;
  readonly listeners?: readonly SidecarListener[];
  readonly clientHandshakeMs?: number;
}

function withGateway(given: Given, body: (gateway: SidecarHarness) => Promise<void>): Promise<void> {
  const { trustedProxies = [], record = true, threads = 1, listeners = [LOOPBACK], clientHandshakeMs = 10_000 } = given;
  return withFlow(
    (_request, reply) => reply.write(jsonReply('{"model":"up"}')),
    (upstream) =>
      startFlow(
        [deployment('m', upstream.port)],
        { drainMs: 20, clientHandshakeMs },
        { settings: { threads, clientAddress: { trustedProxies, record } }, harness: { listeners } },
      ),
    body,
  );
}

/** `client` of the event of the request just answered. */
async function recorded(gateway: SidecarHarness, client: RawClient, headers: readonly string[] = []) {
  const reply = await client.send(chatBytes('m', '', { headers })).reply();
  assert.equal(reply.status, 200);
  const event = gateway.journal().find(({ id }) => id === reply.header('x-slipstream-call-id'));
  assert.ok(event !== undefined);
  return event.client;
}

const forwarded = (value: string): string => `X-Forwarded-For: ${value}`;

describe('the address in usage events', () => {
  it("is the peer's, whatever a client says about itself", () =>
    withGateway({}, async (gateway) => {
      const client = new RawClient(gateway.port, '127.0.0.2');
      assert.equal(await recorded(gateway, client), '127.0.0.2');
      assert.equal(await recorded(gateway, client, [forwarded('192.0.2.1')]), '127.0.0.2');
      client.close();
    }));

  it('is what a trusted proxy says, request by request', () =>
    withGateway({ trustedProxies: ['127.0.0.2/32', '10.0.0.0/8'] }, async (gateway) => {
      const proxy = new RawClient(gateway.port, '127.0.0.2');
      assert.equal(await recorded(gateway, proxy, [forwarded('192.0.2.1')]), '192.0.2.1');
      assert.equal(await recorded(gateway, proxy, [forwarded('192.0.2.2')]), '192.0.2.2');
      assert.equal(await recorded(gateway, proxy), '127.0.0.2');
      assert.equal(await recorded(gateway, proxy, [forwarded('6.6.6.6, 192.0.2.3, 10.1.1.1')]), '192.0.2.3');
      // Two lines are one list.
      assert.equal(await recorded(gateway, proxy, [forwarded('192.0.2.4'), 'x-forwarded-for: 10.1.1.1']), '192.0.2.4');
      proxy.close();
      const other = new RawClient(gateway.port, '127.0.0.3');
      assert.equal(await recorded(gateway, other, [forwarded('192.0.2.1')]), '127.0.0.3');
      other.close();
    }));

  it('is left out where it is not to be recorded', () =>
    withGateway({ record: false }, async (gateway) => {
      const client = new RawClient(gateway.port);
      assert.equal(await recorded(gateway, client), null);
      assert.doesNotMatch(gateway.journalText(), /127\.0\.0\.1/);
      client.close();
    }));

  it('of a Unix socket is null, or what the proxy behind it says if such are trusted', async () => {
    for (const [trustedProxies, expected] of [
      [[], null],
      [['unix'], '192.0.2.1'],
    ] as const) {
      const path = join(directory, `${trustedProxies.length}.sock`);
      const bound = new BoundSocket({ path } as ConstructorParameters<typeof BoundSocket>[0]);
      const listeners = [{ ...LOOPBACK, isUnix: true, source: { bound } }];
      await withGateway({ trustedProxies, listeners }, async (gateway) => {
        const client = new RawClient(connect(path));
        assert.equal(await recorded(gateway, client, [forwarded('192.0.2.1')]), expected);
        client.close();
      });
    }
  });
});

const PROXIED: SidecarListener = { ...LOOPBACK, proxyProtocol: true };
const V2 = Buffer.concat([
  Buffer.from('0d0a0d0a000d0a515549540a2111000c', 'hex'),
  Buffer.from([192, 0, 2, 8, 10, 0, 0, 1, 0, 1, 0, 2]),
]);
const V2_LOCAL = Buffer.from('0d0a0d0a000d0a515549540a20000000', 'hex');

for (const threads of [1, 2]) {
  describe(`PROXY protocol, ${threads} worker thread(s)`, () => {
    it('names the client, in both versions, and every request of the connection is served', () =>
      withGateway({ threads, listeners: [PROXIED] }, async (gateway) => {
        const headers: [string | Buffer, string][] = [
          ['PROXY TCP4 192.0.2.7 10.0.0.1 1 2\r\n', '192.0.2.7'],
          ['PROXY TCP6 2001:DB8::7 ::1 1 2\r\n', '2001:db8::7'],
          ['PROXY UNKNOWN\r\n', '127.0.0.1'],
          [V2, '192.0.2.8'],
          [V2_LOCAL, '127.0.0.1'],
        ];
        for (const [header, address] of headers) {
          const client = new RawClient(gateway.port);
          // With its first request in one segment.
          client.send(Buffer.concat([Buffer.from(header), chatBytes('m')]));
          assert.equal((await client.reply()).status, 200);
          assert.equal(await recorded(gateway, client), address);
          client.close();
        }
      }));
  });
}

describe('PROXY protocol', () => {
  it('is read however it is cut', () =>
    withGateway({ listeners: [PROXIED] }, async (gateway) => {
      const header = Buffer.from('PROXY TCP4 192.0.2.7 10.0.0.1 1 2\r\n');
      for (const whole of [header, V2]) {
        for (let cut = 1; cut < whole.length; cut += 1) {
          const client = new RawClient(gateway.port).send(whole.subarray(0, cut));
          await new Promise((resolve) => setImmediate(resolve));
          client.send(Buffer.concat([whole.subarray(cut), chatBytes('m')]));
          assert.equal((await client.reply()).status, 200, `cut at ${cut}`);
          client.close();
        }
      }
    }));

  it('that is absent or wrong ends the connection without an answer', () =>
    withGateway({ listeners: [PROXIED], clientHandshakeMs: 200 }, async (gateway) => {
      const wrong = [
        chatBytes('m'),
        'PROXY TCP4 x y 1 2\r\n',
        Buffer.from('0d0a0d0a000d0a515549540a3111000c', 'hex'),
        '',
      ];
      for (const bytes of wrong) {
        const client = new RawClient(gateway.port);
        if (bytes.length > 0) client.send(bytes);
        assert.equal((await client.ended()).length, 0);
      }
      assert.equal(gateway.journal().length, 0);
    }));

  it('on another listener is no request', () =>
    withGateway({}, async (gateway) => {
      const client = new RawClient(gateway.port).send('PROXY TCP4 192.0.2.7 10.0.0.1 1 2\r\n\r\n');
      assert.equal((await client.reply()).status, 400);
      client.close();
    }));

  it('names the proxy whose X-Forwarded-For is believed', () =>
    withGateway({ listeners: [PROXIED], trustedProxies: ['192.0.2.0/24'] }, async (gateway) => {
      const client = new RawClient(gateway.port).send('PROXY TCP4 192.0.2.7 10.0.0.1 1 2\r\n');
      assert.equal(await recorded(gateway, client, [forwarded('203.0.113.5')]), '203.0.113.5');
      client.close();
    }));
});

it('guesses of keys are counted for the client, not for the proxy', async () => {
  await withFlow(
    (_request, reply) => reply.write(jsonReply('{"model":"up"}')),
    (upstream) =>
      startFlow(
        [deployment('m', upstream.port)],
        { drainMs: 20 },
        {
          settings: { clientAddress: { trustedProxies: ['127.0.0.1'], record: true } },
          harness: {
            complete: false,
            onMessage: (message, send) => {
              if (message.type !== 'key-lookup') return;
              send({ type: 'key-answer', id: message.id, hash: message.hash, record: null, failed: false });
            },
          },
        },
      ),
    async (gateway) => {
      const client = new RawClient(gateway.port);
      const guess = async (key: string, address: string): Promise<number> =>
        (await client.send(chatBytes('m', '', { key, headers: [forwarded(address)] })).reply()).status;
      for (let count = 0; count < 100; count += 1) assert.equal(await guess(`sk-${count}`, '192.0.2.1'), 401);
      assert.equal(await guess('sk-more', '192.0.2.1'), 429);
      assert.equal(await guess('sk-more', '192.0.2.2'), 401);
      client.close();
    },
  );
});
