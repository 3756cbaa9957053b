import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { describe, test } from 'node:test';
import type { TokenUsage } from '../usage/token-usage.ts';
import { asBytes, type Bytes } from '../../base/bytes.ts';
import type { UsageShape } from '../endpoints.ts';
import { MAX_EDITED_EVENT_BYTES, StreamReplyReader } from './stream-reply-reader.ts';

interface Options {
  readonly shape?: UsageShape;
  readonly replyModel?: string | null;
  readonly drops?: boolean;
}

interface Outcome {
  readonly text: string;
  readonly usage: unknown;
  readonly firstEvent: string;
  readonly sawError: boolean;
  readonly done: boolean;
  readonly responseId: string | null;
  readonly eventCount: number;
}

const reader = new StreamReplyReader();

/** Reads `bytes` cut at `cuts`. Each piece lies inside a larger buffer that is overwritten once the next piece comes. */
function readCut(bytes: Uint8Array, cuts: readonly number[], options: Options): Outcome {
  const replyModel = options.replyModel ?? null;
  reader.reset({
    shape: options.shape ?? 'openai',
    replyModel: replyModel === null ? null : asBytes(Buffer.from(JSON.stringify(replyModel))),
    dropUsageOnlyEvents: options.drops ?? false,
  });
  const relayed: Buffer[] = [];
  let from = 0;
  for (const to of [...cuts, bytes.length]) {
    const chunk = Buffer.alloc(to - from + 6, '\n');
    chunk.set(bytes.subarray(from, to), 3);
    const out: Bytes[] = [];
    reader.push(asBytes(chunk), 3, 3 + to - from, out);
    assert.ok(out.every((piece) => piece.length > 0));
    for (const piece of out) relayed.push(Buffer.from(piece));
    chunk.fill(0xee);
    from = to;
  }
  const out: Bytes[] = [];
  reader.finish(out);
  const { usage, firstEvent, sawError, done, responseId, eventCount } = reader;
  const text = Buffer.concat([...relayed, ...out]).toString();
  return { text, usage, firstEvent, sawError, done, responseId, eventCount };
}

/** Whole, cut in two at every offset, and in pieces of 1, 2, 3 and 5 bytes: always the same. */
function read(text: string, options: Options = {}): Outcome {
  const bytes = Buffer.from(text);
  const expected = readCut(bytes, [], options);
  for (let cut = 1; cut < bytes.length; cut += 1) {
    assert.deepEqual(readCut(bytes, [cut], options), expected, `cut at byte ${cut}`);
  }
  for (const size of [1, 2, 3, 5]) {
    const cuts = Array.from({ length: Math.ceil(bytes.length / size) - 1 }, (_, n) => (n + 1) * size);
    assert.deepEqual(readCut(bytes, cuts, options), expected, `pieces of ${size}`);
  }
  return expected;
}

function tierIn({ usage }: Outcome): unknown {
  return (usage as TokenUsage | null)?.details?.serviceTier;
}

function fixture(name: string): string {
  return readFileSync(new URL(`fixtures/${name}`, import.meta.url), 'utf8');
}

const chunk = (rest: string, model = 'm-1'): string => `{"id":"a","model":"${model}",${rest}}`;
const delta = '"choices":[{"delta":{"content":"x"}}]';
const usageChunk = chunk('"choices":[],"usage":{"prompt_tokens":3,"completion_tokens":4,"total_tokens":7}');
const plainUsage = { inputTokens: 3, outputTokens: 4, cacheReadTokens: 0, cacheWriteTokens: 0, reasoningTokens: 0 };

describe('OpenAI chat stream', () => {
  const source = fixture('synthetic-openai-chat.sse');
  const usage = { inputTokens: 21, outputTokens: 9, cacheReadTokens: 4, cacheWriteTokens: 0, reasoningTokens: 3 };
  const rest = { usage, firstEvent: 'data', sawError: false, done: true, responseId: null, eventCount: 6 };

  test('without edits every byte passes', () => {
    assert.deepEqual(read(source), { text: source, ...rest });
  });

  test('the top-level model of each event is replaced, and nothing else', () => {
    const text = source.replaceAll('"gpt-4o-2024-08-06"', '"my \\"model\\""');
    assert.deepEqual(read(source, { replyModel: 'my "model"' }), { text, ...rest });
  });

  test('the service tier of the usage is told', () => {
    const tiered = (tier: string): string => chunk(`"service_tier":"${tier}","choices":[]`);
    const usageOf = (tier: string): string =>
      chunk(`"service_tier":"${tier}","choices":[],"usage":{"prompt_tokens":3}`);
    const tierOf = (stream: string): unknown => tierIn(read(stream));
    assert.equal(tierOf(`data: ${tiered('flex')}\n\ndata: ${usageOf('priority')}\n\ndata: [DONE]\n\n`), 'priority');
    assert.equal(tierOf(`data: ${usageOf('default')}\n\ndata: [DONE]\n\n`), undefined);
  });

  test('a model that is called so already is left alone', () => {
    assert.deepEqual(read(source, { replyModel: 'gpt-4o-2024-08-06' }), { text: source, ...rest });
  });

  test('the usage-only chunk is taken out with its separator', () => {
    const text = source.replace(/data: [^\n]*"choices":\[\],[^\n]*\n\n/, '');
    assert.notEqual(text, source);
    assert.deepEqual(read(source, { drops: true }), { text, ...rest });
    const spliced = text.replaceAll('"gpt-4o-2024-08-06"', '"other"');
    assert.deepEqual(read(source, { drops: true, replyModel: 'other' }), { text: spliced, ...rest });
  });

  for (const [name, separator] of [
    ['CRLF', '\r\n'],
    ['CR', '\r'],
  ] as const) {
    test(`the same with ${name} line ends`, () => {
      const other = source.replaceAll('\n', separator);
      const text = other
        .replace(/data: [^\r]*"choices":\[\],[^\r]*\r\n?\r\n?/, '')
        .replaceAll('"gpt-4o-2024-08-06"', '"z"');
      assert.deepEqual(read(other, { drops: true, replyModel: 'z' }), { text, ...rest });
    });
  }

  test('Azure: model after choices, an empty first chunk that stays', () => {
    const azure = fixture('synthetic-azure-chat.sse');
    const text = azure
      .replace(/data: [^\n]*"choices":\[\],[^\n]*"usage"[^\n]*\n\n/, '')
      .replaceAll('"gpt-4o-mini-2024-07-18"', '"a"')
      .replace('"model":""', '"model":"a"');
    const result = read(azure, { drops: true, replyModel: 'a' });
    assert.equal(result.text, text);
    assert.equal(result.eventCount, 5);
    assert.deepEqual(result.usage, { ...plainUsage, inputTokens: 8, outputTokens: 1 });
  });
});

describe('what is dropped', () => {
  const kept: Record<string, string> = {
    'usage beside choices': chunk(`${delta},"usage":{"prompt_tokens":1}`),
    'empty choices, usage null': chunk('"choices":[],"usage":null'),
    'empty choices, no usage': chunk('"choices":[]'),
    'usage without choices': chunk('"usage":{"prompt_tokens":1}'),
    'choices with an empty array in it': chunk('"choices":[[]],"usage":{"prompt_tokens":1}'),
    'usage that is a list': chunk('"choices":[],"usage":[]'),
    'empty choices inside': chunk('"x":{"choices":[],"usage":{}}'),
  };
  for (const [name, data] of Object.entries(kept)) {
    test(`kept: ${name}`, () => {
      const text = `data: ${data}\n\n`;
      assert.equal(read(text, { drops: true }).text, text);
    });
  }

  test('white space in the empty list', () => {
    assert.equal(read(`data: {"choices" : [ \t ] , "usage" : {} }\n\n`, { drops: true }).text, '');
  });

  test('only in the OpenAI shape', () => {
    const text = `data: ${usageChunk}\n\n`;
    assert.equal(read(text, { drops: true, shape: 'openai-responses' }).text, text);
  });

  test('a CRLF after a dropped event goes with it, in any cut', () => {
    const source = `data: ${usageChunk}\r\n\r\ndata: [DONE]\r\n\r\n`;
    assert.equal(read(source, { drops: true }).text, 'data: [DONE]\r\n\r\n');
  });

  test('a dropped event without its end, at the end of the stream', () => {
    const result = read(`data: ${chunk(delta)}\n\ndata: ${usageChunk}`, { drops: true });
    assert.equal(result.text, `data: ${chunk(delta)}\n\n`);
    assert.deepEqual(result.usage, plainUsage);
  });
});

test('the newest usage with counts stands', () => {
  const usages = ['{"prompt_tokens":1}', '{"prompt_tokens":2,"completion_tokens":3}', 'null', '{}', '{"cost":1}'];
  const source = usages.map((usage) => `data: ${chunk(`${delta},"usage":${usage}`)}\n\n`).join('');
  assert.deepEqual(read(source).usage, { ...plainUsage, inputTokens: 2, outputTokens: 3 });
});

describe('events of odd form', () => {
  const cases: Record<string, { source: string; text?: string; eventCount: number; firstEvent?: string }> = {
    'no space after data:': {
      source: `data:${chunk(delta)}\n\n`,
      text: `data:${chunk(delta, 'Z')}\n\n`,
      eventCount: 1,
    },
    'two spaces after data:': {
      source: `data:  ${chunk(delta)}\n\n`,
      text: `data:  ${chunk(delta, 'Z')}\n\n`,
      eventCount: 1,
    },
    'mixed line ends': {
      source: `data: ${chunk(delta)}\r\n\rdata: ${chunk(delta)}\n\r\n`,
      text: `data: ${chunk(delta, 'Z')}\r\n\rdata: ${chunk(delta, 'Z')}\n\r\n`,
      eventCount: 2,
    },
    'CR CR LF ends an event': {
      source: `data: ${chunk(delta)}\r\r\ndata: [DONE]\r\r\n`,
      text: `data: ${chunk(delta, 'Z')}\r\r\ndata: [DONE]\r\r\n`,
      eventCount: 2,
    },
    'comments and blank lines': {
      source: ': hi\n\n\n\n: OPENROUTER PROCESSING\n\n',
      eventCount: 0,
      firstEvent: 'none',
    },
    'comment inside an event': {
      source: `: c\ndata: ${chunk(delta)}\nid: 4\nretry: 10\n\n`,
      text: `: c\ndata: ${chunk(delta, 'Z')}\nid: 4\nretry: 10\n\n`,
      eventCount: 1,
    },
    'JSON over two data lines is left alone': { source: 'data: {"model":\ndata: "m-1"}\n\n', eventCount: 1 },
    'no JSON': { source: 'data: hello\n\n', eventCount: 1 },
    'JSON that is not an object': { source: 'data: [1]\n\ndata: "model"\n\n', eventCount: 2 },
    'truncated JSON': { source: 'data: {"model":"m-1"\n\n', eventCount: 1 },
    'data without a colon, and empty': { source: 'data\n\ndata:\n\ndata: \n\n', eventCount: 3, firstEvent: 'none' },
    'database is another field': { source: 'database: {"model":"m-1"}\n\n', eventCount: 0, firstEvent: 'none' },
    'byte order mark': {
      source: `\uFEFFdata: ${chunk(delta)}\n\n`,
      text: `\uFEFFdata: ${chunk(delta, 'Z')}\n\n`,
      eventCount: 1,
    },
    'model that is no string': {
      source: 'data: {"model":null,"choices":[]}\n\ndata: {"model":{"model":"m-1"}}\n\n',
      eventCount: 2,
    },
    'the last of two models counts': {
      source: 'data: {"model":"m-1","model":"m-2"}\n\n',
      text: 'data: {"model":"m-1","model":"Z"}\n\n',
      eventCount: 1,
    },
    'escaped key': { source: 'data: {"mod\\u0065l":"m-1"}\n\n', text: 'data: {"mod\\u0065l":"Z"}\n\n', eventCount: 1 },
    'no end': { source: `data: ${chunk(delta)}`, text: `data: ${chunk(delta, 'Z')}`, eventCount: 1 },
    'NUL and bytes that are not UTF-8 pass': { source: 'data: \0\u0080\n\n', eventCount: 1 },
  };
  for (const [name, { source, text, eventCount, firstEvent }] of Object.entries(cases)) {
    test(name, () => {
      const result = read(source, { replyModel: 'Z', drops: true });
      assert.equal(result.text, text ?? source);
      assert.equal(result.eventCount, eventCount);
      assert.equal(result.firstEvent, firstEvent ?? 'data');
      assert.equal(read(source).text, source);
    });
  }

  test('DONE counts without its empty line', () => {
    assert.equal(read('data: {"a":1}\n\ndata: [DONE]\n').done, true);
  });
});

describe('the shortcut for events that begin alike', () => {
  const rows = [
    chunk(delta),
    chunk(delta),
    chunk('"choices":[],"usage":{"prompt_tokens":9}'),
    chunk('"x":{"choices":1},"choices":[1]'), // the same beginning, choices elsewhere
    chunk('"choices":[2]'),
    chunk('"choices":[3],"model":"m-9"'), // a second model, behind
    chunk('"choices":[4]'),
    chunk('"choices":[5],"choices":[6]'),
    chunk('"choices":[7]'),
    '{"choices":[8],"model":"m-1"}',
    '{"choices":[9]}',
    '{"choices":[9],"error":{"message":"no"}}',
    chunk('"choices":[10'), // broken
    chunk('"choices":[11]'),
  ];

  test('gives what each event gives alone', () => {
    const together = read(rows.map((row) => `data: ${row}\n\n`).join(''), { replyModel: 'Z', drops: true });
    const alone = rows.map(
      (row) => readCut(Buffer.from(`data: ${row}\n\n`), [], { replyModel: 'Z', drops: true }).text,
    );
    assert.equal(together.text, alone.join(''));
    assert.equal(together.sawError, true);
    assert.deepEqual(together.usage, { ...plainUsage, inputTokens: 9, outputTokens: 0 });
    assert.ok(alone[5]?.includes('"model":"m-1"') && alone[5].includes('"model":"Z"'));
  });
});

describe('Anthropic stream', () => {
  const source = fixture('synthetic-anthropic-messages.sse');
  const usage = {
    inputTokens: 2112,
    outputTokens: 15,
    cacheReadTokens: 2000,
    cacheWriteTokens: 100,
    reasoningTokens: 0,
  };
  const rest = { usage, firstEvent: 'data', sawError: false, done: true, responseId: null, eventCount: 7 };

  test('the model of message_start is replaced', () => {
    assert.deepEqual(read(source, { shape: 'anthropic' }), { text: source, ...rest });
    const text = source.replace('"claude-sonnet-4-5-20250929"', '"sonnet"');
    assert.deepEqual(read(source, { shape: 'anthropic', replyModel: 'sonnet' }), { text, ...rest });
  });

  test('spaces in the JSON change nothing', () => {
    const spaced = source.replaceAll(
      /data: (\{.*)/g,
      (_, json: string) => `data: ${JSON.stringify(JSON.parse(json), null, 1).replaceAll('\n', '')}`,
    );
    const result = read(spaced, { shape: 'anthropic', replyModel: 'sonnet' });
    assert.deepEqual(result, { ...rest, text: spaced.replace('"claude-sonnet-4-5-20250929"', '"sonnet"') });
  });

  test('after message_start bytes are not held back', () => {
    reader.reset({ shape: 'anthropic', replyModel: asBytes(Buffer.from('"x"')), dropUsageOnlyEvents: false });
    const at = source.indexOf('text_delta');
    const out: Bytes[] = [];
    reader.push(asBytes(Buffer.from(source.slice(0, at))), 0, Buffer.byteLength(source.slice(0, at)), out);
    assert.match(Buffer.concat(out).toString(), /"delta":\{"type":"$/);
  });

  test('message_delta may restate and raise counts', () => {
    const restated = source.replace(
      '"usage":{"output_tokens":15}',
      '"usage":{"input_tokens":50,"cache_read_input_tokens":null,"output_tokens":16,"output_tokens_details":{"thinking_tokens":4}}',
    );
    const result = read(restated, { shape: 'anthropic' });
    assert.deepEqual(result.usage, { ...usage, inputTokens: 2150, outputTokens: 16, reasoningTokens: 4 });
  });

  test('a stream cut off has the usage so far', () => {
    const cut = source.slice(0, source.indexOf('event: content_block_stop'));
    const result = read(cut, { shape: 'anthropic' });
    assert.deepEqual([result.done, result.usage], [false, { ...usage, outputTokens: 1 }]);
  });

  test('a ping is no first event, an error is', () => {
    const ping = 'event: ping\ndata: {"type": "ping"}\n\n';
    const error = 'event: error\ndata: {"type":"error","error":{"type":"overloaded_error","message":"Overloaded"}}\n\n';
    assert.equal(read(ping, { shape: 'anthropic' }).firstEvent, 'none');
    assert.equal(read(ping + error, { shape: 'anthropic' }).firstEvent, 'error');
    const late = read(source + error, { shape: 'anthropic' });
    assert.deepEqual([late.firstEvent, late.sawError], ['data', true]);
  });
});

describe('Responses stream', () => {
  const source = fixture('synthetic-openai-responses.sse');
  const usage = { inputTokens: 36, outputTokens: 87, cacheReadTokens: 5, cacheWriteTokens: 2, reasoningTokens: 64 };
  const rest = { usage, firstEvent: 'data', sawError: false, done: true, responseId: 'resp_DDD444', eventCount: 6 };
  const shape = 'openai-responses';

  test('response.model is replaced in each event that has it', () => {
    assert.deepEqual(read(source, { shape }), { text: source, ...rest });
    const text = source.replaceAll('"gpt-4o-2024-08-06"', '"mine-4"');
    assert.deepEqual(read(source, { shape, replyModel: 'mine-4' }), { text, ...rest });
  });

  test('the service tier of the usage is told', () => {
    const flex = source.replaceAll('"usage":{', '"service_tier":"flex","usage":{');
    assert.notEqual(flex, source);
    assert.equal(tierIn(read(flex, { shape })), 'flex');
    assert.equal(tierIn(read(source, { shape })), undefined);
  });

  test('response.failed is an error and an end', () => {
    const failed =
      'event: response.failed\ndata: {"type":"response.failed","response":{"id":"resp_1","status":"failed","error":{"code":"server_error","message":"x"},"usage":null}}\n\n';
    const first = read(failed, { shape });
    assert.deepEqual([first.firstEvent, first.done, first.responseId], ['error', true, 'resp_1']);
    const later = read(source.replace(/event: response.completed[^]*/, failed), { shape });
    assert.deepEqual([later.firstEvent, later.sawError, later.done], ['data', true, true]);
  });

  test('response.incomplete is an end', () => {
    assert.equal(read(source.replaceAll('response.completed', 'response.incomplete'), { shape }).done, true);
  });

  test('images: usage at the top level', () => {
    const image =
      'data: {"type":"image_generation.completed","b64_json":"iVBO","usage":{"total_tokens":100,"input_tokens":50,"output_tokens":50}}\n\n';
    const result = read(image, { shape });
    assert.deepEqual([result.done, result.usage], [true, { ...plainUsage, inputTokens: 50, outputTokens: 50 }]);
  });
});

describe('the first event', () => {
  const errors: Record<string, string> = {
    'error object': 'data: {"error":{"message":"boom","code":500}}\n\n',
    'error text': 'data: {"error":"boom"}\n\n',
    'event: error': 'event: error\ndata: {"message":"boom"}\n\n',
    'event: error, text': 'event: error\ndata: boom\n\n',
    'event: error, several lines': 'event: error\ndata: boom\ndata: boom\n\n',
    'type error': 'data: {"type":"error","message":"boom"}\n\n',
    'object error': 'data: {"object":"error","message":"boom","code":400}\n\n',
    'after comments': ': wait\n\n: wait\n\ndata: {"error":{"message":"boom"}}\n\n',
  };
  for (const [name, source] of Object.entries(errors)) {
    test(`error: ${name}`, () => {
      assert.equal(read(source).firstEvent, 'error');
      assert.equal(read(`data: {"choices":[]}\n\n${source}`).firstEvent, 'data');
    });
  }
  test('a null error beside data is none', () => {
    assert.equal(read(`data: ${chunk(`${delta},"error":null`)}\n\n`).firstEvent, 'data');
  });
  test('shape none reads errors of the first event only', () => {
    assert.deepEqual(read('data: {"error":{}}\n\ndata: [DONE]\n\n', { shape: 'none', replyModel: 'x', drops: true }), {
      text: 'data: {"error":{}}\n\ndata: [DONE]\n\n',
      usage: null,
      firstEvent: 'error',
      sawError: true,
      done: true,
      responseId: null,
      eventCount: 2,
    });
  });
});

describe('long events', () => {
  const padding = 'x'.repeat(MAX_EDITED_EVENT_BYTES);
  const cutsEvery = (length: number, size: number): number[] =>
    Array.from({ length: Math.ceil(length / size) - 1 }, (_, n) => (n + 1) * size);

  function sameInAllCuts(source: string, options: Options): Outcome {
    const bytes = Buffer.from(source);
    const expected = readCut(bytes, [], options);
    for (const size of [1_000_003, 65_536, 16_381]) {
      assert.deepEqual(readCut(bytes, cutsEvery(bytes.length, size), options), expected, `pieces of ${size}`);
    }
    for (const cut of [6, 30, bytes.length - 200, bytes.length - 3, bytes.length - 1]) {
      assert.deepEqual(readCut(bytes, [cut], options), expected, `cut at ${cut}`);
    }
    return expected;
  }

  test('pass unedited, and their usage is read', () => {
    const long = `data: ${chunk(`"choices":[{"t":"${padding}"}],"usage":{"prompt_tokens":3,"completion_tokens":4,"total_tokens":7}`)}\n\n`;
    const source = `data: ${chunk(delta)}\n\n${long}data: ${chunk(delta)}\r\n\r\n`;
    const result = sameInAllCuts(source, { replyModel: 'Z', drops: true });
    assert.equal(result.text, `data: ${chunk(delta, 'Z')}\n\n${long}data: ${chunk(delta, 'Z')}\r\n\r\n`);
    assert.deepEqual(result.usage, plainUsage);
    assert.equal(result.eventCount, 3);
  });

  test('response.completed with images', () => {
    const [before = '', after = ''] = fixture('synthetic-openai-responses.sse').split(/(?=event: response.completed)/);
    const long = before + after.replace('"text":"Hi"', `"text":"${padding}"`);
    const result = sameInAllCuts(long, { shape: 'openai-responses' });
    assert.equal(result.text, long);
    assert.deepEqual(result.usage, {
      inputTokens: 36,
      outputTokens: 87,
      cacheReadTokens: 5,
      cacheWriteTokens: 2,
      reasoningTokens: 64,
    });
    assert.deepEqual([result.done, result.responseId, result.sawError], [true, 'resp_DDD444', false]);
  });

  test('an event that never ends', () => {
    const source = `data: {"model":"m-1","x":"${padding}${padding}`;
    const result = sameInAllCuts(source, { replyModel: 'Z' });
    assert.equal(result.text.length, source.length);
  });

  test('just under the limit it is still edited', () => {
    const head = 'data: {"model":"m-1","x":"';
    const fits = `${head}${'x'.repeat(MAX_EDITED_EVENT_BYTES - head.length - 4)}"}\n\n`;
    assert.equal(fits.length, MAX_EDITED_EVENT_BYTES);
    assert.match(sameInAllCuts(fits, { replyModel: 'Z' }).text.slice(0, 30), /"model":"Z"/);
    assert.match(sameInAllCuts(fits.replace('xx', 'xxx'), { replyModel: 'Z' }).text.slice(0, 30), /"model":"m-1"/);
  });
});

describe('bytes through', () => {
  test('one piece per chunk when nothing changes', () => {
    const bytes = asBytes(Buffer.from(fixture('synthetic-openai-chat.sse')));
    reader.reset({ shape: 'openai', replyModel: null, dropUsageOnlyEvents: false });
    const out: Bytes[] = [];
    reader.push(bytes, 0, bytes.length, out);
    assert.equal(out.length, 1);
    assert.equal(out[0], bytes);
  });

  test('without edits half an event leaves at once; with them it waits', () => {
    const half = asBytes(Buffer.from('data: {"model":"m'));
    for (const replyModel of [null, asBytes(Buffer.from('"Z"'))]) {
      reader.reset({ shape: 'openai', replyModel, dropUsageOnlyEvents: false });
      const out: Bytes[] = [];
      reader.push(half, 0, half.length, out);
      assert.equal(Buffer.concat(out).toString(), replyModel === null ? 'data: {"model":"m' : '');
    }
  });
});
