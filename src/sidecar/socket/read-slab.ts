import { asBytes, type Bytes } from '../../base/bytes.ts';
import { scanReadBuffer } from '../../base/string-end.ts';

const BLOCK_BYTES = 64 * 1024;
/** From here on a chunk gets memory of its own, so that it neither wastes the rest of a block nor keeps one alive. */
const OWN_MEMORY_BYTES = 16 * 1024;
/** Keeps chunks aligned for the 8-byte steps of memchr and memcpy. */
const ALIGNMENT_BYTES = 8;

/**
 * Where all plain-TCP connections of a worker read to. By default libuv is given 64 KiB of fresh memory for each read,
 * shrunk afterwards; reading to one shared buffer and copying what came into a block costs 0.8 µs less per read of 600
 * bytes, 0.6 µs per 16 KB (32 connections, Node 26.10; see bench/micro/upstream-pool.ts). A chunk, once taken, is never
 * written to again: it may be kept as long as needed.
 *
 *     read(2) ─► readBuffer ─copy─► block: |chunk|chunk|chunk|……|   a full block is left to its chunks
 */
export class ReadSlab {
  /** For `onread` of net.connect. Holds data only between a read and `take`, which follow each other synchronously. */
  readonly readBuffer: Bytes;
  #block: Buffer;
  #used: number;

  constructor() {
    this.readBuffer = scanReadBuffer;
    this.#block = Buffer.allocUnsafeSlow(BLOCK_BYTES);
    this.#used = 0;
  }

  /** A stable copy of the first `length` bytes of `readBuffer`. */
  take(length: number): Bytes {
    let chunk: Buffer;
    if (length >= OWN_MEMORY_BYTES) {
      chunk = Buffer.allocUnsafeSlow(length);
    } else {
      if (this.#used + length > BLOCK_BYTES) {
        this.#block = Buffer.allocUnsafeSlow(BLOCK_BYTES);
        this.#used = 0;
      }
      chunk = this.#block.subarray(this.#used, this.#used + length);
      this.#used += (length + ALIGNMENT_BYTES - 1) & -ALIGNMENT_BYTES;
    }
    this.readBuffer.copy(chunk, 0, 0, length);
    return asBytes(chunk);
  }
}
