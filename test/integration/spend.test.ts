import assert from 'node:assert/strict';
import { it } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { startMock } from '../../src/cli/mock/mock-server.ts';
import { MODES, startGateway } from '../support/gateway.ts';
import { ask } from '../support/raw-client.ts';
import { MASTER_KEY, sha256, TEST_KEY } from '../support/sidecar-harness.ts';

/** The first answer that has what is looked for. */
async function once<T>(look: () => Promise<T | null>): Promise<T> {
  const deadlineMs = performance.now() + 15_000;
  for (;;) {
    const found = await look();
    if (found !== null) return found;
    assert.ok(performance.now() < deadlineMs, 'it never came');
    await sleep(50);
  }
}

for (const mode of MODES) {
  it(`what a request cost is told in its answer, and asked for afterwards (${mode})`, async (t) => {
    const mock = await startMock();
    t.after(() => mock.close());
    const params = `model: openai/mock, api_base: "${mock.url}/v1", api_key: sk-provider, input_cost_per_token: 1.25e-6, output_cost_per_token: 1e-5`;
    const config =
      `model_list: [ { model_name: m, litellm_params: { ${params} } } ]\n` +
      `general_settings: { master_key: ${MASTER_KEY} }\n` +
      `slipstream: { keys: [ { key: ${TEST_KEY}, alias: mine, user_id: u } ], users: [ { user_id: u } ] }\n`;
    const gateway = await startGateway({ mode, config, env: { SLIPSTREAM_JOURNAL_KEEP: '0' } });
    t.after(() => gateway.stop());
    const answer = await fetch(`${gateway.url}/v1/chat/completions`, {
      method: 'POST',
      headers: { authorization: `Bearer ${TEST_KEY}`, 'content-type': 'application/json' },
      body: JSON.stringify({ model: 'm', messages: [{ role: 'user', content: 'hello' }] }),
    });
    assert.equal(answer.status, 200);
    await answer.arrayBuffer();
    const cost = Number(answer.headers.get('x-litellm-response-cost'));
    assert.ok(cost > 0);
    const get = async (path: string, key = MASTER_KEY): Promise<unknown> =>
      JSON.parse((await ask(gateway.port, { method: 'GET', path, key })).text);
    const logs = await once(async () => {
      const rows = (await get('/spend/logs', TEST_KEY)) as Record<string, unknown>[];
      return Array.isArray(rows) && rows.length > 0 ? rows : null;
    });
    assert.deepEqual(
      logs.map((row) => [row['request_id'], row['spend'], row['api_key'], row['user'], row['status']]),
      [[answer.headers.get('x-litellm-call-id'), cost, sha256(TEST_KEY), 'u', 'success']],
    );
    assert.deepEqual(await get('/global/spend'), { spend: cost, max_budget: 0 });
    const [top] = (await get('/global/spend/keys')) as Record<string, unknown>[];
    assert.deepEqual([top?.['api_key'], top?.['key_alias'], top?.['total_spend']], [sha256(TEST_KEY), 'mine', cost]);
    const { ingestion } = (await get('/slipstream/status')) as { ingestion: unknown };
    assert.deepEqual(ingestion, { events: 1, invalidLines: 0, duplicates: 0, behindBytes: 0, fault: null });
    const refused = await ask(gateway.port, { method: 'GET', path: '/global/spend', key: TEST_KEY });
    assert.equal(refused.status, 403);
  });
}
