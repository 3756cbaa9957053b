import type { Bytes } from '../base/bytes.ts';
import { invariant } from '../base/invariant.ts';
import { allocateBytes } from './allocate-bytes.ts';
import { TOKEN_LOWER } from './byte-class.ts';
import { HEADER_NAMES, HeaderId } from './header-id.ts';
import { lookUpHeader } from './header-lookup.ts';

const NO_BYTES: Bytes = allocateBytes(0);
/** Most heads have fewer lines; the arrays double when one has more. */
const INITIAL_CAPACITY = 24;
/** Offsets kept per line. */
const STRIDE = 4;
const NAME_START = 0;
const NAME_END = 1;
const VALUE_START = 2;
const VALUE_END = 3;

/**
 * The field lines of one head: ids and offsets into the bytes they arrived in, nothing copied, strings made when asked
 * for. One table per parser, filled anew by each head.
 *
 *     bytes:   …\r\n C o n t e n t - T y p e :  _  t e x t / p l a i n  _  \r \n X-…
 *                    │nameStart              │nameEnd
 *                    │lineStart                    │valueStart        │valueEnd   │lineEnd
 *
 * Valid until the next head begins, and only as long as `bytes` keeps its content: a caller must not read from the
 * socket into the same memory again while it needs the head.
 */
export class HeaderTable {
  /** Number of field lines. */
  count: number = 0;
  /** What all offsets refer to: the chunk that held the head, or a copy. */
  bytes: Bytes = NO_BYTES;
  #offsets: Int32Array = new Int32Array(INITIAL_CAPACITY * STRIDE);
  #ids: Uint8Array = new Uint8Array(INITIAL_CAPACITY);
  /** Behind the last line. */
  #end: number = 0;

  /** Id of the line's name; `Unknown` (0) if it has none. */
  id(index: number): HeaderId {
    return this.#ids[index] as HeaderId;
  }

  /** Name in lower case. */
  name(index: number): string {
    const known = HEADER_NAMES[this.#ids[index]!]!;
    if (known !== '') return known;
    return this.bytes.latin1Slice(this.lineStart(index), this.#at(index, NAME_END)).toLowerCase();
  }

  /** Value without the whitespace around it, each byte one character (latin1). */
  value(index: number): string {
    return this.bytes.latin1Slice(this.valueStart(index), this.valueEnd(index));
  }

  /** Index of the first line with this id, or −1. */
  find(id: HeaderId): number {
    const ids = this.#ids;
    for (let index = 0; index < this.count; index++) if (ids[index] === id) return index;
    return -1;
  }

  /** Value of the first line with this id, or null. */
  text(id: HeaderId): string | null {
    const index = this.find(id);
    return index === -1 ? null : this.value(index);
  }

  /** Index of the first line with this name, known to us or not; −1 if there is none. */
  findName(lowerCaseName: string): number {
    for (let index = 0; index < this.count; index++) if (this.nameEquals(index, lowerCaseName)) return index;
    return -1;
  }

  nameEquals(index: number, lowerCaseName: string): boolean {
    const start = this.lineStart(index);
    return equalsIgnoringCase(this.bytes, start, this.#at(index, NAME_END), lowerCaseName);
  }

  /** Compares without making a string, ASCII letters in either case. */
  valueEquals(index: number, lowerCaseText: string): boolean {
    return equalsIgnoringCase(this.bytes, this.valueStart(index), this.valueEnd(index), lowerCaseText);
  }

  /** First byte of `Name: value\r\n`. Lines follow each other without gaps, so a run of lines can be copied at once. */
  lineStart(index: number): number {
    return this.#at(index, NAME_START);
  }

  /** Behind the line's LF. */
  lineEnd(index: number): number {
    return index + 1 < this.count ? this.#at(index + 1, NAME_START) : this.#end;
  }

  valueStart(index: number): number {
    return this.#at(index, VALUE_START);
  }

  valueEnd(index: number): number {
    return this.#at(index, VALUE_END);
  }

  /** For the parser: forgets the last head and lets go of its bytes. */
  release(): void {
    this.clear();
    this.bytes = NO_BYTES;
  }

  /** For the parser: forgets the last head. */
  clear(): void {
    this.count = 0;
    this.#end = 0;
  }

  /** For the parser: adds a complete line that ends at `lineEnd`. */
  add(nameStart: number, nameEnd: number, valueStart: number, valueEnd: number, lineEnd: number): void {
    const index = this.count;
    if (index === this.#ids.length) this.#grow();
    const offsets = this.#offsets;
    const base = index * STRIDE;
    offsets[base + NAME_START] = nameStart;
    offsets[base + NAME_END] = nameEnd;
    offsets[base + VALUE_START] = valueStart;
    offsets[base + VALUE_END] = valueEnd;
    this.#ids[index] = lookUpHeader(this.bytes, nameStart, nameEnd);
    this.#end = lineEnd;
    this.count = index + 1;
  }

  /** For the parser: the same bytes now lie in `bytes`, `shift` further on. */
  moveTo(bytes: Bytes, shift: number): void {
    const offsets = this.#offsets;
    for (let i = 0; i < this.count * STRIDE; i++) offsets[i]! += shift;
    this.#end += shift;
    this.bytes = bytes;
  }

  #at(index: number, field: number): number {
    invariant(index >= 0 && index < this.count, 'header index within the head');
    return this.#offsets[index * STRIDE + field]!;
  }

  #grow(): void {
    const offsets = new Int32Array(this.#offsets.length * 2);
    const ids = new Uint8Array(this.#ids.length * 2);
    offsets.set(this.#offsets);
    ids.set(this.#ids);
    this.#offsets = offsets;
    this.#ids = ids;
  }
}

/** ASCII letters of the bytes may be in either case; `lowerCaseText` is plain ASCII in lower case. */
export function equalsIgnoringCase(bytes: Uint8Array, start: number, end: number, lowerCaseText: string): boolean {
  if (end - start !== lowerCaseText.length) return false;
  for (let i = 0; i < lowerCaseText.length; i++) {
    const byte = bytes[start + i]!;
    const expected = lowerCaseText.charCodeAt(i);
    if (byte !== expected && TOKEN_LOWER[byte] !== expected) return false;
  }
  return true;
}
