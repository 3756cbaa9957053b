import assert from 'node:assert/strict';
import { statSync, writeFileSync } from 'node:fs';
import { describe, it } from 'node:test';
import type { RunningControl } from '../../src/control/control-main.ts';
import { GENERAL, MASTER_KEY } from './compile-yaml.ts';
import { adminRequest, type Home, makeHome, SidecarEnd, until, withControl } from './control-harness.ts';

const KEY = 'sk-key-0123456789abcdef';
const CONFIG = `
model_list:
  - model_name: gpt
    litellm_params:
      model: openai/gpt-4o
      api_key: sk-provider-secret
      api_base: "https://user:sk-url-secret@api.example.com/v1?key=sk-query-secret"
      extra_headers: {x-token: sk-header-secret}
      rpm: 10
      timeout: 30
      input_cost_per_token: 2.5e-06
    model_info: {id: dep-1, mode: chat, note: os.environ/NOTE}
  - {model_name: claude, litellm_params: {model: claude-x, api_key: sk-provider-secret}}
${GENERAL}
slipstream:
  key_header_name: X-My-Key
  keys:
    - {key: ${KEY}}
    - {key: sk-blocked-0123456789, blocked: true}
    - {key: sk-expired-0123456789, expires: 2020-01-01}
`;

function withAdmin(use: (home: Home, control: RunningControl) => Promise<void>, config = CONFIG): Promise<void> {
  const home = makeHome(config, { NOTE: 'sk-note-secret' });
  return withControl(home, (control) => use(home, control));
}

const bearer = (key: string): { headers: Record<string, string> } => ({ headers: { authorization: `Bearer ${key}` } });

describe('admin API: who may', () => {
  const carriers: readonly (readonly [name: string, headers: Record<string, string>, status: number])[] = [
    ['nothing', {}, 401],
    ['a bearer token', { authorization: `Bearer ${MASTER_KEY}` }, 200],
    ['a bearer token in other letters', { authorization: `bearer   ${MASTER_KEY}` }, 200],
    ['another scheme', { authorization: `Basic ${MASTER_KEY}` }, 401],
    ['x-litellm-api-key', { 'x-litellm-api-key': MASTER_KEY }, 200],
    ['x-litellm-api-key with Bearer', { 'x-litellm-api-key': `Bearer ${MASTER_KEY}` }, 200],
    ['the configured header', { 'x-my-key': MASTER_KEY }, 200],
    ['api-key', { 'api-key': MASTER_KEY }, 200],
    ['x-api-key', { 'x-api-key': MASTER_KEY }, 200],
    ['x-goog-api-key', { 'x-goog-api-key': MASTER_KEY }, 200],
    ['Ocp-Apim-Subscription-Key', { 'Ocp-Apim-Subscription-Key': MASTER_KEY }, 200],
    [
      'the first carrier, which is wrong',
      { 'x-litellm-api-key': 'sk-wrong', authorization: `Bearer ${MASTER_KEY}` },
      401,
    ],
    [
      'a key in the first, something else in a later one',
      { authorization: `Bearer ${MASTER_KEY}`, 'x-api-key': 'sk-wrong' },
      200,
    ],
    ['a wrong key', { authorization: 'Bearer sk-wrong' }, 401],
    ['the master key cut short', { authorization: `Bearer ${MASTER_KEY.slice(0, -1)}` }, 401],
    ['a virtual key', { authorization: `Bearer ${KEY}` }, 403],
    ['a blocked key', { authorization: 'Bearer sk-blocked-0123456789' }, 401],
    ['an expired key', { authorization: 'Bearer sk-expired-0123456789' }, 401],
  ];
  it('is asked on every request, whatever carries the key', async () => {
    await withAdmin(async (home) => {
      for (const [name, headers, status] of carriers) {
        const answer = await adminRequest(home, '/slipstream/status', { headers });
        assert.equal(answer.status, status, name);
        if (status !== 200) assert.ok(typeof answer.headers['x-slipstream-error'] === 'string', name);
      }
    });
  });

  it('does not know the hash of the master key, nor any key in the query', async () => {
    await withAdmin(async (home) => {
      const hash = (await import('node:crypto')).hash('sha256', MASTER_KEY);
      assert.equal((await adminRequest(home, '/slipstream/status', bearer(hash))).status, 401);
      assert.equal((await adminRequest(home, `/slipstream/status?key=${MASTER_KEY}`)).status, 401);
    });
  });

  it('is nobody when no master key is set', async () => {
    const config = 'general_settings: {dangerously_permit_weak_or_unset_master_key: true}';
    await withAdmin(async (home) => {
      for (const headers of [{}, { authorization: 'Bearer ' }, { authorization: 'Bearer x' }]) {
        assert.equal((await adminRequest(home, '/slipstream/status', { headers })).status, 401);
      }
    }, config);
  });

  it('is settled anew when the configuration changes', async () => {
    await withAdmin(async (home, control) => {
      writeFileSync(home.configPath, CONFIG.replace(MASTER_KEY, 'sk-another-0123456789abcd'));
      await control.reload();
      assert.equal((await adminRequest(home, '/slipstream/status', bearer(MASTER_KEY))).status, 401);
      assert.equal((await adminRequest(home, '/slipstream/status', bearer('sk-another-0123456789abcd'))).status, 200);
    });
  });

  it('can reach the socket only as its owner', async () => {
    await withAdmin(async (home) => {
      for (const path of [home.options.adminSocketPath, home.options.controlSocketPath]) {
        assert.equal(statSync(path).mode & 0o777, 0o600);
      }
      await Promise.resolve();
    });
  });
});

describe('admin API: answers', () => {
  it('404 in OpenAI’s envelope for every other route, method and path', async () => {
    await withAdmin(async (home) => {
      const others: readonly (readonly [method: string, path: string])[] = [
        ['GET', '/'],
        ['GET', '/nothing?key=sk-query-secret'],
        ['POST', '/slipstream/status'],
        ['DELETE', '/model/info'],
        ['POST', '/v1/unknown'],
        ['GET', '/%zz'],
        ['GET', '/health'],
        ['GET', `/${'x'.repeat(2000)}`],
      ];
      for (const [method, path] of others) {
        const answer = await adminRequest(home, path, {
          method,
          ...bearer(MASTER_KEY),
          ...(method === 'POST' ? { body: '{"a": ' } : {}),
        });
        assert.equal(answer.status, 404, path);
        const error = answer.json['error'] as Record<string, unknown>;
        assert.deepEqual([error['type'], error['param'], error['code']], ['NotFoundError', null, '404']);
        assert.equal(answer.headers['x-slipstream-error'], 'not_found');
        assert.doesNotMatch(answer.text, /secret/);
        assert.equal((await adminRequest(home, path, { method })).status, 401, `${path} without a key`);
      }
    });
  });

  it('with bodies that nobody reads, of any kind and size', async () => {
    await withAdmin(async (home) => {
      for (const type of ['application/json', 'text/plain', 'multipart/form-data; boundary=x', 'nonsense']) {
        const answer = await adminRequest(home, '/x', {
          method: 'POST',
          headers: { ...bearer(MASTER_KEY).headers, 'content-type': type },
          body: '{'.repeat(3_000_000),
        });
        assert.equal(answer.status, 404, type);
      }
    });
  });

  it('GET /model/info in LiteLLM’s shape, without secrets', async () => {
    await withAdmin(async (home) => {
      for (const path of ['/model/info', '/v1/model/info']) {
        const { json, text } = await adminRequest(home, path, bearer(MASTER_KEY));
        assert.doesNotMatch(text, /secret|sk-/);
        const [gpt, claude] = json['data'] as Record<string, Record<string, unknown>>[];
        assert.equal(gpt?.['model_name'], 'gpt');
        assert.deepEqual(gpt?.['litellm_params'], {
          model: 'openai/gpt-4o',
          api_base: 'https://api.example.com/v1',
          rpm: 10,
          weight: 10,
          timeout: 30,
          input_cost_per_token: 2.5e-6,
          output_cost_per_token: 0,
        });
        const info = gpt?.['model_info'];
        assert.deepEqual(
          [info?.['id'], info?.['mode'], info?.['note'], info?.['db_model'], info?.['input_cost_per_token']],
          ['dep-1', 'chat', 'os.environ/NOTE', false, 2.5e-6],
        );
        assert.equal(claude?.['model_name'], 'claude');
      }
      const one = await adminRequest(home, '/model/info?litellm_model_id=dep-1', bearer(MASTER_KEY));
      assert.equal((one.json['data'] as unknown[]).length, 1);
    });
  });

  it('GET /slipstream/status with sidecars, and the reason why the last edit was not taken', async () => {
    await withAdmin(async (home, control) => {
      const status = async (): Promise<Record<string, unknown>> =>
        (await adminRequest(home, '/slipstream/status', bearer(MASTER_KEY))).json;
      assert.equal((await status())['last_reload'], null);
      assert.deepEqual((await status())['sidecars'], []);
      const end = SidecarEnd.hello(home.options.controlSocketPath);
      const { snapshot } = await end.take('snapshot');
      end.send({ type: 'snapshot-applied', version: snapshot.version, blockedMs: 2 });
      await until(() => home.log.some((line) => line.includes('snapshot applied')));
      const [sidecar] = (await status())['sidecars'] as Record<string, unknown>[];
      assert.deepEqual([sidecar?.['pid'], sidecar?.['snapshot'], sidecar?.['blocked_ms']], [4711, snapshot.version, 2]);
      writeFileSync(home.configPath, 'slipstream: {threads: sk-secret}');
      await control.reload();
      const text = JSON.stringify(await status());
      assert.match(text, /config\.yaml:1:14: slipstream\.threads: must be a whole number/);
      assert.doesNotMatch(text, /secret/);
      assert.equal(((await status())['last_reload'] as Record<string, unknown>)['ok'], false);
      assert.equal(((await status())['snapshot'] as Record<string, unknown>)['version'], snapshot.version);
      writeFileSync(home.configPath, CONFIG);
      await control.reload();
      assert.equal(((await status())['last_reload'] as Record<string, unknown>)['ok'], true);
      end.close();
      await until(() => home.log.some((line) => line.includes('sidecar disconnected')));
      assert.deepEqual((await status())['sidecars'], []);
    });
  });
});
