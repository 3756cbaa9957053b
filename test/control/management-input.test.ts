import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { MASTER_KEY } from './compile-yaml.ts';
import { type AdminAnswer, adminRequest, type Home, makeHome, withControl } from './control-harness.ts';

const CONFIG = `general_settings: {master_key: ${MASTER_KEY}}`;
const headers = { authorization: `Bearer ${MASTER_KEY}` };

function post(home: Home, path: string, body: string, type = 'application/json'): Promise<AdminAnswer> {
  return adminRequest(home, path, { method: 'POST', headers: { ...headers, 'content-type': type }, body });
}

function outcome({ status, headers: answered, json }: AdminAnswer): readonly unknown[] {
  const error = json['error'] as { param?: unknown; code?: unknown } | undefined;
  return [status, answered['x-slipstream-error'], error?.param];
}

describe('a management request that is wrong', () => {
  it('is refused with the name of the field, and never repeats its value', async () => {
    const home = makeHome(CONFIG);
    await withControl(home, async () => {
      for (const [body, param] of [
        ['{"models": "canary"}', 'models'],
        ['{"models": [5]}', 'models.0'],
        ['{"metadata": ["canary"]}', 'metadata'],
        ['{"rpm_limit": "canary"}', 'rpm_limit'],
        ['{"rpm_limit": 1.5}', 'rpm_limit'],
        ['{"tpm_limit": -1}', 'tpm_limit'],
        ['{"max_budget": 1e300}', 'max_budget'],
        ['{"budget_duration": "1.5h"}', 'budget_duration'],
        ['{"duration": "canary"}', 'duration'],
        ['{"key": "canary-without-prefix"}', 'key'],
        ['{"key": "sk-short"}', 'key'],
        ['{"key": "sk-with-a-space 0123456789"}', 'key'],
        ['{"aliases": {"a": 5}}', 'aliases.a'],
        ['{"model_rpm_limit": {"gpt": -1}}', 'model_rpm_limit.gpt'],
        ['{"key_type": "canary"}', 'key_type'],
        ['{"temp_budget_increase": 5}', 'temp_budget_expiry'],
        [`{"key_alias": "${'x'.repeat(600)}"}`, 'key_alias'],
      ] as const) {
        const answer = await post(home, '/key/generate', body);
        assert.deepEqual(outcome(answer), [400, 'invalid_field', param], body);
        assert.doesNotMatch(answer.text, /canary/);
      }
      for (const [path, param] of [
        ['/key/list?page=abc', 'page'],
        ['/key/list?page=1&page=2', 'page'],
        ['/key/list?size=100000', 'size'],
        ['/key/list?sort_by=canary', 'sort_by'],
        ['/team/info', 'team_id'],
        ['/key/info', 'key'],
        ['/audit?start_date=canary', 'start_date'],
      ] as const) {
        const answer = await adminRequest(home, path, { headers });
        assert.deepEqual(outcome(answer), [400, 'invalid_field', param], path);
        assert.doesNotMatch(answer.text, /canary/);
      }
    });
  });

  it('is refused when its body is no JSON object, or too long', async () => {
    const home = makeHome(CONFIG);
    await withControl(home, async () => {
      for (const body of ['{', '{"a":1}x', 'canary', '{"__proto__": {"blocked": true}}', '\uFEFF{"a"']) {
        const answer = await post(home, '/key/generate', body);
        assert.deepEqual(outcome(answer).slice(0, 2), [400, 'invalid_json'], body);
        assert.doesNotMatch(answer.text, /canary/);
      }
      for (const body of ['[]', '5', 'null', '"text"']) {
        assert.equal((await post(home, '/team/new', body)).status, body === 'null' ? 200 : 400, body);
      }
      assert.deepEqual(outcome(await post(home, '/key/generate', `{"a":"${'x'.repeat(2 ** 20)}"}`)).slice(0, 2), [
        413,
        'body_too_large',
      ]);
      // Nothing was made by any of them.
      assert.equal((await adminRequest(home, '/key/list', { headers })).json['total_count'], 0);
    });
  });

  it('is understood whatever its content type says, and names what it ignored', async () => {
    const home = makeHome(CONFIG);
    await withControl(home, async () => {
      for (const type of ['application/json; charset=utf-8', 'application/x-www-form-urlencoded', 'text/plain']) {
        assert.equal((await post(home, '/key/generate', '{"rpm_limit": 5}', type)).json['rpm_limit'], 5, type);
      }
      const body = JSON.stringify({
        guardrails: ['a'],
        organization_id: null,
        bogus: 1,
        'a b\r\nx: y': 1,
        models: ['gpt'],
      });
      const answer = await post(home, '/key/generate', body);
      assert.equal(answer.headers['x-slipstream-ignored-fields'], 'guardrails, bogus');
      assert.equal((await post(home, '/key/generate', '{}')).headers['x-slipstream-ignored-fields'], undefined);
      assert.equal((await post(home, '/key/generate', '')).status, 200);
    });
  });
});

describe('requests at the same time', () => {
  it('for one alias, key or team make one', async () => {
    const home = makeHome(CONFIG);
    await withControl(home, async () => {
      for (const [path, body] of [
        ['/key/generate', '{"key_alias": "one"}'],
        ['/key/generate', '{"key": "sk-one-0123456789abcdef"}'],
        ['/team/new', '{"team_id": "one"}'],
        ['/user/new', '{"user_id": "one", "auto_create_key": false}'],
      ] as const) {
        const answers = await Promise.all(Array.from({ length: 8 }, () => post(home, path, body)));
        const refused = answers.filter(({ status }) => status !== 200);
        assert.equal(refused.length, 7, path);
        for (const answer of refused) assert.equal(answer.headers['x-slipstream-error'], 'resource_exists');
      }
    });
  });

  it('for one key’s new text give it one', async () => {
    const home = makeHome(CONFIG);
    await withControl(home, async () => {
      const { json } = await post(home, '/key/generate', '{"rpm_limit": 5}');
      const path = `/key/${String(json['token'])}/regenerate`;
      const answers = await Promise.all(Array.from({ length: 6 }, () => post(home, path, '{"grace_period": "1h"}')));
      assert.deepEqual(
        answers.map(({ status }) => status).toSorted((a, b) => a - b),
        [200, 404, 404, 404, 404, 404],
      );
      const same = answers.find(({ status }) => status === 200)?.json['key'];
      assert.deepEqual(
        outcome(await post(home, `/key/${String(same)}/regenerate`, JSON.stringify({ new_key: same }))),
        [400, 'resource_exists', 'new_key'],
      );
    });
  });
});
