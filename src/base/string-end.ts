import { bytesOver, type Bytes } from './bytes.ts';
import { BACKSLASH } from './json-bytes.ts';
import { findQuoteModule } from './string-end-code.ts';

/** What is declared of the platform's WebAssembly: this file uses no more. */
declare const WebAssembly: {
  readonly Module: new (code: Uint8Array) => object;
  readonly Instance: new (module: object) => {
    readonly exports: {
      readonly memory: { readonly buffer: ArrayBuffer };
      readonly findQuote: (at: number, end: number) => number;
    };
  };
};

const PAGE_BYTES = 64 * 1024;

/*
 * Memory, per thread:   | readBuffer, 64 KiB | scratch, 64 KiB | what may be read past an end, one page |
 */
const { memory, findQuote } = new WebAssembly.Instance(new WebAssembly.Module(findQuoteModule(3))).exports;
const SCRATCH = PAGE_BYTES;
const memoryBytes = bytesOver(memory.buffer, 0, 3 * PAGE_BYTES);

/** The first piece copied to the scratch memory; each is twice as long as the one before, as most strings are short. */
const FIRST_PIECE_BYTES = 512;

/**
 * Where sockets of this thread should be read to: `findStringEnd` works on it in place, elsewhere on a copy. Shared: what
 * it holds is gone at the next read.
 */
export const scanReadBuffer: Bytes = bytesOver(memory.buffer, 0, PAGE_BYTES);

/**
 * The first quote in `bytes[from, end)` that no backslash escapes, or −1. `bytes[from]` must not be escaped itself.
 *
 * 0.04 ns per byte in `scanReadBuffer`, 0.1 elsewhere, however dense the escapes (bench/micro/json-scan.ts); the best loop
 * in JavaScript takes 0.9. A call costs about 15 ns, elsewhere 100.
 */
export function findStringEnd(bytes: Bytes, from: number, end: number): number {
  if (bytes.buffer === memory.buffer) {
    const { byteOffset } = bytes;
    const found = findQuote(byteOffset + from, byteOffset + end) - byteOffset;
    return found < end ? found : -1;
  }
  let at = from;
  let piece = FIRST_PIECE_BYTES;
  while (at < end) {
    const stop = Math.min(at + piece, end);
    bytes.copy(memoryBytes, SCRATCH, at, stop);
    const found = findQuote(SCRATCH, SCRATCH + stop - at) - SCRATCH + at;
    if (found < stop) return found;
    at = endsInEscape(bytes, at, stop) ? stop + 1 : stop;
    piece = Math.min(piece * 2, PAGE_BYTES);
  }
  return -1;
}

/** Whether `bytes[from, end)`, which holds no unescaped quote, ends in a backslash that escapes what follows. */
export function endsInEscape(bytes: Bytes, from: number, end: number): boolean {
  let run = end;
  while (run > from && bytes[run - 1] === BACKSLASH) run -= 1;
  return ((end - run) & 1) === 1;
}
