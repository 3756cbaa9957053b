import assert from 'node:assert/strict';
import type { Socket } from 'node:net';
import { describe, it } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import type { TimeoutName } from '../../src/contract/timeouts.ts';
import { CLOCK_SLACK_MS, since, startFlow, withFlow } from '../support/flow-support.ts';
import { eventually, RawClient, requestBytes } from '../support/raw-client.ts';
import { deployment, TEST_KEY, type SidecarHarness } from '../support/sidecar-harness.ts';
import type { ScriptedUpstream } from '../support/scripted-upstream.ts';

const SWITCH = 'HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: websocket\r\n\r\n';
const UPGRADE = requestBytes({
  method: 'GET',
  path: '/v1/realtime?model=m',
  key: TEST_KEY,
  headers: ['connection: upgrade', 'upgrade: websocket', 'sec-websocket-version: 13', 'sec-websocket-key: AAAA'],
});
const BLOCK = Buffer.alloc(64 * 1024, 7);
const BLOCKS = 400;
const TOTAL = BLOCK.length * BLOCKS;

const LIMIT_MS = 300;

type Timeouts = Readonly<Partial<Record<TimeoutName, number>>>;

interface Tunnel {
  readonly client: RawClient;
  readonly provider: Socket;
  readonly gateway: SidecarHarness;
}

function withTunnel(timeouts: Timeouts, body: (tunnel: Tunnel) => Promise<void>): Promise<void> {
  let provider: Socket | null = null;
  return withFlow(
    (_request, reply) => {
      provider = reply.socket;
      reply.write(SWITCH);
    },
    (upstream: ScriptedUpstream) => startFlow([deployment('m', upstream.port)], timeouts),
    async (gateway) => {
      const client = new RawClient(gateway.port).send(UPGRADE);
      await client.until((received) => received.includes('\r\n\r\n'));
      client.received = Buffer.alloc(0);
      assert.ok(provider !== null);
      provider.removeAllListeners('data');
      provider.on('error', () => undefined);
      client.socket.removeAllListeners('data');
      await body({ client, provider, gateway });
      client.close();
    },
  );
}

/** Writes all blocks; how many bytes the gateway has not taken. */
const waiting = (socket: Socket): number => socket.writableLength;

function pour(socket: Socket): void {
  for (let count = 0; count < BLOCKS; count += 1) socket.write(BLOCK);
}

for (const direction of ['to the client', 'to the provider'] as const) {
  const sidesOf = ({ client, provider }: Tunnel): { from: Socket; to: Socket } =>
    direction === 'to the client' ? { from: provider, to: client.socket } : { from: client.socket, to: provider };

  describe(`a realtime session, ${direction}`, () => {
    it('holds back who sends while the other side does not read, and loses nothing', () =>
      withTunnel({ clientWriteIdleMs: 30_000 }, async (tunnel) => {
        const { from, to } = sidesOf(tunnel);
        to.pause();
        pour(from);
        let before = -1;
        while (waiting(from) !== before) {
          before = waiting(from);
          await sleep(100);
        }
        // Kernel buffers and the gateway's own take some; without a bound they would take all.
        assert.ok(before > TOTAL / 4, `${before} of ${TOTAL} bytes wait at the sender`);
        let received = 0;
        to.on('data', (chunk: Buffer) => (received += chunk.length));
        to.resume();
        await eventually(() => received === TOTAL, 'every byte has come');
      }));

    it('ends one whose other side takes nothing for too long, whatever goes the other way', () =>
      withTunnel({ clientWriteIdleMs: LIMIT_MS }, async (tunnel) => {
        const { from, to } = sidesOf(tunnel);
        to.pause();
        from.resume();
        pour(from);
        const chatter = setInterval(() => to.write('x'), 20);
        try {
          await eventually(() => tunnel.gateway.journal().length === 1, 'its event');
        } finally {
          clearInterval(chatter);
        }
        assert.equal(tunnel.gateway.journal()[0]?.aborted, 'idle');
      }));
  });
}

describe('a realtime session in which nobody says anything', () => {
  it('ends after tunnel_idle, and not before: a byte either way begins it anew', () =>
    withTunnel({ tunnelIdleMs: LIMIT_MS }, async ({ client, provider, gateway }) => {
      const from = performance.now();
      for (const side of [client.socket, provider, client.socket]) {
        await sleep(LIMIT_MS / 2);
        side.write('x');
      }
      await eventually(() => gateway.journal().length === 1, 'its event');
      const least = 3 * (LIMIT_MS / 2) + LIMIT_MS;
      assert.ok(since(from) >= least - CLOCK_SLACK_MS, `after ${since(from)} ms, not ${least}`);
      assert.equal(gateway.journal()[0]?.aborted, 'idle');
    }));
});
