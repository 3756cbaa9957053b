import assert from 'node:assert/strict';
import { existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { SAMPLE_EVENT } from '../support/usage-event-sample.ts';
import { DAY_MS, NODE, UsageNode } from './usage-node.ts';

test('events become rows once, in any number of looks, and a segment that is finished is deleted', async (t) => {
  const node = await UsageNode.start(t);
  const release = node.live(t, 'a');
  const segment = node.segment('a');
  const ingester = node.ingester();
  const [first, second] = [node.event(), node.event({ team: 'team-1', costNano: 5 })];
  node.append(segment, first, '\n', JSON.stringify(second).slice(0, 100));
  await ingester.pass();
  await ingester.pass();
  assert.deepEqual(
    (await node.rows()).map(({ id }) => id),
    [first.id],
  );
  node.append(segment, JSON.stringify(second).slice(100), '\n');
  await ingester.pass();
  assert.deepEqual(await node.check(), { requests: 2, spend_nano: 12n });
  assert.ok(existsSync(join(node.journal, segment)), 'it may still grow');
  node.append(segment, '{"torn');
  release();
  await ingester.pass();
  await node.ingester().pass();
  assert.deepEqual(readdirSync(node.journal), []);
  assert.deepEqual(await node.check(), { requests: 2, spend_nano: 12n });
  assert.deepEqual(ingester.status(), { events: 2, invalidLines: 0, duplicates: 0, behindBytes: 0, fault: null });
});

test('a row has what the event has', async (t) => {
  const node = await UsageNode.start(t);
  const failed = {
    deployment: 'd-0',
    status: 500,
    error: null,
    durationMs: 1,
    usage: SAMPLE_EVENT.usage,
    costNano: 1,
  } as const;
  node.append(
    node.segment('a'),
    node.event({ user: 'a\0b', tags: ['x', 'y'], costNano: 41, attempts: [failed, ...SAMPLE_EVENT.attempts] }),
    node.event({ costNano: null, status: 502, error: 'upstream_unreachable' }),
    node.event({ costNano: null, usage: null, usageSource: 'none', status: 401 }),
    'not JSON\n',
  );
  const ingester = node.ingester();
  await ingester.pass();
  const [row, unpriced, unused] = await node.store.spend
    .events({
      requestId: null,
      apiKey: SAMPLE_EVENT.key,
      userId: null,
      fromMs: null,
      untilMs: null,
      limit: 9,
      offset: 0,
    })
    .then((rows) => rows.toSorted((a, b) => (a.id < b.id ? -1 : 1)));
  assert.deepEqual(
    { ...row, details: null },
    {
      id: '0193a4c5-7a3f-7001-9abc-000000000001',
      at_ms: 1_763_800_000_000,
      duration_us: 12_345,
      first_byte_us: 10_100,
      overhead_us: 80,
      api_key: 'a'.repeat(64),
      user_id: 'a\uFFFDb',
      team_id: null,
      endpoint: 'chat_completions',
      model: 'fast',
      model_group: 'gpt',
      upstream_model: 'gpt-x',
      deployment: 'd-1',
      provider: 'openai',
      stream: 1,
      status: 200,
      error: null,
      aborted: null,
      attempts: 2,
      prompt_tokens: 1,
      completion_tokens: 2,
      cache_read_tokens: 0,
      cache_write_tokens: 0,
      reasoning_tokens: 0,
      usage_source: 'reported',
      spend_nano: 42n,
      priced: 1,
      request_bytes: 100,
      response_bytes: 200,
      trace_id: '0af7651916cd43dd8448eb211c80319c',
      client: '192.0.2.1',
      tags: '["x","y"]',
      details: null,
    },
  );
  assert.deepEqual(JSON.parse(row?.details ?? '')[0], failed);
  assert.deepEqual([unpriced?.priced, unused?.priced], [0, 1]);
  const total = await node.store.db.selectFrom('usage_daily').where('kind', '=', 'total').selectAll().execute();
  assert.deepEqual(total, [
    {
      kind: 'total',
      day: Math.floor(1_763_800_000_000 / DAY_MS),
      name: '',
      requests: 3,
      successes: 1,
      prompt_tokens: 2,
      completion_tokens: 4,
      cache_read_tokens: 0,
      cache_write_tokens: 0,
      unpriced: 1,
      spend_nano: 42n,
    },
  ]);
  const tags = await node.store.db
    .selectFrom('usage_daily')
    .where('kind', '=', 'tag')
    .orderBy('name')
    .selectAll()
    .execute();
  assert.deepEqual(
    tags.map(({ name, requests }) => [name, requests]),
    [
      ['a', 2],
      ['x', 1],
      ['y', 1],
    ],
  );
  assert.equal(ingester.status().invalidLines, 1);
});

test('two ingesters at the same time, with small chunks: each event once', async (t) => {
  const node = await UsageNode.start(t);
  const spend = { total: 0n };
  for (let sequence = 1; sequence <= 3; sequence += 1) {
    const events = Array.from({ length: 400 }, (_, n) => node.event({ costNano: n, key: String(n % 7).repeat(64) }));
    spend.total += events.reduce((sum, event) => sum + BigInt(event.costNano ?? 0), 0n);
    node.append(node.segment('a', sequence), ...events);
  }
  const ingesters = [node.ingester(5_000), node.ingester(7_000), node.ingester(900)];
  await Promise.all(ingesters.map((ingester) => ingester.pass()));
  await Promise.all(ingesters.map((ingester) => ingester.pass()));
  assert.deepEqual(await node.check(), { requests: 1200, spend_nano: spend.total });
  assert.equal(
    ingesters.reduce((sum, ingester) => sum + ingester.status().events, 0),
    1200,
  );
  assert.deepEqual(
    ingesters.map((ingester) => ingester.status().duplicates),
    [0, 0, 0],
  );
});

test('one that was stopped while another finished and deleted the segment writes nothing', async (t) => {
  const node = await UsageNode.start(t);
  const segment = node.segment('a');
  node.append(segment, node.event(), node.event());
  const request = {
    directory: node.journal,
    segment,
    writer: `${NODE}-a-0.0`,
    position: 0,
    isFinal: true,
    maxBytes: 1_000_000,
    isUnhurried: true,
    nowMs: Date.now(),
  };
  await node.ingester().pass();
  await assert.rejects(node.store.usage.ingestChunk(request), { name: 'UsageFileError', code: 'ENOENT' });
  // Even if the file came back.
  node.append(segment, node.event(), node.event());
  assert.equal((await node.store.usage.ingestChunk(request)).outcome, 'stale');
  assert.deepEqual(await node.check(), { requests: 2, spend_nano: 14n });
});

test('an open line without its event, of a process that is gone, is an aborted event; with its event it is nothing', async (t) => {
  const node = await UsageNode.start(t);
  const release = node.live(t, 'a');
  const [ended, later, lost] = [node.event(), node.event(), node.event({ key: 'b'.repeat(64) })];
  node.append(node.segment('a'), node.open(ended), node.open(later), node.open(lost), ended);
  const ingester = node.ingester();
  await ingester.pass();
  node.append(node.segment('a', 2), later);
  await ingester.pass();
  assert.deepEqual(
    (await node.rows()).map(({ id }) => id),
    [ended.id, later.id],
  );
  node.settings.prices = { 'd-1': { prices: { input: 3_000_000, output: 5_000_000 }, steps: [], tiers: {} } };
  release();
  await Promise.all([ingester.pass(), node.ingester().pass()]);
  assert.deepEqual(
    (await node.rows()).map(({ id, aborted, spend_nano: nano }) => [id, aborted, nano]),
    [
      [ended.id, null, 7n],
      [later.id, null, 7n],
      [lost.id, 'process_ended', 90_000n], // 25 tokens of its 100 bytes, one of each of 3 events
    ],
  );
  await node.check();
  // The process lived after all, and says how it ended.
  node.append(node.segment('a', 3), lost);
  await ingester.pass();
  assert.deepEqual((await node.rows()).at(-1), { id: lost.id, aborted: null, spend_nano: 7n });
  assert.deepEqual(await node.check(), { requests: 3, spend_nano: 21n });
  assert.deepEqual(await node.store.usage.openWriters(), []);
});

test('a text is kept to the letter, whatever it means to a database', async (t) => {
  const node = await UsageNode.start(t);
  const texts = [
    String.raw`\N`,
    String.raw`\.`,
    String.raw`a\b\\`,
    'tab\tline\nreturn\r\n',
    `"'{},\u2028`,
    'é😀',
    'null',
    '',
  ];
  const events = texts.map((text, place) =>
    node.event({ user: text, model: text, upstreamModel: text, tags: [text], at: SAMPLE_EVENT.at + place }),
  );
  node.append(node.segment('a'), ...events);
  const ingester = node.ingester();
  await ingester.pass();
  const rows = await node.store.db
    .selectFrom('usage_events')
    .orderBy('at_ms')
    .select(['user_id', 'model', 'upstream_model', 'tags'])
    .execute();
  assert.deepEqual(
    rows,
    texts.map((text) => ({ user_id: text, model: text, upstream_model: text, tags: JSON.stringify([text]) })),
  );
  assert.deepEqual(ingester.status(), { events: 8, invalidLines: 0, duplicates: 0, behindBytes: 0, fault: null });
});

test('an event that is there already is left out, and counted', async (t) => {
  const node = await UsageNode.start(t);
  const events = [node.event(), node.event(), node.event()];
  node.append(node.segment('a'), events[0]!, events[1]!);
  node.append(node.segment('b'), events[1]!, events[2]!);
  const ingester = node.ingester();
  await ingester.pass();
  assert.deepEqual(await node.check(), { requests: 3, spend_nano: 21n });
  assert.equal(ingester.status().duplicates, 1);
});

test('so is one at the begin of megabytes of others, which have been sent when it is noticed', async (t) => {
  const node = await UsageNode.start(t);
  const events = Array.from({ length: 4000 }, () => node.event());
  node.append(node.segment('a'), events[0]!);
  node.append(node.segment('b'), ...events);
  const ingester = node.ingester();
  await ingester.pass();
  assert.deepEqual(await node.check(), { requests: 4000, spend_nano: 28_000n });
  assert.deepEqual(ingester.status(), { events: 4000, invalidLines: 0, duplicates: 1, behindBytes: 0, fault: null });
});

test('what keys, users, teams and members have spent is added up where budgets look', async (t) => {
  const node = await UsageNode.start(t);
  const { store } = node;
  const by = { changedBy: 'test', nowMs: 1 };
  await store.users.create({ user_id: 'u' }, by);
  await store.teams.create({ team_id: 't' }, [{ user_id: 'u', role: 'user' }], by);
  await store.keys.create({ hash: 'c'.repeat(64) }, by);
  node.append(
    node.segment('a'),
    node.event({ key: 'c'.repeat(64), user: 'u', team: 't', costNano: 3 }),
    node.event({ key: 'c'.repeat(64), user: 'u', team: null, costNano: 4 }),
    node.event({ key: 'd'.repeat(64), user: 'nobody', team: 't', costNano: 5 }),
  );
  await node.ingester().pass();
  assert.equal((await store.keys.find('c'.repeat(64)))?.spend_nano, 7n);
  assert.equal((await store.users.find('u'))?.spend_nano, 7n);
  assert.equal((await store.teams.find('t'))?.spend_nano, 8n);
});

test('old events are deleted, what they add up to stays', async (t) => {
  const node = await UsageNode.start(t);
  const nowMs = Date.now();
  node.append(node.segment('a'), node.event({ at: nowMs - 10 * DAY_MS }), node.event({ at: nowMs }));
  node.settings.keepEventsMs = 7 * DAY_MS;
  const ingester = node.ingester();
  ingester.start();
  t.after(() => ingester.stop());
  const deadlineMs = performance.now() + 5000;
  while (ingester.status().events < 2 || (await node.rows()).length !== 1) {
    assert.ok(performance.now() < deadlineMs, JSON.stringify(ingester.status()));
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
  assert.equal(await node.store.spend.total(), 14n);
});
