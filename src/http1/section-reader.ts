import type { Bytes } from '../base/bytes.ts';
import { allocateBytes } from './allocate-bytes.ts';
import type { RefusalRule } from './refusals.ts';

/** What a scan answers when it can't answer the offset behind the section. */
export const ScanResult = { Incomplete: -1, Refused: -2 } as const;

/** Goes over a head or a trailer section, byte by byte, keeping offsets into it. */
export interface SectionScanner {
  /** Set when `scan` answered `Refused`. */
  refusal: RefusalRule | null;
  /** Goes on at `at`. Answers the offset behind the section, or a `ScanResult`. */
  scan(bytes: Bytes, at: number, end: number): number;
  /** What was scanned so far now lies in `bytes`, `shift` further on. */
  moveTo(bytes: Bytes, shift: number): void;
  /** The rule that a section breaks which has reached its limit and isn't complete. */
  outgrown(): RefusalRule;
}

/** Most heads that come in two pieces are a little larger than one packet. */
const INITIAL_OWN_BYTES = 4096;
const NOTHING: Bytes = allocateBytes(0);

/**
 * Hands a section to its scanner and bounds its size. A section that lies whole in one chunk, as nearly all do, is
 * scanned where it is; only one that is split is gathered in memory of its own, and the scanner goes on in there.
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

  /** No byte of an incomplete section is held. */
  isEmpty(): boolean {
    return this.#ownLength === 0;
  }

  /** Before each section. What the last one's scanner refers to stays as it is: new memory is taken. */
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
    if (this.#append(chunk, at, at + taken)) this.#scanner.moveTo(this.#own, 0);
    const position = this.#scanner.scan(this.#own, before, before + taken);
    if (position >= 0) return at + position - before;
    if (position === ScanResult.Incomplete && this.#ownLength === this.#maxBytes) return this.#refuseOutgrown();
    return position;
  }

  /** Answers whether the bytes gathered so far had to move to larger memory. */
  #append(chunk: Bytes, at: number, end: number): boolean {
    const length = this.#ownLength + end - at;
    const moves = length > this.#own.length;
    if (moves) {
      const larger = allocateBytes(Math.max(length, Math.min(this.#maxBytes, this.#own.length * 2), INITIAL_OWN_BYTES));
      this.#own.copy(larger, 0, 0, this.#ownLength);
      this.#own = larger;
    }
    chunk.copy(this.#own, this.#ownLength, at, end);
    this.#ownLength = length;
    return moves;
  }

  #refuseOutgrown(): number {
    this.#scanner.refusal = this.#scanner.outgrown();
    return ScanResult.Refused;
  }
}
