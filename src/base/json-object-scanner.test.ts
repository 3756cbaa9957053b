import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { asBytes, type Bytes } from './bytes.ts';
import { JsonKeyTable } from './json-key-table.ts';
import { JsonObjectScanner, MAX_JSON_DEPTH } from './json-object-scanner.ts';

const NAMES = ['model', 'stream', 'k', 'is'];
const strict = new JsonObjectScanner(new JsonKeyTable(NAMES));
const lenient = new JsonObjectScanner(new JsonKeyTable(NAMES, 'lenient'));

interface Scan {
  readonly failure: string | null;
  readonly complete: boolean;
  readonly memberCount: number;
  /** Per name found: source of the value. */
  readonly values: Record<string, string>;
  readonly places: readonly (readonly number[])[];
}

function scanCut(scanner: JsonObjectScanner, bytes: Uint8Array, cuts: readonly number[]): Scan {
  scanner.reset();
  let from = 0;
  for (const to of [...cuts, bytes.length]) {
    // Quotes around the piece: whoever looks beyond its end goes wrong.
    const chunk = Buffer.alloc(to - from + 4, '"');
    chunk.set(bytes.subarray(from, to), 2);
    scanner.push(asBytes(chunk), 2, 2 + to - from);
    chunk.fill(0xee);
    from = to;
  }
  scanner.finish();
  const { failure, complete, memberCount } = scanner;
  const rows = NAMES.keys()
    .filter((row) => scanner.found(row))
    .toArray();
  const text = Buffer.from(bytes);
  return {
    failure: failure === null ? null : `${failure.kind} ${failure.key} ${failure.offset}`,
    complete,
    memberCount: failure === null ? memberCount : 0,
    values: Object.fromEntries(
      failure === null
        ? rows.map((row) => [NAMES[row], text.toString('utf8', scanner.valueStart(row), scanner.valueEnd(row))])
        : [],
    ),
    places:
      failure === null
        ? rows.map((row) => [
            row,
            scanner.memberStart(row),
            scanner.commaBefore(row),
            scanner.commaAfter(row),
            scanner.ordinal(row),
          ])
        : [],
  };
}

function scan(text: string | Uint8Array, scanner = strict): Scan {
  const bytes = typeof text === 'string' ? Buffer.from(text) : text;
  const expected = scanCut(scanner, bytes, []);
  for (let cut = 1; cut < bytes.length; cut += 1)
    assert.deepEqual(scanCut(scanner, bytes, [cut]), expected, `cut ${cut}`);
  for (const size of [1, 2, 3]) {
    const cuts = Array.from({ length: Math.max(0, Math.ceil(bytes.length / size) - 1) }, (_, n) => (n + 1) * size);
    assert.deepEqual(scanCut(scanner, bytes, cuts), expected, `pieces of ${size}`);
  }
  return expected;
}

describe('values', () => {
  const long = 'x'.repeat(200);
  const cases: Record<string, { text: string; values: Record<string, string>; members: number }> = {
    'empty object': { text: '{}', values: {}, members: 0 },
    'white space': {
      text: ' \r\n\t{ "model" : "a" , "stream"\n:\ttrue } \n',
      values: { model: '"a"', stream: 'true' },
      members: 2,
    },
    scalars: {
      text: '{"model":-1.5e+3,"stream":null,"k":0}',
      values: { model: '-1.5e+3', stream: 'null', k: '0' },
      members: 3,
    },
    containers: {
      text: '{"model":[1,{"model":"x"},"]"],"k":{"k":{"k":"}"}}}',
      values: { model: '[1,{"model":"x"},"]"]', k: '{"k":{"k":"}"}}' },
      members: 2,
    },
    'empty containers and strings': {
      text: '{"model":[],"k":{},"is":""}',
      values: { model: '[]', k: '{}', is: '""' },
      members: 3,
    },
    'escapes in a value': {
      text: '{"model":"a\\"b\\\\","k":"\\\\\\"\\u0022"}',
      values: { model: '"a\\"b\\\\"', k: '"\\\\\\"\\u0022"' },
      members: 2,
    },
    'name as a value': { text: '{"x":"model","model":"model"}', values: { model: '"model"' }, members: 2 },
    'nested name only': { text: '{"x":{"model":"a"}}', values: {}, members: 1 },
    'longer than the byte loop': {
      text: `{"x":"${long}","model":"${long}\\"${long}\\\\","k":["${long}\\\\\\"","${long}"]}`,
      values: { model: `"${long}\\"${long}\\\\"`, k: `["${long}\\\\\\"","${long}"]` },
      members: 3,
    },
    'escaped keys': { text: '{"\\u006dod\\u0065l":"a","\\u006B":1}', values: { model: '"a"', k: '1' }, members: 2 },
    'other escapes in keys': {
      text: '{"\\"\\\\\\/\\b\\f\\n\\r\\t":1,"\\uD83D\\uDE00":2,"\\uFFFF":3,"k":4}',
      values: { k: '4' },
      members: 4,
    },
    'keys that begin like a name': { text: '{"mode":1,"modell":2,"":3,"model ":4,"xmodel":5}', values: {}, members: 5 },
    'keys beyond any name': { text: `{"${long}":1,"${long}\\u0061":2,"model":3}`, values: { model: '3' }, members: 3 },
    'UTF-8': { text: '{"ключ":"значение","model":"модель 😀"}', values: { model: '"модель 😀"' }, members: 2 },
  };
  for (const [name, { text, values, members }] of Object.entries(cases)) {
    test(name, () => {
      JSON.parse(text);
      const result = scan(text);
      assert.deepEqual(
        [result.failure, result.complete, result.values, result.memberCount],
        [null, true, values, members],
      );
    });
  }

  test('as deep as allowed', () => {
    const text = `{"x":${'['.repeat(MAX_JSON_DEPTH)}${']'.repeat(MAX_JSON_DEPTH)},"k":1}`;
    assert.deepEqual(scanCut(strict, Buffer.from(text), []).values, { k: '1' });
    assert.deepEqual(scanCut(strict, Buffer.from(text), [20, 36, 37, 38, 900]).values, { k: '1' });
  });
});

test('places of members and commas', () => {
  //            0123456789012345678901234567890123456789
  const text = '{"a":1, "model":2 ,"k":{"x":1},"is":3}';
  assert.deepEqual(scan(text).places, [
    [0, 8, 6, 18, 1],
    [2, 19, 18, 30, 2],
    [3, 31, 30, -1, 3],
  ]);
  assert.deepEqual([strict.objectOpen, strict.objectClose], [1, 37]);
});

describe('refusals', () => {
  const deep = '['.repeat(MAX_JSON_DEPTH + 1);
  const cases: Record<string, [text: string | Uint8Array, failure: string]> = {
    'no bytes': ['', 'not-object null 0'],
    'white space only': [' \n', 'not-object null 2'],
    array: [' []', 'not-object null 1'],
    string: ['"model"', 'not-object null 0'],
    number: ['1', 'not-object null 0'],
    'byte order mark': ['\uFEFF{}', 'bom null 0'],
    'UTF-16 big-endian mark': [Buffer.from([0xfe, 0xff, 0, 0x7b, 0, 0x7d]), 'bom null 0'],
    'UTF-16 little-endian mark': [Buffer.from('\uFEFF{}', 'utf16le'), 'bom null 0'],
    'UTF-16 without mark': [Buffer.from('{}', 'utf16le'), 'malformed null 1'],
    'mark after white space': [' \uFEFF{}', 'not-object null 1'],
    unclosed: ['{', 'malformed null 1'],
    'unclosed after a member': ['{"a":1', 'malformed null 6'],
    'unclosed string': ['{"a":"', 'malformed null 6'],
    'unclosed string, escaped quote': ['{"a":"\\"}', 'malformed null 9'],
    'unclosed container': ['{"a":[{}', 'malformed null 8'],
    'unclosed key': ['{"a', 'malformed null 3'],
    'second object': ['{}{}', 'trailing null 2'],
    'bytes after the end': ['{"a":1} x', 'trailing null 8'],
    'NUL after the end': ['{}\0', 'trailing null 2'],
    'closing brace too many': ['{}}', 'trailing null 2'],
    'comma before the end': ['{"a":1,}', 'malformed null 7'],
    'comma at the start': ['{,"a":1}', 'malformed null 1'],
    'two commas': ['{"a":1,,"b":1}', 'malformed null 7'],
    'no comma': ['{"a":1 "b":1}', 'malformed null 7'],
    'no colon': ['{"a" 1}', 'malformed null 5'],
    'two colons': ['{"a"::1}', 'malformed null 5'],
    'no value': ['{"a":,"b":1}', 'malformed null 5'],
    'no value at the end': ['{"a":}', 'malformed null 5'],
    'key without quotes': ['{a:1}', 'malformed null 1'],
    'key in single quotes': ["{'a':1}", 'malformed null 1'],
    'value in single quotes': [`{"a":'"'}`, 'malformed null 5'],
    'single quotes inside': [`{"a":['"',"]}`, 'malformed null 6'],
    comment: ['{/* " */"a":1}', 'malformed null 1'],
    'comment inside': ['{"a":[1/*]*/]}', 'malformed null 7'],
    'comment after a number': ['{"a":1//\n}', 'malformed null 6'],
    'form feed is no white space': ['{\f}', 'malformed null 1'],
    'no-break space is no white space': ['{\u00a0}', 'malformed null 1'],
    'brackets that do not match': ['{"a":[}', 'malformed null 6'],
    'brackets that do not match, deeper': ['{"a":[{]}]}', 'malformed null 7'],
    'wrong escape in a key': ['{"mod\\el":1}', 'malformed null 6'],
    'wrong hex in a key': ['{"\\u00g0":1}', 'malformed null 6'],
    'line feed in a key': ['{"a\n":1}', 'malformed null 3'],
    'control character in an escaped key': ['{"\\u0061\u0001":1}', 'malformed null 8'],
    'too deep': [`{"a":${deep}`, `too-deep null ${4 + MAX_JSON_DEPTH + 1}`],
    'repeated name': ['{"model":1,"x":2,"model":3}', 'duplicate model 17'],
    'repeated name, escaped': ['{"model":1,"\\u006dodel":3}', 'duplicate model 11'],
    'name in another case': ['{"Model":1}', 'case model 1'],
    'name in another case, escaped': ['{"\\u004dodel":1}', 'case model 1'],
    'name and its other case': ['{"model":1,"MODEL":1}', 'case model 11'],
    'long s': ['{"ſtream":1}', 'case stream 1'],
    'long s, escaped': ['{"\\u017ftream":1}', 'case stream 1'],
    'kelvin sign': ['{"\u212a":1}', 'case k 1'],
    'kelvin sign, escaped': ['{"\\u212A":1}', 'case k 1'],
    'dotted and dotless i': ['{"\u0131ſ":1}', 'case is 1'],
  };
  for (const [name, [text, failure]] of Object.entries(cases)) {
    test(name, () => {
      const result = scan(text);
      assert.deepEqual([result.failure, result.complete], [failure, false]);
    });
  }

  test('a repeated name that is in no table is not our business', () => {
    assert.equal(scan('{"x":1,"x":2,"X":3}').failure, null);
  });

  test('a failure is final', () => {
    scanCut(strict, Buffer.from('[]'), []);
    strict.push(asBytes(Buffer.from('{}')), 0, 2);
    strict.finish();
    assert.equal(strict.failure?.kind, 'not-object');
    assert.equal(strict.complete, false);
  });
});

test('a lenient table: the last one wins, case matters', () => {
  const result = scan('{"model":1,"Model":2,"model":3,"k":4}', lenient);
  assert.deepEqual([result.failure, result.values], [null, { model: '3', k: '4' }]);
});

describe('resumeBefore', () => {
  const KEY = NAMES.indexOf('k');
  const prefixes = ['{', '{"a":1,', '{ "model" : "x" ,\n', '{"model":{"k":1},"stream":[],'];
  const rests = ['"k":1}', '"k":[1,2],"is":"x"}', '"is":1,"k":2}', '"x":1}', '"k":', '"k":1}}', '"k":1,"model":9}'];

  test('gives what a whole scan gives', () => {
    let resumedCount = 0;
    for (const prefix of prefixes) {
      for (const first of rests) {
        for (const second of rests) {
          scanCut(lenient, Buffer.from(prefix + first), []);
          if (lenient.memberStart(KEY) !== prefix.length) continue;
          if (!lenient.resumeBefore(KEY)) {
            assert.ok(!lenient.complete || first.includes('model'), prefix + first);
            continue;
          }
          resumedCount += 1;
          const rest = asBytes(Buffer.from(second));
          lenient.push(rest, 0, rest.length);
          lenient.finish();
          const resumed = snapshot(lenient);
          scanCut(lenient, Buffer.from(prefix + second), []);
          assert.deepEqual(resumed, snapshot(lenient), `${prefix} | ${first} | ${second}`);
        }
      }
    }
    assert.ok(resumedCount >= 50, `resumed ${resumedCount} times`);
  });

  test('not after repeated names, failures, or without the member', () => {
    for (const text of ['{"model":1,"k":1,"model":2}', '{"k":1', '{"model":1}']) {
      scanCut(lenient, Buffer.from(text), []);
      assert.equal(lenient.resumeBefore(KEY), false, text);
    }
  });

  function snapshot(scanner: JsonObjectScanner): unknown {
    const { complete, failure, objectOpen, objectClose, memberCount, length } = scanner;
    const rows = [...NAMES.keys()].map((row) => [
      scanner.memberStart(row),
      scanner.valueStart(row),
      scanner.valueEnd(row),
      scanner.commaBefore(row),
      scanner.commaAfter(row),
      scanner.ordinal(row),
    ]);
    return { complete, failure, objectOpen, objectClose, memberCount, length, rows };
  }
});

describe('work done', () => {
  /** A buffer that counts how far each `indexOf` had to look, and views made of it. */
  function counted(buffer: Buffer, count: { bytes: number; views: number }): Bytes {
    const bytes = asBytes(buffer);
    bytes.indexOf = (value: number | Uint8Array, from = 0): number => {
      const found = Buffer.prototype.indexOf.call(buffer, value, from);
      count.bytes += (found === -1 ? buffer.length : found) - from;
      return found;
    };
    bytes.subarray = (start, end): Bytes => {
      count.views += 1;
      return counted(Buffer.prototype.subarray.call(buffer, start, end), count);
    };
    return bytes;
  }

  for (const size of [1, 64, 1000]) {
    test(`grows with the bytes, in pieces of ${size} of one large buffer`, () => {
      const text = `{"x":"${'y'.repeat(100_000)}","k":"${'\\"'.repeat(1000)}${'z'.repeat(100_000)}"}`;
      const count = { bytes: 0, views: 0 };
      const buffer = counted(Buffer.from(text), count);
      strict.reset();
      for (let at = 0; at < text.length; at += size) strict.push(buffer, at, Math.min(at + size, text.length));
      strict.finish();
      assert.equal(strict.complete, true);
      assert.ok(count.bytes <= text.length, `indexOf looked at ${count.bytes} bytes of ${text.length}`);
      assert.ok(count.views <= text.length / size + 1);
    });
  }
});
