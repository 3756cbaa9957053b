import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { SAMPLE_EVENT, SAMPLE_OPEN } from '../../test/support/usage-event-sample.ts';
import { abortedEvent, readJournalLines, type JournalLine } from './journal-reader.ts';
import { isSegmentFinal, isWriterGone, parseSegmentName, processName, processStartedMs } from './segment-name.ts';
import { usageEventProblem } from './usage-event-check.ts';

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
    const event = `${JSON.stringify(SAMPLE_EVENT)}\n`;
    const open = `${JSON.stringify(SAMPLE_OPEN)}\n`;
    const { lines, offsets, used } = read(`${open}\n${event}`);
    assert.deepEqual(lines, [
      { kind: 'open', open: SAMPLE_OPEN },
      { kind: 'empty' },
      { kind: 'event', event: SAMPLE_EVENT },
    ]);
    const openBytes = Buffer.byteLength(open);
    assert.deepEqual(offsets, [0, openBytes, openBytes + 1]);
    assert.equal(used, Buffer.byteLength(open + event) + 1);
  });

  it('cut at any byte: what is whole is read, the rest waits for more or is torn', () => {
    const bytes = Buffer.from(`${JSON.stringify(SAMPLE_EVENT)}\n${JSON.stringify({ ...SAMPLE_EVENT, user: 'é' })}\n`);
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
      [JSON.stringify({ ...SAMPLE_EVENT, v: 2 }), 'v is not valid'],
      [JSON.stringify({ ...SAMPLE_EVENT, id: secret }), 'id is not valid'],
      [JSON.stringify({ ...SAMPLE_EVENT, key: secret }), 'key is not valid'],
      [JSON.stringify({ ...SAMPLE_EVENT, status: 99 }), 'status is not valid'],
      [JSON.stringify({ ...SAMPLE_EVENT, durationMs: -1 }), 'durationMs is not valid'],
      [JSON.stringify({ ...SAMPLE_EVENT, error: 'no_such_error' }), 'error is not valid'],
      [JSON.stringify({ ...SAMPLE_EVENT, traceId: SAMPLE_EVENT.traceId?.toUpperCase() }), 'traceId is not valid'],
      [JSON.stringify({ ...SAMPLE_EVENT, usage: { ...SAMPLE_EVENT.usage, inputTokens: 1.5 } }), 'usage is not valid'],
      [JSON.stringify({ ...SAMPLE_EVENT, attempts: [{}] }), 'attempts is not valid'],
      [JSON.stringify({ ...SAMPLE_EVENT, tags: [1] }), 'tags is not valid'],
      [JSON.stringify({ ...SAMPLE_EVENT, tags: undefined }), 'tags is missing'],
      [JSON.stringify({ ...SAMPLE_OPEN, streamEvents: -1 }), 'streamEvents is not valid'],
      [JSON.stringify({ ...SAMPLE_OPEN, open: 7 }), 'open is not valid'],
    ] as const) {
      const { lines } = read(`${text}\n`);
      assert.deepEqual(lines, [{ kind: 'invalid', problem }], text);
    }
    assert.deepEqual(read(Buffer.from([0xff, 0x0a])).lines, [{ kind: 'invalid', problem: 'not JSON' }]);
  });

  it('may have members of a later version', () => {
    assert.equal(read(`${JSON.stringify({ ...SAMPLE_EVENT, later: 1 })}\n`).lines[0]?.kind, 'event');
  });
});

describe('a request whose process is gone', () => {
  it('becomes an aborted event with what is known of it', () => {
    const event = abortedEvent(SAMPLE_OPEN);
    assert.equal(usageEventProblem(event), null);
    assert.equal(event.id, SAMPLE_EVENT.id);
    assert.equal(event.aborted, 'process_ended');
    assert.deepEqual([event.usage?.inputTokens, event.usage?.outputTokens], [25, 7]);
    assert.equal(event.usageSource, 'estimated');
    assert.equal(event.costNano, 40);
    const known = { inputTokens: 90, outputTokens: 1, cacheReadTokens: 80, cacheWriteTokens: 0, reasoningTokens: 0 };
    assert.deepEqual(abortedEvent({ ...SAMPLE_OPEN, usage: known }).usage, { ...known, outputTokens: 7 });
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
