import { brotliDecompressSync, gunzipSync, inflateSync, zstdDecompressSync } from 'node:zlib';
import { asBytes, type Bytes } from '../../base/bytes.ts';
import type { UsageShape } from '../../domain/endpoints.ts';
import { JsonReplyReader } from '../../domain/reply/json-reply-reader.ts';
import { StreamReplyReader } from '../../domain/reply/stream-reply-reader.ts';
import type { TokenUsage } from '../../domain/usage/token-usage.ts';
import type { ResponseHead } from '../../http1/response-head.ts';
import { mediaType } from './media-type.ts';

/** A larger compressed reply is relayed without its usage being read. */
const MAX_COPIED_BYTES = 4 * 1024 * 1024;
const MAX_PLAIN_BYTES = 32 * 1024 * 1024;

/**
 * Copy of a reply that came compressed although we asked for identity. The reply is relayed untouched; at its end the
 * copy is decoded and read for usage.
 */
export class EncodedReplyCopy {
  readonly #encoding: string;
  readonly #shape: UsageShape;
  readonly #isEventStream: boolean;
  #parts: Bytes[] = [];
  #bytes = 0;

  constructor(encoding: string, head: ResponseHead, shape: UsageShape) {
    this.#encoding = encoding.toLowerCase();
    this.#shape = shape;
    this.#isEventStream = mediaType(head) === 'text/event-stream';
  }

  push(chunk: Bytes, start: number, end: number): void {
    this.#bytes += end - start;
    if (this.#bytes > MAX_COPIED_BYTES) this.#parts = [];
    else this.#parts.push(chunk.subarray(start, end));
  }

  read(): { usage: TokenUsage | null; responseId: string | null } {
    const plain = this.#decode();
    if (plain === null) return { usage: null, responseId: null };
    if (this.#isEventStream) {
      const reader = new StreamReplyReader();
      const relayed: Bytes[] = [];
      reader.reset({ shape: this.#shape, replyModel: null, dropUsageOnlyEvents: false });
      reader.push(plain, 0, plain.length, relayed);
      reader.finish(relayed);
      return { usage: reader.usage, responseId: reader.responseId };
    }
    const reader = new JsonReplyReader();
    reader.reset(this.#shape);
    reader.push(plain, 0, plain.length);
    reader.finish();
    return { usage: reader.usage, responseId: reader.id };
  }

  #decode(): Bytes | null {
    if (this.#bytes === 0 || this.#bytes > MAX_COPIED_BYTES) return null;
    const packed = Buffer.concat(this.#parts);
    const options = { maxOutputLength: MAX_PLAIN_BYTES };
    try {
      switch (this.#encoding) {
        case 'gzip':
        case 'x-gzip':
          return asBytes(gunzipSync(packed, options));
        case 'deflate':
          return asBytes(inflateSync(packed, options));
        case 'br':
          return asBytes(brotliDecompressSync(packed, options));
        case 'zstd':
          return asBytes(zstdDecompressSync(packed, options));
        default:
          return null;
      }
    } catch {
      return null; // The client will see for itself; usage stays unknown.
    }
  }
}
