import assert from 'node:assert/strict';
import { asBytes, type Bytes } from '../../src/base/bytes.ts';

/** A part of some input, lying at `at`–`end` of a larger buffer, as what a socket delivers often does. */
export interface Piece {
  readonly chunk: Bytes;
  readonly at: number;
  readonly end: number;
}

/**
 * What surrounds a piece, in turn: bytes that would go on plausibly, so that whoever reads past the end is found. A piece
 * is overwritten once the next one is asked for: who keeps a reference to it reads rubbish.
 */
const SURROUNDINGS = ['\xee', ' ', '\n', '1', '\r', 'a', ','];
const MARGIN = 3;

/** Beyond this, two-way splits at every offset would be quadratic in seconds; a sample of offsets is taken. */
const MAX_SPLITS = 1500;

/**
 * Runs `read` on the whole input, on the input cut in two at every offset, and on pieces of 1, 2, 3 and 7 bytes. All must
 * give the same result, which is returned. Arguments of `read` are consumed lazily, one piece at a time.
 */
export function splitEverywhere<Result>(input: Uint8Array | string, read: (pieces: Iterable<Piece>) => Result): Result {
  const bytes = typeof input === 'string' ? Buffer.from(input, 'latin1') : input;
  const expected = read(pieces(bytes, [0, bytes.length]));
  const step = Math.max(1, Math.ceil(bytes.length / MAX_SPLITS));
  for (let cut = 1; cut < bytes.length; cut += step) {
    assert.deepEqual(read(pieces(bytes, [0, cut, bytes.length])), expected, `cut at byte ${cut} of ${bytes.length}`);
  }
  for (const size of [1, 2, 3, 7]) {
    assert.deepEqual(read(pieces(bytes, evenCuts(bytes.length, size))), expected, `in pieces of ${size} bytes`);
  }
  return expected;
}

/** The pieces of `bytes` between the offsets `cuts`, which begin with 0 and end with its length. */
export function* pieces(bytes: Uint8Array, cuts: readonly number[]): Generator<Piece> {
  for (let i = 0; i + 1 < cuts.length; i++) {
    const part = bytes.subarray(cuts[i], cuts[i + 1]);
    const rubbish = SURROUNDINGS[(i + part.length) % SURROUNDINGS.length]!;
    const chunk = Buffer.alloc(part.length + 2 * MARGIN, rubbish, 'latin1');
    chunk.set(part, MARGIN);
    yield { chunk: asBytes(chunk), at: MARGIN, end: MARGIN + part.length };
    chunk.fill(rubbish, 'latin1');
  }
}

function evenCuts(length: number, size: number): number[] {
  const cuts = [];
  for (let cut = 0; cut < length; cut += size) cuts.push(cut);
  return [...cuts, length];
}
