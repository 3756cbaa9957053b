// The stream reader against a slow one that has the whole stream at hand, parses every event, and shares no code with it.
import fc from 'fast-check';
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { asBytes, type Bytes } from '../../src/base/bytes.ts';
import { StreamReplyReader } from '../../src/domain/reply/stream-reply-reader.ts';
import { fuzz, memberSources, space } from './json-fuzz-support.ts';

const reader = new StreamReplyReader();

interface Reading {
  text: string;
  inputTokens: number | null;
  firstEvent: string;
  done: boolean;
  eventCount: number;
}

interface Options {
  readonly replyModel: string | null;
  readonly drops: boolean;
}

function readInPieces(bytes: Buffer, sizes: readonly number[], options: Options): Reading {
  const replyModel = options.replyModel === null ? null : asBytes(Buffer.from(JSON.stringify(options.replyModel)));
  reader.reset({ shape: 'openai', replyModel, dropUsageOnlyEvents: options.drops });
  const relayed: Buffer[] = [];
  let at = 0;
  for (let n = 0; at < bytes.length; n += 1) {
    const size = sizes.length === 0 ? bytes.length : sizes[n % sizes.length]!;
    const chunk = Buffer.concat([Buffer.from('\n\n'), bytes.subarray(at, at + size), Buffer.from('\n\n')]);
    const out: Bytes[] = [];
    reader.push(asBytes(chunk), 2, chunk.length - 2, out);
    relayed.push(...out.map((piece) => Buffer.from(piece)));
    chunk.fill(0xee);
    at += size;
  }
  const out: Bytes[] = [];
  reader.finish(out);
  const { usage, firstEvent, done, eventCount } = reader;
  const text = Buffer.concat([...relayed, ...out]).toString();
  return { text, inputTokens: usage?.inputTokens ?? null, firstEvent, done, eventCount };
}

function readSlowly(text: string, options: Options): Reading {
  const reading: Reading = { text: '', inputTokens: null, firstEvent: 'none', done: false, eventCount: 0 };
  // An event: lines that aren't empty, then an empty one. Then what is left without an end.
  for (const [event] of text.matchAll(/(?:[^\r\n]+(?:\r\n|\r(?!\n)|\n))*(?:\r\n|\r(?!\n)|\n)|[^]+/g)) {
    reading.text += readEventSlowly(event, options, reading);
  }
  return reading;
}

function readEventSlowly(event: string, options: Options, reading: Reading): string {
  const lines = event.split(/\r\n|\r|\n/).filter((line) => /^data(?::|$)/.test(line));
  const isNamedError = event
    .split(/\r\n|\r|\n/)
    .findLast((line) => /^event(?::|$)/.test(line))
    ?.match(/^event: ?error$/);
  const note = (isError: boolean): void => {
    if (reading.firstEvent === 'none') reading.firstEvent = isError ? 'error' : 'data';
  };
  if (lines.length === 0) return event;
  reading.eventCount += 1;
  const data = lines[0]!.replace(/^data:? ?/, '');
  if (lines.length > 1) note(Boolean(isNamedError));
  if (lines.length > 1 || data === '') return event;
  if (data.startsWith('[')) {
    if (data.startsWith('[DONE]')) reading.done = true;
    note(false);
    return event;
  }
  const value = parse(data);
  if (value === null) {
    note(Boolean(isNamedError));
    return event;
  }
  const error = value['error'];
  const isErrorValue =
    typeof error === 'string' || (typeof error === 'object' && error !== null && !Array.isArray(error));
  note(isErrorValue || value['type'] === 'error' || value['object'] === 'error' || Boolean(isNamedError));
  const usage = value['usage'];
  if (typeof usage === 'object' && usage !== null && !Array.isArray(usage)) {
    const count = (usage as Record<string, unknown>)['prompt_tokens'];
    if (typeof count === 'number') reading.inputTokens = count;
    const { choices } = value;
    if (options.drops && Array.isArray(choices) && choices.length === 0) return '';
  }
  if (options.replyModel === null || typeof value['model'] !== 'string') return event;
  return spliceLast(event, value['model'], options.replyModel);
}

/** Top-level `model` values are marked by the generator: they are the only strings that begin so. */
function spliceLast(event: string, model: string, replyModel: string): string {
  const source = JSON.stringify(model);
  const at = event.lastIndexOf(source);
  assert.ok(model.startsWith('model~') && at !== -1);
  return event.slice(0, at) + JSON.stringify(replyModel) + event.slice(at + source.length);
}

function parse(data: string): Record<string, unknown> | null {
  try {
    const value: unknown = JSON.parse(data);
    return typeof value === 'object' && value !== null && !Array.isArray(value)
      ? (value as Record<string, unknown>)
      : null;
  } catch {
    return null;
  }
}

const lineEnd = fc.oneof({ weight: 4, arbitrary: fc.constant('\n') }, fc.constantFrom('\r\n', '\r'));
const number = fc.nat(9);
const usage = fc.oneof(
  fc.constantFrom('null', '"x"', '[{}]', '5'),
  number.map((count) => `{"prompt_tokens":${count + 1}}`),
);
const choices = fc.oneof(
  fc.constantFrom(
    '[]',
    '[ ]',
    '[[]]',
    '{}',
    'null',
    '[{"usage":{"prompt_tokens":77},"delta":{"content":"\\"choices\\":[]"}}]',
  ),
);
const member = fc.oneof(
  choices.map((value) => `"choices":${value}`),
  usage.map((value) => `"usage":${value}`),
  fc.tuple(number, space).map(([n, s]) => `"model"${s}:${s}"model~${n}"`),
  fc.constantFrom(
    '"id":"a"',
    '"created":1',
    '"error":null',
    '"error":{"message":"x"}',
    '"object":"chunk"',
    '"type":"error"',
    '"model":null',
  ),
  memberSources(['x', 'models', 'y']).map((part) => part.source.replaceAll(/[\r\n]/g, ' ')),
);
/** Most chunks of a stream begin alike, which is what the reader's shortcut lives on. */
const prefix = fc.constantFrom(
  '"id":"a","model":"model~1",',
  '"object":"chunk","model":"model~2",',
  '',
  '"model":"model~1","choices":[1],',
);
const objectData = fc
  .tuple(
    prefix,
    fc.uniqueArray(member, { minLength: 1, maxLength: 4, selector: (source) => source.split(':')[0]!.trim() }),
  )
  .map(([start, members]) => `{${start}${members.join(',')}}`);
const data = fc.oneof(
  { weight: 8, arbitrary: objectData },
  fc.constantFrom('[DONE]', '', 'hello', '[1]', '{"model":"model~1"', '{"choices":[],"usage":{"prompt_tokens":3}}'),
);
const line = fc.oneof(
  {
    weight: 6,
    arbitrary: fc.tuple(fc.constantFrom('data: ', 'data:', 'data:  '), data).map(([name, value]) => name + value),
  },
  fc.constantFrom(': comment', 'event: error', 'event: x', 'event', 'id: 1', 'data', 'datum: {}'),
);
const event = fc
  .tuple(fc.array(line, { minLength: 1, maxLength: 2 }), lineEnd, lineEnd, fc.integer({ min: 0, max: 9 }))
  .map(([lines, end, last, extra]) => lines.map((text) => text + end).join('') + last + (extra === 0 ? last : ''));
const stream = fc
  .tuple(fc.array(event, { maxLength: 6 }), fc.option(line))
  .map(([events, tail]) => events.join('') + (tail ?? ''));

test('relays and reads as the slow one does, in any pieces', () => {
  let changed = 0;
  fuzz(
    fc.property(
      stream,
      fc.array(fc.array(fc.integer({ min: 1, max: 30 }), { minLength: 1, maxLength: 4 }), {
        minLength: 1,
        maxLength: 3,
      }),
      fc.record({ replyModel: fc.option(fc.constantFrom('m', 'a "long" model ü'), { freq: 3 }), drops: fc.boolean() }),
      (text, cuts, options) => {
        const bytes = Buffer.from(text);
        const wanted = readSlowly(text, options);
        for (const sizes of [[], [1], ...cuts]) assert.deepEqual(readInPieces(bytes, sizes, options), wanted);
        if (wanted.text !== text) changed += 1;
      },
    ),
  );
  assert.ok(changed > 30);
});
