import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { hash } from 'node:crypto';
import { join } from 'node:path';
import { test, type TestContext } from 'node:test';
import { promisify } from 'node:util';
import OpenAI from 'openai';
import { startMock } from '../../src/cli/mock/mock-server.ts';
import { type Gateway, type Mode, MODES, startGateway } from '../support/gateway.ts';
import { eventually } from './client-test-support.ts';

const MASTER_KEY = 'sk-master-0123456789abcdef';
const LAUNCHER = join(import.meta.dirname, '../../bin/slipstream.js');
const run = promisify(execFile);

async function gatewayFor(t: TestContext, mode: Mode, rest: Partial<Parameters<typeof startGateway>[0]> = {}) {
  const mock = await startMock({ host: '127.0.0.1', port: 0 });
  t.after(() => mock.close());
  const config = `
model_list:
  - {model_name: chat, litellm_params: {model: openai/mock-up, api_base: "${mock.url}/v1", api_key: sk-provider-0123456789}}
  - {model_name: other, litellm_params: {model: openai/mock-up, api_base: "${mock.url}/v1", api_key: sk-provider-0123456789}}
  - model_name: priced
    litellm_params: {model: openai/mock-up, api_base: "${mock.url}/v1", api_key: sk-provider-0123456789, input_cost_per_token: 0, output_cost_per_token: 0.001}
general_settings: {master_key: ${MASTER_KEY}}
`;
  const gateway = await startGateway({ mode, config, ...rest });
  return { config, gateway };
}

async function manage<T>(url: string, path: string, body?: object): Promise<T> {
  const response = await fetch(`${url}${path}`, {
    method: body === undefined ? 'GET' : 'POST',
    headers: { authorization: `Bearer ${MASTER_KEY}`, 'content-type': 'application/json' },
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
  });
  const text = await response.text();
  assert.equal(response.status, 200, `${path}: ${text}`);
  return JSON.parse(text) as T;
}

function ask(gateway: Gateway, key: string, model = 'chat'): Promise<OpenAI.ChatCompletion> {
  const client = new OpenAI({ apiKey: key, baseURL: `${gateway.url}/v1`, maxRetries: 0 });
  return client.chat.completions.create({ model, messages: [{ role: 'user', content: 'hello' }] });
}

/** The status of a refusal, or 200. */
async function statusOf(request: Promise<unknown>): Promise<number> {
  try {
    await request;
    return 200;
  } catch (error) {
    if (error instanceof OpenAI.APIError) return Number(error.status);
    throw error;
  }
}

/** Until the gateway answers so: a change is told to the sidecar in another process. */
async function untilStatus(status: number, request: () => Promise<unknown>): Promise<void> {
  let seen = 0;
  for (let tries = 0; tries < 100 && seen !== status; tries += 1) {
    seen = await statusOf(request());
    if (seen !== status) await new Promise((resolve) => setTimeout(resolve, 20));
  }
  assert.equal(seen, status);
}

const PAYING = '/team/info?team_id=paying';
type Spender = { readonly spend: number };
interface TeamInfo {
  readonly team_info: Spender;
  readonly keys: readonly Spender[];
  readonly team_memberships: readonly Spender[];
}

/** Until the journal is ingested: each of the three is exactly so much. They are read one after the other. */
async function untilSpent(usd: number, look: () => Promise<readonly number[]>): Promise<void> {
  let seen: readonly number[] = [];
  const isSeen = (): boolean => seen.length > 0 && seen.every((spend) => spend === usd);
  for (let tries = 0; tries < 250 && !isSeen(); tries += 1) {
    seen = await look();
    if (!isSeen()) await new Promise((resolve) => setTimeout(resolve, 20));
  }
  assert.deepEqual(seen, [usd, usd, usd]);
}

for (const mode of MODES) {
  test(`a generated key works with the openai SDK, is limited, renewed, kept and revoked, ${mode}`, async (t) => {
    const { config, gateway: first } = await gatewayFor(t, mode);
    let gateway = first;
    t.after(() => gateway.stop());
    await manage(gateway.url, '/team/new', { team_id: 'team', models: ['chat'], model_aliases: { quick: 'chat' } });
    const made = await manage<{ key: string; token: string }>(gateway.url, '/key/generate', {
      team_id: 'team',
      user_id: 'ada',
      aliases: { fast: 'chat' },
    });
    assert.equal(made.token, hash('sha256', made.key));

    // The team's models hold for it, and the names that it and its team were given.
    await untilStatus(200, () => ask(gateway, made.key));
    assert.equal((await ask(gateway, made.key, 'fast')).model, 'fast');
    assert.equal((await ask(gateway, made.key, 'quick')).model, 'quick');
    assert.equal(await statusOf(ask(gateway, made.key, 'other')), 403);
    const event = await eventually(() => gateway.journal().find(({ model }) => model === 'quick'));
    assert.deepEqual([event.key, event.user, event.team, event.group], [made.token, 'ada', 'team', 'chat']);

    // A change of the team reaches the key.
    await manage(gateway.url, '/team/update', { team_id: 'team', models: ['chat', 'other'] });
    await untilStatus(200, () => ask(gateway, made.key, 'other'));
    await manage(gateway.url, '/team/update', { team_id: 'team', blocked: true });
    await untilStatus(401, () => ask(gateway, made.key));
    await manage(gateway.url, '/team/update', { team_id: 'team', blocked: false });
    await untilStatus(200, () => ask(gateway, made.key));

    // A team's budget, and that of a member within it. An answer of the mock has 16 tokens: 0.016 dollars.
    const paying = {
      team_id: 'paying',
      max_budget: 0.04,
      budget_duration: '30d',
      members_with_roles: [{ user_id: 'ada' }],
    };
    await manage(gateway.url, '/team/new', paying);
    const spender = await manage<{ key: string }>(gateway.url, '/key/generate', { team_id: 'paying', user_id: 'ada' });
    for (let asked = 0; asked < 3; asked += 1) await untilStatus(200, () => ask(gateway, spender.key, 'priced'));
    assert.equal(await statusOf(ask(gateway, spender.key, 'priced')), 422);
    // Metered to the digit: what was refused cost nothing.
    await untilSpent(0.048, async () => {
      const { team_info: team, keys, team_memberships: members } = await manage<TeamInfo>(gateway.url, PAYING);
      return [team, ...keys, ...members].map(({ spend }) => spend);
    });
    await manage(gateway.url, '/team/update', { team_id: 'paying', max_budget: 1 });
    await untilStatus(200, () => ask(gateway, spender.key, 'priced'));
    await manage(gateway.url, '/team/member_update', { team_id: 'paying', user_id: 'ada', max_budget_in_team: 0 });
    await untilStatus(422, () => ask(gateway, spender.key, 'priced'));

    // Renewed: the old text goes on for a while, and counts for the new one.
    const renewed = await manage<{ key: string; token: string }>(gateway.url, `/key/${made.token}/regenerate`, {
      grace_period: '1h',
    });
    await untilStatus(200, () => ask(gateway, renewed.key));
    const before = gateway.journal().length;
    await ask(gateway, made.key);
    await eventually(() => gateway.journal()[before]);
    assert.equal(gateway.journal()[before]?.key, renewed.token);

    // Kept over a restart.
    if (mode === 'sidecar') {
      await gateway.stop({ keepData: true });
      gateway = await startGateway({ mode, config, directory: gateway.directory });
    }
    assert.equal(await statusOf(ask(gateway, renewed.key)), 200);
    assert.equal(await statusOf(ask(gateway, made.key)), 200);

    await manage(gateway.url, '/key/block', { key: renewed.key });
    await untilStatus(401, () => ask(gateway, renewed.key));
    assert.equal(await statusOf(ask(gateway, made.key)), 401, 'with the key goes what stands for it');
    await manage(gateway.url, '/key/unblock', { key: renewed.token });
    await untilStatus(200, () => ask(gateway, renewed.key));
    await manage(gateway.url, '/key/delete', { keys: [renewed.key] });
    await untilStatus(401, () => ask(gateway, renewed.key));
    await untilStatus(401, () => ask(gateway, made.key));
    for (const secret of [made.key, renewed.key]) assert.ok(!gateway.output().includes(secret));
  });
}

test('the management API at an address of its own, and slipstream keys there', async (t) => {
  const { gateway } = await gatewayFor(t, 'sidecar', { args: ['--admin-port', '0'] });
  t.after(() => gateway.stop());
  const port = await eventually(
    () => /"management API listens","host":"127\.0\.0\.1","port":(\d+)/.exec(gateway.output())?.[1],
  );
  const apart = `http://127.0.0.1:${port}`;
  const headers = { authorization: `Bearer ${MASTER_KEY}` };
  for (const path of ['/key/list', '/slipstream/status', '/model/info', '/openapi.json']) {
    assert.equal((await fetch(`${gateway.url}${path}`, { headers })).status, 404, path);
    assert.equal((await fetch(`${apart}${path}`, { headers })).status, 200, path);
  }
  // No web page may read it unless the configuration says so.
  const answer = await fetch(`${apart}/openapi.json`, { headers: { origin: 'https://page.example' } });
  assert.equal(answer.headers.get('access-control-allow-origin'), null);

  const keys = async (...args: string[]): Promise<string> => {
    const env = { ...process.env, LITELLM_MASTER_KEY: MASTER_KEY };
    return (await run(process.execPath, [LAUNCHER, 'keys', ...args, '--url', apart], { env })).stdout.trim();
  };
  const key = await keys('create', '--alias', 'ci', '--models', 'chat,other', '--duration', '1d');
  assert.match(key, /^sk-[\w-]{43}$/);
  await untilStatus(200, () => ask(gateway, key));
  const table = await keys('list');
  assert.match(table, /^HASH .*\n[0-9a-f]{64} .* ci /);
  assert.ok(!table.includes(key));
  assert.equal(await keys('revoke', 'ci'), 'revoked');
  await untilStatus(401, () => ask(gateway, key));
});
