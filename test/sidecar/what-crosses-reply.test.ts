import assert from 'node:assert/strict';
import { after, before, beforeEach, describe, it } from 'node:test';
import { deployment, snapshotOf, startSidecar, TEST_KEY, type SidecarHarness } from '../support/sidecar-harness.ts';
import { ask, RawClient, requestBytes, type RawReply } from '../support/raw-client.ts';
import { chunkedReply, closeReply, jsonReply, reply, ScriptedUpstream } from '../support/scripted-upstream.ts';

const JSON_TYPE = 'content-type: application/json';

let upstream: ScriptedUpstream;
let gateway: SidecarHarness;
let keeping: SidecarHarness;
let client: RawClient;

before(async () => {
  upstream = await ScriptedUpstream.start(() => undefined);
  const deployments = [
    deployment('gpt', upstream.port),
    deployment('same', upstream.port, { upstreamModel: 'same' }),
    deployment('claude', upstream.port, { family: 'anthropic' }),
  ];
  gateway = await startSidecar({ snapshot: snapshotOf(deployments, { settings: { echoProviderHeaders: false } }) });
  keeping = await startSidecar({ snapshot: snapshotOf(deployments, { settings: { replyModel: 'upstream' } }) });
});
beforeEach(() => {
  client = new RawClient(gateway.port);
});
after(async () => {
  client.close();
  upstream.stop();
  await gateway.stop();
  await keeping.stop();
});

/** The provider answers with `bytes`, and closes if nothing else ends them. */
function answers(bytes: Buffer): void {
  upstream.script = (_request, answer) => {
    answer.write(bytes);
    if (!/content-length|chunked/.test(bytes.toString('latin1', 0, bytes.indexOf('\r\n\r\n')))) answer.end();
  };
}

/** More than is held before commit, then the rest: so the answer begins before its end is at hand. */
function answersInTwo(bytes: Buffer): void {
  upstream.script = async (_request, answer) => {
    answer.write(bytes.subarray(0, 90_000));
    await new Promise((resolve) => setTimeout(resolve, 15));
    answer.write(bytes.subarray(90_000));
  };
}

async function get(parts: { model?: string; path?: string; minor?: 0 | 1 } = {}): Promise<RawReply> {
  if (client.hasEnded) client = new RawClient(gateway.port);
  const { model = 'gpt', path = '/v1/chat/completions', minor = 1 } = parts;
  const bytes = requestBytes({ key: TEST_KEY, path, body: `{"model":"${model}"}` });
  const request = minor === 1 ? bytes : Buffer.from(bytes.toString('latin1').replace('HTTP/1.1', 'HTTP/1.0'), 'latin1');
  const answer = await client.send(request).reply();
  if (answer.header('connection') === 'close') await client.ended();
  return answer;
}

/** The same body in every framing that a provider may choose. */
function framings(body: string): readonly (readonly [name: string, bytes: Buffer])[] {
  return [
    ['length', jsonReply(body)],
    ['chunked', chunkedReply([JSON_TYPE], body)],
    ['chunks of 1,000', chunkedReply([JSON_TYPE], body, 1000)],
    ['close', closeReply([JSON_TYPE], body)],
    [
      'HTTP/1.0',
      Buffer.from(closeReply([JSON_TYPE], body).toString('latin1').replace('HTTP/1.1', 'HTTP/1.0'), 'latin1'),
    ],
  ];
}

describe('model of a JSON reply', () => {
  const odd =
    '{ "id":"c", "choices":[{"message":{"content":"{\\"model\\":\\"x\\"} é 𝄞","model":"inner"}}],\n "model" : "MODEL", "usage":{"prompt_tokens":1,"completion_tokens":2} }\n';

  it('is the name that the client asked for, and nothing else changes', async () => {
    for (const [name, bytes] of framings(odd.replace('MODEL', 'upstream-2024-01-01'))) {
      answers(bytes);
      const answer = await get();
      assert.equal(answer.text, odd.replace('MODEL', 'gpt'), name);
      assert.equal(answer.framing, 'length', name);
    }
  });

  it('is spliced where its key is escaped, and on every endpoint that answers JSON', async () => {
    answers(jsonReply('{"mod\\u0065l":"up","a":1}'));
    assert.equal((await get()).text, '{"mod\\u0065l":"gpt","a":1}');
    for (const path of ['/v1/completions', '/v1/embeddings', '/v1/responses', '/v1/moderations', '/v1/rerank']) {
      answers(jsonReply('{"a":[1],"model":"up"}'));
      assert.equal((await get({ path })).text, '{"a":[1],"model":"gpt"}', path);
    }
    answers(jsonReply('{"type":"message","model":"up"}'));
    assert.equal((await get({ path: '/v1/messages', model: 'claude' })).text, '{"type":"message","model":"claude"}');
  });

  it('whatever case and parameters the content-type has', async () => {
    for (const type of ['Application/JSON', 'application/json;charset=UTF-8', 'APPLICATION/JSON ; x=y']) {
      answers(reply(200, [`Content-Type: ${type}`], '{"model":"up","usage":{"prompt_tokens":4}}'));
      const answer = await get();
      assert.equal(answer.text, '{"model":"gpt","usage":{"prompt_tokens":4}}', type);
      assert.equal(answer.header('content-type'), type);
      assert.equal(gateway.journal().at(-1)?.usage?.inputTokens, 4);
    }
    const events = 'data: {"model":"up"}\n\n';
    answers(reply(200, ['content-type: Text/Event-Stream'], events));
    assert.equal((await get()).text, 'data: {"model":"gpt"}\n\n');
    answers(reply(200, ['content-type: application/jsonl'], '{"model":"up"}\n{"model":"up"}\n'));
    assert.equal((await get()).text, '{"model":"up"}\n{"model":"up"}\n', 'another type');
  });

  it('stays where the setting says upstream', async () => {
    const body = odd.replace('MODEL', 'upstream-2024-01-01');
    for (const [name, bytes] of framings(body)) {
      answers(bytes);
      const answer = await ask(keeping.port, { key: TEST_KEY, body: '{"model":"gpt"}' });
      assert.equal(answer.text, body, name);
    }
  });

  it('what is not a string, not there, nested, or not JSON at all is left alone', async () => {
    for (const body of [
      '{"model":null}',
      '{"model":5}',
      '{"a":{"model":"x"}}',
      '[{"model":"x"}]',
      '"model"',
      'no json',
      '',
      '{"model":"x',
      '{"model',
    ]) {
      for (const [name, bytes] of framings(body)) {
        answers(bytes);
        assert.equal((await get()).text, body, `${name}: ${body}`);
      }
    }
  });

  it('is right wherever the reply is cut', async () => {
    const body = '{"id":"c","model":"upstream-long-name","x":"é"}';
    const bytes = jsonReply(body);
    for (let cut = 1; cut < bytes.length; cut += 1) {
      upstream.script = (_request, answer) => answer.writeSplit(bytes, cut);
      assert.equal((await get()).text, '{"id":"c","model":"gpt","x":"é"}', `cut at ${cut}`);
    }
  });
});

describe('replies larger than what is held before commit', () => {
  const filler = 'é'.repeat(60_000);
  const atEnd = `{"data":"${filler}","model":"MODEL","usage":{"prompt_tokens":8,"total_tokens":8}}`;
  const atStart = `{"model":"MODEL","data":"${filler}"}`;

  it('have their model spliced, at the end too', async () => {
    for (const body of [atStart, atEnd]) {
      for (const [name, bytes] of framings(body.replace('MODEL', 'upstream-gpt'))) {
        answers(bytes);
        const answer = await get({ path: '/v1/embeddings' });
        assert.ok(answer.text === body.replace('MODEL', 'gpt'), name);
      }
    }
    assert.deepEqual(
      gateway.journal().find((event) => event.responseBytes > 64_000 && event.usage !== null)?.usage?.inputTokens,
      8,
    );
  });

  it('are right when the name is cut anywhere', async () => {
    const bytes = jsonReply(atEnd.replace('MODEL', 'upstream-gpt'));
    const name = bytes.indexOf('"model"');
    for (let cut = name - 2; cut < name + 30; cut += 1) {
      upstream.script = (_request, answer) => answer.writeSplit(bytes, cut);
      const answer = await get({ path: '/v1/embeddings' });
      assert.ok(answer.text === atEnd.replace('MODEL', 'gpt'), `cut at ${cut}`);
    }
  });

  it('keep their length where nothing is spliced', async () => {
    const body = atEnd.replace('MODEL', 'upstream-gpt');
    answersInTwo(jsonReply(body));
    const answer = await ask(keeping.port, { key: TEST_KEY, path: '/v1/embeddings', body: '{"model":"gpt"}' });
    assert.ok(answer.text === body);
    assert.equal(answer.framing, 'length');
  });

  it('to an HTTP/1.0 client end with the connection', async () => {
    answersInTwo(jsonReply(atEnd.replace('MODEL', 'upstream-gpt')));
    const answer = await get({ path: '/v1/embeddings', minor: 0 });
    assert.equal(answer.framing, 'close');
    assert.ok(answer.text === atEnd.replace('MODEL', 'gpt'));
    answers(jsonReply('{"model":"up"}'));
    const small = await get({ minor: 0 });
    assert.equal(small.framing, 'length');
    assert.equal(small.text, '{"model":"gpt"}');
  });
});

describe('bytes that are not JSON', () => {
  it('pass unchanged in any framing', async () => {
    const audio = Buffer.from(Array.from({ length: 200_000 }, (_unused, index) => (index * 31) % 256));
    const headers = ['content-type: audio/mpeg'];
    for (const bytes of [reply(200, headers, audio), chunkedReply(headers, audio, 7777), closeReply(headers, audio)]) {
      answers(bytes);
      const answer = await get({ path: '/v1/audio/speech' });
      assert.ok(answer.body.equals(audio));
      assert.equal(answer.header('content-type'), 'audio/mpeg');
    }
    answers(reply(200, headers, audio));
    assert.equal((await get({ path: '/v1/audio/speech' })).framing, 'length', 'a length that is known is told');
  });

  it('replies without a body', async () => {
    answers(Buffer.from('HTTP/1.1 204 No Content\r\nx-a: 1\r\n\r\n'));
    const empty = await get();
    assert.equal(empty.status, 204);
    assert.equal(empty.header('x-a'), '1');
    assert.equal(empty.header('content-length'), null);
    answers(jsonReply(''));
    assert.equal((await get()).raw.toString().endsWith('content-length: 0\r\n\r\n'), true);
  });

  it('1xx replies are dropped, 304 and redirects are relayed', async () => {
    answers(
      Buffer.concat([
        Buffer.from('HTTP/1.1 103 Early Hints\r\nlink: x\r\n\r\nHTTP/1.1 100 Continue\r\n\r\n'),
        jsonReply('{"model":"up"}'),
      ]),
    );
    assert.equal((await get()).text, '{"model":"gpt"}');
    answers(reply(307, ['location: /elsewhere'], ''));
    assert.equal((await get()).status, 307);
  });
});

describe('headers to the client', () => {
  const provided = [
    'Content-Type: application/json',
    'X-Custom: a, b',
    'x-request-id: req_1',
    'openai-processing-ms: 12',
    'openai-version: 2020-10-01',
    'x-ratelimit-limit-requests: 100',
    'X-RateLimit-Remaining-Tokens: 5',
    'anthropic-ratelimit-requests-limit: 10',
    'retry-after-ms: 5',
    'Date: Sun, 22 Nov 2026 00:00:00 GMT',
    'server: provider',
    'x-latin: \u00e9',
    'via: 1.1 a',
    'via: 1.1 b',
  ];
  const withheld = [
    'set-cookie: __cf_bm=secret',
    'Set-Cookie: other=1',
    'openai-organization: org-operator',
    'OpenAI-Project: proj-operator',
    'alt-svc: h3=":443"',
    'strict-transport-security: max-age=1',
    'x-slipstream-call-id: forged',
    'X-LiteLLM-Model-Id: forged',
    'x-litellm-response-cost: 1',
    'Connection: keep-alive, X-Hop',
    'x-hop: 1',
    'keep-alive: timeout=60',
    'proxy-authenticate: Basic',
    'trailer: x-t',
    'te: trailers',
  ];
  const interleaved = provided.flatMap((line, index) => [line, ...withheld.slice(index * 2, index * 2 + 2)]);
  const own = (head: string): string[] =>
    head.split('\r\n').filter((line) => /^(x-slipstream|x-litellm|content-length)/.test(line));

  it('are all but hop-by-hop ones and those that are the operator’s business', async () => {
    answers(jsonReply('{}', 200, interleaved.slice(1)));
    const answer = await get();
    const lines = answer.head.split('\r\n');
    assert.deepEqual(lines, ['HTTP/1.1 200 OK', JSON_TYPE, ...provided.slice(1), ...own(answer.head)]);
  });

  it('the gateway’s own: call id, model id, group, attempts, overhead', async () => {
    answers(jsonReply('{}'));
    const answer = await get();
    const id = answer.header('x-slipstream-call-id');
    assert.match(id ?? '', /^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/);
    const overheadUs = Number(answer.header('x-slipstream-overhead-us'));
    assert.ok(Number.isInteger(overheadUs) && overheadUs > 0, String(overheadUs));
    const overheadMs = answer.header('x-litellm-overhead-duration-ms') ?? '';
    assert.match(overheadMs, /^\d+\.\d{3}$/);
    assert.equal(Math.round(Number(overheadMs) * 1000), overheadUs);
    assert.deepEqual(
      own(answer.head).filter((line) => !line.includes('overhead')),
      [
        `x-slipstream-call-id: ${id}`,
        `x-litellm-call-id: ${id}`,
        `x-slipstream-model-id: gpt-${upstream.port}`,
        `x-litellm-model-id: gpt-${upstream.port}`,
        'x-litellm-model-group: gpt',
        'x-slipstream-attempts: 1',
        'x-litellm-attempted-retries: 0',
        'x-litellm-attempted-fallbacks: 0',
        'content-length: 2',
      ],
    );
    assert.equal(gateway.journal().at(-1)?.id, id);
    assert.equal(gateway.journal().at(-1)?.overheadUs, overheadUs);
  });

  it('each of the provider’s also as llm_provider-<name>, where that is on', async () => {
    answers(jsonReply('{}', 200, interleaved.slice(1)));
    const answer = await ask(keeping.port, { key: TEST_KEY, body: '{"model":"gpt"}' });
    const echoed = answer.head.split('\r\n').filter((line) => line.startsWith('llm_provider-'));
    assert.deepEqual(
      echoed,
      [JSON_TYPE, ...provided.slice(1)].map((line) => `llm_provider-${line}`),
    );
    assert.deepEqual(
      answer.head.split('\r\n').filter((line) => !line.startsWith('llm_provider-')),
      ['HTTP/1.1 200 OK', JSON_TYPE, ...provided.slice(1), ...own(answer.head)],
    );
  });

  it('of errors, the same', async () => {
    answers(jsonReply('{"error":1}', 400, interleaved.slice(1)));
    const answer = await get();
    assert.deepEqual(answer.head.split('\r\n'), [
      'HTTP/1.1 400 Bad Request',
      JSON_TYPE,
      ...provided.slice(1),
      ...own(answer.head),
    ]);
  });

  it('overhead is our own work: the provider’s time is not in it, neither that of a failed attempt', async () => {
    const delayMs = 60;
    upstream.script = async (_request, answer, index) => {
      await new Promise((resolve) => setTimeout(resolve, delayMs));
      answer.write(index % 2 === 0 ? jsonReply('{}', 500) : jsonReply('{}'));
    };
    if (upstream.requests.length % 2 === 1) await get();
    const answer = await get();
    assert.equal(answer.header('x-slipstream-attempts'), '2');
    assert.ok(Number(answer.header('x-litellm-overhead-duration-ms')) < delayMs);
    assert.ok(gateway.journal().at(-1)!.durationMs > 2 * delayMs - 5);
  });
});
