import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { BoundSocket, connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, describe, it } from 'node:test';
import type { SidecarListener } from '../../src/sidecar/listeners.ts';
import { chatBytes, chatClient, startFlow, withFlow } from '../support/flow-support.ts';
import { eventually, RawClient } from '../support/raw-client.ts';
import { jsonReply } from '../support/scripted-upstream.ts';
import { deployment, LOOPBACK } from '../support/sidecar-harness.ts';

const directory = mkdtempSync(join(tmpdir(), 'slipstream-unix-'));
after(() => rmSync(directory, { recursive: true, force: true }));

function unixListener(path: string): SidecarListener {
  const bound = new BoundSocket({ path } as ConstructorParameters<typeof BoundSocket>[0]);
  return { ...LOOPBACK, name: `unix:${path}`, isUnix: true, source: { bound } };
}

for (const threads of [1, 2]) {
  describe(`${threads} worker thread(s)`, () => {
    it('every listener serves, a Unix socket too, and each has its usage recorded', async () => {
      const path = join(directory, `${threads}.sock`);
      const listeners = [LOOPBACK, unixListener(path), LOOPBACK];
      await withFlow(
        (_request, reply) => reply.write(jsonReply('{"model":"up"}')),
        (upstream) =>
          startFlow([deployment('m', upstream.port)], {}, { settings: { threads }, harness: { listeners } }),
        async (gateway) => {
          const [first = 0, unix, second = 0] = gateway.sidecar.ports;
          assert.equal(unix, 0);
          assert.notEqual(first, second);
          const clients = [
            chatClient(first, 'm'),
            chatClient(second, 'm'),
            new RawClient(connect(path)).send(chatBytes('m')),
          ];
          for (const client of clients) {
            assert.equal((await client.reply()).status, 200);
            // Kept alive: a second one on the same connection.
            assert.equal((await client.send(chatBytes('m')).reply()).status, 200);
            client.close();
          }
          await eventually(() => gateway.journal().length === 6, 'six events');
        },
      );
    });

    it('a client of the Unix socket that leaves is seen to leave', async () => {
      const path = join(directory, `${threads}-leaves.sock`);
      await withFlow(
        () => undefined,
        (upstream) =>
          startFlow(
            [deployment('m', upstream.port)],
            {},
            { settings: { threads }, harness: { listeners: [unixListener(path)] } },
          ),
        async (gateway, upstream) => {
          const client = new RawClient(connect(path)).send(chatBytes('m'));
          await eventually(() => upstream.requests.length === 1, 'the request at the provider');
          client.close();
          await eventually(() => gateway.journal().length === 1, 'its event');
          assert.equal(gateway.journal()[0]?.aborted, 'client_gone');
        },
      );
    });
  });
}
