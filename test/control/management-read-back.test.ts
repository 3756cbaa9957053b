import assert from 'node:assert/strict';
import { it } from 'node:test';
import type { z } from 'zod';
import { generateKeyRequest } from '../../src/control/admin/schemas/key-schemas.ts';
import { newTeamRequest } from '../../src/control/admin/schemas/team-schemas.ts';
import { newUserRequest } from '../../src/control/admin/schemas/user-schemas.ts';
import { MASTER_KEY } from './compile-yaml.ts';
import { adminRequest, type Home, makeHome, withControl } from './control-harness.ts';

/* Terraform and scripts write a field, read it back, and report what differs: so no field that is taken is kept silent. */

const COMMON = {
  models: ['gpt', 'openai/*'],
  metadata: { owner: 'platform', deep: { list: [1, null, true] } },
  tags: ['t1', 't2'],
  rpm_limit: 0,
  tpm_limit: 2_147_483_647,
  max_parallel_requests: 1,
  model_rpm_limit: { gpt: 3 },
  model_tpm_limit: { gpt: 0 },
  max_budget: 0.000000001,
  soft_budget: 1234.56789,
  budget_duration: '1mo',
  model_max_budget: { gpt: { budget_limit: 0.5, time_period: '1d' }, other: 5 },
  budget_limits: [{ budget_duration: '1d', max_budget: 2 }],
  blocked: true,
  organization_id: 'o',
  guardrails: ['g'],
  policies: ['p'],
  prompts: ['pr'],
  allowed_cache_controls: ['no-cache'],
  allowed_passthrough_routes: ['/x'],
  object_permission: { vector_stores: ['v'] },
  access_group_ids: ['ag'],
  router_settings: { fallbacks: [{ a: ['b'] }] },
  rpm_limit_type: 'dynamic',
  tpm_limit_type: 'best_effort_throughput',
};
const KEY = {
  ...COMMON,
  key_alias: 'alias',
  user_id: 'u',
  team_id: null,
  aliases: { fast: 'gpt' },
  allowed_routes: ['/v1/chat/completions'],
  key_type: 'llm_api',
  agent_id: 'a',
  project_id: 'p',
  budget_id: 'b',
  config: { c: 1 },
  permissions: { p: true },
  enforced_params: ['user'],
  auto_rotate: true,
  rotation_interval: '30d',
  temp_budget_increase: 5.5,
  temp_budget_expiry: '2030-01-01T00:00:00.000Z',
};
const TEAM = {
  ...COMMON,
  team_id: 't',
  team_alias: 'alias',
  team_member_permissions: ['/key/generate'],
  team_member_budget: 3.5,
  team_member_rpm_limit: 3,
  team_member_tpm_limit: 4,
  team_member_budget_duration: '7d',
  team_member_key_duration: '30d',
  model_aliases: { fast: 'gpt' },
};
const USER = {
  ...COMMON,
  user_id: 'u',
  user_email: 'u@example.com',
  user_alias: 'alias',
  user_role: 'internal_user',
  sso_user_id: 's',
  organizations: ['o'],
};

/** What is no field of the row: it is shown once, or in another form. */
const KEY_ACTIONS = { key: 'sk-chosen-by-hand-0123456789', duration: '30d', spend: null, send_invite_email: false };
const TEAM_ACTIONS = { members_with_roles: [{ role: 'admin', user_id: 'm', user_email: null }] };
const USER_ACTIONS = {
  auto_create_key: true,
  teams: [],
  send_invite_email: false,
  spend: null,
  duration: '30d',
  key_alias: 'of-user',
  aliases: { fast: 'gpt' },
};

async function call(home: Home, path: string, body?: object): Promise<Record<string, unknown>> {
  const { status, json, text } = await adminRequest(home, path, {
    method: body === undefined ? 'GET' : 'POST',
    headers: { authorization: `Bearer ${MASTER_KEY}` },
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
  });
  assert.equal(status, 200, `${path}: ${text}`);
  return json;
}

/** Every field that the request may have is in `fields` or `actions`, so that a new one is not forgotten here. */
function covers(schema: z.ZodObject, fields: object, actions: object): void {
  assert.deepEqual(Object.keys({ ...fields, ...actions }).sort(), Object.keys(schema.shape).sort());
}

function assertReadBack(row: unknown, fields: Readonly<Record<string, unknown>>): void {
  const { metadata, ...rest } = fields;
  const read = row as Record<string, unknown>;
  for (const [name, value] of Object.entries(rest)) assert.deepEqual(read[name], value, name);
  // Where LiteLLM keeps some of the others too.
  for (const [name, value] of Object.entries(metadata as object)) {
    assert.deepEqual((read['metadata'] as Record<string, unknown>)[name], value, `metadata.${name}`);
  }
}

it('every field of a key, team and user that is taken is read back as it was written, and after an update', async () => {
  covers(generateKeyRequest, KEY, KEY_ACTIONS);
  covers(newTeamRequest, TEAM, TEAM_ACTIONS);
  covers(newUserRequest, USER, USER_ACTIONS);
  const home = makeHome(`general_settings: {master_key: ${MASTER_KEY}}`);
  await withControl(home, async () => {
    const made = await call(home, '/key/generate', { ...KEY, ...KEY_ACTIONS });
    assertReadBack(made, KEY);
    const keyInfo = `/key/info?key=${String(made['token'])}`;
    assertReadBack((await call(home, keyInfo))['info'], KEY);
    await call(home, '/team/new', { ...TEAM, ...TEAM_ACTIONS });
    const team = (await call(home, '/team/info?team_id=t'))['team_info'];
    assertReadBack(team, { ...TEAM, ...TEAM_ACTIONS });
    await call(home, '/user/new', { ...USER, ...USER_ACTIONS });
    assertReadBack((await call(home, '/user/info?user_id=u'))['user_info'], USER);

    // An update that writes all of it again changes nothing; one that writes a part leaves the rest.
    await call(home, '/key/update', { key: made['token'], ...KEY });
    await call(home, '/key/update', { key: made['token'], prompts: ['changed'] });
    assertReadBack((await call(home, keyInfo))['info'], { ...KEY, prompts: ['changed'] });
    await call(home, '/team/update', TEAM);
    await call(home, '/team/permissions_update', { team_id: 't', team_member_permissions: ['/key/info'] });
    const changed = { ...TEAM, team_member_permissions: ['/key/info'] };
    assertReadBack((await call(home, '/team/info?team_id=t'))['team_info'], changed);
    assert.deepEqual((await call(home, '/team/permissions_list?team_id=t'))['team_member_permissions'], ['/key/info']);
    await call(home, '/user/update', { ...USER, organizations: null });
    assertReadBack((await call(home, '/user/info?user_id=u'))['user_info'], { ...USER, organizations: null });
  });
});

it('whatever answers with a team, a key or a user says when the window of its budget ends', async () => {
  const home = makeHome(`general_settings: {master_key: ${MASTER_KEY}}`);
  await withControl(home, async () => {
    const budget = { max_budget: 1, budget_duration: '1mo' };
    const newTeam = await call(home, '/team/new', { team_id: 't', ...budget });
    const permissions = { team_id: 't', team_member_permissions: [] };
    const end = newTeam['budget_reset_at'];
    assert.match(String(end), /^\d{4}-\d\d-01T/);
    const others = [
      await call(home, '/team/permissions_update', permissions),
      (await call(home, '/team/update', { team_id: 't', team_alias: 'a' }))['data'],
      (await call(home, '/team/info?team_id=t'))['team_info'],
      await call(home, '/key/generate', budget),
      await call(home, '/user/new', { user_id: 'u', ...budget }),
    ] as Record<string, unknown>[];
    for (const other of others) assert.equal(other['budget_reset_at'], end);
  });
});
