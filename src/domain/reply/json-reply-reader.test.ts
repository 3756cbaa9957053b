import assert from 'node:assert/strict';
import { test } from 'node:test';
import { asBytes } from '../../base/bytes.ts';
import type { UsageShape } from '../endpoints.ts';
import { JsonReplyReader } from './json-reply-reader.ts';

const reader = new JsonReplyReader();

function readCut(bytes: Uint8Array, cuts: readonly number[], shape: UsageShape): object {
  reader.reset(shape);
  let from = 0;
  for (const to of [...cuts, bytes.length]) {
    const chunk = Buffer.alloc(to - from + 4, '"');
    chunk.set(bytes.subarray(from, to), 2);
    reader.push(asBytes(chunk), 2, 2 + to - from);
    chunk.fill(0xee);
    from = to;
  }
  reader.finish();
  const { modelStart, modelEnd, usage, id, valid } = reader;
  const model = modelStart === -1 ? null : Buffer.from(bytes).toString('utf8', modelStart, modelEnd);
  return { model, usage: usage === null ? null : Object.values(usage), id, valid };
}

function read(text: string, shape: UsageShape = 'openai'): object {
  const bytes = Buffer.from(text);
  const expected = readCut(bytes, [], shape);
  for (let cut = 1; cut < bytes.length; cut += 1)
    assert.deepEqual(readCut(bytes, [cut], shape), expected, `cut ${cut}`);
  const everyByte = Array.from({ length: Math.max(bytes.length - 1, 0) }, (_, n) => n + 1);
  assert.deepEqual(readCut(bytes, everyByte, shape), expected, 'byte by byte');
  return expected;
}

const nothing = { model: null, usage: null, id: null };

test('chat completion', () => {
  const reply = {
    id: 'chatcmpl-1',
    object: 'chat.completion',
    model: 'gpt-4o-2024-08-06',
    choices: [{ message: { content: '"model":"no","usage":{"prompt_tokens":9}' } }],
    usage: { prompt_tokens: 7, completion_tokens: 8, total_tokens: 15 },
  };
  const expected = { model: '"gpt-4o-2024-08-06"', usage: [7, 8, 0, 0, 0], id: null, valid: true };
  assert.deepEqual(read(JSON.stringify(reply)), expected);
  assert.deepEqual(read(` \n${JSON.stringify(reply, null, 2)}\n`), expected);
});

test('Anthropic message', () => {
  const reply =
    '{"model":"claude","content":[],"usage":{"input_tokens":1,"cache_read_input_tokens":2,"output_tokens":3}}';
  assert.deepEqual(read(reply, 'anthropic'), { model: '"claude"', usage: [3, 3, 2, 0, 0], id: null, valid: true });
});

test('Responses: the id too', () => {
  const reply =
    '{"id":"resp_1\\u0041","output":[{"id":"msg_1","model":"x"}],"model":"gpt","usage":{"input_tokens":1,"output_tokens":2}}';
  assert.deepEqual(read(reply, 'openai-responses'), {
    model: '"gpt"',
    usage: [1, 2, 0, 0, 0],
    id: 'resp_1A',
    valid: true,
  });
});

test('usage is known as soon as it is complete', () => {
  reader.reset('openai');
  const bytes = asBytes(Buffer.from('{"usage":{"prompt_tokens":1},'));
  reader.push(bytes, 0, bytes.length - 2);
  const early = reader.usage;
  reader.push(bytes, bytes.length - 2, bytes.length);
  const { usage } = reader;
  assert.deepEqual([early, usage?.inputTokens], [null, 1]);
});

test('the service tier that served goes with the usage, in whatever order and pieces they come', () => {
  const usage = '"usage":{"prompt_tokens":1}';
  const cases: readonly (readonly [members: string, tier: string | null | undefined])[] = [
    [`${usage},"service_tier":"flex"`, 'flex'],
    [`"service_tier":"priority",${usage}`, 'priority'],
    [`${usage},"service_tier":"default"`, undefined],
    [`${usage},"service_tier":"auto"`, undefined],
    [`${usage},"service_tier":null`, undefined],
    [`${usage},"service_tier":{"flex":1}`, undefined],
    [`${usage},"service_tier":"${'flex'.repeat(100)}"`, undefined],
    [`"service_tier":"flex",${usage},"service_tier":"default"`, undefined],
  ];
  for (const [members, tier] of cases) {
    const bytes = asBytes(Buffer.from(`{"id":"a",${members}}`));
    for (let cut = 0; cut < bytes.length; cut += 1) {
      reader.reset('openai');
      // Behind a piece lies what must not be read.
      reader.push(asBytes(Buffer.concat([bytes.subarray(0, cut), Buffer.from('dd')])), 0, cut);
      reader.push(bytes, cut, bytes.length);
      reader.finish();
      assert.equal(reader.usage?.details?.serviceTier, tier, `${members} cut at ${cut}`);
    }
  }
});

test('escaped names are names', () => {
  assert.deepEqual(read('{"us\\u0061ge":{"prompt_tokens":1},"mode\\u006c":"m"}'), {
    model: '"m"',
    usage: [1, 0, 0, 0, 0],
    id: null,
    valid: true,
  });
});

test('names in another case are not', () => {
  assert.deepEqual(read('{"Model":"m","USAGE":{"prompt_tokens":1}}'), { ...nothing, valid: true });
});

test('the last of repeated names counts', () => {
  assert.deepEqual(read('{"usage":{"prompt_tokens":1},"model":"a","usage":{"prompt_tokens":2},"model":"b"}'), {
    model: '"b"',
    usage: [2, 0, 0, 0, 0],
    id: null,
    valid: true,
  });
  assert.deepEqual(read('{"usage":{"prompt_tokens":1},"usage":null}'), { ...nothing, valid: true });
});

const strange: Record<string, string> = {
  empty: '',
  'a list': '[{"model":"m"}]',
  text: 'Bad Gateway',
  HTML: '<html>"model":"m"</html>',
  BOM: '\uFEFF{"model":"m"}',
  'two objects': '{"x":1}{"model":"m"}',
  'name cut off': '{"x":1,"model":"m',
  'brackets that do not match': '{"x":[}, "model":"m"}',
};
for (const [name, text] of Object.entries(strange)) {
  test(`not one object: ${name}`, () => {
    assert.deepEqual(read(text), { ...nothing, valid: false });
  });
}

test('cut off after what is read', () => {
  assert.deepEqual(read('{"model":"m","usage":{"prompt_tokens":4},"x":'), {
    model: '"m"',
    usage: [4, 0, 0, 0, 0],
    id: null,
    valid: false,
  });
});

test('values of the wrong type', () => {
  assert.deepEqual(read('{"model":["m"],"usage":"many","id":5}', 'openai-responses'), { ...nothing, valid: true });
  assert.deepEqual(read('{"usage":{bad}}'), { ...nothing, valid: true });
  assert.deepEqual(read('{"usage":12}'), { ...nothing, valid: true });
});

test('a usage object beyond the limit is not kept', () => {
  const text = `{"usage":{"x":"${'x'.repeat(65_536)}","prompt_tokens":4}}`;
  const everyKilobyte = Array.from({ length: 64 }, (_, n) => (n + 1) * 1000);
  assert.deepEqual(readCut(Buffer.from(text), [], 'openai'), { ...nothing, valid: true });
  assert.deepEqual(readCut(Buffer.from(text), everyKilobyte, 'openai'), { ...nothing, valid: true });
});

test('shape none reads the model alone', () => {
  assert.deepEqual(read('{"model":"m","id":"x","usage":{"prompt_tokens":1}}', 'none'), {
    ...nothing,
    model: '"m"',
    valid: true,
  });
});
