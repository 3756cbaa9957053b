import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { startMock, type RunningMock } from './mock-server.ts';

type Json = Record<string, any>; // oxlint-disable-line typescript/no-explicit-any -- replies are looked into

let mock: RunningMock;
before(async () => {
  mock = await startMock();
});
after(() => mock.close());

async function post(path: string, body: unknown, headers: Record<string, string> = {}): Promise<Response> {
  return fetch(`${mock.url}${path}`, {
    method: 'POST',
    body: typeof body === 'string' ? body : JSON.stringify(body),
    headers: { 'content-type': 'application/json', ...headers },
  });
}

async function postJson(path: string, body: unknown): Promise<Json> {
  const reply = await post(path, body);
  assert.equal(reply.status, 200);
  assert.equal(reply.headers.get('content-type'), 'application/json');
  return (await reply.json()) as Json;
}

/** Frames of an event stream: event name or null, and data as text. */
async function frames(path: string, body: unknown): Promise<{ event: string | null; data: string }[]> {
  const reply = await post(path, body);
  assert.equal(reply.status, 200);
  assert.equal(reply.headers.get('content-type'), 'text/event-stream; charset=utf-8');
  const text = await reply.text();
  assert.ok(text.endsWith('\n\n'));
  return text
    .slice(0, -2)
    .split('\n\n')
    .map((frame) => ({
      event: /^event: (.*)$/m.exec(frame)?.[1] ?? null,
      data: /^data: (.*)$/m.exec(frame)?.[1] ?? '',
    }));
}

function parsed(list: readonly { data: string }[]): Json[] {
  return list.filter(({ data }) => data !== '[DONE]').map(({ data }) => JSON.parse(data) as Json);
}

const MESSAGES = [{ role: 'user', content: 'Grüße' }];
const TOOL = {
  type: 'function',
  function: {
    name: 'weather',
    parameters: {
      type: 'object',
      properties: { city: { type: 'string' }, days: { type: 'integer', minimum: 3 }, unit: { enum: ['c', 'f'] } },
      required: ['city', 'days', 'unit'],
    },
  },
};

describe('chat completions', () => {
  it('answers with the model asked for and usage that adds up', async () => {
    const reply = await postJson('/v1/chat/completions', { model: 'any', messages: MESSAGES });
    assert.equal(reply['object'], 'chat.completion');
    assert.equal(reply['model'], 'any');
    assert.equal(reply['choices'][0].message.role, 'assistant');
    assert.equal(reply['choices'][0].finish_reason, 'stop');
    const { prompt_tokens: prompt, completion_tokens: completion, total_tokens: total } = reply['usage'];
    assert.equal(completion, 16);
    assert.ok(prompt > 0);
    assert.equal(total, prompt + completion);
  });

  it('is also served without /v1', async () => {
    const reply = await postJson('/chat/completions', { model: 'any', messages: MESSAGES });
    assert.equal(reply['object'], 'chat.completion');
  });

  it('streams one frame per token between role and finish, then [DONE]', async () => {
    const list = await frames('/v1/chat/completions', { model: 'any?tokens=3', messages: MESSAGES, stream: true });
    assert.equal(list.at(-1)?.data, '[DONE]');
    const chunks = parsed(list);
    assert.equal(chunks.length, 1 + 3 + 1);
    assert.equal(chunks[0]?.['choices'][0].delta.role, 'assistant');
    assert.equal(chunks.at(-1)?.['choices'][0].finish_reason, 'stop');
    assert.ok(chunks.every((chunk) => chunk['object'] === 'chat.completion.chunk' && !('usage' in chunk)));
    assert.equal(new Set(chunks.map((chunk) => chunk['id'])).size, 1);
  });

  it('adds a usage chunk with empty choices, and null elsewhere, when asked to', async () => {
    const options = { stream: true, stream_options: { include_usage: true } };
    const chunks = parsed(await frames('/v1/chat/completions', { model: 'any', messages: MESSAGES, ...options }));
    const last = chunks.pop();
    assert.deepEqual(last?.['choices'], []);
    assert.equal(last?.['usage'].completion_tokens, 16);
    assert.ok(chunks.every((chunk) => chunk['usage'] === null && chunk['choices'].length === 1));
  });

  it('stamps each frame with the monotonic clock', async () => {
    const beforeNs = Number(process.hrtime.bigint());
    const chunks = parsed(await frames('/v1/chat/completions', { model: 'any', messages: MESSAGES, stream: true }));
    const afterNs = Number(process.hrtime.bigint());
    for (const chunk of chunks) assert.ok(chunk['t'] >= beforeNs && chunk['t'] <= afterNs);
  });

  it('calls the tool it is given, with arguments that fit its schema, whole and streamed alike', async () => {
    const request = { model: 'any', messages: MESSAGES, tools: [TOOL] };
    const whole = await postJson('/v1/chat/completions', request);
    const call = whole['choices'][0].message.tool_calls[0];
    assert.equal(whole['choices'][0].finish_reason, 'tool_calls');
    assert.equal(call.function.name, 'weather');
    assert.deepEqual(JSON.parse(call.function.arguments), { city: 'mock', days: 3, unit: 'c' });

    const chunks = parsed(await frames('/v1/chat/completions', { ...request, stream: true }));
    const parts = chunks.flatMap((chunk) => chunk['choices'][0].delta.tool_calls ?? []);
    assert.equal(parts[0].function.name, 'weather');
    assert.ok(parts.length > 2, 'arguments come in pieces');
    assert.equal(parts.map((part: Json) => part['function'].arguments).join(''), call.function.arguments);
  });

  it('answers in words after a tool result, or when told to call none', async () => {
    const result = { role: 'tool', tool_call_id: 'call_1', content: '12 °C' };
    const done = await postJson('/v1/chat/completions', { model: 'a', messages: [...MESSAGES, result], tools: [TOOL] });
    assert.equal(done['choices'][0].finish_reason, 'stop');
    const none = { model: 'a', messages: MESSAGES, tools: [TOOL], tool_choice: 'none' };
    assert.equal((await postJson('/v1/chat/completions', none))['choices'][0].finish_reason, 'stop');
  });

  it('answers with JSON where a JSON schema asks for it', async () => {
    const schema = { type: 'object', properties: { ok: { type: 'boolean' } }, required: ['ok'] };
    const format = { type: 'json_schema', json_schema: { name: 'x', schema } };
    const reply = await postJson('/v1/chat/completions', { model: 'a', messages: MESSAGES, response_format: format });
    assert.deepEqual(JSON.parse(reply['choices'][0].message.content), { ok: true });
  });

  it('repeats the choice n times', async () => {
    const reply = await postJson('/v1/chat/completions', { model: 'a', messages: MESSAGES, n: 3 });
    assert.deepEqual(
      reply['choices'].map((choice: Json) => choice['index']),
      [0, 1, 2],
    );
  });
});

describe('the other OpenAI endpoints', () => {
  it('completions, whole and streamed', async () => {
    const reply = await postJson('/v1/completions', { model: 'a', prompt: 'x' });
    assert.equal(reply['object'], 'text_completion');
    assert.equal(typeof reply['choices'][0].text, 'string');
    const request = { model: 'a?tokens=4', prompt: 'x', stream: true, stream_options: { include_usage: true } };
    const chunks = parsed(await frames('/v1/completions', request));
    assert.equal(chunks.length, 4 + 1 + 1);
    assert.equal(chunks.at(-1)?.['usage'].completion_tokens, 4);
  });

  it('embeddings as numbers and as base64, one per input', async () => {
    const request = { model: 'a', input: ['x', 'y'], dimensions: 8 };
    const plain = await postJson('/v1/embeddings', request);
    assert.equal(plain['data'].length, 2);
    assert.equal(plain['data'][1].embedding.length, 8);
    assert.equal(plain['usage'].total_tokens, plain['usage'].prompt_tokens);
    const coded = await postJson('/v1/embeddings', { ...request, encoding_format: 'base64' });
    const bytes = Buffer.from(coded['data'][0].embedding, 'base64');
    const vector = new Float32Array(bytes.buffer, bytes.byteOffset, 8);
    assert.deepEqual([...vector], plain['data'][0].embedding);
  });

  it('moderations, images, rerank and models', async () => {
    assert.equal((await postJson('/v1/moderations', { input: 'x' }))['results'][0].flagged, false);
    assert.ok((await postJson('/v1/images/generations', { model: 'a', prompt: 'x' }))['data'][0].b64_json);
    const ranked = await postJson('/v1/rerank', { model: 'a', query: 'x', documents: ['a', 'b', 'c'], top_n: 2 });
    assert.deepEqual(
      ranked['results'].map((result: Json) => result['index']),
      [0, 1],
    );
    const models = (await (await fetch(`${mock.url}/v1/models`)).json()) as Json;
    assert.ok(models['data'].length > 0);
    const model = (await (await fetch(`${mock.url}/v1/models/a%2Fb`)).json()) as Json;
    assert.equal(model['id'], 'a/b');
  });

  it('images as a stream', async () => {
    const list = await frames('/v1/images/generations', { model: 'a', prompt: 'x', stream: true });
    assert.deepEqual(
      list.map(({ event }) => event),
      ['image_generation.partial_image', 'image_generation.completed'],
    );
  });

  it('speech as bytes of every value', async () => {
    const reply = await post('/v1/audio/speech', { model: 'a?bytes=2000', input: 'x', voice: 'alloy' });
    assert.equal(reply.headers.get('content-type'), 'audio/mpeg');
    const bytes = new Uint8Array(await reply.arrayBuffer());
    assert.equal(bytes.length, 2000);
    assert.equal(new Set(bytes).size, 256);
  });
});

describe('responses', () => {
  it('can be fetched, cancelled, listed and deleted by id', async () => {
    const made = await postJson('/v1/responses', { model: 'a', input: 'hello' });
    assert.equal(made['output'][0].content[0].type, 'output_text');
    assert.equal(made['usage'].total_tokens, made['usage'].input_tokens + made['usage'].output_tokens);
    const url = `${mock.url}/v1/responses/${made['id']}`;
    assert.equal(((await (await fetch(url)).json()) as Json)['id'], made['id']);
    const cancelled = await fetch(`${url}/cancel`, { method: 'POST' });
    assert.equal(((await cancelled.json()) as Json)['status'], 'cancelled');
    const items = (await (await fetch(`${url}/input_items`)).json()) as Json;
    assert.equal(items['data'][0].content[0].text, 'hello');
    assert.equal(((await (await fetch(url, { method: 'DELETE' })).json()) as Json)['deleted'], true);
    assert.equal((await fetch(url)).status, 404);
  });

  it('streams events numbered without a gap, the last of them with usage', async () => {
    const list = await frames('/v1/responses', { model: 'a?tokens=2', input: 'x', stream: true });
    const events = parsed(list);
    assert.deepEqual(
      events.map((event) => event['sequence_number']),
      events.map((_, i) => i),
    );
    assert.deepEqual(
      list.map(({ event }) => event),
      events.map((event) => event['type']),
    );
    assert.equal(events[0]?.['type'], 'response.created');
    const last = events.at(-1);
    assert.equal(last?.['type'], 'response.completed');
    assert.equal(last?.['response'].usage.output_tokens, 2);
    const text = events
      .filter((event) => event['type'] === 'response.output_text.delta')
      .map((event) => event['delta']);
    assert.equal(text.join(''), last?.['response'].output[0].content[0].text);
  });

  it('calls tools', async () => {
    const tool = { type: 'function', ...TOOL.function };
    const reply = await postJson('/v1/responses', { model: 'a', input: 'x', tools: [tool] });
    assert.equal(reply['output'][0].type, 'function_call');
    const events = parsed(await frames('/v1/responses', { model: 'a', input: 'x', tools: [tool], stream: true }));
    const pieces = events.filter((event) => event['type'] === 'response.function_call_arguments.delta');
    assert.equal(pieces.map((event) => event['delta']).join(''), reply['output'][0].arguments);
  });
});

describe('Anthropic', () => {
  it('messages, tools and count_tokens', async () => {
    const reply = await postJson('/v1/messages', { model: 'a', max_tokens: 9, messages: MESSAGES });
    assert.equal(reply['type'], 'message');
    assert.equal(reply['stop_reason'], 'end_turn');
    assert.equal(reply['usage'].output_tokens, 16);
    const tool = { name: 'weather', input_schema: TOOL.function.parameters };
    const called = await postJson('/v1/messages', { model: 'a', max_tokens: 9, messages: MESSAGES, tools: [tool] });
    assert.deepEqual(called['content'][0].input, { city: 'mock', days: 3, unit: 'c' });
    assert.equal(called['stop_reason'], 'tool_use');
    const count = await postJson('/v1/messages/count_tokens', { model: 'a', messages: MESSAGES });
    assert.ok(count['input_tokens'] > 0);
  });

  it('streams its events in order', async () => {
    const list = await frames('/v1/messages', { model: 'a?tokens=2', max_tokens: 9, messages: MESSAGES, stream: true });
    assert.deepEqual(
      list.map(({ event }) => event),
      [
        'message_start',
        'content_block_start',
        'ping',
        'content_block_delta',
        'content_block_delta',
        'content_block_stop',
        'message_delta',
        'message_stop',
      ],
    );
    for (const [i, event] of parsed(list).entries()) assert.equal(event['type'], list[i]?.event);
  });

  it('has errors in its own envelope', async () => {
    const reply = await post('/v1/messages', { model: 'a?status=529', messages: MESSAGES });
    assert.equal(reply.status, 529);
    const body = (await reply.json()) as Json;
    assert.equal(body['type'], 'error');
    assert.equal(body['error'].type, 'overloaded_error');
  });
});

describe('settings of one reply', () => {
  it('come by header or by model, and the reply keeps the model as asked', async () => {
    const byHeader = await post(
      '/v1/chat/completions',
      { model: 'a', messages: MESSAGES },
      { 'x-mock-status': '429', 'x-mock-retry-after': '7' },
    );
    assert.equal(byHeader.status, 429);
    assert.equal(byHeader.headers.get('retry-after'), '7');
    assert.equal(((await byHeader.json()) as Json)['error'].type, 'rate_limit_error');
    const byModel = await postJson('/v1/chat/completions', { model: 'a?tokens=5', messages: MESSAGES });
    assert.equal(byModel['model'], 'a?tokens=5');
    assert.equal(byModel['usage'].completion_tokens, 5);
  });

  it('that do not exist or are out of range are a 400 that names them', async () => {
    for (const model of ['a?tokns=5', 'a?status=99', 'a?error=nothing', 'a?ttft=x']) {
      const reply = await post('/v1/chat/completions', { model, messages: MESSAGES });
      assert.equal(reply.status, 400, model);
    }
    const header = await post('/v1/chat/completions', { model: 'a', messages: MESSAGES }, { 'x-mock-tokens': '-1' });
    assert.match(((await header.json()) as Json)['error'].message, /tokens/);
  });

  it('reply-bytes gives a body of exactly that size, also with another nonce', async () => {
    for (const nonce of ['a', 'nonce-0123456789', 'x'.repeat(64)]) {
      for (const path of ['/v1/chat/completions', '/v1/completions', '/v1/responses', '/v1/messages']) {
        const reply = await post(path, { model: 'a?bytes=3000', messages: MESSAGES, input: 'x' }, { 'x-nonce': nonce });
        assert.equal((await reply.text()).length, 3000, `${path} ${nonce}`);
      }
    }
  });

  it('echo returns line and headers of the request', async () => {
    const reply = await post(
      '/v1/chat/completions?q=1',
      { model: 'a?echo=1', messages: MESSAGES },
      { 'x-some': 'thing' },
    );
    assert.equal(reply.headers.get('x-echo-x-some'), 'thing');
    assert.equal(reply.headers.get('x-echo-line'), 'POST /v1/chat/completions?q=1');
  });

  it('fail-rate fails about that share', async () => {
    let failed = 0;
    for (let i = 0; i < 200; i++) {
      const reply = await post('/v1/chat/completions', { model: 'a?fail=0.5', messages: MESSAGES });
      await reply.arrayBuffer();
      if (reply.status === 500) failed++;
    }
    assert.ok(failed > 50 && failed < 150, `${failed} of 200`);
  });
});

describe('nonce', () => {
  const body = (user: string): string => JSON.stringify({ model: 'm', user, messages: MESSAGES });

  it('comes back in header, id and text, from the header or from the body', async () => {
    const fromHeader = await post('/v1/chat/completions', body('x'), { 'x-nonce': 'abc.1' });
    assert.equal(fromHeader.headers.get('x-nonce'), 'abc.1');
    for (const nonce of ['nonce-1111', 'nonce-2222', 'nonce-1111', 'nonce-33333']) {
      const reply = await post('/v1/chat/completions', body(nonce));
      assert.equal(reply.headers.get('x-nonce'), nonce);
      const json = (await reply.json()) as Json;
      assert.equal(json['id'], `chatcmpl-${nonce}`);
      assert.ok(json['choices'][0].message.content.startsWith(`${nonce} `));
    }
  });

  it('a body that differs from a remembered one in more than its nonce is read anew', async () => {
    const plain = body('nonce-aaaaaaaaaaaaaaaa');
    assert.equal((await postJson('/v1/chat/completions', plain))['model'], 'm');
    const closed = plain.replace('nonce-aaaaaaaaaaaaaaaa', 'nonce-a","model":"zzzz');
    const before = plain.replace('"model":"m"', '"model":"k"');
    const behind = plain.replace('"messages":[', '"n":2,"me":[');
    for (const other of [closed, before, behind]) assert.equal(other.length, plain.length);
    assert.equal((await postJson('/v1/chat/completions', closed))['model'], 'zzzz');
    assert.equal((await postJson('/v1/chat/completions', before))['model'], 'k');
    assert.equal((await postJson('/v1/chat/completions', behind))['choices'].length, 2);
  });

  it('differs for each request that brings none', async () => {
    const ids = new Set<string>();
    for (let i = 0; i < 3; i++)
      ids.add((await postJson('/v1/chat/completions', { model: 'a', messages: MESSAGES }))['id']);
    assert.equal(ids.size, 3);
  });
});

describe('what it refuses', () => {
  it('bodies that are not one JSON object, requests without a model, unknown routes and methods', async () => {
    assert.equal((await post('/v1/chat/completions', '{')).status, 400);
    assert.equal((await post('/v1/chat/completions', '[]')).status, 400);
    assert.equal((await post('/v1/chat/completions', '{}')).status, 400);
    assert.equal((await post('/v1/nothing', '{}')).status, 404);
    assert.equal((await fetch(`${mock.url}/v1/chat/completions`)).status, 405);
  });
});
