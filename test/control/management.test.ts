import assert from 'node:assert/strict';
import { hash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, it, test } from 'node:test';
import { closedPort } from '../support/closed-port.ts';
import { MASTER_KEY } from './compile-yaml.ts';
import {
  type AdminAnswer,
  adminRequest,
  type Home,
  makeHome,
  SidecarEnd,
  startControl,
  withControl,
} from './control-harness.ts';

const CONFIG = `
model_list:
  - {model_name: gpt, litellm_params: {model: openai/gpt-4o, api_key: sk-provider-0123456789}}
general_settings: {master_key: ${MASTER_KEY}}
slipstream:
  keys: [{key: sk-in-the-file-0123456789, team_id: stored}]
  teams: [{team_id: filed, models: [gpt]}]
  users: [{user_id: filed, rpm_limit: 5}]
`;

async function call(home: Home, path: string, body?: object, key = MASTER_KEY): Promise<AdminAnswer> {
  return adminRequest(home, path, {
    method: body === undefined ? 'GET' : 'POST',
    headers: { authorization: `Bearer ${key}` },
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
  });
}

async function reply(home: Home, path: string, body?: object, key = MASTER_KEY): Promise<Record<string, unknown>> {
  const { status, json, text } = await call(home, path, body, key);
  assert.equal(status, 200, `${path}: ${text}`);
  return json;
}

function errorOf(answer: AdminAnswer): readonly [number, unknown] {
  return [answer.status, answer.headers['x-slipstream-error']];
}

/** Those of `wanted`, for a comparison with it. */
function sameFields(row: unknown, wanted: object): object {
  return Object.fromEntries(Object.keys(wanted).map((name) => [name, (row as Record<string, unknown>)[name]]));
}

describe('what a Terraform provider does', () => {
  // After each step it reads back, and reports drift where a field is not as it was written.
  const wanted = {
    models: ['gpt'],
    max_budget: 12.5,
    budget_duration: '30d',
    tpm_limit: 1000,
    rpm_limit: 60,
    max_parallel_requests: 5,
    metadata: { owner: 'platform', tier: 2 },
    blocked: false,
  };
  const changed = { ...wanted, models: ['gpt', 'claude'], max_budget: 0.1, rpm_limit: 61, metadata: { owner: 'data' } };

  it('with a key', async () => {
    const home = makeHome(CONFIG);
    await withControl(home, async () => {
      const own = { key_alias: 'tf', user_id: 'u', aliases: { fast: 'gpt' }, allowed_routes: ['/v1/embeddings'] };
      const made = await reply(home, '/key/generate', { ...wanted, ...own });
      const info = async (): Promise<unknown> => (await reply(home, `/key/info?key=${String(made['key'])}`))['info'];
      assert.deepEqual(sameFields(await info(), { ...wanted, ...own }), { ...wanted, ...own });
      await reply(home, '/key/update', { key: made['key'], ...changed, ...own });
      assert.deepEqual(sameFields(await info(), { ...changed, ...own }), { ...changed, ...own });
      await reply(home, '/key/delete', { keys: [made['token']] });
      assert.deepEqual(errorOf(await call(home, `/key/info?key=${String(made['token'])}`)), [
        404,
        'resource_not_found',
      ]);
    });
  });

  it('with a team', async () => {
    const home = makeHome(CONFIG);
    await withControl(home, async () => {
      const { team_id: teamId } = await reply(home, '/team/new', { team_alias: 'tf', ...wanted });
      const info = async (): Promise<unknown> =>
        (await reply(home, `/team/info?team_id=${String(teamId)}`))['team_info'];
      assert.deepEqual(sameFields(await info(), wanted), wanted);
      await reply(home, '/team/update', { team_id: teamId, team_alias: 'tf2', ...changed });
      assert.deepEqual(sameFields(await info(), { team_alias: 'tf2', ...changed }), { team_alias: 'tf2', ...changed });
      await reply(home, '/team/member_add', { team_id: teamId, member: { role: 'admin', user_id: 'm' } });
      assert.deepEqual(sameFields(await info(), { members: [] }), { members: ['m'] });
      await reply(home, '/team/member_delete', { team_id: teamId, user_id: 'm' });
      assert.deepEqual(sameFields(await info(), { members: [] }), { members: [] });
      await reply(home, '/team/delete', { team_ids: [teamId] });
      assert.equal((await call(home, `/team/info?team_id=${String(teamId)}`)).status, 404);
    });
  });

  it('with a user', async () => {
    const home = makeHome(CONFIG);
    await withControl(home, async () => {
      const own = { user_email: 'tf@example.com', user_role: 'internal_user' };
      await reply(home, '/user/new', { user_id: 'tf', auto_create_key: false, ...wanted, ...own });
      const info = async (): Promise<unknown> => (await reply(home, '/user/info?user_id=tf'))['user_info'];
      assert.deepEqual(sameFields(await info(), { ...wanted, ...own }), { ...wanted, ...own });
      await reply(home, '/user/update', { user_id: 'tf', ...changed, user_email: null });
      assert.deepEqual(sameFields(await info(), { ...changed, user_email: null }), { ...changed, user_email: null });
      assert.equal((await call(home, '/user/delete', { user_ids: ['tf'] })).text, '1');
      assert.equal((await call(home, '/user/info?user_id=tf')).status, 404);
    });
  });
});

describe('what the file declares', () => {
  it('is shown, and changed by no call', async () => {
    const home = makeHome(CONFIG);
    await withControl(home, async () => {
      const key = 'sk-in-the-file-0123456789';
      const { info } = (await reply(home, `/key/info?key=${key}`)) as { info: Record<string, unknown> };
      assert.equal(info['created_by'], 'configuration file');
      assert.deepEqual(sameFields((await reply(home, '/team/info?team_id=filed'))['team_info'], { models: 0 }), {
        models: ['gpt'],
      });
      assert.deepEqual(sameFields((await reply(home, '/user/info?user_id=filed'))['user_info'], { rpm_limit: 0 }), {
        rpm_limit: 5,
      });
      for (const [path, body] of [
        ['/key/update', { key, models: [] }],
        ['/key/delete', { keys: [key] }],
        ['/key/block', { key: hash('sha256', key) }],
        [`/key/${key}/regenerate`, {}],
        ['/key/update', { key: MASTER_KEY }],
        ['/team/new', { team_id: 'filed' }],
        ['/team/update', { team_id: 'filed', models: [] }],
        ['/team/delete', { team_ids: ['filed'] }],
        ['/team/member_add', { team_id: 'filed', member: { user_id: 'x' } }],
        ['/user/new', { user_id: 'filed' }],
        ['/user/update', { user_id: 'filed', rpm_limit: null }],
        ['/user/delete', { user_ids: ['filed'] }],
      ] as const) {
        assert.deepEqual(errorOf(await call(home, path, body)), [400, 'declared_in_file'], path);
      }
      for (const taken of [key, MASTER_KEY]) {
        assert.deepEqual(errorOf(await call(home, '/key/generate', { key: taken })), [400, 'resource_exists']);
      }
    });
  });

  it('and what the store holds know of each other', async () => {
    const home = makeHome(CONFIG);
    await withControl(home, async () => {
      const end = SidecarEnd.hello(home.options.controlSocketPath);
      // A key of the file in a team of the store, a key of the store in a team of the file.
      await reply(home, '/team/new', { team_id: 'stored', models: ['claude'] });
      const made = await reply(home, '/key/generate', { team_id: 'filed' });
      const models = async (key: string): Promise<unknown> => {
        end.send({ type: 'key-lookup', id: 1, hash: hash('sha256', key) });
        return (await end.take('key-answer')).record?.models;
      };
      assert.deepEqual(await models('sk-in-the-file-0123456789'), ['claude']);
      assert.deepEqual(await models(String(made['key'])), ['gpt']);
      end.close();
    });
  });
});

test('limits of a team’s members reach their keys: the member’s own, else the team’s for all', async () => {
  const home = makeHome(CONFIG);
  await withControl(home, async () => {
    const end = SidecarEnd.hello(home.options.controlSocketPath);
    const members = [{ user_id: 'ann' }, { user_id: 'bob' }];
    await reply(home, '/team/new', { team_id: 't', team_member_rpm_limit: 5, members_with_roles: members });
    await reply(home, '/team/member_update', { team_id: 't', user_id: 'ann', rpm_limit: 3, tpm_limit: 4 });
    let id = 0;
    const limits = async (user: string | null, team: string | null): Promise<unknown> => {
      const made = await reply(home, '/key/generate', { user_id: user, team_id: team });
      end.send({ type: 'key-lookup', id: (id += 1), hash: String(made['token']) });
      return (await end.take('key-answer')).record?.memberLimits;
    };
    assert.deepEqual(await limits('ann', 't'), { rpmLimit: 3, tpmLimit: 4 });
    assert.deepEqual(await limits('bob', 't'), { rpmLimit: 5, tpmLimit: null });
    assert.deepEqual(await limits(null, 't'), undefined);
    assert.deepEqual(await limits('ann', null), undefined);
    await reply(home, '/team/member_update', { team_id: 't', user_id: 'ann', rpm_limit: null, tpm_limit: null });
    assert.deepEqual(await limits('ann', 't'), { rpmLimit: 5, tpmLimit: null });
    end.close();
  });
});

describe('the holder of a key', () => {
  it('sees the key, those of its user, and its team; and changes nothing', async () => {
    const home = makeHome(CONFIG);
    await withControl(home, async () => {
      await reply(home, '/team/new', { team_id: 'mine' });
      await reply(home, '/team/new', { team_id: 'other' });
      const generate = async (body: object): Promise<string> =>
        String((await reply(home, '/key/generate', body))['key']);
      const own = await generate({ user_id: 'ada', team_id: 'mine' });
      const second = await generate({ user_id: 'ada' });
      const foreign = await generate({ team_id: 'mine' });
      const status = async (path: string, body?: object, key = own): Promise<number> =>
        (await call(home, path, body, key)).status;
      assert.equal(await status('/key/info'), 200);
      assert.equal(await status(`/key/info?key=${second}`), 200);
      assert.equal(await status(`/key/info?key=${foreign}`), 404);
      assert.equal(await status(`/key/info?key=${own}`, undefined, foreign), 404);
      assert.equal((await reply(home, '/key/list', undefined, own))['total_count'], 2);
      assert.equal((await reply(home, '/key/list', undefined, foreign))['total_count'], 1);
      assert.equal(await status('/key/list?user_id=bob'), 403);
      assert.equal(await status('/team/info?team_id=mine'), 200);
      assert.equal(await status('/team/info?team_id=other'), 404);
      const { keys } = await reply(home, '/team/info?team_id=mine', undefined, own);
      assert.deepEqual(
        (keys as Record<string, unknown>[]).map((key) => key['user_id']),
        ['ada'],
      );
      for (const path of [
        '/key/generate',
        '/key/update',
        '/key/delete',
        '/key/block',
        '/team/new',
        '/user/new',
        '/user/delete',
      ]) {
        assert.deepEqual(errorOf(await call(home, path, { key: own }, own)), [403, 'admin_required'], path);
      }
      for (const path of ['/user/list', '/audit', '/slipstream/status']) assert.equal(await status(path), 403, path);
    });
  });

  it('calls no route but those the key allows', async () => {
    const home = makeHome(CONFIG);
    await withControl(home, async () => {
      const made = await reply(home, '/key/generate', { key_type: 'llm_api' });
      assert.deepEqual(errorOf(await call(home, '/key/info', undefined, String(made['key']))), [
        403,
        'route_not_allowed',
      ]);
    });
  });
});

test('the audit log says who changed what, also for whom, and holds no secret', async () => {
  const home = makeHome(CONFIG);
  await withControl(home, async () => {
    const metadata = { logging: { langfuse_secret_key: 'sk-lf-canary' } };
    const made = await reply(home, '/key/generate', { metadata, rpm_limit: 1 });
    await adminRequest(home, '/key/update', {
      method: 'POST',
      headers: { authorization: `Bearer ${MASTER_KEY}`, 'litellm-changed-by': 'ada@example.com' },
      body: JSON.stringify({ key: made['key'], rpm_limit: 2 }),
    });
    const log = await call(home, `/audit?object_id=${String(made['token'])}&sort_order=asc`);
    const [created, updated] = log.json['audit_logs'] as Record<string, unknown>[];
    assert.deepEqual([created?.['action'], created?.['changed_by']], ['created', 'master key']);
    assert.deepEqual(
      [updated?.['action'], updated?.['changed_by'], updated?.['before_value'], updated?.['updated_values']],
      ['updated', 'ada@example.com', { rpm_limit: 1 }, { rpm_limit: 2 }],
    );
    assert.ok(!log.text.includes(String(made['key'])) && !log.text.includes('canary'));
    const later = await reply(home, `/audit?start_date=${new Date(Date.now() + 60_000).toISOString()}`);
    assert.equal(later['total'], 0);
  });
});

test('while the database is away the keys of an earlier run hold, and calls that need it say so', async () => {
  const home = makeHome(CONFIG);
  const first = await startControl(home);
  const made = await reply(home, '/key/generate', {});
  await first.stop();
  const away = {
    ...home,
    options: { ...home.options, env: { DATABASE_URL: `postgresql://u:p@127.0.0.1:${await closedPort()}/x` } },
  };
  home.log.length = 0;
  await withControl(away, async () => {
    const end = SidecarEnd.hello(home.options.controlSocketPath);
    const { complete } = await end.take('key-directory');
    assert.equal(complete, false, 'what is not there may be in the database');
    // Made since the directory was written.
    const { changes } = await end.take('key-changes');
    assert.equal(changes[0]?.record?.hash, made['token']);
    for (const body of [undefined, {}]) {
      const answer = await call(home, body === undefined ? '/key/list' : '/key/generate', body);
      assert.deepEqual(errorOf(answer), [503, 'store_unavailable']);
      assert.equal(answer.headers['retry-after'], '1');
    }
    assert.equal((await call(home, '/slipstream/status')).status, 200);
    end.close();
  });
});

test('OpenAPI: what is served is what docs/openapi.json says, and every reference in it leads somewhere', async () => {
  const home = makeHome(CONFIG);
  await withControl(home, async () => {
    const { status, json, text } = await adminRequest(home, '/openapi.json');
    assert.equal(status, 200, 'without a key, as there is no secret in it');
    assert.deepEqual(json, JSON.parse(readFileSync(join(import.meta.dirname, '../../docs/openapi.json'), 'utf8')));
    const { components } = json as { components: { schemas: Record<string, unknown> } };
    const references = [...text.matchAll(/"\$ref":"#\/components\/schemas\/(\w+)"/g)].map(([, name]) => name ?? '');
    assert.ok(references.length > 10);
    for (const name of references) assert.ok(Object.hasOwn(components.schemas, name), name);
    assert.ok(!text.includes('#/$defs/'));
  });
});

test('an address of its own lets in the pages that CORS names', async () => {
  const home = makeHome(`${CONFIG}  cors: {allowed_origins: ["https://ui.example"]}\n  admin: {port: 0}\n`);
  await withControl(home, async () => {
    const port = /"management API listens","host":"127\.0\.0\.1","port":(\d+)/.exec(home.log.join(''))?.[1];
    const url = `http://127.0.0.1:${port}/key/list`;
    const preflight = (origin: string): Promise<Response> =>
      fetch(url, {
        method: 'OPTIONS',
        headers: { origin, 'access-control-request-method': 'GET', 'access-control-request-headers': 'authorization' },
      });
    const yes = await preflight('https://ui.example');
    assert.deepEqual([yes.status, yes.headers.get('access-control-allow-origin')], [204, 'https://ui.example']);
    assert.equal(yes.headers.get('access-control-allow-headers'), 'authorization');
    const no = await preflight('https://evil.example');
    assert.deepEqual([no.status, no.headers.get('access-control-allow-origin')], [403, null]);
    const headers = { origin: 'https://ui.example', authorization: `Bearer ${MASTER_KEY}` };
    assert.equal((await fetch(url, { headers })).headers.get('access-control-allow-origin'), 'https://ui.example');
    assert.equal((await call(home, '/key/list')).status, 404, 'and the socket of the public port has it no more');
  });
});
