// The scanner against JSON.parse: a difference in a deciding key would be a way around authorization.
import fc from 'fast-check';
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { JsonKeyTable } from '../../src/base/json-key-table.ts';
import { JsonObjectScanner } from '../../src/base/json-object-scanner.ts';
import { fuzz, memberSources, pieceSizes, pushPieces, space } from './json-fuzz-support.ts';

const NAMES = ['model', 'stream', 'user', 'tags', 'kiss'];
const strict = new JsonObjectScanner(new JsonKeyTable(NAMES));
const lenient = new JsonObjectScanner(new JsonKeyTable(NAMES, 'lenient'));

/** Top-level keys of a text that JSON.parse accepts, read independently: strings by pattern, depth by counting. */
function topLevelKeys(text: string): string[] {
  const keys: string[] = [];
  let depth = 0;
  let last = '';
  for (const [token] of text.matchAll(/"(?:[^"\\]|\\.)*"|[[\]{}:]/gs)) {
    if (token === '{' || token === '[') depth += 1;
    else if (token === '}' || token === ']') depth -= 1;
    else if (token === ':' && depth === 1) keys.push(JSON.parse(last) as string);
    last = token;
  }
  return keys;
}

const fold = (key: string): string =>
  key
    .toLowerCase()
    .replaceAll('ſ', 's')
    .replaceAll(/i\u0307|ı/g, 'i');

function sourcesByName(scanner: JsonObjectScanner, bytes: Buffer): Map<string, string> {
  const found = NAMES.keys().filter((row) => scanner.found(row));
  return new Map(
    found.map((row) => [NAMES[row]!, bytes.toString('utf8', scanner.valueStart(row), scanner.valueEnd(row))]),
  );
}

/** Checks one body against JSON.parse; answers whether both took it. */
function compare(bytes: Buffer, sizes: readonly number[]): boolean {
  const text = bytes.toString();
  let parsed: unknown;
  let isJson = true;
  try {
    parsed = JSON.parse(text);
  } catch {
    isJson = false;
  }
  pushPieces(strict, bytes, sizes);
  pushPieces(lenient, bytes, sizes);
  if (!isJson || typeof parsed !== 'object' || parsed === null || Array.isArray(parsed)) {
    // What only we accept is still one closed object with nothing around it.
    if (strict.complete) assert.match(text, /^[ \t\r\n]*\{[^]*\}[ \t\r\n]*$/);
    if (isJson) assert.equal(strict.failure?.kind, 'not-object');
    return false;
  }
  assert.equal(lenient.failure, null, text);
  const values = new Map(Object.entries(parsed));
  const sources = sourcesByName(lenient, bytes);
  for (const name of NAMES) {
    assert.equal(sources.has(name), values.has(name), `${name} in ${text}`);
    if (sources.has(name)) assert.deepEqual(JSON.parse(sources.get(name)!), values.get(name));
  }
  const keys = topLevelKeys(text);
  assert.equal(lenient.memberCount, keys.length);
  const known = keys.filter((key) => NAMES.includes(fold(key)));
  const isClean = new Set(known).size === known.length && known.every((key) => NAMES.includes(key));
  assert.equal(strict.failure === null, isClean, `${JSON.stringify(strict.failure)} in ${text}`);
  if (isClean) assert.deepEqual(sourcesByName(strict, bytes), sources);
  else assert.match(strict.failure?.kind ?? '', /^(duplicate|case)$/);
  return isClean;
}

const objectSource = fc
  .tuple(fc.array(memberSources(NAMES), { maxLength: 6 }), space, space, space)
  .map(([members, s1, s2, s3]) => `${s1}{${members.map((member) => member.source).join(`${s2},`)}${s2}}${s3}`);

test('every object that JSON.parse takes is read the same way, in any pieces', () => {
  let accepted = 0;
  fuzz(
    fc.property(objectSource, pieceSizes, (text, sizes) => {
      if (compare(Buffer.from(text), sizes)) accepted += 1;
    }),
  );
  assert.ok(accepted > 30);
});

test('the same after bytes were changed, put in, taken out', () => {
  const mutation = fc.record({
    at: fc.nat(),
    remove: fc.integer({ min: 0, max: 3 }),
    insert: fc.oneof(
      fc.constantFrom(
        '',
        '"',
        '\\',
        '{',
        '}',
        '[',
        ']',
        ',',
        ':',
        '"model":',
        ',"user":1',
        '\\u006',
        '//',
        "'",
        '\n',
        '{}',
      ),
      fc.uint8Array({ maxLength: 3 }).map((bytes) => Buffer.from(bytes).toString('latin1')),
    ),
  });
  fuzz(
    fc.property(
      objectSource,
      fc.array(mutation, { minLength: 1, maxLength: 3 }),
      pieceSizes,
      (text, mutations, sizes) => {
        let bytes = Buffer.from(text);
        for (const { at, remove, insert } of mutations) {
          const place = at % (bytes.length + 1);
          bytes = Buffer.concat([
            bytes.subarray(0, place),
            Buffer.from(insert, 'latin1'),
            bytes.subarray(place + remove),
          ]);
        }
        compare(bytes, sizes);
      },
    ),
  );
});

test('all short texts over the bytes that matter', () => {
  const alphabet = ['{', '}', '"', 'k', ':', ',', '1', '\\', '['];
  const table = new JsonKeyTable(['k', 'kk'], 'lenient');
  const scanner = new JsonObjectScanner(table);
  let valid = 0;
  const check = (text: string): void => {
    let parsed: unknown = null;
    try {
      parsed = JSON.parse(text);
    } catch {
      return;
    }
    if (typeof parsed !== 'object' || parsed === null || Array.isArray(parsed)) return;
    valid += 1;
    const bytes = Buffer.from(text);
    pushPieces(scanner, bytes, [1]);
    assert.equal(scanner.failure, null, text);
    for (const [row, name] of table.names.entries()) {
      assert.equal(scanner.found(row), Object.hasOwn(parsed, name), text);
      if (scanner.found(row)) {
        const value = bytes.toString('utf8', scanner.valueStart(row), scanner.valueEnd(row));
        assert.deepEqual(JSON.parse(value), (parsed as Record<string, unknown>)[name]);
      }
    }
  };
  const grow = (text: string, left: number): void => {
    check(`${text}}`);
    if (left > 0) for (const letter of alphabet) grow(text + letter, left - 1);
  };
  grow('{', 5);
  grow('{"k":1,"k', 4);
  assert.ok(valid > 20, `${valid} valid`);
});
