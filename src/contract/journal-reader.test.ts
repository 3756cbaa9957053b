import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { abortedEvent, readJournalLines, type JournalLine } from './journal-reader.ts';
import { isSegmentFinal, isWriterGone, parseSegmentName, processName, processStartedMs } from './segment-name.ts';
import { usageEventProblem } from './usage-event-check.ts';
import type { OpenEvent, UsageEvent } from './usage-event.ts';

const ID = '0193a4c5-7a3f-7001-9abc-123456700001';

const EVENT: UsageEvent = {
  v: 1,
  id: ID,
  at: 1_763_800_000_000,
  durationMs: 12.345,
  firstByteMs: 10.1,
  overheadUs: 80,
  traceId: '0af7651916cd43dd8448eb211c80319c',
  spanId: 'b7ad6b7169203331',
  client: '192.0.2.1',
  key: 'a'.repeat(64),
  user: 'ü "1"',
  team: null,
  endpoint: 'chat_completions',
  model: 'fast',
  group: 'gpt',
  deployment: 'd-1',
  provider: 'openai',
  upstreamModel: 'gpt-x',
  stream: true,
  status: 200,
  error: null,
  aborted: null,
  attempts: [{ deployment: 'd-1', status: 200, error: null, durationMs: 11, usage: null }],
  usage: { inputTokens: 1, outputTokens: 2, cacheReadTokens: 0, cacheWriteTokens: 0, reasoningTokens: 0 },
  usageSource: 'reported',
  requestBytes: 100,
  responseBytes: 200,
  tags: ['a'],
};

const {
  id,
  overheadUs: _us,
  error: _error,
  aborted: _aborted,
  attempts: _attempts,
  usageSource: _source,
  ...COMMON
} = EVENT;
const OPEN: OpenEvent = { ...COMMON, open: id, streamEvents: 7, usage: null };

function read(text: string | Uint8Array): { readonly lines: JournalLine[]; readonly offsets: number[]; used: number } {
  const lines: JournalLine[] = [];
  const offsets: number[] = [];
  const used = readJournalLines(Buffer.from(text), (line, offset) => {
    lines.push(line);
    offsets.push(offset);
  });
  return { lines, offsets, used };
}

describe('the lines of a segment', () => {
  it('are events, open lines and empty ones, each with its offset', () => {
    const event = `${JSON.stringify(EVENT)}\n`;
    const open = `${JSON.stringify(OPEN)}\n`;
    const { lines, offsets, used } = read(`${open}\n${event}`);
    assert.deepEqual(lines, [{ kind: 'open', open: OPEN }, { kind: 'empty' }, { kind: 'event', event: EVENT }]);
    const openBytes = Buffer.byteLength(open);
    assert.deepEqual(offsets, [0, openBytes, openBytes + 1]);
    assert.equal(used, Buffer.byteLength(open + event) + 1);
  });

  it('cut at any byte: what is whole is read, the rest waits for more or is torn', () => {
    const bytes = Buffer.from(`${JSON.stringify(EVENT)}\n${JSON.stringify({ ...EVENT, user: 'é' })}\n`);
    const firstEnd = bytes.indexOf('\n') + 1;
    for (let cut = 0; cut <= bytes.length; cut += 1) {
      const first = read(bytes.subarray(0, cut));
      assert.equal(first.used, cut < firstEnd ? 0 : cut < bytes.length ? firstEnd : bytes.length);
      const rest = read(bytes.subarray(first.used));
      const both = [...first.lines, ...rest.lines];
      assert.deepEqual(
        both.map((line) => line.kind),
        ['event', 'event'],
      );
    }
  });

  it('that are none say why, without repeating a value', () => {
    const secret = 'sk-do-not-show';
    for (const [text, problem] of [
      ['x', 'not JSON'],
      ['{"v":1', 'not JSON'],
      ['\0\0\0', 'not JSON'],
      ['[]', 'not an object'],
      ['null', 'not an object'],
      ['{}', 'v is missing'],
      [JSON.stringify({ ...EVENT, v: 2 }), 'v is not valid'],
      [JSON.stringify({ ...EVENT, id: secret }), 'id is not valid'],
      [JSON.stringify({ ...EVENT, key: secret }), 'key is not valid'],
      [JSON.stringify({ ...EVENT, status: 99 }), 'status is not valid'],
      [JSON.stringify({ ...EVENT, durationMs: -1 }), 'durationMs is not valid'],
      [JSON.stringify({ ...EVENT, error: 'no_such_error' }), 'error is not valid'],
      [JSON.stringify({ ...EVENT, traceId: EVENT.traceId?.toUpperCase() }), 'traceId is not valid'],
      [JSON.stringify({ ...EVENT, usage: { ...EVENT.usage, inputTokens: 1.5 } }), 'usage is not valid'],
      [JSON.stringify({ ...EVENT, attempts: [{}] }), 'attempts is not valid'],
      [JSON.stringify({ ...EVENT, tags: [1] }), 'tags is not valid'],
      [JSON.stringify({ ...EVENT, tags: undefined }), 'tags is missing'],
      [JSON.stringify({ ...OPEN, streamEvents: -1 }), 'streamEvents is not valid'],
      [JSON.stringify({ ...OPEN, open: 7 }), 'open is not valid'],
    ] as const) {
      const { lines } = read(`${text}\n`);
      assert.deepEqual(lines, [{ kind: 'invalid', problem }], text);
    }
    assert.deepEqual(read(Buffer.from([0xff, 0x0a])).lines, [{ kind: 'invalid', problem: 'not JSON' }]);
  });

  it('may have members of a later version', () => {
    assert.equal(read(`${JSON.stringify({ ...EVENT, later: 1 })}\n`).lines[0]?.kind, 'event');
  });
});

describe('a request whose process is gone', () => {
  it('becomes an aborted event with what is known of it', () => {
    const event = abortedEvent(OPEN);
    assert.equal(usageEventProblem(event), null);
    assert.equal(event.id, ID);
    assert.equal(event.aborted, 'process_ended');
    assert.deepEqual([event.usage?.inputTokens, event.usage?.outputTokens], [25, 7]);
    assert.equal(event.usageSource, 'estimated');
    const known = { inputTokens: 90, outputTokens: 1, cacheReadTokens: 80, cacheWriteTokens: 0, reasoningTokens: 0 };
    assert.deepEqual(abortedEvent({ ...OPEN, usage: known }).usage, { ...known, outputTokens: 7 });
  });
});

describe('the name of a segment', () => {
  const NODE = '0193a4c5-7a3f-7001-9abc-1234567000ff';
  const A = processName(NODE, 1_763_800_000_000);
  const segment = (process: string, worker: number, start: number, sequence: number) => {
    const found = parseSegmentName(`${process}-${worker}.${start}-${String(sequence).padStart(6, '0')}.ndjson`);
    assert.ok(found !== null);
    return found;
  };

  it('says who wrote it', () => {
    const { name, ...parts } = segment(A, 3, 12, 7);
    assert.deepEqual(parts, { process: A, worker: 3, start: 12, sequence: 7 });
    assert.equal(name, `${A}-3.12-000007.ndjson`);
    assert.equal(processStartedMs(A), 1_763_800_000_000);
    assert.equal(segment(A, 0, 1, 1_000_000).sequence, 1_000_000);
    for (const other of ['', 'x.ndjson', `${A}-3.12-7.ndjson`, `${name}.gz`, `../${name}`, `${A}-3-000001.ndjson`]) {
      assert.equal(parseSegmentName(other), null, other);
    }
  });

  it('tells which segments are final, and which writers gone', () => {
    const B = processName(NODE, 1_763_800_000_001);
    const first = segment(A, 0, 1, 1);
    const second = segment(A, 0, 1, 2);
    const other = segment(A, 1, 2, 1);
    const replaced = segment(A, 1, 3, 1);
    const dead = segment(B, 0, 1, 1);
    const all = [first, second, other, replaced, dead];
    const living = new Set([A]);
    assert.deepEqual(
      all.map((name) => [isSegmentFinal(name, all, living), isWriterGone(name, all, living)]),
      [
        [true, false],
        [false, false],
        [true, true],
        [false, false],
        [true, true],
      ],
    );
    assert.ok(all.every((name) => isSegmentFinal(name, all, new Set())));
  });
});
