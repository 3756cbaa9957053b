import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { after, before, describe, it, type TestContext } from 'node:test';
import { startMock, type RunningMock } from '../../src/cli/mock/mock-server.ts';
import { closedPort } from '../support/closed-port.ts';
import { chatBytes } from '../support/flow-support.ts';
import { type Gateway, type GatewayOptions, MODES, startGateway } from '../support/gateway.ts';
import { RawClient } from '../support/raw-client.ts';
import { MASTER_KEY, TEST_KEY } from '../support/sidecar-harness.ts';

let mock: RunningMock;
before(async () => {
  mock = await startMock();
});
after(() => mock.close());

async function start(t: TestContext, options: Omit<GatewayOptions, 'config'>): Promise<Gateway> {
  const params = `model: openai/mock, api_base: "${mock.url}/v1", api_key: sk-provider`;
  const config =
    `model_list:\n  - { model_name: m, litellm_params: { ${params} } }\n` +
    `general_settings: { master_key: ${MASTER_KEY} }\nslipstream: { keys: [ { key: ${TEST_KEY} } ] }\n`;
  const gateway = await startGateway({ ...options, config });
  t.after(() => gateway.stop());
  return gateway;
}

interface Status {
  readonly pid: number;
  readonly store: { readonly engine: string; readonly state: string; readonly reason: string | null };
}

/** With a body: POST. */
async function admin(gateway: Gateway, path: string, body?: object): Promise<Response> {
  return fetch(`${gateway.url}${path}`, {
    headers: { authorization: `Bearer ${MASTER_KEY}`, 'content-type': 'application/json' },
    ...(body === undefined ? {} : { method: 'POST', body: JSON.stringify(body) }),
  });
}

async function status(gateway: Gateway): Promise<Status> {
  const reply = await admin(gateway, '/slipstream/status');
  assert.equal(reply.status, 200);
  return (await reply.json()) as Status;
}

async function stateBecomes(gateway: Gateway, state: string): Promise<Status> {
  for (;;) {
    const found = await status(gateway);
    if (found.store.state === state) return found;
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

/** Requests one after another for as long as `isOver` says no: how many, and the longest. */
async function traffic(gateway: Gateway, isOver: () => boolean): Promise<{ count: number; longestMs: number }> {
  const client = new RawClient(gateway.port);
  let count = 0;
  let longestMs = 0;
  for (; !isOver(); count += 1) {
    const from = performance.now();
    const reply = await client.send(chatBytes('m', ',"messages":[]')).reply();
    assert.equal(reply.status, 200, reply.text);
    longestMs = Math.max(longestMs, performance.now() - from);
  }
  client.close();
  return { count, longestMs };
}

for (const mode of MODES) {
  describe(`a store that is away (${mode})`, { timeout: 60_000 }, () => {
    it('a gateway whose PostgreSQL is not there starts, serves, and says so without the password', async (t) => {
      const url = `postgresql://gateway:pg-password-1@127.0.0.1:${await closedPort()}/gateway`;
      const gateway = await start(t, { mode, env: { DATABASE_URL: url } });
      const { store } = await stateBecomes(gateway, 'unavailable');
      assert.equal(store.engine, 'postgres');
      assert.match(store.reason ?? '', /ECONNREFUSED/);
      assert.ok((await traffic(gateway, countdown(20))).count === 20);
      for (const reply of [await admin(gateway, '/key/list'), await admin(gateway, '/key/generate', {})]) {
        assert.equal(reply.status, 503);
        assert.equal(reply.headers.get('x-slipstream-error'), 'store_unavailable');
        const { error } = (await reply.json()) as { error: Record<string, unknown> };
        assert.deepEqual([error['type'], error['code']], ['no_db_connection', '503']);
      }
      assert.doesNotMatch(gateway.output(), /pg-password-1/);
      assert.match(gateway.output(), /store unavailable/);
    });

    it('a change that SQLite takes 2 s for delays neither traffic nor heartbeat', async (t) => {
      const gateway = await start(t, { mode });
      const { pid } = await stateBecomes(gateway, 'open');
      const other = new DatabaseSync(join(gateway.dataDirectory, 'slipstream.db'));
      t.after(() => other.close());
      other.exec('BEGIN IMMEDIATE');
      const lockedAt = performance.now();
      const made: Response[] = [];
      const making = admin(gateway, '/key/generate', { key_alias: 'slow' }).then((reply) => made.push(reply));
      const { count, longestMs } = await traffic(gateway, () => performance.now() > lockedAt + 2000);
      assert.equal(made.length, 0); // it waits in the thread of the database
      const lockedMs = performance.now() - lockedAt;
      other.exec('ROLLBACK');
      await making;
      assert.equal(made[0]?.status, 200);
      // Had the loop waited for the database, one request would have taken all of that time.
      assert.ok(longestMs < lockedMs / 2, `${count} requests, the longest of ${longestMs} ms, locked for ${lockedMs}`);
      assert.equal((await status(gateway)).pid, pid);
      assert.doesNotMatch(gateway.output(), /hangs/);
    });
  });
}

// With a sidecar the store runs in a process of its own, where it has less to delay.
it('in one process a PostgreSQL that accepts and says nothing delays neither the start nor traffic', async (t) => {
  const silent = createServer(() => undefined).listen(0, '127.0.0.1');
  await once(silent, 'listening');
  t.after(() => silent.close());
  const { port } = silent.address() as { port: number };
  const gateway = await start(t, { mode: 'no-sidecar', env: { DATABASE_URL: `postgresql://u@127.0.0.1:${port}/d` } });
  assert.ok((await traffic(gateway, countdown(20))).count === 20);
  assert.doesNotMatch(gateway.output(), /store (?:open|unavailable)/); // it still waits
});

function countdown(count: number): () => boolean {
  let left = count;
  return () => {
    left -= 1;
    return left < 0;
  };
}
