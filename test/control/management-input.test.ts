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
        ['{"temp_budget_increase": 1e300, "temp_budget_expiry": "2030-01-01"}', 'temp_budget_increase'],
        // It would be kept as 0, which allows nothing.
        ['{"max_budget": 1e-12}', 'max_budget'],
        ['{"model_max_budget": {"gpt": 1e-12}}', 'model_max_budget.gpt'],
        // An empty text is none where texts are expected, and never lifts a limit.
        ['{"max_budget": ""}', 'max_budget'],
        ['{"rpm_limit": ""}', 'rpm_limit'],
        ['{"models": ""}', 'models'],
        // PostgreSQL takes neither, and SQLite ends the one at the NUL.
        [String.raw`{"key_alias": "canary\u0000b"}`, 'key_alias'],
        [String.raw`{"metadata": {"a": ["canary\ud800"]}}`, 'metadata.a.0'],
        [String.raw`{"metadata": {"canary\u0000b": 1}}`, 'metadata'],
        [`{"metadata": {"a": ${'['.repeat(65)}${']'.repeat(65)}}}`, 'metadata'],
        [`{"metadata": {"a": ${'['.repeat(100_000)}${']'.repeat(100_000)}}}`, 'metadata'],
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
        ['/key/list?key_alias=canary%00', 'key_alias'],
        ['/user/info?user_id=%00', 'user_id'],
        ['/spend/logs?api_key=%00', 'api_key'],
        ["/key/list?sort_by=spend'canary", 'sort_by'],
        ['/key/list?sort_order=desc;canary', 'sort_order'],
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

describe('an empty text', () => {
  it('is none, as LiteLLM’s Terraform provider writes it in every update', async () => {
    const home = makeHome(CONFIG);
    await withControl(home, async () => {
      await post(home, '/team/new', '{"team_id": "t"}');
      const given = { key_alias: 'tf', team_id: 't', budget_duration: '30d', organization_id: 'o' };
      const none = { key_alias: '', team_id: '', budget_duration: '', organization_id: '' };
      const { json: made } = await post(home, '/key/generate', JSON.stringify({ ...given, duration: '' }));
      assert.equal(made['expires'], null);
      const { json, headers: answered } = await post(
        home,
        '/key/update',
        JSON.stringify({ key: made['token'], ...none }),
      );
      for (const name of Object.keys(none)) assert.equal(json[name], null, name);
      assert.equal(answered['x-slipstream-ignored-fields'], undefined, 'and there is nothing to ignore');
      assert.equal((await post(home, '/key/update', '{"key": ""}')).status, 400);
      const listed = await adminRequest(home, '/key/list?user_id=&team_id=&page=', { headers });
      assert.equal(listed.json['total_count'], 1);
    });
  });
});

describe('a request that is refused', () => {
  it('has done nothing, not even its first part', async () => {
    const home = makeHome(CONFIG);
    await withControl(home, async () => {
      await post(home, '/team/new', '{"team_id": "t", "members_with_roles": [{"user_id": "ann"}]}');
      await post(home, '/key/generate', '{"key_alias": "taken"}');
      for (const [path, body, name] of [
        ['/team/member_add', '{"team_id": "t", "member": [{"user_id": "bob"}, {"user_id": "ann"}]}', 'resource_exists'],
        ['/user/new', '{"user_id": "bob", "teams": ["t"], "key_alias": "taken"}', 'resource_exists'],
        ['/user/new', '{"user_id": "bob", "teams": ["t", "nowhere"]}', 'resource_not_found'],
        ['/team/new', '{"team_id": "u", "members_with_roles": [{"user_id": null}]}', 'invalid_field'],
      ] as const) {
        const before = (await adminRequest(home, '/audit', { headers })).json['total'];
        assert.equal((await post(home, path, body)).headers['x-slipstream-error'], name, body);
        assert.equal((await adminRequest(home, '/audit', { headers })).json['total'], before, body);
        assert.equal((await adminRequest(home, '/user/info?user_id=bob', { headers })).status, 404, body);
      }
    });
  });

  it('names a key by its alias though its list of keys is empty', async () => {
    const home = makeHome(CONFIG);
    await withControl(home, async () => {
      await post(home, '/key/generate', '{"key_alias": "one"}');
      const { json } = await post(home, '/key/delete', '{"keys": [], "key_aliases": ["one"]}');
      assert.deepEqual(json['deleted_keys'], ['one']);
    });
  });
});

describe('requests at the same time', () => {
  it('that make keys of a team while it is deleted leave none behind', async () => {
    const home = makeHome(CONFIG);
    await withControl(home, async () => {
      // A key whose team is gone would be bound by nothing.
      for (let round = 0; round < 12; round += 1) {
        const team = JSON.stringify({ team_id: `t${round}` });
        await post(home, '/team/new', team);
        const { json } = await post(home, '/key/generate', '{}');
        const key = String(json['token']);
        await Promise.all([
          ...Array.from({ length: 4 }, () => post(home, '/key/generate', team)),
          post(home, '/key/update', JSON.stringify({ key, team_id: `t${round}` })),
          post(home, '/team/delete', JSON.stringify({ team_ids: [`t${round}`] })),
        ]);
        const left = await adminRequest(home, `/key/list?team_id=t${round}`, { headers });
        assert.equal(left.json['total_count'], 0);
      }
    });
  });

  it('that change different fields of one key, team or user are all kept', async () => {
    const home = makeHome(CONFIG);
    await withControl(home, async () => {
      const changes: readonly object[] = [
        { guardrails: ['g'] },
        { prompts: ['p'] },
        { policies: ['o'] },
        { access_group_ids: ['a'] },
        { rpm_limit: 5 },
        { tpm_limit: 6 },
      ];
      const { json: key } = await post(home, '/key/generate', '{}');
      await post(home, '/team/new', '{"team_id": "t"}');
      await post(home, '/user/new', '{"user_id": "u", "auto_create_key": false}');
      for (const [path, id, info, at] of [
        ['/key/update', { key: key['token'] }, `/key/info?key=${String(key['token'])}`, 'info'],
        ['/team/update', { team_id: 't' }, '/team/info?team_id=t', 'team_info'],
        ['/user/update', { user_id: 'u' }, '/user/info?user_id=u', 'user_info'],
      ] as const) {
        await Promise.all(changes.map((change) => post(home, path, JSON.stringify({ ...id, ...change }))));
        const row = (await adminRequest(home, info, { headers })).json[at] as Record<string, unknown>;
        for (const [name, value] of changes.flatMap((change) => Object.entries(change))) {
          assert.deepEqual(row[name], value, `${path}: ${name}`);
        }
      }
    });
  });

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
