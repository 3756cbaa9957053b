import assert from 'node:assert/strict';
import type { TestContext } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { startMock } from '../../../src/cli/mock/mock-server.ts';
import { budgetWindow } from '../../../src/domain/budgets/budget-window.ts';
import { type Mode, startGateway } from '../../support/gateway.ts';
import { MASTER_KEY } from '../../support/sidecar-harness.ts';

const ZONE = 'Asia/Kolkata';
const FILE_KEY = 'sk-in-the-file-0123456789';

/** The control plane gives way to whatever else wants the CPUs. */
const PATIENCE_MS = 60_000;

type Json = Record<string, unknown>;

/** What budgets have spent as /key/info, /team/info and /user/info show it, against the journal; and what it brings about. */
export async function runShownSpend(t: TestContext, mode: Mode, env: Readonly<Record<string, string>>): Promise<void> {
  const mock = await startMock();
  t.after(() => mock.close());
  const params = `model: openai/mock, api_base: "${mock.url}/v1", api_key: sk-provider, input_cost_per_token: 1.25e-6, output_cost_per_token: 1e-5`;
  const config =
    `model_list: [ { model_name: m, litellm_params: { ${params} } } ]\n` +
    `general_settings: { master_key: ${MASTER_KEY} }\nlitellm_settings: { timezone: ${ZONE} }\n` +
    `slipstream: { keys: [ { key: ${FILE_KEY}, max_budget: 5, soft_budget: 2, budget_duration: 1mo, model_max_budget: { m: { budget_limit: 4, time_period: 1d } } } ] }\n`;
  const gateway = await startGateway({ mode, config, env });
  t.after(() => gateway.stop());

  const call = async (path: string, body: Json | null, key = MASTER_KEY): Promise<Response> =>
    fetch(`${gateway.url}${path}`, {
      method: body === null ? 'GET' : 'POST',
      headers: { authorization: `Bearer ${key}`, 'content-type': 'application/json' },
      ...(body === null ? {} : { body: JSON.stringify(body) }),
    });
  const reply = async (path: string, body: Json | null = null): Promise<Json> => {
    const answer = await call(path, body);
    const text = await answer.text();
    assert.equal(answer.status, 200, `${path}: ${text}`);
    return JSON.parse(text) as Json;
  };
  const chat = async (key: string): Promise<number> => {
    const answer = await call('/v1/chat/completions', { model: 'm', messages: [{ role: 'user', content: 'hi' }] }, key);
    await answer.arrayBuffer();
    return answer.status;
  };
  const made = async (fields: Json): Promise<string> => String((await reply('/key/generate', fields))['key']);
  const info = async (key: string): Promise<Json> => (await reply(`/key/info?key=${key}`))['info'] as Json;
  const resetAt = (duration: string): string => new Date(budgetWindow(duration, Date.now(), ZONE).endMs).toISOString();

  await reply('/team/new', {
    team_id: 't',
    max_budget: 10,
    budget_duration: '7d',
    team_member_budget: 3,
    members_with_roles: [{ role: 'user', user_id: 'member' }],
  });
  await reply('/user/new', { user_id: 'u', max_budget: 10, auto_create_key: false });
  const monthly = await made({ user_id: 'u', max_budget: 1, budget_duration: '1mo' });
  const free = await made({ user_id: 'u' });
  const ofTeam = await made({ team_id: 't', user_id: 'member' });
  for (const key of [monthly, monthly, free, free, ofTeam, FILE_KEY]) assert.equal(await chat(key), 200);

  const events = gateway.journal();
  assert.equal(events.length, 6);
  const nano = (of: (event: (typeof events)[number]) => boolean): number =>
    events.filter(of).reduce((sum, event) => sum + (event.costNano ?? 0), 0);
  const each = nano(({ team }) => team === 't');
  assert.ok(each > 0);
  const until = performance.now() + PATIENCE_MS;
  while (((await reply('/slipstream/status'))['ingestion'] as Json)['events'] !== events.length) {
    assert.ok(performance.now() < until, 'the journal never comes into the database');
    await sleep(50);
  }

  const usd = (amount: number): number => Number(`${amount}e-9`);
  assert.deepEqual(pick(await info(monthly)), [usd(2 * each), 1, resetAt('1mo')]);
  assert.deepEqual(pick(await info(free)), [usd(2 * each), null, null]);
  const filed = await info(FILE_KEY);
  assert.deepEqual(pick(filed), [usd(each), 5, resetAt('1mo')]);
  assert.deepEqual([filed['soft_budget'], filed['model_spend']], [2, { m: usd(each) }]);
  const user = (await reply('/user/info?user_id=u'))['user_info'] as Json;
  assert.deepEqual(pick(user), [usd(nano((event) => event.user === 'u')), 10, null]);
  const team = await reply('/team/info?team_id=t');
  assert.deepEqual(pick(team['team_info'] as Json), [usd(each), 10, resetAt('7d')]);
  assert.deepEqual(
    (team['team_memberships'] as Json[]).map((row) => [row['user_id'], row['spend']]),
    [['member', usd(each)]],
  );
  const listed = await reply('/key/list?return_full_object=true&user_id=u');
  assert.deepEqual(
    (listed['keys'] as Json[]).map((row) => row['spend']),
    [usd(2 * each), usd(2 * each)],
  );

  // A budget of all time begins with what was spent before it was made.
  const dearer = usd(2 * each - 1);
  await reply('/key/update', { key: free, max_budget: dearer });
  await refused(() => chat(free));
  await reply('/key/update', { key: free, max_budget: null });
  assert.equal(await chat(free), 200);
  const spentBefore = await made({ spend: 0.5, max_budget: 0.5 });
  await refused(() => chat(spentBefore));
  await reply('/team/member_update', { team_id: 't', user_id: 'member', max_budget_in_team: 0 });
  await refused(() => chat(ofTeam));
}

function pick(row: Json): unknown[] {
  return [row['spend'], row['max_budget'], row['budget_reset_at']];
}

/** Soon: what was set is told to the sidecar within a second or two. */
async function refused(ask: () => Promise<number>): Promise<void> {
  const until = performance.now() + PATIENCE_MS;
  for (let status = await ask(); status !== 422; status = await ask()) {
    assert.equal(status, 200);
    assert.ok(performance.now() < until, 'it is never refused');
    await sleep(50);
  }
}
