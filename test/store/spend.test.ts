import assert from 'node:assert/strict';
import { test } from 'node:test';
import { DEFAULT_BUDGET_SETTINGS, type BudgetSettings } from '../../src/contract/snapshot.ts';
import type { UsageEvent } from '../../src/contract/usage-event.ts';
import type { AdminServices } from '../../src/control/admin/admin-services.ts';
import type { Caller } from '../../src/control/admin/endpoint.ts';
import { SPEND_ENDPOINTS } from '../../src/control/admin/spend/spend-endpoints.ts';
import { keyRecord, sha256 } from '../support/sidecar-harness.ts';
import { UsageNode } from './usage-node.ts';

const NOW_MS = Date.parse('2026-03-20T12:00:00Z');
const [KEY_A, KEY_B] = [sha256('sk-a'), sha256('sk-b')];
const ADMIN: Caller = { role: 'admin' };
const USAGE = { inputTokens: 10, outputTokens: 5, cacheReadTokens: 4, cacheWriteTokens: 1, reasoningTokens: 0 };

/** What the endpoints give for the events, each through its own checks of what it is asked and what it answers. */
async function answers(
  t: Parameters<typeof UsageNode.start>[0],
  events: (node: UsageNode) => readonly UsageEvent[],
  budgets: Partial<BudgetSettings> = {},
) {
  const node = await UsageNode.start(t);
  const by = { changedBy: 'test', nowMs: 1 };
  await node.store.keys.create({ hash: KEY_A, key_alias: 'alias-a', key_name: 'sk-...aaaa', team_id: 'team-1' }, by);
  await node.store.teams.create({ team_id: 'team-1', team_alias: 'Search' }, [], by);
  node.append(node.segment('a'), ...events(node));
  await node.ingester().pass();
  const services = {
    now: () => NOW_MS,
    store: () => node.store,
    state: () => ({ declared: { keys: [] }, budgets: { ...DEFAULT_BUDGET_SETTINGS, ...budgets } }),
  } as unknown as AdminServices;
  return async (url: string, caller: Caller = ADMIN): Promise<never> => {
    const { pathname, searchParams } = new URL(url, 'http://gateway');
    const found = SPEND_ENDPOINTS.find(({ paths }) => paths.includes(pathname));
    assert.ok(found !== undefined, pathname);
    const query = found.query?.parse(Object.fromEntries(searchParams)) ?? {};
    const call = { caller, params: {}, query, body: {}, changedBy: null };
    const reply = await found.handle(call as unknown as Parameters<typeof found.handle>[0], services);
    return JSON.parse(JSON.stringify(found.reply.parse(reply))) as never;
  };
}

function threeEvents(node: UsageNode): UsageEvent[] {
  const at = (text: string): number => Date.parse(text);
  return [
    node.event({
      at: at('2026-03-10T23:59:59.999Z'),
      key: KEY_A,
      user: 'u1',
      team: 'team-1',
      costNano: 1_500_000_000,
      usage: USAGE,
      tags: ['x', 'y'],
    }),
    node.event({
      at: at('2026-03-11T00:00:00Z'),
      key: KEY_B,
      user: 'u2',
      costNano: 250_000_001,
      usage: USAGE,
      tags: ['x'],
      upstreamModel: 'claude',
      group: 'sonnet',
      provider: 'anthropic',
    }),
    node.event({
      at: at('2026-03-11T10:00:00Z'),
      key: KEY_A,
      user: 'u1',
      team: 'team-1',
      costNano: 0,
      usage: null,
      usageSource: 'none',
      tags: [],
      status: 500,
      error: 'upstream_unreachable',
    }),
  ];
}

test('budgets of everything and of providers, with what is spent of them', async (t) => {
  const today = `${Date.parse('2026-03-20T00:00:00Z')}-${Date.parse('2026-03-21T00:00:00Z')}`;
  const ask = await answers(
    t,
    (node) => [
      node.event({ at: NOW_MS, costNano: 250_000_001, budgets: [`provider:openai:1d:${today}`] }),
      node.event({ at: NOW_MS, costNano: 9, budgets: ['provider:openai:1d:0-1'] }),
    ],
    {
      global: { maxNano: 2_500_000_000, softNano: null, duration: '30d' },
      providers: {
        openai: { maxNano: 1_000_000_000, softNano: null, duration: '1d' },
        groq: { maxNano: 0, softNano: null, duration: null },
      },
    },
  );
  assert.deepEqual(await ask('/global/spend'), { spend: 0.25000001, max_budget: 2.5 });
  assert.deepEqual(await ask('/provider/budgets'), {
    providers: {
      openai: { budget_limit: 1, time_period: '1d', spend: 0.250000001, budget_reset_at: '2026-03-21T00:00:00.000Z' },
      groq: { budget_limit: 0, time_period: null, spend: 0, budget_reset_at: null },
    },
  });
});

test('/global/spend: totals by key, team, model, provider, tag and day', async (t) => {
  const ask = await answers(t, threeEvents);
  assert.deepEqual(await ask('/global/spend'), { spend: 1.750000001, max_budget: 0 });
  assert.deepEqual(await ask('/global/spend/logs'), [
    { date: '2026-03-10', spend: 1.5 },
    { date: '2026-03-11', spend: 0.250000001 },
  ]);
  assert.deepEqual(await ask('/global/spend/logs?api_key=sk-b'), [
    { date: '2026-03-11', spend: 0.250000001, api_key: KEY_B },
  ]);
  assert.deepEqual(await ask('/global/spend/keys?limit=5'), [
    { api_key: KEY_A, key_alias: 'alias-a', key_name: 'sk-...aaaa', total_spend: 1.5 },
    { api_key: KEY_B, key_alias: null, key_name: null, total_spend: 0.250000001 },
  ]);
  assert.deepEqual(await ask('/global/spend/keys?limit=1&start_date=2026-03-11&end_date=2026-03-11'), [
    { api_key: KEY_B, key_alias: null, key_name: null, total_spend: 0.250000001 },
  ]);
  assert.deepEqual(await ask('/global/spend/teams'), {
    daily_spend: [
      { date: '2026-03-10', Search: 1.5 },
      { date: '2026-03-11', Search: 0 },
    ],
    teams: ['Search'],
    total_spend_per_team: [{ team_id: 'Search', total_spend: 1.5 }],
  });
  assert.deepEqual(await ask('/global/spend/models'), [
    { model: 'gpt-x', total_spend: 1.5 },
    { model: 'claude', total_spend: 0.250000001 },
  ]);
  assert.deepEqual(await ask('/global/spend/provider'), [
    { provider: 'openai', spend: 1.5 },
    { provider: 'anthropic', spend: 0.250000001 },
  ]);
  assert.deepEqual(await ask('/global/spend/tags?tags=x'), {
    spend_per_tag: [{ name: 'x', spend: 1.750000001, log_count: 2 }],
  });
  assert.deepEqual(await ask('/global/spend/all_tag_names'), { tag_names: ['x', 'y'] });
  assert.deepEqual(await ask('/spend/tags?end_date=2026-03-10'), [
    { individual_request_tag: 'x', log_count: 1, total_spend: 1.5 },
    { individual_request_tag: 'y', log_count: 1, total_spend: 1.5 },
  ]);
  assert.deepEqual(await ask('/global/activity'), {
    daily_data: [
      { date: 'Mar 10', api_requests: 1, total_tokens: 15 },
      { date: 'Mar 11', api_requests: 2, total_tokens: 15 },
    ],
    sum_api_requests: 3,
    sum_total_tokens: 30,
  });
  assert.deepEqual(
    ((await ask('/global/activity/model')) as { model: string; sum_api_requests: number }[]).map((row) => [
      row.model,
      row.sum_api_requests,
    ]),
    [
      ['gpt-x', 2],
      ['claude', 1],
    ],
  );
  // Before any of it.
  assert.deepEqual(await ask('/global/spend/models?start_date=2026-01-01&end_date=2026-01-31'), []);
});

test('/spend/logs: requests as LiteLLM has them, and sums of days', async (t) => {
  const ask = await answers(t, threeEvents);
  const rows: Record<string, unknown>[] = await ask('/spend/logs');
  assert.deepEqual(
    rows.map((row) => row['status']),
    ['failure', 'success', 'success'],
  );
  const { metadata, ...row } = rows[2] ?? {};
  assert.deepEqual(row, {
    request_id: '0193a4c5-7a3f-7001-9abc-000000000001',
    call_type: 'acompletion',
    api_key: KEY_A,
    spend: 1.5,
    total_tokens: 15,
    prompt_tokens: 10,
    completion_tokens: 5,
    startTime: '2026-03-10T23:59:59.999Z',
    endTime: '2026-03-11T00:00:00.011Z',
    completionStartTime: '2026-03-11T00:00:00.009Z',
    request_duration_ms: 12,
    model: 'gpt-x',
    model_id: 'd-1',
    model_group: 'gpt',
    custom_llm_provider: 'openai',
    api_base: '',
    user: 'u1',
    cache_hit: 'False',
    cache_key: '',
    request_tags: ['x', 'y'],
    team_id: 'team-1',
    organization_id: null,
    end_user: '',
    requester_ip_address: '192.0.2.1',
    messages: {},
    response: {},
    session_id: '0af7651916cd43dd8448eb211c80319c',
    mcp_namespaced_tool_name: null,
    agent_id: null,
    proxy_server_request: {},
    status: 'success',
  });
  assert.equal((metadata as Record<string, unknown>)['user_api_key_alias'], 'alias-a');
  const ids = async (url: string): Promise<unknown> =>
    ((await ask(url)) as { request_id: string }[]).map(({ request_id: id }) => Number(id.slice(-1)));
  assert.deepEqual(await ids('/spend/logs?api_key=sk-a'), [3, 1]);
  assert.deepEqual(await ids('/spend/logs?user_id=u2'), [2]);
  assert.deepEqual(await ids('/spend/logs?request_id=0193a4c5-7a3f-7001-9abc-000000000002'), [2]);
  assert.deepEqual(await ids('/spend/logs?page=2&page_size=2'), [1]);
  assert.deepEqual(await ids('/spend/logs?start_date=2026-03-11&end_date=2026-03-11&summarize=false'), [3, 2]);
  assert.deepEqual(await ask('/spend/logs?start_date=2026-03-10&end_date=2026-03-13'), [
    { startTime: '2026-03-10', spend: 1.5, users: { u1: 1.5 }, models: { 'gpt-x': 1.5 }, [KEY_A]: 1.5 },
    {
      startTime: '2026-03-11',
      spend: 0.250000001,
      users: { u1: 0, u2: 0.250000001 },
      models: { 'gpt-x': 0, claude: 0.250000001 },
      [KEY_A]: 0,
      [KEY_B]: 0.250000001,
    },
    { startTime: '2026-03-12', spend: 0, users: {}, models: {} },
    { startTime: '2026-03-13', spend: 0, users: {}, models: {} },
  ]);
  assert.deepEqual(await ask('/spend/logs?start_date=2026-03-10&end_date=2026-03-10&user_id=u1'), [
    { startTime: '2026-03-10', spend: 1.5, users: { u1: 1.5 }, models: { 'gpt-x': 1.5 }, [KEY_A]: 1.5 },
  ]);
});

test('/user/daily/activity: days by model, provider and key; pages are of rows, and add up to the whole', async (t) => {
  const ask = await answers(t, threeEvents);
  const whole = await ask('/user/daily/activity?start_date=2026-03-01&end_date=2026-03-20');
  const { results, metadata } = whole as {
    results: { date: string; metrics: unknown; breakdown: Record<string, Record<string, unknown>> }[];
    metadata: Record<string, unknown>;
  };
  assert.deepEqual(metadata, {
    total_spend: 1.750000001,
    total_prompt_tokens: 20,
    total_completion_tokens: 10,
    total_tokens: 30,
    total_api_requests: 3,
    total_successful_requests: 2,
    total_failed_requests: 1,
    total_cache_read_input_tokens: 8,
    total_cache_creation_input_tokens: 2,
    page: 1,
    total_pages: 1,
    has_more: false,
  });
  assert.deepEqual(
    results.map(({ date }) => date),
    ['2026-03-11', '2026-03-10'],
  );
  const metrics = {
    spend: 1.5,
    prompt_tokens: 10,
    completion_tokens: 5,
    cache_read_input_tokens: 4,
    cache_creation_input_tokens: 1,
    total_tokens: 15,
    successful_requests: 1,
    failed_requests: 0,
    api_requests: 1,
  };
  const ofKey = { metrics, metadata: { key_alias: 'alias-a', team_id: 'team-1' } };
  const part = { metrics, metadata: {}, api_key_breakdown: { [KEY_A]: ofKey } };
  assert.deepEqual(results[1], {
    date: '2026-03-10',
    metrics,
    breakdown: {
      models: { 'gpt-x': part },
      model_groups: { gpt: part },
      providers: { openai: part },
      api_keys: { [KEY_A]: ofKey },
      mcp_servers: {},
      entities: {},
    },
  });
  let spend = 0;
  for (const page of [1, 2, 3]) {
    const { metadata: of } = (await ask(
      `/user/daily/activity?start_date=2026-03-01&end_date=2026-03-20&page_size=1&page=${page}`,
    )) as { metadata: { total_spend: number; has_more: boolean; total_pages: number } };
    assert.deepEqual([of.has_more, of.total_pages], [page < 3, 3]);
    spend += of.total_spend;
  }
  assert.equal(spend, 1.750000001);
  const { metadata: ofModel } = (await ask(
    '/user/daily/activity?start_date=2026-03-01&end_date=2026-03-20&model=claude',
  )) as { metadata: { total_api_requests: number } };
  assert.equal(ofModel.total_api_requests, 1);
});

test('without the master key one sees what the own user, or the own key, has used', async (t) => {
  const ask = await answers(t, threeEvents);
  const of = (hash: string, userId: string | null): Caller => ({
    role: 'key-holder',
    record: { ...keyRecord('sk-any', { userId }), hash },
  });
  const count = async (url: string, caller: Caller): Promise<number> => ((await ask(url, caller)) as unknown[]).length;
  assert.equal(await count('/spend/logs', of(KEY_A, 'u1')), 2);
  assert.equal(await count('/spend/logs', of(KEY_B, null)), 1);
  assert.equal(await count('/spend/logs?user_id=u2', of(KEY_B, 'u2')), 1);
  await assert.rejects(ask('/spend/logs?user_id=u1', of(KEY_B, 'u2')), { name: 'AdminError' });
  await assert.rejects(ask('/spend/logs?api_key=sk-a', of(KEY_B, null)), { name: 'AdminError' });
  // Another user's key, asked about with one's own user: nothing of it.
  assert.equal(await count('/spend/logs?api_key=sk-a', of(KEY_B, 'u2')), 0);
  assert.deepEqual(
    SPEND_ENDPOINTS.filter(({ access }) => access !== 'admin').map(({ paths }) => paths[0]),
    ['/spend/logs', '/user/daily/activity'],
  );
});
