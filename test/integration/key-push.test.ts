import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { openStore } from '../../src/control/store/open-store.ts';
import { createLogger } from '../../src/runtime/logger.ts';
import { readKeyChanges, readPersistedState } from '../../src/sidecar/sidecar-files.ts';
import { MODES, startGateway } from '../support/gateway.ts';
import { jsonReply, ScriptedUpstream } from '../support/scripted-upstream.ts';

const MASTER = 'sk-master-0123456789abcdef';

function configOf(port: number, more = ''): string {
  return `
general_settings: {master_key: ${MASTER}}
model_list:
  - model_name: gpt
    litellm_params: {model: openai/gpt, api_base: 'http://127.0.0.1:${port}/v1', api_key: sk-up}
${more}`;
}

/** From a change to its effect it takes half a second at most; beside whatever else this machine does, longer. */
const PATIENCE_MS = 15_000;

for (const mode of MODES) {
  describe(`keys of the store, ${mode}`, () => {
    it('made, changed, blocked, deleted: in force soon after, also those beyond what is resident', async (t) => {
      const upstream = await ScriptedUpstream.start((_request, answer) => answer.write(jsonReply('{}')));
      t.after(() => upstream.stop());
      const gateway = await startGateway({
        mode,
        config: configOf(upstream.port, 'slipstream: {max_resident_keys: 1}'),
      });
      t.after(() => gateway.stop());
      const admin = async (path: string, body: object): Promise<Record<string, unknown>> => {
        const headers = { authorization: `Bearer ${MASTER}`, 'content-type': 'application/json' };
        const answer = await fetch(`${gateway.url}${path}`, { method: 'POST', headers, body: JSON.stringify(body) });
        assert.equal(answer.status, 200, await answer.clone().text());
        return (await answer.json()) as Record<string, unknown>;
      };
      const use = async (key: string): Promise<number> => {
        const headers = { authorization: `Bearer ${key}`, 'content-type': 'application/json' };
        const body = '{"model":"gpt","messages":[]}';
        const answer = await fetch(`${gateway.url}/v1/chat/completions`, { method: 'POST', headers, body });
        await answer.text();
        return answer.status;
      };
      const becomes = async (key: string, expected: number): Promise<void> => {
        const startedAtMs = performance.now();
        let status = 0;
        while ((status = await use(key)) !== expected) {
          assert.ok(performance.now() - startedAtMs < PATIENCE_MS, `${status}, not ${expected}, in ${PATIENCE_MS} ms`);
        }
      };
      const { team_id: team } = await admin('/team/new', {});
      while ((await use('sk-nobody-0123456789abcdef')) === 503);
      for (const name of ['resident', 'on-demand']) {
        const key = `sk-${name}-0123456789abcdef`;
        assert.equal(await use(key), 401);
        await admin('/key/generate', { key, team_id: team });
        await becomes(key, 200);
        await admin('/key/update', { key, models: ['other'] });
        await becomes(key, 403);
        await admin('/key/update', { key, models: [] });
        await becomes(key, 200);
        await admin('/key/block', { key });
        await becomes(key, 401);
        await admin('/key/unblock', { key });
        await becomes(key, 200);
        await admin('/team/update', { team_id: team, models: ['none'] });
        await becomes(key, 403);
        await admin('/team/update', { team_id: team, models: [] });
        await becomes(key, 200);
        await admin('/key/delete', { keys: [key] });
        await becomes(key, 401);
      }
    });

    it('of another process that has the same database', async (t) => {
      const upstream = await ScriptedUpstream.start((_request, answer) => answer.write(jsonReply('{}')));
      t.after(() => upstream.stop());
      const gateway = await startGateway({ mode, config: configOf(upstream.port) });
      t.after(() => gateway.stop());
      const store = await openStore({ dataDirectory: gateway.dataDirectory, databaseUrl: null });
      t.after(() => store.close());
      const key = 'sk-elsewhere-0123456789abcdef';
      const hash = createHash('sha256').update(key).digest('hex');
      const use = async (): Promise<number> => {
        const headers = { authorization: `Bearer ${key}` };
        const answer = await fetch(`${gateway.url}/v1/models`, { headers });
        await answer.text();
        return answer.status;
      };
      const becomes = async (expected: number): Promise<void> => {
        const startedAtMs = performance.now();
        while ((await use()) !== expected) {
          assert.ok(performance.now() - startedAtMs < PATIENCE_MS, `not ${expected} in ${PATIENCE_MS} ms`);
          await new Promise((resolve) => setTimeout(resolve, 10));
        }
      };
      const actor = { changedBy: 'test', nowMs: Date.now() };
      await store.keys.create({ hash }, actor);
      await becomes(200);
      await store.keys.delete([hash], actor);
      await becomes(401);
    });
  });
}

describe('a sidecar that starts with no control plane', () => {
  it('knows what was revoked since its key directory was written', async (t) => {
    const upstream = await ScriptedUpstream.start((_request, answer) => answer.write(jsonReply('{}')));
    t.after(() => upstream.stop());
    const gateway = await startGateway({ mode: 'sidecar', config: configOf(upstream.port) });
    t.after(() => gateway.stop());
    const keys = ['sk-kept-0123456789abcdef', 'sk-revoked-0123456789abcdef'];
    const headers = { authorization: `Bearer ${MASTER}`, 'content-type': 'application/json' };
    const admin = async (path: string, body: object): Promise<void> => {
      const answer = await fetch(`${gateway.url}${path}`, { method: 'POST', headers, body: JSON.stringify(body) });
      assert.equal(answer.status, 200, await answer.text());
    };
    for (const key of keys) await admin('/key/generate', { key });
    await admin('/key/delete', { keys: [keys[1]] });
    await gateway.stop({ keepData: true });
    const logger = createLogger({ level: 'error', format: 'json', name: 't', write: () => undefined });
    const state = readPersistedState(gateway.dataDirectory, logger);
    const path = join(gateway.dataDirectory, state?.keyDirectory.fileName ?? '');
    const told = readKeyChanges(path, logger).flatMap(({ changes }) => changes);
    assert.deepEqual(
      told.map(({ record }) => record === null),
      [false, false, true],
    );
  });
});
