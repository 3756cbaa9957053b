import { BACKSLASH, SIMPLE_ESCAPES } from './json-bytes.ts';
import { KEY_UNKNOWN, MAX_KEY_BYTES, type JsonKeyTable } from './json-key-table.ts';

const LOWER_U = 0x75;

/** Decodes a key that has escapes or came in pieces; one longer than any name of a table is only measured. */
export class JsonKeyDecoder {
  readonly #bytes: Uint8Array;
  #length: number;
  #isEscaped: boolean;
  /** In `\uXXXX`: hex digits to come, and the number so far. */
  #hexDigits: number;
  #codeUnit: number;

  constructor() {
    this.#bytes = new Uint8Array(MAX_KEY_BYTES);
    this.#length = 0;
    this.#isEscaped = false;
    this.#hexDigits = 0;
    this.#codeUnit = 0;
  }

  reset(): void {
    this.#length = 0;
    this.#isEscaped = false;
    this.#hexDigits = 0;
  }

  /** No byte of the key has come. */
  get isFresh(): boolean {
    return this.#length === 0 && !this.isInEscape;
  }

  /** The next byte belongs to an escape, so a quote does not end the key. */
  get isInEscape(): boolean {
    return this.#isEscaped || this.#hexDigits > 0;
  }

  find(keys: JsonKeyTable): number {
    return this.#length > MAX_KEY_BYTES ? KEY_UNKNOWN : keys.find(this.#bytes, 0, this.#length);
  }

  /** @returns false if the key is no JSON string. */
  add(byte: number): boolean {
    if (this.isInEscape) return this.#addEscaped(byte);
    if (byte < 0x20) return false;
    if (byte === BACKSLASH) this.#isEscaped = true;
    else this.#append(byte);
    return true;
  }

  #append(byte: number): void {
    if (this.#length < MAX_KEY_BYTES) this.#bytes[this.#length] = byte;
    this.#length += 1;
  }

  #addEscaped(byte: number): boolean {
    if (this.#hexDigits > 0) {
      const digit = hexValue(byte);
      if (digit === -1) return false;
      this.#codeUnit = (this.#codeUnit << 4) | digit;
      this.#hexDigits -= 1;
      if (this.#hexDigits === 0) this.#appendCodeUnit(this.#codeUnit);
      return true;
    }
    this.#isEscaped = false;
    if (byte === LOWER_U) {
      this.#hexDigits = 4;
      this.#codeUnit = 0;
      return true;
    }
    const decoded = SIMPLE_ESCAPES[byte]!;
    if (decoded !== 0) this.#append(decoded);
    return decoded !== 0;
  }

  /** As UTF-8. Halves of surrogate pairs are written alone: no name has one, so they only have to differ from all names. */
  #appendCodeUnit(unit: number): void {
    if (unit < 0x80) {
      this.#append(unit);
    } else if (unit < 0x800) {
      this.#append(0xc0 | (unit >> 6));
      this.#append(0x80 | (unit & 0x3f));
    } else {
      this.#append(0xe0 | (unit >> 12));
      this.#append(0x80 | ((unit >> 6) & 0x3f));
      this.#append(0x80 | (unit & 0x3f));
    }
  }
}

function hexValue(byte: number): number {
  const lower = byte | 0x20;
  if (byte >= 0x30 && byte <= 0x39) return byte - 0x30;
  return lower >= 0x61 && lower <= 0x66 ? lower - 0x57 : -1;
}
