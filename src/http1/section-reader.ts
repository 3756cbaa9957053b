import type { Bytes } from '../base/bytes.ts';
import { allocateBytes } from './allocate-bytes.ts';
import { LF } from './byte-class.ts';
import type { RefusalRule } from './refusals.ts';

/** What a scan answers when it can't answer the offset behind the section. */
export const ScanResult = { Incomplete: -1, Refused: -2 } as const;

/** Reads a head or a trailer section line by line, keeping offsets into it. */
export interface SectionScanner {
  /** After `Refused`: why. */
  readonly refusal: RefusalRule | null;
  /** After `Incomplete`: start of the line that isn't whole yet, where the next scan begins. */
  readonly lineStart: number;
  /** Reads whole lines from `at` on. Answers the offset behind the section, or a `ScanResult`. */
  scan(bytes: Bytes, at: number, end: number): number;
  /** What was scanned so far now lies in `bytes`, `shift` further on. */
  moveTo(bytes: Bytes, shift: number): void;
  /** The section has reached its limit and isn't complete: sets the refusal for that. */
  refuseOutgrown(): void;
}

/** Most heads that come in two pieces are a little larger than one packet. */
const INITIAL_OWN_BYTES = 4096;
const NOTHING: Bytes = allocateBytes(0);

/**
 * Hands a section to its scanner and bounds its size. A section that lies whole in one chunk, as nearly all do, is
 * scanned where it is. Only one that is split is gathered in memory of its own, and scanned on when a line feed arrives:
 * so no line is scanned more than twice, however small the pieces, and the scanners need no state inside a line. (A
 * fault in a line that was split is therefore found when the line's LF is there, or the limit is reached.)
 *
 *     chunk 1  POST / HTTP/1.1\r\nHost: exa          ──► scanned in place; "Host: exa" is no whole line
 *     own      POST / HTTP/1.1\r\nHost: exa|mple     ──► no line feed: wait
 *     own      POST / HTTP/1.1\r\nHost: exa|mple|.com\r\n\r\n     ──► scanned on from "Host"
 */
export class SectionReader {
  readonly #scanner: SectionScanner;
  readonly #maxBytes: number;
  #own: Bytes = NOTHING;
  /** Bytes of an incomplete section in `#own`. */
  #ownLength: number = 0;

  constructor(scanner: SectionScanner, maxBytes: number) {
    this.#scanner = scanner;
    this.#maxBytes = maxBytes;
  }

  /** Before each section. Takes new memory, since the caller may still refer to what the last section left in the old. */
  begin(): void {
    this.#own = NOTHING;
    this.#ownLength = 0;
  }

  /** Answers the offset in `chunk` behind the section, or a `ScanResult`; `Incomplete` means all of it is consumed. */
  read(chunk: Bytes, at: number, end: number): number {
    if (this.#ownLength > 0) return this.#readOn(chunk, at, end);

    // Fast case: scanned in place.
    const bound = Math.min(end, at + this.#maxBytes);
    const position = this.#scanner.scan(chunk, at, bound);
    if (position !== ScanResult.Incomplete) return position;
    if (bound - at === this.#maxBytes) return this.#refuseOutgrown();
    this.#append(chunk, at, end);
    this.#scanner.moveTo(this.#own, -at);
    return ScanResult.Incomplete;
  }

  #readOn(chunk: Bytes, at: number, end: number): number {
    const before = this.#ownLength;
    const taken = Math.min(end - at, this.#maxBytes - before);
    this.#append(chunk, at, at + taken);
    const isFull = this.#ownLength === this.#maxBytes;
    const lineFeed = this.#own.indexOf(LF, before);
    if (!isFull && (lineFeed === -1 || lineFeed >= this.#ownLength)) return ScanResult.Incomplete;

    this.#scanner.moveTo(this.#own, 0);
    const position = this.#scanner.scan(this.#own, this.#scanner.lineStart, this.#ownLength);
    if (position >= 0) return at + position - before;
    return position === ScanResult.Incomplete && isFull ? this.#refuseOutgrown() : position;
  }

  #append(chunk: Bytes, at: number, end: number): void {
    const length = this.#ownLength + end - at;
    if (length > this.#own.length) {
      const larger = allocateBytes(Math.max(length, Math.min(this.#maxBytes, this.#own.length * 2), INITIAL_OWN_BYTES));
      this.#own.copy(larger, 0, 0, this.#ownLength);
      this.#own = larger;
    }
    chunk.copy(this.#own, this.#ownLength, at, end);
    this.#ownLength = length;
  }

  #refuseOutgrown(): number {
    this.#scanner.refuseOutgrown();
    return ScanResult.Refused;
  }
}
