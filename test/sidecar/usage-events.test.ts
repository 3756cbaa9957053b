import assert from 'node:assert/strict';
import { after, before, beforeEach, describe, it } from 'node:test';
import type { UsageEvent } from '../../src/contract/usage-event.ts';
import {
  deployment,
  keyRecord,
  MASTER_KEY,
  sha256,
  snapshotOf,
  startSidecar,
  TEST_KEY,
  type SidecarHarness,
} from '../support/sidecar-harness.ts';
import { ask, eventually, RawClient, requestBytes, type RequestParts, type RawReply } from '../support/raw-client.ts';
import { jsonReply, ScriptedUpstream, sse, type UpstreamScript } from '../support/scripted-upstream.ts';

const BODY = '{"model":"fast","messages":[]}';
const OK: UpstreamScript = (_request, answer) => {
  answer.write(
    jsonReply(
      '{"model":"up","usage":{"prompt_tokens":100,"completion_tokens":50,"prompt_tokens_details":{"cached_tokens":40},"completion_tokens_details":{"reasoning_tokens":20}}}',
    ),
  );
};

let upstream: ScriptedUpstream;
let second: ScriptedUpstream;
let gateway: SidecarHarness;

before(async () => {
  upstream = await ScriptedUpstream.start(OK);
  second = await ScriptedUpstream.start(OK);
  gateway = await startSidecar({
    snapshot: snapshotOf(
      [
        deployment('gpt', upstream.port, { id: 'first', provider: 'groq' }),
        deployment('gpt', second.port, { id: 'second', order: 1 }),
        deployment('claude', upstream.port, {
          id: 'claude-1',
          family: 'anthropic',
          provider: 'anthropic',
          basePath: '',
        }),
      ],
      { aliases: { fast: { group: 'gpt', hidden: false } } },
    ),
    keys: [keyRecord(TEST_KEY, { userId: 'u "1"', teamId: 't-1' }), keyRecord('sk-limited', { models: ['other'] })],
  });
});
beforeEach(() => {
  upstream.script = OK;
  second.script = OK;
});
after(async () => {
  upstream.stop();
  second.stop();
  await gateway.stop();
});

/** The answer, and the one event that it made. */
async function run(parts: RequestParts): Promise<{ reply: RawReply; event: UsageEvent }> {
  const before = gateway.journal().length;
  const reply = await ask(gateway.port, { key: TEST_KEY, body: BODY, ...parts });
  const events = gateway.journal().slice(before);
  assert.equal(events.length, 1, 'exactly one');
  return { reply, event: events[0]! };
}

async function metric(name: string): Promise<number> {
  const { text } = await ask(gateway.port, { method: 'GET', path: '/metrics', key: MASTER_KEY });
  const line = text.split('\n').find((each) => each.startsWith(`${name} `));
  assert.ok(line !== undefined, `${name} is there`);
  return Number(line.slice(name.length + 1));
}

describe('the event of a request', () => {
  it('has every field right', async () => {
    const start = Date.now();
    const { reply, event } = await run({
      headers: ['traceparent: 00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01', 'x-litellm-tags: a,b "c"'],
    });
    const end = Date.now();
    const { at, durationMs, firstByteMs, overheadUs, attempts, ...rest } = event;
    assert.ok(at >= start && at <= end, `${start} ≤ ${at} ≤ ${end}`);
    assert.ok(durationMs > 0 && durationMs <= end - start + 2, String(durationMs));
    assert.ok(firstByteMs !== null && firstByteMs > 0 && firstByteMs <= durationMs);
    // It begins a little earlier: with the bytes of the head, which is then parsed.
    assert.ok(overheadUs > 0 && overheadUs <= (end - start + 2) * 1000, String(overheadUs));
    assert.equal(attempts.length, 1);
    const { durationMs: attemptMs, ...attempt } = attempts[0]!;
    assert.deepEqual(attempt, { deployment: 'first', status: 200, error: null, usage: null, costNano: null });
    assert.ok(attemptMs > 0 && attemptMs <= durationMs);
    assert.deepEqual(rest, {
      v: 1,
      id: reply.header('x-slipstream-call-id'),
      traceId: '0af7651916cd43dd8448eb211c80319c',
      spanId: 'b7ad6b7169203331',
      client: '127.0.0.1',
      key: sha256(TEST_KEY),
      user: 'u "1"',
      team: 't-1',
      endpoint: 'chat_completions',
      model: 'fast',
      group: 'gpt',
      deployment: 'first',
      provider: 'groq',
      upstreamModel: 'upstream-gpt',
      stream: false,
      status: 200,
      error: null,
      aborted: null,
      usage: { inputTokens: 100, outputTokens: 50, cacheReadTokens: 40, cacheWriteTokens: 0, reasoningTokens: 20 },
      usageSource: 'reported',
      costNano: null,
      requestBytes: BODY.length,
      responseBytes: reply.body.length,
      tags: ['a', 'b "c"'],
    });
  });

  it('one that was retried has its attempts, each with what became of it', async () => {
    upstream.script = (_request, answer) => {
      answer.write(jsonReply('{"usage":{"prompt_tokens":1000,"completion_tokens":1}}', 503));
    };
    const { event } = await run({});
    assert.deepEqual(
      event.attempts.map(({ deployment: id, status, error }) => ({ id, status, error })),
      [
        { id: 'first', status: 503, error: null },
        { id: 'second', status: 200, error: null },
      ],
    );
    assert.equal(event.deployment, 'second');
    assert.equal(event.provider, 'openai');
    assert.equal(event.usage?.inputTokens, 100, 'usage is that of the answer');
  });

  it('a stream’s: every byte that left is counted, the first byte came before the end', async () => {
    const events = sse(
      '{"model":"up","choices":[{"delta":{"content":"é"}}]}',
      '{"choices":[],"usage":{"prompt_tokens":5,"completion_tokens":6}}',
      '[DONE]',
    );
    const hasBegun = Promise.withResolvers<void>();
    upstream.script = async (_request, answer) => {
      const bytes = Buffer.from(
        `HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ncontent-length: ${Buffer.byteLength(events)}\r\n\r\n${events}`,
      );
      answer.write(bytes.subarray(0, bytes.indexOf('\n\n') + 2));
      await hasBegun.promise;
      await new Promise((resolve) => setTimeout(resolve, 30));
      answer.write(bytes.subarray(bytes.indexOf('\n\n') + 2));
    };
    const client = new RawClient(gateway.port);
    client.send(requestBytes({ key: TEST_KEY, body: '{"model":"gpt","stream":true}' }));
    await client.until((received) => received.includes('"content":"'));
    hasBegun.resolve();
    const reply = await client.reply();
    const event = gateway.journal().at(-1)!;
    assert.equal(event.id, reply.header('x-slipstream-call-id'));
    assert.equal(event.stream, true);
    assert.equal(event.responseBytes, reply.body.length);
    assert.deepEqual([event.usage?.inputTokens, event.usage?.outputTokens], [5, 6]);
    assert.ok(event.durationMs - event.firstByteMs! > 20);
  });

  it('names the endpoint', async () => {
    for (const [path, endpoint] of [
      ['/v1/completions', 'completions'],
      ['/embeddings', 'embeddings'],
      ['/v1/responses', 'responses'],
      ['/v1/moderations', 'moderations'],
      ['/v1/images/generations', 'images_generations'],
      ['/v1/audio/speech', 'audio_speech'],
      ['/v1/rerank', 'rerank'],
    ] as const) {
      assert.equal((await run({ path })).event.endpoint, endpoint);
    }
    const { event } = await run({ path: '/v1/messages', body: '{"model":"claude"}' });
    assert.deepEqual([event.endpoint, event.provider, event.deployment], ['messages', 'anthropic', 'claude-1']);
    assert.equal(
      (await run({ path: '/v1/messages/count_tokens', body: '{"model":"claude"}' })).event.endpoint,
      'count_tokens',
    );
  });

  it('of the master key says so', async () => {
    const { event } = await run({ key: MASTER_KEY });
    assert.deepEqual([event.key, event.user, event.team], ['master', null, null]);
  });

  it('a reply without usage: none; a trace parent that is none: null', async () => {
    upstream.script = (_request, answer) => {
      answer.write(jsonReply('{"usage":null}'));
    };
    for (const parent of [
      '',
      'x',
      '00-short-b7ad6b7169203331-01',
      `00-${'Z'.repeat(32)}-b7ad6b7169203331-01`,
      `00-${'0'.repeat(32)}-b7ad6b7169203331-01`,
    ]) {
      const { event } = await run({ headers: [`traceparent: ${parent}`] });
      assert.equal(event.usage, null);
      assert.equal(event.usageSource, 'none');
      assert.deepEqual([event.traceId, event.spanId], [null, null], parent);
    }
  });

  it('refused after authentication: one too, with the reason', async () => {
    for (const [parts, error, status] of [
      [{ body: '{' }, 'invalid_json', 400],
      [{ body: '{"model":"nothing"}' }, 'unknown_model', 400],
      [{ key: 'sk-limited' }, 'model_access_denied', 403],
      [{ headers: ['content-encoding: nope'] }, 'unsupported_content_encoding', 415],
      [{ headers: ['x-litellm-timeout: x'] }, 'invalid_field', 400],
      [{ path: '/v1/responses/none', method: 'GET' }, 'response_not_found', 404],
      [{ path: '/v1/realtime?model=gpt', method: 'GET' }, 'upgrade_unsupported', 426],
    ] as const) {
      const { reply, event } = await run(parts);
      assert.equal(reply.status, status);
      assert.deepEqual(
        [event.error, event.status, event.attempts.length, event.usage],
        [error, status, 0, null],
        error,
      );
      assert.equal(event.id, reply.header('x-slipstream-call-id'));
    }
  });

  it('of a body that breaks the rules after authentication: one, and not counted as refused before', async () => {
    const refused = await metric('slipstream_refused_before_authentication_total');
    const count = gateway.journal().length;
    const client = new RawClient(gateway.port);
    const head = `POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\nauthorization: Bearer ${TEST_KEY}\r\ntransfer-encoding: chunked\r\n\r\n`;
    const reply = await client.send(`${head}5\r\n{"mod\r\nnonsense\r\n`).reply();
    assert.equal(reply.status, 400);
    client.close();
    const events = gateway.journal().slice(count);
    assert.deepEqual(
      events.map(({ error, status }) => [error, status]),
      [['malformed_request', 400]],
    );
    assert.equal(await metric('slipstream_refused_before_authentication_total'), refused);
  });

  it('of a client that leaves: before the answer with status 0, in the middle with what it got', async () => {
    upstream.script = () => undefined;
    const count = gateway.journal().length;
    const asked = upstream.requests.length;
    const early = new RawClient(gateway.port);
    early.send(requestBytes({ key: TEST_KEY, body: BODY }));
    await eventually(() => upstream.requests.length > asked, 'it is under way');
    early.close();
    await eventually(() => gateway.journal().length === count + 1, 'recorded');
    assert.deepEqual(
      [gateway.journal().at(-1)?.status, gateway.journal().at(-1)?.aborted, gateway.journal().at(-1)?.responseBytes],
      [0, 'client_gone', 0],
    );
    const part = sse('{"model":"gpt","choices":[{"delta":{}}]}');
    upstream.script = (_request, answer) => {
      answer.write(`HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n\r\n${part}`);
    };
    const late = new RawClient(gateway.port);
    late.send(requestBytes({ key: TEST_KEY, body: '{"model":"gpt","stream":true}' }));
    await late.until((bytes) => bytes.includes('choices'));
    late.close();
    await eventually(() => gateway.journal().length === count + 2, 'recorded');
    const event = gateway.journal().at(-1);
    assert.deepEqual([event?.status, event?.aborted, event?.responseBytes], [200, 'client_gone', part.length]);
  });
});

describe('requests refused before authentication', () => {
  it('have no event, and are counted once each', async () => {
    const name = 'slipstream_refused_before_authentication_total';
    const events = gateway.journal().length;
    let count = await metric(name);
    const client = (): RawClient => new RawClient(gateway.port);
    for (const [what, bytes] of [
      ['no key', requestBytes({ body: BODY })],
      ['bad key', requestBytes({ key: 'sk-bad', body: BODY })],
      ['models without key', requestBytes({ method: 'GET', path: '/v1/models' })],
      ['405', requestBytes({ method: 'PUT', key: TEST_KEY })],
      ['417', requestBytes({ key: TEST_KEY, headers: ['expect: x'] })],
      ['malformed', 'x\r\n\r\n'],
      ['malformed body', 'POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\nzz\r\n'],
      ['large', requestBytes({ headers: ['content-length: 999999999'] })],
    ] as const) {
      const one = client();
      const reply = await one.send(bytes).reply();
      assert.ok(reply.status >= 400, what);
      one.close();
      count += 1;
      assert.equal(await metric(name), count, what);
    }
    assert.equal(gateway.journal().length, events);
  });

  it('what is served without being usage is neither', async () => {
    const name = 'slipstream_refused_before_authentication_total';
    const events = gateway.journal().length;
    const count = await metric(name);
    for (const [path, key] of [
      ['/v1/models', TEST_KEY],
      ['/v1/models/nothing', TEST_KEY],
      ['/health/readiness', null],
      ['/key/info', MASTER_KEY],
    ] as const) {
      await ask(gateway.port, { method: 'GET', path, key });
    }
    assert.equal(await metric(name), count);
    assert.equal(gateway.journal().length, events);
  });
});

describe('metrics', () => {
  it('requests, tokens and attempts by model group', async () => {
    const requests = (status: string): Promise<number> =>
      metric(`slipstream_requests_total{model_group="gpt",status="${status}"}`);
    const tokens = (way: string): Promise<number> =>
      metric(`slipstream_tokens_total{model_group="gpt",direction="${way}"}`);
    const attempts = (id: string, outcome: string): Promise<number> =>
      metric(`slipstream_upstream_attempts_total{deployment="${id}",outcome="${outcome}"}`);
    const read = async (): Promise<number[]> =>
      Promise.all([
        requests('2xx'),
        requests('4xx'),
        tokens('input'),
        tokens('output'),
        attempts('first', 'ok'),
        attempts('first', 'error'),
        attempts('second', 'ok'),
        metric('slipstream_journal_lines_total'),
        metric('slipstream_in_flight_requests'),
      ]);
    const before = await read();
    await run({});
    upstream.script = (_request, answer) => {
      answer.write(jsonReply('{}', 500));
    };
    await run({});
    upstream.script = (_request, answer) => {
      answer.write(jsonReply('{}', 400));
    };
    await run({});
    const after = await read();
    assert.deepEqual(
      after.map((value, index) => value - before[index]!),
      [2, 1, 200, 100, 1, 1, 1, 3, 0],
    );
    assert.equal(await metric('slipstream_journal_dropped_total'), 0);
  });

  it('label values come from the configuration, never from clients', async () => {
    await run({ body: '{"model":"invented-by-a-client"}' });
    const { text } = await ask(gateway.port, { method: 'GET', path: '/metrics', key: MASTER_KEY });
    assert.ok(!text.includes('invented'));
    assert.ok(!text.includes(sha256(TEST_KEY).slice(0, 8)), 'no label per key');
  });
});

describe('ids', () => {
  it('are unique and sorted, in the order of the requests, also on many connections at once', async () => {
    const start = gateway.journal().length;
    const clients = Array.from({ length: 8 }, () => new RawClient(gateway.port));
    const request = requestBytes({ key: TEST_KEY, body: BODY });
    const ids: string[] = [];
    for (const client of clients) client.send(Buffer.concat(Array.from({ length: 25 }, () => request)));
    await Promise.all(
      clients.map(async (client) => {
        let last = '';
        for (let n = 0; n < 25; n += 1) {
          const id = (await client.reply()).header('x-slipstream-call-id')!;
          assert.ok(id > last, `${last} < ${id}`);
          last = id;
          ids.push(id);
        }
      }),
    );
    for (const client of clients) client.close();
    assert.equal(new Set(ids).size, 200);
    const journaled = gateway.journal().slice(start);
    assert.deepEqual(journaled.map(({ id }) => id).sort(), ids.sort());
    const byId = journaled.toSorted((a, b) => (a.id < b.id ? -1 : 1));
    for (let n = 1; n < byId.length; n += 1)
      assert.ok(byId[n]!.at >= byId[n - 1]!.at, 'sorting by id is sorting by time');
    for (const { id, at } of byId)
      assert.equal(Number.parseInt(id.slice(0, 8) + id.slice(9, 13), 16), at, 'a UUID of version 7');
  });

  it('differ between workers', async () => {
    const threads = await startSidecar({
      snapshot: snapshotOf([deployment('gpt', upstream.port)], { settings: { threads: 2 } }),
    });
    const clients = Array.from({ length: 4 }, () => new RawClient(threads.port));
    const request = requestBytes({ key: TEST_KEY, body: '{"model":"gpt"}' });
    for (let n = 0; n < 20; n += 1) await Promise.all(clients.map((client) => client.send(request).reply()));
    for (const client of clients) client.close();
    const ids = threads.journal().map(({ id }) => id);
    assert.equal(ids.length, 80);
    assert.equal(new Set(ids).size, 80);
    await threads.stop();
  });
});
