/** Longest key that is compared with the table, in bytes of decoded UTF-8. */
export const MAX_KEY_BYTES = 128;

export const KEY_UNKNOWN = -1;
/** `find` answers `KEY_CASE_DIFFERS − index` for a key that equals a name but for case. */
export const KEY_CASE_DIFFERS = -2;

/**
 * Letters outside ASCII that some parser folds to one inside: Go's encoding/json matches field names with U+017F as s and
 * U+212A as k, Java's equalsIgnoreCase takes U+0130 and U+0131 for i.
 */
const LONG_S = [0xc5, 0xbf] as const;
const KELVIN = [0xe2, 0x84, 0xaa] as const;
const DOTTED_I = [0xc4, 0xb0] as const;
const DOTLESS_I = 0xb1; // after the same first byte

/**
 * Names of JSON keys, found by their bytes without making a string. A strict table is for requests: repeated names, and
 * names in another case, are failures of the scan, because the provider's parser might pick the other one. A lenient
 * table is for replies: names match exactly and the last one wins, as in `JSON.parse`.
 */
export class JsonKeyTable {
  readonly names: readonly string[];
  readonly size: number;
  readonly isStrict: boolean;
  /** Bytes of each name. */
  readonly #bytes: readonly Uint8Array[];
  /** Indexes of the names of each length. */
  readonly #byLength: readonly (readonly number[])[];
  readonly #folded: Uint8Array;

  /** @param names ASCII, lower case, each once, shorter than MAX_KEY_BYTES. */
  constructor(names: readonly string[], mode: 'strict' | 'lenient' = 'strict') {
    this.names = names;
    this.size = names.length;
    this.isStrict = mode === 'strict';
    this.#bytes = names.map((name) => Uint8Array.from(name, (letter) => letter.charCodeAt(0)));
    const byLength: number[][] = Array.from({ length: MAX_KEY_BYTES + 1 }, () => []);
    for (const [index, name] of names.entries()) byLength[name.length]!.push(index);
    this.#byLength = byLength;
    this.#folded = new Uint8Array(MAX_KEY_BYTES);
  }

  /** Index of the name at `bytes[from, from + length)`, KEY_UNKNOWN, or `KEY_CASE_DIFFERS − index` (strict tables). */
  find(bytes: Uint8Array, from: number, length: number): number {
    if (length > MAX_KEY_BYTES) return KEY_UNKNOWN;
    const exact = this.#findExact(bytes, from, length);
    if (exact !== KEY_UNKNOWN || !this.isStrict) return exact;
    let i = from;
    const end = from + length;
    while (i < end && IS_FOLDED[bytes[i]!] === 1) i += 1;
    if (i === end) return KEY_UNKNOWN;
    const folded = this.#findExact(this.#folded, 0, this.#fold(bytes, from, end));
    return folded === KEY_UNKNOWN ? KEY_UNKNOWN : KEY_CASE_DIFFERS - folded;
  }

  #findExact(bytes: Uint8Array, from: number, length: number): number {
    const candidates = this.#byLength[length]!;
    for (let n = 0; n < candidates.length; n += 1) {
      const index = candidates[n]!;
      const name = this.#bytes[index]!;
      let i = 0;
      while (i < length && bytes[from + i] === name[i]) i += 1;
      if (i === length) return index;
    }
    return KEY_UNKNOWN;
  }

  /** Writes the key in lower case into `#folded`; answers its length there. */
  #fold(bytes: Uint8Array, from: number, end: number): number {
    const folded = this.#folded;
    let length = 0;
    for (let i = from; i < end; i += 1) {
      let byte = bytes[i]!;
      if (byte >= 0x41 && byte <= 0x5a) {
        byte |= 0x20;
      } else if (byte === LONG_S[0] && i + 1 < end && bytes[i + 1] === LONG_S[1]) {
        byte = 0x73;
        i += 1;
      } else if (byte === DOTTED_I[0] && i + 1 < end && (bytes[i + 1] === DOTTED_I[1] || bytes[i + 1] === DOTLESS_I)) {
        byte = 0x69;
        i += 1;
      } else if (byte === KELVIN[0] && i + 2 < end && bytes[i + 1] === KELVIN[1] && bytes[i + 2] === KELVIN[2]) {
        byte = 0x6b;
        i += 2;
      }
      folded[length] = byte;
      length += 1;
    }
    return length;
  }
}

/** ASCII without capitals: bytes that folding leaves alone. */
const IS_FOLDED: Uint8Array = new Uint8Array(256).fill(1, 0, 0x80).fill(0, 0x41, 0x5b);
