import { asBytes, type Bytes } from '../../base/bytes.ts';

export const BLOCK_BYTES: number = 32 * 1024;

/** At most 16 MiB are kept for the next bodies; what exceeds it is left to the collector. */
const MAX_FREE_BLOCKS = 512;

/**
 * Memory for request bodies, used again and again. Were each body to get fresh buffers, V8 would see external memory grow
 * by 64 MiB every 150 requests of 400 KB and answer with a mark-compact each time: 40 % of the CPU of such requests.
 */
export class BlockPool {
  readonly #free: Bytes[] = [];

  /** A block of `BLOCK_BYTES`, its content undefined. */
  take(): Bytes {
    return this.#free.pop() ?? asBytes(Buffer.allocUnsafeSlow(BLOCK_BYTES));
  }

  give(block: Bytes): void {
    if (this.#free.length < MAX_FREE_BLOCKS) this.#free.push(block);
  }
}
