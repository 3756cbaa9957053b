import { asBytes, type Bytes } from '../../base/bytes.ts';
import { SCAN_BLOCK_BYTES, takeScanBlock } from '../../base/string-end.ts';

export const BLOCK_BYTES: number = SCAN_BLOCK_BYTES;

/** At most 16 MiB are kept for the next bodies; what exceeds it is left to the collector. */
const MAX_FREE_BLOCKS = 256;

/**
 * Memory for request bodies, used again and again. Were each body to get fresh buffers, V8 would see external memory grow
 * by 64 MiB every 150 requests of 400 KB and answer with a mark-compact each time: 40 % of the CPU of such requests.
 */
export class BlockPool {
  readonly #free: Bytes[] = [];

  /** A block of `BLOCK_BYTES`, its content undefined; in the memory where strings are scanned in place as long as it lasts. */
  take(): Bytes {
    return this.#free.pop() ?? takeScanBlock() ?? asBytes(Buffer.allocUnsafeSlow(BLOCK_BYTES));
  }

  give(block: Bytes): void {
    if (this.#free.length < MAX_FREE_BLOCKS) this.#free.push(block);
  }
}
