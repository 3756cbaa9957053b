import assert from 'node:assert/strict';
import { test } from 'node:test';
import { asBytes } from './bytes.ts';
import { SseScanner } from './sse-scanner.ts';

interface SeenEvent {
  readonly raw: string;
  readonly data: string | null;
  readonly lines: number;
  readonly name: string;
}

/** The events of `text` in pieces cut at `cuts`, put together as a caller would; the last, unended one too. */
function events(text: string, cuts: readonly number[]): SeenEvent[] {
  const scanner = new SseScanner();
  const seen: SeenEvent[] = [];
  let open = '';
  const add = (raw: string): void => {
    const whole = asBytes(Buffer.from(raw));
    scanner.scanWhole(whole, whole.length);
    const { dataLines, dataStart, dataEnd, nameStart, nameEnd } = scanner;
    const data = dataLines === 0 ? null : raw.slice(dataStart, dataEnd);
    seen.push({ raw, data, lines: dataLines, name: raw.slice(nameStart, nameEnd) });
  };
  let from = 0;
  for (const to of [...cuts, text.length]) {
    const bytes = asBytes(Buffer.from(text.slice(from, to)));
    let at = 0;
    scanner.begin();
    if (bytes.length > 0 && scanner.takesLineFeed(bytes[0]!)) {
      const last = seen.pop();
      assert.ok(last !== undefined);
      seen.push({ ...last, raw: `${last.raw}\n` });
      at = 1;
    }
    while (at < bytes.length) {
      const end = open === '' ? scanner.scanEvent(bytes, at, bytes.length) : scanner.findEnd(bytes, at, bytes.length);
      const piece = bytes.latin1Slice(at, end === -1 ? bytes.length : end);
      open += piece;
      at += piece.length;
      if (end === -1) continue;
      add(open);
      open = '';
    }
    from = to;
  }
  if (open !== '') add(open);
  return seen;
}

const cases: Record<
  string,
  { text: string; expected: readonly (readonly [raw: string, data: string | null, lines: number, name: string])[] }
> = {
  LF: {
    text: 'data: a\n\ndata: b\n\n',
    expected: [
      ['data: a\n\n', 'a', 1, ''],
      ['data: b\n\n', 'b', 1, ''],
    ],
  },
  CRLF: {
    text: 'data: a\r\n\r\ndata: b\r\n\r\n',
    expected: [
      ['data: a\r\n\r\n', 'a', 1, ''],
      ['data: b\r\n\r\n', 'b', 1, ''],
    ],
  },
  CR: {
    text: 'data: a\r\rdata: b\r\r',
    expected: [
      ['data: a\r\r', 'a', 1, ''],
      ['data: b\r\r', 'b', 1, ''],
    ],
  },
  'LF then CRLF': {
    text: 'data: a\n\r\ndata: b\r\n\n',
    expected: [
      ['data: a\n\r\n', 'a', 1, ''],
      ['data: b\r\n\n', 'b', 1, ''],
    ],
  },
  'CR then CRLF': {
    text: 'data: a\r\r\ndata: b\n\rx',
    expected: [
      ['data: a\r\r\n', 'a', 1, ''],
      ['data: b\n\r', 'b', 1, ''],
      ['x', null, 0, ''],
    ],
  },
  'CRLF then CR': {
    text: 'data: a\r\n\rdata: b\r\n\r',
    expected: [
      ['data: a\r\n\r', 'a', 1, ''],
      ['data: b\r\n\r', 'b', 1, ''],
    ],
  },
  'blank lines are events without fields': {
    text: '\n\r\ndata: a\n\n\n',
    expected: [
      ['\n', null, 0, ''],
      ['\r\n', null, 0, ''],
      ['data: a\n\n', 'a', 1, ''],
      ['\n', null, 0, ''],
    ],
  },
  'name and data, any order': {
    text: 'event: e\ndata: a\n\ndata:b\nevent:f\n\n',
    expected: [
      ['event: e\ndata: a\n\n', 'a', 1, 'e'],
      ['data:b\nevent:f\n\n', 'b', 1, 'f'],
    ],
  },
  'several data lines: the first is told': {
    text: 'data: a\ndata: b\ndata\n\n',
    expected: [['data: a\ndata: b\ndata\n\n', 'a', 3, '']],
  },
  'the last name counts, an empty one too': {
    text: 'event: e\nevent\n\n',
    expected: [['event: e\nevent\n\n', null, 0, '']],
  },
  'comments, other fields, longer names': {
    text: ': data: x\nid: 1\ndatax: 1\n data: x\nevents: y\ndat\neven\n\n',
    expected: [[': data: x\nid: 1\ndatax: 1\n data: x\nevents: y\ndat\neven\n\n', null, 0, '']],
  },
  'one space after the colon is not part of the value': {
    text: 'data:  a\n\ndata: \n\ndata:\n\n',
    expected: [
      ['data:  a\n\n', ' a', 1, ''],
      ['data: \n\n', '', 1, ''],
      ['data:\n\n', '', 1, ''],
    ],
  },
  'no end': {
    text: 'data: a\n\ndata: b\nevent: e',
    expected: [
      ['data: a\n\n', 'a', 1, ''],
      ['data: b\nevent: e', 'b', 1, 'e'],
    ],
  },
};

for (const [name, { text, expected }] of Object.entries(cases)) {
  test(name, () => {
    const wanted = expected.map(([raw, data, lines, eventName]) => ({ raw, data, lines, name: eventName }));
    assert.deepEqual(events(text, []), wanted);
    for (let cut = 1; cut < text.length; cut += 1) assert.deepEqual(events(text, [cut]), wanted, `cut ${cut}`);
    assert.deepEqual(
      events(
        text,
        Array.from({ length: text.length - 1 }, (_, n) => n + 1),
      ),
      wanted,
      'byte by byte',
    );
  });
}
