import assert from 'node:assert/strict';
import { test } from 'node:test';
import { startPostgres } from '../support/postgres-server.ts';
import { UsageNode } from '../store/usage-node.ts';

test('a database that is stopped and started: usage waits in the journal, and each event comes once', async (t) => {
  const server = startPostgres();
  t.after(() => server.remove());
  const node = await UsageNode.start(t, { dataDirectory: '', databaseUrl: server.url });
  const release = node.live(t, 'a');
  const segment = node.segment('a');
  const ingester = node.ingester(2000);
  ingester.start();
  t.after(() => ingester.stop());
  const until = async (isTrue: () => boolean): Promise<void> => {
    const deadlineMs = performance.now() + 20_000;
    while (!isTrue()) {
      assert.ok(performance.now() < deadlineMs, JSON.stringify(ingester.status()));
      await new Promise((resolve) => setTimeout(resolve, 5));
    }
  };
  for (const outage of [1, 2]) {
    node.append(segment, ...Array.from({ length: 100 }, () => node.event()));
    // In the middle of it, as good as always.
    await until(() => ingester.status().events > (outage - 1) * 200);
    server.stop();
    node.append(segment, ...Array.from({ length: 100 }, () => node.event()));
    await until(() => ingester.status().fault !== null);
    server.start();
    await until(() => ingester.status().fault === null && ingester.status().behindBytes === 0);
  }
  release();
  await node.ingester().pass();
  assert.deepEqual(await node.check(), { requests: 400, spend_nano: 2800n });
  assert.equal(ingester.status().duplicates, 0);
});
