import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { asBytes, type Bytes } from './bytes.ts';
import { endsInEscape, findStringEnd, scanReadBuffer } from './string-end.ts';

const QUOTE = 0x22;
const BACKSLASH = 0x5c;

/** What `findStringEnd` answers, one byte at a time. */
function reference(bytes: Uint8Array, from: number, end: number): number {
  let i = from;
  while (i < end && bytes[i] !== QUOTE) i += bytes[i] === BACKSLASH ? 2 : 1;
  return i < end ? i : -1;
}

/** Reproducible: the same numbers for the same seed. */
function numbers(seed: number): (below: number) => number {
  let state = seed;
  return (below) => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return Math.floor((state / 2 ** 32) * below);
  };
}

const memories: Record<string, () => Bytes> = {
  'the read buffer': () => scanReadBuffer,
  'other memory': () => asBytes(Buffer.alloc(scanReadBuffer.length)),
};

for (const [name, makeBytes] of Object.entries(memories)) {
  describe(`findStringEnd in ${name}`, () => {
    test('agrees with a byte loop on texts dense in quotes and backslashes, at any offsets', () => {
      const bytes = makeBytes();
      const below = numbers(7);
      for (let n = 0; n < 20_000; n += 1) {
        const alphabet = ['"\\a', '\\\\a', '\\aaaa', 'aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"\\'][n % 4]!;
        for (let i = 0; i < 480; i += 1) bytes[i] = alphabet.charCodeAt(below(alphabet.length));
        const from = below(130);
        const end = from + below(350);
        const text = bytes.latin1Slice(from, end);
        assert.equal(findStringEnd(bytes, from, end), reference(bytes, from, end), `${from}–${end}: ${text}`);
      }
    });

    test('runs of backslashes of every length at every place of a block', () => {
      const bytes = makeBytes();
      for (let run = 0; run <= 140; run += 1) {
        for (let before = 0; before < 66; before += 1) {
          bytes.fill(0x61, 0, 300);
          bytes.fill(BACKSLASH, before, before + run);
          bytes[before + run] = QUOTE;
          bytes[250] = QUOTE;
          assert.equal(findStringEnd(bytes, 0, 300), run % 2 === 0 ? before + run : 250);
        }
      }
    });

    test('nothing at or past the end counts, nor before the start', () => {
      const bytes = makeBytes();
      bytes.fill(QUOTE);
      bytes.fill(0x61, 10, 200);
      for (let end = 11; end <= 200; end += 1) assert.equal(findStringEnd(bytes, 10, end), -1);
      assert.equal(findStringEnd(bytes, 10, 201), 200);
      assert.equal(findStringEnd(bytes, 10, 10), -1);
    });

    test('to the last byte of 64 KiB', () => {
      const bytes = makeBytes();
      bytes.fill(0x61);
      const last = bytes.length - 1;
      assert.equal(findStringEnd(bytes, 0, bytes.length), -1);
      bytes[last] = QUOTE;
      assert.equal(findStringEnd(bytes, 0, bytes.length), last);
      bytes[last - 1] = BACKSLASH;
      assert.equal(findStringEnd(bytes, 0, bytes.length), -1);
    });
  });
}

test('a string longer than the scratch memory, with an escape across each of its pieces', () => {
  const bytes = asBytes(Buffer.alloc(300_000, 'a'));
  let edge = 0;
  for (let piece = 512; edge + piece < bytes.length; piece = Math.min(piece * 2, 65_536)) {
    edge += piece;
    bytes.set([BACKSLASH, QUOTE], edge - 1);
  }
  bytes[299_999] = QUOTE;
  assert.equal(findStringEnd(bytes, 0, bytes.length), reference(bytes, 0, bytes.length));
  assert.equal(findStringEnd(bytes, 0, bytes.length), 299_999);
  assert.equal(findStringEnd(bytes, 0, 299_999), -1);
});

test('endsInEscape: an odd run of backslashes, counted from the start at most', () => {
  const ends = (text: string): boolean => endsInEscape(asBytes(Buffer.from(text)), 1, text.length);
  assert.equal(ends('xa'), false);
  assert.equal(ends('xa\\'), true);
  assert.equal(ends('xa\\\\'), false);
  assert.equal(ends('\\\\'), true);
  assert.equal(ends('\\'), false);
});
