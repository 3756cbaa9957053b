import { brotliDecompressSync, gunzipSync, inflateSync, zstdDecompressSync } from 'node:zlib';
import { asBytes, type Bytes } from '../../base/bytes.ts';
import { gatewayError, type GatewayError } from '../../domain/errors/gateway-error.ts';
import type { MemoryBudget } from '../overload/memory-budget.ts';
import { BLOCK_BYTES, type BlockPool } from './block-pool.ts';

/** From here on a chunk of its own memory is kept as it is; a smaller one, or a lent one, is copied into a block. */
const MIN_KEPT_BYTES = 16 * 1024;

/** Less room than this in a block is not worth a read of its own. */
const MIN_READ_BYTES = 16 * 1024;

/** A body may become so much larger by decoding; text does not go beyond 20 or so, repeated tool results beyond 100. */
const MAX_RATIO = 200;
/** Up to here any ratio will do: 2–4 ms. */
const ALWAYS_DECODED_BYTES = 1024 * 1024;

/**
 * A request body as it lies in memory: a list of parts, addressed by offsets from the body's first byte.
 *
 * ```
 * parts   | chunk kept as read | block (64 KiB, full) | block (filling) |
 * offsets 0                16384                  81920           102400
 * ```
 */
export class RequestBody {
  readonly parts: Bytes[] = [];
  length = 0;
  /** More came than the budget of bytes in flight had left: the request is to be refused. */
  isOverBudget = false;
  readonly #pool: BlockPool;
  readonly #budget: MemoryBudget;
  /** Taken from the budget. */
  #chargedBytes = 0;
  readonly #blocks: Bytes[] = [];
  /** Bytes used of the last part, if that is a block still filling; −1 otherwise. */
  #blockUsed = -1;

  constructor(pool: BlockPool, budget: MemoryBudget) {
    this.#pool = pool;
    this.#budget = budget;
  }

  reset(): void {
    if (this.parts.length > 0) this.parts.length = 0;
    this.length = 0;
    this.#blockUsed = -1;
  }

  /**
   * Adds `chunk[start, end)`.
   *
   * @param isWhole nothing follows: then it is kept as it is.
   * @param isLent the chunk's memory will be written to again: then it is copied.
   */
  push(chunk: Bytes, start: number, end: number, isWhole: boolean, isLent: boolean): void {
    const size = end - start;
    this.length += size;
    if (this.#isInPlace(chunk, start)) {
      this.#blockUsed += size;
      return;
    }
    if (!isLent && (isWhole || size >= MIN_KEPT_BYTES)) {
      this.#sealBlock();
      this.#charge(size);
      this.parts.push(start === 0 && end === chunk.length ? chunk : chunk.subarray(start, end));
      return;
    }
    let at = start;
    while (at < end) {
      if (this.#blockUsed === -1 || this.#blockUsed === BLOCK_BYTES) this.#addBlock();
      const block = this.parts[this.parts.length - 1]!;
      const take = Math.min(end - at, BLOCK_BYTES - this.#blockUsed);
      chunk.copy(block, this.#blockUsed, at, at + take);
      this.#blockUsed += take;
      at += take;
    }
  }

  /** Where the socket should read the next bytes of the body to, at most `maxBytes`: pushed from there nothing is copied. */
  readTarget(maxBytes: number): Bytes {
    if (this.#blockUsed === -1 || BLOCK_BYTES - this.#blockUsed < MIN_READ_BYTES) {
      this.#sealBlock();
      this.#addBlock();
    }
    const block = this.parts[this.parts.length - 1]!;
    return block.subarray(this.#blockUsed, Math.min(BLOCK_BYTES, this.#blockUsed + maxBytes));
  }

  /**
   * Nothing refers to the body's memory any more, no write or read that waits either: its blocks may serve the next
   * request. `length` stays.
   */
  recycle(): void {
    this.parts.length = 0;
    if (this.#chargedBytes > 0) this.#budget.give(this.#chargedBytes);
    this.#chargedBytes = 0;
    if (this.#blocks.length === 0) return;
    for (const block of this.#blocks) this.#pool.give(block);
    this.#blocks.length = 0;
  }

  /** `bytes` of it are in memory a second time, on their way to a provider that does not take them at once. */
  chargeCopy(bytes: number): void {
    this.#budget.take(bytes);
    this.#chargedBytes += bytes;
  }

  /** No more bytes: cuts the block that was filling to its size. */
  finish(): void {
    this.#sealBlock();
  }

  /** The UTF-8 text of `[start, end)`. */
  text(start: number, end: number): string {
    let offset = 0;
    let gathered = '';
    const pieces: Uint8Array[] = [];
    for (const part of this.parts) {
      const from = Math.max(start - offset, 0);
      const to = Math.min(end - offset, part.length);
      if (from < to) {
        if (from === start - offset && to === end - offset) return part.utf8Slice(from, to);
        pieces.push(part.subarray(from, to));
      }
      offset += part.length;
      if (offset >= end) break;
    }
    if (pieces.length > 0) gathered = Buffer.concat(pieces).toString('utf8');
    return gathered;
  }

  /** Appends the parts of `[start, end)` to `out`, without copying. */
  slice(start: number, end: number, out: Bytes[]): void {
    let offset = 0;
    for (const part of this.parts) {
      const from = Math.max(start - offset, 0);
      const to = Math.min(end - offset, part.length);
      if (from < to) out.push(from === 0 && to === part.length ? part : part.subarray(from, to));
      offset += part.length;
      if (offset >= end) return;
    }
  }

  /**
   * Undoes one layer of content-encoding, in place. Synchronous on purpose: nothing on the request path waits for the
   * thread pool; 1 MB of JSON takes 2–4 ms. Bounded by `maxBytes` of output, by what the budget of bytes has left, and by
   * what the client took the trouble to send: 30 KB that become 32 MiB would hold up the worker for 76 ms (brotli).
   */
  decode(encoding: string, maxBytes: number): GatewayError | null {
    const decoder = DECODERS[encoding];
    if (decoder === undefined) {
      return gatewayError(
        'unsupported_content_encoding',
        `content-encoding ${JSON.stringify(encoding.slice(0, 40))} is not supported: use gzip, deflate, br or zstd, one layer`,
      );
    }
    const packed = this.parts.length === 1 ? this.parts[0]! : Buffer.concat(this.parts);
    const leftBytes = Math.max(1, this.#budget.leftBytes);
    const ratioBytes = Math.max(ALWAYS_DECODED_BYTES, packed.length * MAX_RATIO);
    let plain: Buffer;
    try {
      plain = decoder(packed, { maxOutputLength: Math.min(maxBytes, leftBytes, ratioBytes) });
    } catch (error) {
      if (error instanceof RangeError) {
        if (leftBytes < Math.min(maxBytes, ratioBytes)) return outOfMemory();
        if (ratioBytes < maxBytes)
          return gatewayError('body_too_large', `the request body is over ${MAX_RATIO} times larger after decoding`);
        return gatewayError('body_too_large', `the request body is larger than ${maxBytes} bytes after decoding`);
      }
      return gatewayError('invalid_content_encoding', `the request body is not valid ${encoding}`);
    }
    this.reset();
    this.push(asBytes(plain), 0, plain.length, true, false);
    return null;
  }

  /** The bytes at `start` were read to where they belong. */
  #isInPlace(chunk: Bytes, start: number): boolean {
    if (this.#blockUsed === -1) return false;
    const block = this.parts[this.parts.length - 1]!;
    return chunk.buffer === block.buffer && chunk.byteOffset + start === block.byteOffset + this.#blockUsed;
  }

  #charge(bytes: number): void {
    if (!this.#budget.tryTake(bytes)) {
      this.isOverBudget = true;
      this.#budget.take(bytes);
    }
    this.#chargedBytes += bytes;
  }

  #addBlock(): void {
    this.#charge(BLOCK_BYTES);
    const block = this.#pool.take();
    this.#blocks.push(block);
    this.parts.push(block);
    this.#blockUsed = 0;
  }

  #sealBlock(): void {
    if (this.#blockUsed === -1) return;
    const last = this.parts.length - 1;
    this.parts[last] = this.parts[last]!.subarray(0, this.#blockUsed);
    this.#blockUsed = -1;
  }
}

/** One second: memory comes back as fast as requests end. */
const OUT_OF_MEMORY: GatewayError = Object.freeze({
  ...gatewayError('overloaded', 'Too many bytes of requests are in flight.'),
  retryAfterSeconds: 1,
});

export function outOfMemory(): GatewayError {
  return OUT_OF_MEMORY;
}

type Decoder = (data: Uint8Array, options: { maxOutputLength: number }) => Buffer;

const DECODERS: Readonly<Record<string, Decoder>> = Object.freeze({
  __proto__: null,
  gzip: gunzipSync,
  'x-gzip': gunzipSync,
  deflate: inflateSync,
  br: brotliDecompressSync,
  zstd: zstdDecompressSync,
} as unknown as Record<string, Decoder>);
