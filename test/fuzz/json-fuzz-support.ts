import fc from 'fast-check';
import { asBytes } from '../../src/base/bytes.ts';
import type { JsonObjectScanner } from '../../src/base/json-object-scanner.ts';
import { FUZZ_MILLISECONDS } from './fuzz-budget.ts';

const MIN_RUNS = 100;

/** Runs a property for as long as a fuzz test may take, but not next to never, however busy the machine is. */
export function fuzz<Values extends unknown[]>(property: fc.IProperty<Values>): void {
  fc.assert(property, { numRuns: MIN_RUNS });
  fc.assert(property, {
    numRuns: 10_000_000,
    interruptAfterTimeLimit: FUZZ_MILLISECONDS,
    markInterruptAsFailure: false,
    endOnFailure: false,
  });
}

/** Pushes `bytes` in pieces whose sizes repeat, each inside a buffer with other bytes around it. */
export function pushPieces(scanner: JsonObjectScanner, bytes: Uint8Array, sizes: readonly number[]): void {
  scanner.reset();
  let at = 0;
  for (let n = 0; at < bytes.length; n += 1) {
    const size = sizes.length === 0 ? bytes.length : sizes[n % sizes.length]!;
    const piece = bytes.subarray(at, at + size);
    const chunk = Buffer.alloc(piece.length + 4, '"');
    chunk.set(piece, 2);
    scanner.push(asBytes(chunk), 2, 2 + piece.length);
    chunk.fill(0xee);
    at += size;
  }
  scanner.finish();
}

export const pieceSizes: fc.Arbitrary<number[]> = fc.array(fc.integer({ min: 1, max: 40 }), { maxLength: 4 });
export const space: fc.Arbitrary<string> = fc.oneof(
  { weight: 5, arbitrary: fc.constant('') },
  fc.constantFrom(' ', '\n', '\r\n\t', '   '),
);

/** `text` as a JSON string, some characters escaped although they need not be. */
function stringSource(text: string, escapes: readonly boolean[]): string {
  let source = '"';
  for (const [n, unit] of text.split('').entries()) {
    const plain = JSON.stringify(unit).slice(1, -1);
    const hex = `\\u${unit.charCodeAt(0).toString(16).padStart(4, '0')}`;
    source += escapes[n % escapes.length] === true ? hex : plain;
  }
  return `${source}"`;
}

/** JSON source of an arbitrary value, as `JSON.stringify` writes it, compact or spread out. */
export const valueSource: fc.Arbitrary<string> = fc
  .tuple(
    fc.oneof(
      fc.jsonValue({ maxDepth: 4 }),
      fc.jsonValue({ maxDepth: 2 }).map((value) => JSON.stringify(JSON.stringify(value))), // JSON in JSON in a string
      fc.string({
        unit: fc.constantFrom('"', '\\', '{', '}', '[', ']', ',', ':', 'é', '😀', '\n', 'x'),
        maxLength: 90,
      }),
      fc.boolean(),
    ),
    fc.constantFrom(undefined, 1, '\t'),
  )
  .map(([value, indent]) => JSON.stringify(value, null, indent));

/** Sources of members: names from `names`, often, and sometimes with needless escapes or in another case. */
export function memberSources(names: readonly string[]): fc.Arbitrary<{ key: string; source: string; value: string }> {
  const name = fc.oneof(
    { weight: 6, arbitrary: fc.constantFrom(...names) },
    { weight: 3, arbitrary: fc.string({ unit: 'grapheme', maxLength: 12 }) },
    fc.constantFrom(...names).map((text) => text.toUpperCase()),
    fc.constantFrom(...names).map((text) => text.replace('s', 'ſ').replace('k', '\u212a')),
    fc.constantFrom('__proto__', 'constructor', '', '0'),
  );
  const escapes = fc.oneof(
    { weight: 3, arbitrary: fc.constant([false]) },
    fc.array(fc.boolean(), { minLength: 1, maxLength: 5 }),
  );
  return fc.tuple(name, escapes, valueSource, space, space, space).map(([key, marks, value, s1, s2, s3]) => ({
    key,
    source: `${s1}${stringSource(key, marks)}${s2}:${s3}${value}`,
    value,
  }));
}
