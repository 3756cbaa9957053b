import assert from 'node:assert/strict';
import { after, before, beforeEach, describe, it } from 'node:test';
import { REQUEST_FIELDS } from '../../src/domain/request/request-fields.ts';
import { deployment, snapshotOf, startSidecar, TEST_KEY, type SidecarHarness } from '../support/sidecar-harness.ts';
import { RawClient, requestBytes, type RawReply, type RequestParts } from '../support/raw-client.ts';
import { jsonReply, ScriptedUpstream } from '../support/scripted-upstream.ts';

let upstream: ScriptedUpstream;
let gateway: SidecarHarness;
let client: RawClient;

before(async () => {
  upstream = await ScriptedUpstream.start((_request, reply) => {
    reply.write(jsonReply('{"id":"x"}'));
  });
  const { port } = upstream;
  const anthropic = {
    family: 'anthropic',
    provider: 'anthropic',
    basePath: '',
    headers: [['x-api-key', 'sk-provider-secret']],
    defaultHeaders: [['anthropic-version', '2023-06-01']],
  } as const;
  gateway = await startSidecar({
    snapshot: snapshotOf([
      deployment('gpt', port),
      deployment('same', port, { upstreamModel: 'same' }),
      deployment('bare', port, { injectsUsage: false }),
      deployment('claude', port, anthropic),
      deployment('extra', port, {
        query: 'api-version=2024-10-21',
        basePath: '/openai/v1',
        headers: [
          ['api-key', 'sk-provider-secret'],
          ['user-agent', 'operator/1'],
          ['openai-beta', 'operator=v1'],
          ['x-team', 'operator'],
        ],
      }),
    ]),
  });
});
beforeEach(() => {
  client = new RawClient(gateway.port);
});
after(async () => {
  client.close();
  upstream.stop();
  await gateway.stop();
});

async function ask(parts: RequestParts): Promise<RawReply> {
  if (client.hasEnded) client = new RawClient(gateway.port);
  return client.send(requestBytes({ key: TEST_KEY, ...parts })).reply(parts.method ?? 'POST');
}

/** The body that the provider gets for `body`. */
async function crosses(body: string, path = '/v1/chat/completions'): Promise<string> {
  const count = upstream.requests.length;
  const reply = await ask({ path, body });
  assert.equal(reply.status, 200, reply.text);
  assert.equal(upstream.requests.length, count + 1);
  return upstream.last.body;
}

async function refused(body: string | Uint8Array, path?: string): Promise<{ name: string | null; param: unknown }> {
  const count = upstream.requests.length;
  const reply = await ask(path === undefined ? { body } : { body, path });
  assert.equal(reply.status, 400, reply.text);
  assert.equal(upstream.requests.length, count, 'nothing was sent to the provider');
  assert.equal(reply.header('connection'), null, 'the connection stays');
  const { error } = JSON.parse(reply.text) as { error: { code: unknown; param: unknown } };
  return { name: reply.header('x-slipstream-error'), param: error.param };
}

describe('body to the provider', () => {
  it('is every byte of the client, but for the model', async () => {
    const odd =
      '\t{ "messages" : [ {"role":"user","content":"\\u00e9 é 𝄞 \\ud834\\udd1e {\\"model\\":\\"no\\"}"} ],\r\n "seed":12345678901234567890,' +
      ' "temperature":1.0e-7,"model" :  "MODEL" , "unknown":{"model":"gpt","stream":true},"logit_bias":{"1":-0},"n":1E0, "":null}\n ';
    assert.equal(await crosses(odd.replace('MODEL', 'gpt')), odd.replace('MODEL', 'upstream-gpt'));
  });

  it('is identical where the names are the same', async () => {
    const body = '{ "model":"same" ,"messages":[]}';
    assert.equal(await crosses(body), body);
    const escaped = '{"m\\u006fdel":"s\\u0061me","messages":[]}';
    assert.equal(await crosses(escaped), escaped);
  });

  it('has the model spliced where its key is escaped', async () => {
    assert.equal(await crosses('{"m\\u006fdel":"g\\u0070t"}'), '{"m\\u006fdel":"upstream-gpt"}');
  });

  it('is the same on every endpoint, with and without /v1', async () => {
    const paths = [
      'chat/completions',
      'completions',
      'embeddings',
      'responses',
      'moderations',
      'images/generations',
      'audio/speech',
      'rerank',
    ];
    for (const path of paths) {
      for (const prefix of ['/v1/', '/']) {
        assert.equal(await crosses('{"model":"gpt","a":[1, 2]}', prefix + path), '{"model":"upstream-gpt","a":[1, 2]}');
        assert.equal(upstream.last.lines[0], `POST /v1/${path} HTTP/1.1`);
      }
    }
    for (const path of ['messages', 'messages/count_tokens']) {
      for (const prefix of ['/v1/', '/']) {
        assert.equal(await crosses('{"model":"claude","a":1}', prefix + path), '{"model":"upstream-claude","a":1}');
        assert.equal(upstream.last.lines[0], `POST /v1/${path} HTTP/1.1`);
      }
    }
  });

  it('arrives whole however it was cut, and with a content-length', async () => {
    const text = 'x'.repeat(200_000);
    const body = `{"messages":["${text}"],"model":"gpt","z":"é"}`;
    assert.equal(await crosses(body), body.replace('"gpt"', '"upstream-gpt"'));
    const bytes = Buffer.from('{"messages":["é"],"timeout":5,"model":"gpt","stream":false}');
    const head = `POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\nauthorization: Bearer ${TEST_KEY}\r\ntransfer-encoding: chunked\r\n\r\n`;
    let chunks = '';
    for (const byte of bytes) chunks += `1;ext=1\r\n${String.fromCharCode(byte)}\r\n`;
    client.send(`${head}${chunks}0\r\nx-checksum: dropped\r\n\r\n`);
    assert.equal((await client.reply()).status, 200);
    assert.equal(upstream.last.body, '{"messages":["é"],"model":"upstream-gpt","stream":false}');
    assert.ok(upstream.last.lines.includes(`content-length: ${Buffer.byteLength(upstream.last.body)}`));
    assert.ok(!/transfer-encoding|x-checksum/i.test(upstream.last.head));
  });

  it('is the same when the request is cut at any byte', async () => {
    const request = requestBytes({ key: TEST_KEY, body: '{"messages":["é"],"tags":["a"],"model":"gpt"}' });
    let expected: string | null = null;
    for (let cut = 1; cut < request.length; cut += 1) {
      client.send(request.subarray(0, cut));
      await new Promise((resolve) => setImmediate(resolve));
      await new Promise((resolve) => setImmediate(resolve));
      client.send(request.subarray(cut));
      assert.equal((await client.reply()).status, 200, `cut at ${cut}`);
      expected ??= upstream.last.bytes;
      assert.equal(upstream.last.bytes, expected, `cut at ${cut}`);
    }
  });
});

describe('include_usage', () => {
  const injected = '"stream_options":{"include_usage":true}';

  it('is asked for on chat/completions and completions', async () => {
    for (const path of ['/v1/chat/completions', '/v1/completions']) {
      assert.equal(
        await crosses('{"model":"same","stream":true,"n":1}', path),
        `{"model":"same","stream":true,${injected},"n":1}`,
      );
    }
  });

  it('is added to options that are there, and where the client refused it', async () => {
    for (const [before, then] of [
      ['{}', '{"include_usage":true}'],
      ['null', '{"include_usage":true}'],
      ['{"a":1}', '{"include_usage":true,"a":1}'],
      ['{"include_usage":false}', '{"include_usage":true}'],
    ]) {
      assert.equal(
        await crosses(`{"stream_options":${before},"model":"same","stream":true}`),
        `{"stream_options":${then},"model":"same","stream":true}`,
      );
    }
  });

  it('is left alone where it is not wanted', async () => {
    for (const [body, path] of [
      ['{"model":"same","stream":true,"stream_options":{"include_usage":true}}', undefined],
      ['{"model":"same","stream":false}', undefined],
      ['{"model":"same"}', undefined],
      ['{"model":"same","stream":null}', undefined],
      ['{"model":"same","stream":true}', '/v1/responses'],
      ['{"model":"same","stream":true}', '/v1/embeddings'],
      ['{"model":"same","stream":true}', '/v1/audio/speech'],
    ] as const) {
      assert.equal(await crosses(body, path), body);
    }
    assert.equal(
      await crosses('{"model":"claude","stream":true}', '/v1/messages'),
      '{"model":"upstream-claude","stream":true}',
    );
  });

  it('is not added by a deployment that has it off', async () => {
    assert.equal(await crosses('{"model":"bare","stream":true}'), '{"model":"upstream-bare","stream":true}');
  });
});

describe("the gateway's own fields", () => {
  const values: Readonly<Record<string, string>> = {
    timeout: '60',
    stream_timeout: '60',
    num_retries: '1',
    fallbacks: '["same"]',
    disable_fallbacks: 'true',
    tags: '["a", "b"]',
    litellm_metadata: '{"tags":["c"]}',
  };
  const cut = REQUEST_FIELDS.filter(({ action }) => action === 'cut' || action === 'drop').map(({ name }) => name);

  it('are cut out wherever they stand', async () => {
    assert.ok(cut.length > 20);
    for (const name of cut) {
      const member = `"${name}" : ${values[name] ?? '{"x":[1]}'}`;
      assert.equal(await crosses(`{${member}, "model":"same","n":1}`), '{ "model":"same","n":1}');
      assert.equal(await crosses(`{"model":"same", ${member} ,"n":1}`), '{"model":"same" ,"n":1}');
      assert.equal(await crosses(`{"model":"same","n":1 , ${member} }`), '{"model":"same","n":1  }');
    }
  });

  it('are cut out all at once', async () => {
    const all = cut.map((name) => `"${name}":${values[name] ?? '1'}`);
    const body = `{${all.slice(0, 9).join(',')},"model":"gpt",${all.slice(9, 15).join(',')},"stream":true,${all.slice(15).join(',')}}`;
    assert.equal(await crosses(body), '{"model":"upstream-gpt","stream":true,"stream_options":{"include_usage":true}}');
  });

  it('metadata goes upstream where the protocol has it and its values are strings', async () => {
    const strings = '{"model":"same","metadata":{"a":"b"}}';
    const others = '{"model":"same","metadata":{"a":"b","tags":["x"]}}';
    for (const path of ['/v1/chat/completions', '/v1/responses']) {
      assert.equal(await crosses(strings, path), strings);
      assert.equal(await crosses(others, path), '{"model":"same"}');
    }
    for (const path of ['/v1/completions', '/v1/embeddings', '/v1/rerank']) {
      assert.equal(await crosses(strings, path), '{"model":"same"}');
    }
    assert.equal(
      await crosses('{"model":"claude","metadata":{"user_id":"u","n":1}}', '/v1/messages'),
      '{"model":"upstream-claude","metadata":{"user_id":"u","n":1}}',
    );
  });

  it('that would choose an address or a credential are refused, named', async () => {
    const forbidden = REQUEST_FIELDS.filter(({ action }) => action === 'refuse').map(({ name }) => name);
    for (const name of ['api_base', 'base_url', 'api_key', 'user_config']) assert.ok(forbidden.includes(name));
    for (const name of forbidden) {
      assert.deepEqual(await refused(`{"model":"gpt","${name}":"http://169.254.169.254/"}`), {
        name: 'forbidden_field',
        param: name,
      });
    }
  });
});

describe('ambiguous and broken bodies', () => {
  it('a deciding key twice, or spelled in another case, is refused', async () => {
    for (const { name } of REQUEST_FIELDS) {
      const first = name === 'model' ? '"gpt"' : 'null';
      const start = name === 'model' ? '' : '"model":"gpt",';
      assert.deepEqual(await refused(`{${start}"${name}":${first},"x":1,"${name}":null}`), {
        name: 'ambiguous_field',
        param: name,
      });
      const upper = name[0]!.toUpperCase() + name.slice(1);
      assert.deepEqual(await refused(`{"model":"gpt","${upper}":1}`), { name: 'ambiguous_field', param: name });
    }
    assert.deepEqual(await refused('{"model":"gpt","mod\\u0065l":"other"}'), {
      name: 'ambiguous_field',
      param: 'model',
    });
  });

  it('other keys may repeat: they are the provider’s', async () => {
    const body = '{"model":"same","x":1,"x":2,"temperature":1,"Temperature":2}';
    assert.equal(await crosses(body), body);
  });

  it('what is not one JSON object is refused', async () => {
    for (const body of [
      '',
      ' ',
      'null',
      '[]',
      '"model"',
      '1',
      '{',
      '{"model":"gpt"',
      '{"model":"gpt"}}',
      '{"model":"gpt"}{}',
      '{"model":"gpt"},',
      "{'model':'gpt'}",
      '{"model":"gpt",}',
      '{"model" "gpt"}',
      '\ufeff{"model":"gpt"}',
      '{"model":"gpt"}\0',
      '{"a":\u00a01,"model":"gpt"}',
    ]) {
      assert.deepEqual(await refused(body), { name: 'invalid_json', param: null }, JSON.stringify(body));
    }
  });

  it('a field that the gateway reads must have its type', async () => {
    for (const [member, param] of [
      ['"stream":"true"', 'stream'],
      ['"stream":1', 'stream'],
      ['"timeout":"5"', 'timeout'],
      ['"timeout":0', 'timeout'],
      ['"num_retries":1.5', 'num_retries'],
      ['"num_retries":-1', 'num_retries'],
      ['"fallbacks":"gpt"', 'fallbacks'],
      ['"fallbacks":[{"model":"gpt","messages":[]}]', 'fallbacks'],
      ['"tags":"a"', 'tags'],
      ['"stream_options":[]', 'stream_options'],
    ] as const) {
      assert.deepEqual(await refused(`{"model":"gpt",${member}}`), { name: 'invalid_field', param }, member);
    }
    assert.deepEqual(await refused('{"model":5}'), { name: 'invalid_field', param: 'model' });
    assert.deepEqual(await refused('{"model":null}'), { name: 'missing_model', param: 'model' });
    assert.deepEqual(await refused('{}'), { name: 'missing_model', param: 'model' });
    assert.deepEqual(await refused('{"model":"gpt","stream":tru}'), { name: 'invalid_json', param: 'stream' });
  });
});

describe('headers to the provider', () => {
  it('are the deployment’s and those on the allow-list, byte for byte', async () => {
    const passed = [
      'Content-Type: application/json; charset=utf-8',
      'accept:text/event-stream',
      'User-Agent: test/1.0 (\u00e9)',
      'anthropic-version: 2024-01-01',
      'anthropic-beta: a,b',
      'OpenAI-Beta: responses=v1',
      'idempotency-key: k-1',
      'X-Stainless-Lang: js',
      'x-stainless-retry-count: 0',
      'traceparent: 00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01',
      'tracestate: a=b',
    ];
    const dropped = [
      'x-api-key: other',
      'api-key: other',
      'x-goog-api-key: other',
      'ocp-apim-subscription-key: other',
      'accept-encoding: gzip, br',
      'accept-language: de',
      'cookie: a=b',
      'origin: http://evil.example',
      'referer: http://evil.example',
      'x-forwarded-for: 1.2.3.4',
      'x-request-id: 1',
      'x-litellm-tags: a',
      'x-slipstream-anything: 1',
      'x-custom: 1',
      'openai-organization: org-client',
      'openai-project: proj-client',
      'te: trailers',
      'connection: keep-alive, X-Stainless-Hop',
      'x-stainless-hop: 1',
      'keep-alive: timeout=5',
      'proxy-authorization: Basic x',
    ];
    const mixed = passed.flatMap((line, index) => [line, ...dropped.slice(index * 2, index * 2 + 2)]);
    const reply = await ask({ headers: mixed, body: '{"model":"gpt"}' });
    assert.equal(reply.status, 200);
    assert.equal(
      upstream.last.head,
      [
        'POST /v1/chat/completions HTTP/1.1',
        `host: 127.0.0.1:${upstream.port}`,
        'accept-encoding: identity',
        'authorization: Bearer sk-provider-secret',
        ...passed,
        'content-length: 24',
      ].join('\r\n'),
    );
  });

  it('a client that sends no content-type: it is JSON', async () => {
    await ask({ body: '{"model":"gpt"}' });
    assert.ok(upstream.last.lines.includes('content-type: application/json'));
  });

  it('those that the deployment sets win; its query is added', async () => {
    await ask({
      headers: ['user-agent: client/1', 'OpenAI-Beta: client=v1', 'content-type: application/json', 'x-team: client'],
      body: '{"model":"extra"}',
    });
    assert.equal(
      upstream.last.head,
      [
        'POST /openai/v1/chat/completions?api-version=2024-10-21 HTTP/1.1',
        `host: 127.0.0.1:${upstream.port}`,
        'accept-encoding: identity',
        'api-key: sk-provider-secret',
        'user-agent: operator/1',
        'openai-beta: operator=v1',
        'x-team: operator',
        'content-type: application/json',
        'content-length: 26',
      ].join('\r\n'),
    );
  });

  it('a default is sent only where the client has none', async () => {
    await ask({ path: '/v1/messages', body: '{"model":"claude"}' });
    assert.ok(upstream.last.lines.includes('anthropic-version: 2023-06-01'));
    await ask({ path: '/v1/messages', headers: ['Anthropic-Version: 2024-06-01'], body: '{"model":"claude"}' });
    assert.deepEqual(
      upstream.last.lines.filter((line) => /^anthropic-version/i.test(line)),
      ['Anthropic-Version: 2024-06-01'],
    );
  });
});

describe('forward_client_headers_to_llm_api', () => {
  let forwarding: SidecarHarness;
  before(async () => {
    forwarding = await startSidecar({
      snapshot: snapshotOf(
        [
          deployment('gpt', upstream.port, {
            headers: [
              ['x-team', 'operator'],
              ['x-request-id', 'fixed'],
            ],
          }),
        ],
        {
          settings: { forwardClientHeaders: true, keyHeaderName: 'x-our-key' },
        },
      ),
    });
  });
  after(() => forwarding.stop());

  it('adds the x- headers of the client, but no key and nothing of the gateway', async () => {
    const own = new RawClient(forwarding.port);
    own.send(
      requestBytes({
        headers: [
          `X-Our-Key: ${TEST_KEY}`,
          'X-Custom: 1',
          'x-forwarded-for: 1.2.3.4',
          'x-request-id: r-1',
          'x-team: client',
          'x-api-key: k',
          'x-goog-api-key: k',
          'x-litellm-tags: a',
          'x-litellm-api-key-hint: a',
          'x-slipstream-call-id: forged',
          'not-listed: 1',
        ],
        body: '{"model":"gpt"}',
      }),
    );
    const reply = await own.reply();
    own.close();
    assert.equal(reply.status, 200, reply.text);
    assert.deepEqual(upstream.last.lines.slice(3), [
      'x-team: operator',
      'x-request-id: fixed',
      'X-Custom: 1',
      'x-forwarded-for: 1.2.3.4',
      'content-type: application/json',
      'content-length: 24',
    ]);
  });
});
