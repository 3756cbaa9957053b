import type { Bytes } from '../base/bytes.ts';
import { invariant } from '../base/invariant.ts';
import { CR, FIELD_VALUE, HEX_VALUE, LF, SEMICOLON } from './byte-class.ts';
import type { ParserLimits } from './limits.ts';
import { ParserEvent } from './parser-event.ts';
import type { RefusalRule } from './refusals.ts';
import { ScanResult } from './section-reader.ts';
import { TrailerSection } from './trailer-section.ts';

/** Where the next byte stands. */
const Place = {
  /** Nothing is left of this body. */
  End: 0,
  /** In a body whose length is known. */
  Data: 1,
  UntilClose: 2,
  // Chunked (RFC 9112 §7.1), in the order a chunk goes through them.
  SizeStart: 3,
  Size: 4,
  Extension: 5,
  SizeLineFeed: 6,
  ChunkData: 7,
  ChunkReturn: 8,
  ChunkLineFeed: 9,
  Trailers: 10,
} as const;
type Place = (typeof Place)[keyof typeof Place];

/** 15 digits are 60 bits: the sum can't lose its high bits before it is compared with 2^53. */
const MAX_SIZE_DIGITS = 15;

/**
 * Finds a body's bytes among its framing. Of a body with a length no byte is looked at, of a chunked one only the bytes
 * between the data. `next` sets `event` and answers the new offset, as the parsers do.
 */
export class BodyDecoder {
  event: ParserEvent = ParserEvent.NeedMore;
  /** After the event Body: range in the chunk passed. */
  bodyStart: number = 0;
  bodyEnd: number = 0;
  /** After the event Error. */
  refusal: RefusalRule | null = null;
  readonly #limits: ParserLimits;
  #place: Place = Place.End;
  /** Bytes left of the body or of the chunk. */
  #remaining: number = 0;
  #sizeDigits: number = 0;
  #extensionLength: number = 0;
  /** Made when the first chunked body ends. */
  #trailers: TrailerSection | null = null;

  constructor(limits: ParserLimits) {
    this.#limits = limits;
  }

  beginNone(): void {
    this.#place = Place.End;
  }

  /** @param length in bytes, from 0 */
  beginLength(length: number): void {
    this.#remaining = length;
    this.#place = length === 0 ? Place.End : Place.Data;
  }

  beginChunked(): void {
    this.#place = Place.SizeStart;
  }

  beginUntilClose(): void {
    this.#place = Place.UntilClose;
  }

  /** No byte is missing. */
  isAtEnd(): boolean {
    return this.#place === Place.End;
  }

  isUntilClose(): boolean {
    return this.#place === Place.UntilClose;
  }

  next(chunk: Bytes, at: number, end: number): number {
    if (this.#place === Place.Data) return this.#takeData(at, end, Place.End);
    if (this.#place === Place.End) {
      this.event = ParserEvent.End;
      return at;
    }
    if (this.#place === Place.UntilClose) return at === end ? this.#needMore(end) : this.#body(at, end);
    return this.#nextChunked(chunk, at, end);
  }

  #takeData(at: number, end: number, after: Place): number {
    if (at === end) return this.#needMore(end);
    const available = end - at;
    if (available < this.#remaining) {
      this.#remaining -= available;
      return this.#body(at, end);
    }
    const bodyEnd = at + this.#remaining;
    this.#remaining = 0;
    this.#place = after;
    return this.#body(at, bodyEnd);
  }

  /** Goes through framing until there is data, the end, or no byte left. */
  #nextChunked(chunk: Bytes, at: number, end: number): number {
    let i = at;
    while (i < end) {
      switch (this.#place) {
        case Place.SizeStart:
          this.#remaining = 0;
          this.#sizeDigits = 0;
          this.#extensionLength = 0;
          this.#place = Place.Size;
          break;
        case Place.Size:
          i = this.#scanSize(chunk, i, end);
          break;
        case Place.Extension:
          i = this.#scanExtension(chunk, i, end);
          break;
        case Place.SizeLineFeed:
          if (chunk[i] !== LF) return this.#refuse('bare_cr', i);
          i++;
          if (this.#remaining === 0) this.#beginTrailers();
          else this.#place = Place.ChunkData;
          break;
        case Place.ChunkData:
          return this.#takeData(i, end, Place.ChunkReturn);
        case Place.ChunkReturn:
          if (chunk[i] !== CR) return this.#refuse('bad_chunk_end', i);
          i++;
          this.#place = Place.ChunkLineFeed;
          break;
        case Place.ChunkLineFeed:
          if (chunk[i] !== LF) return this.#refuse('bad_chunk_end', i);
          i++;
          this.#place = Place.SizeStart;
          break;
        case Place.Trailers:
          return this.#nextTrailers(chunk, i, end);
        case Place.End:
        case Place.Data:
        case Place.UntilClose:
          invariant(false, 'only a chunked body has chunks');
        default:
          return this.#place satisfies never;
      }
      if (this.refusal !== null) return i;
    }
    return this.#needMore(end);
  }

  #scanSize(chunk: Bytes, at: number, end: number): number {
    let size = this.#remaining;
    let digits = this.#sizeDigits;
    let i = at;
    while (i < end && HEX_VALUE[chunk[i]!] !== 255) {
      size = size * 16 + HEX_VALUE[chunk[i]!]!;
      digits++;
      i++;
      if (digits > MAX_SIZE_DIGITS) return this.#refuse('bad_chunk_size', i);
    }
    this.#remaining = size;
    this.#sizeDigits = digits;
    if (i === end) return i;
    const byte = chunk[i];
    if (digits === 0 || size > Number.MAX_SAFE_INTEGER) return this.#refuse('bad_chunk_size', i);
    if (byte === CR) {
      this.#place = Place.SizeLineFeed;
      return i + 1;
    }
    if (byte === SEMICOLON) {
      this.#place = Place.Extension;
      return i;
    }
    return this.#refuse(byte === LF ? 'bare_lf' : 'bad_chunk_size', i);
  }

  #scanExtension(chunk: Bytes, at: number, end: number): number {
    // One more than the limit is enough to see that it is exceeded.
    const bound = Math.min(end, at + this.#limits.maxChunkExtensionBytes - this.#extensionLength + 1);
    let i = at;
    while (i < bound && FIELD_VALUE[chunk[i]!] !== 0) i++;
    this.#extensionLength += i - at;
    if (this.#extensionLength > this.#limits.maxChunkExtensionBytes) return this.#refuse('chunk_extension_too_long', i);
    if (i === end) return i;
    if (chunk[i] !== CR) return this.#refuse(chunk[i] === LF ? 'bare_lf' : 'bad_chunk_extension', i);
    this.#place = Place.SizeLineFeed;
    return i + 1;
  }

  #beginTrailers(): void {
    this.#trailers ??= new TrailerSection(this.#limits);
    this.#trailers.begin();
    this.#place = Place.Trailers;
  }

  #nextTrailers(chunk: Bytes, at: number, end: number): number {
    const trailers = this.#trailers;
    invariant(trailers !== null, 'trailers have begun');
    const position = trailers.read(chunk, at, end);
    if (position === ScanResult.Incomplete) return this.#needMore(end);
    if (position === ScanResult.Refused) return this.#refuse(trailers.refusal ?? 'trailers_too_large', at);
    this.#place = Place.End;
    this.event = ParserEvent.End;
    return position;
  }

  #body(start: number, end: number): number {
    this.bodyStart = start;
    this.bodyEnd = end;
    this.event = ParserEvent.Body;
    return end;
  }

  #needMore(end: number): number {
    this.event = ParserEvent.NeedMore;
    return end;
  }

  #refuse(rule: RefusalRule, at: number): number {
    this.refusal = rule;
    this.event = ParserEvent.Error;
    return at;
  }
}
