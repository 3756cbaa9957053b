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

/** 16 MiB. Address space until they are used. */
const BLOCK_PAGES = 256;

/*
 * Memory, per thread, in pages of 64 KiB:   | scanReadBuffer | scratch | blocks … | what may be read past an end |
 */
const SCRATCH = PAGE_BYTES;
const BLOCKS = 2 * PAGE_BYTES;
const BLOCKS_END = BLOCKS + BLOCK_PAGES * PAGE_BYTES;
const PAGES = BLOCKS_END / PAGE_BYTES + 1;
const { memory, findQuote } = new WebAssembly.Instance(new WebAssembly.Module(findQuoteModule(PAGES))).exports;
const scratchBytes = bytesOver(memory.buffer, SCRATCH, PAGE_BYTES);
let nextBlock = BLOCKS;

/** The first piece copied to the scratch memory; each is twice as long as the one before, as most strings are short. */
const FIRST_PIECE_BYTES = 512;

/**
 * Where sockets of this thread should be read to: `findStringEnd` works on it in place, elsewhere on a copy. Shared: what
 * it holds is gone at the next read.
 */
export const scanReadBuffer: Bytes = bytesOver(memory.buffer, 0, PAGE_BYTES);

export const SCAN_BLOCK_BYTES: number = PAGE_BYTES;

/** `SCAN_BLOCK_BYTES` of the same memory, the caller's from now on; null when all are taken. */
export function takeScanBlock(): Bytes | null {
  if (nextBlock === BLOCKS_END) return null;
  const block = bytesOver(memory.buffer, nextBlock, PAGE_BYTES);
  nextBlock += PAGE_BYTES;
  return block;
}

/**
 * The first quote in `bytes[from, end)` that no backslash escapes, or −1. `bytes[from]` must not be escaped itself.
 *
 * 0.04 ns per byte in `scanReadBuffer` and scan blocks, 0.1 elsewhere, however dense the escapes (bench/micro/json-scan.ts); the best loop
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
    bytes.copy(scratchBytes, 0, at, stop);
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
