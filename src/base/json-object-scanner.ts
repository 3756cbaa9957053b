import type { Bytes } from './bytes.ts';
import * as json from './json-bytes.ts';
import { JsonKeyDecoder } from './json-key-decoder.ts';
import { KEY_CASE_DIFFERS, KEY_UNKNOWN, type JsonKeyTable } from './json-key-table.ts';
import { JsonMemberPlaces } from './json-member-places.ts';
import { endsInEscape, findStringEnd } from './string-end.ts';

export type JsonScanFailureKind = 'not-object' | 'malformed' | 'trailing' | 'bom' | 'duplicate' | 'case' | 'too-deep';

export interface JsonScanFailure {
  readonly kind: JsonScanFailureKind;
  /** The name of the key table at fault (`duplicate`, `case`), else null. */
  readonly key: string | null;
  /** Bytes before the byte at fault. */
  readonly offset: number;
}

/** Containers may nest this deep below the object scanned. Deeper text is an attack: parsers in use stop at 128 to 1,000. */
export const MAX_JSON_DEPTH = 1000;

const FIRST_DEPTH = 32;

/** So many bytes of a string are looked at one by one before `findStringEnd`, whose call costs as much, takes over. */
const BYTE_LOOP_BYTES = 48;

const TINY_STRING_BYTES = 16;

// Copies of what json-bytes.ts says: V8 folds a module's own constants, but loads an imported one each time (40 % per byte).
const { QUOTE, COMMA, COLON, OPEN_BRACE, CLOSE_BRACE } = json;
const { SPACE_BYTE, LITERAL_BYTE, SEPARATOR_BYTE, QUOTE_BYTE, OPEN_BYTE } = json;
const { BYTE_CLASS, STRING_STOP, KEY_STOP } = json;

const START = 0;
const FIRST_KEY = 1;
const NEXT_KEY = 2;
const KEY = 3;
const BEFORE_COLON = 4;
const BEFORE_VALUE = 5;
const STRING = 6;
const CONTAINER = 7;
const LITERAL = 8;
const AFTER_VALUE = 9;
const END = 10;
const FAILED = 11;

/**
 * Finds the top-level members of one JSON object that a key table names, in bytes that arrive in any number of pieces.
 * All offsets count from the first byte pushed since `reset`.
 *
 * Exact where it decides: strings, nesting, the top-level grammar and keys (escapes decoded) are read as `JSON.parse`
 * reads them. Lenient where it can't: the grammar inside a nested value, the spelling of numbers and literals, and control
 * characters in strings are left to the provider, since none of them moves a top-level key.
 */
export class JsonObjectScanner {
  /** The object and nothing but white space after it has been seen. */
  complete: boolean;
  failure: JsonScanFailure | null;
  /** Just after the object's `{`; −1 before. */
  objectOpen: number;
  /** Of the object's `}`; −1 before. */
  objectClose: number;
  memberCount: number;
  readonly #keys: JsonKeyTable;
  readonly #members: JsonMemberPlaces;
  readonly #keyDecoder: JsonKeyDecoder;
  /** Opening bracket of each container that is open; grows, because nearly all nest less than 32 deep. */
  #openers: Uint8Array;
  #state: number;
  /** Global offset minus index into the bytes being pushed. */
  #base: number;
  #length: number;
  #hasRepeats: boolean;
  #inString: boolean;
  /** The last byte was a backslash that escapes the next one. */
  #escaped: boolean;
  #depth: number;
  #keyStart: number;
  #comma: number;
  /** Key table index of the current member, or a negative KEY_… */
  #key: number;

  constructor(keys: JsonKeyTable) {
    this.complete = false;
    this.failure = null;
    this.objectOpen = -1;
    this.objectClose = -1;
    this.memberCount = 0;
    this.#keys = keys;
    this.#members = new JsonMemberPlaces(keys.size);
    this.#keyDecoder = new JsonKeyDecoder();
    this.#openers = new Uint8Array(FIRST_DEPTH);
    this.#state = START;
    this.#base = 0;
    this.#length = 0;
    this.#hasRepeats = false;
    this.#inString = false;
    this.#escaped = false;
    this.#depth = 0;
    this.#keyStart = -1;
    this.#comma = -1;
    this.#key = KEY_UNKNOWN;
  }

  reset(): void {
    this.complete = false;
    this.failure = null;
    this.objectOpen = -1;
    this.objectClose = -1;
    this.memberCount = 0;
    this.#members.clear();
    this.#state = START;
    this.#length = 0;
    this.#hasRepeats = false;
    this.#inString = false;
    this.#escaped = false;
    this.#depth = 0;
    this.#comma = -1;
  }

  /**
   * Begins again just before the member `key` of the object that was scanned last, as if the bytes before it had been
   * pushed once more: for texts that begin with the same `memberStart(key)` bytes, like the events of one stream.
   *
   * @returns false if it can't, and nothing has changed: no complete object, no such member, or repeated names, of whose
   * earlier ones nothing is known any more.
   */
  resumeBefore(key: number): boolean {
    const members = this.#members;
    const ordinal = members.ordinal(key);
    if (!this.complete || ordinal === -1 || this.#hasRepeats) return false;
    this.complete = false;
    this.objectClose = -1;
    this.memberCount = ordinal;
    this.#length = members.memberStart(key);
    this.#comma = members.commaBefore(key);
    this.#key = KEY_UNKNOWN;
    this.#state = ordinal === 0 ? FIRST_KEY : NEXT_KEY;
    members.clearFrom(ordinal);
    return true;
  }

  /** Bytes pushed since `reset`. */
  get length(): number {
    return this.#length;
  }

  found(key: number): boolean {
    return this.#members.memberStart(key) !== -1;
  }

  /** Offset of the key's opening quote, −1 if the key is absent. */
  memberStart(key: number): number {
    return this.#members.memberStart(key);
  }

  /** Offset of the value's first byte, −1 if not reached. */
  valueStart(key: number): number {
    return this.#members.valueStart(key);
  }

  /** Offset just after the value, −1 if not reached. */
  valueEnd(key: number): number {
    return this.#members.valueEnd(key);
  }

  /** Offset of the comma before the member, −1 for the first. */
  commaBefore(key: number): number {
    return this.#members.commaBefore(key);
  }

  /** Offset of the comma after the member, −1 for the last. */
  commaAfter(key: number): number {
    return this.#members.commaAfter(key);
  }

  /** Position of the member in the object, from 0; −1 if the key is absent. */
  ordinal(key: number): number {
    return this.#members.ordinal(key);
  }

  /** Scans `chunk[start, end)`. Looks at no byte beyond `end`, keeps no reference to `chunk`. */
  push(chunk: Bytes, start: number, end: number): void {
    this.#base = this.#length - start;
    let i = start;
    while (i < end) {
      switch (this.#state) {
        case KEY:
          i = this.#scanKey(chunk, i, end);
          break;
        case STRING:
          i = this.#scanString(chunk, i, end);
          break;
        case CONTAINER:
          i = this.#scanContainer(chunk, i, end);
          break;
        case LITERAL:
          i = this.#scanLiteral(chunk, i, end);
          break;
        case FAILED:
          i = end;
          break;
        default:
          i = this.#scanStructure(chunk, i, end);
      }
    }
    this.#length += end - start;
  }

  /** No more bytes will come: an object that isn't complete becomes a failure. */
  finish(): void {
    if (this.complete || this.failure !== null) return;
    this.#base = 0;
    this.#fail(this.#state === START ? 'not-object' : 'malformed', this.#length);
  }

  /** White space, and the single bytes that hold the top level together. */
  #scanStructure(bytes: Bytes, from: number, end: number): number {
    let i = from;
    while (i < end) {
      const byte = bytes[i]!;
      if (BYTE_CLASS[byte] === SPACE_BYTE) {
        i += 1;
        continue;
      }
      switch (this.#state) {
        case START:
          if (byte !== OPEN_BRACE) return this.#failStart(byte, i, end);
          this.objectOpen = this.#base + i + 1;
          this.#state = FIRST_KEY;
          break;
        case FIRST_KEY:
        case NEXT_KEY:
          if (byte === CLOSE_BRACE && this.#state === FIRST_KEY) {
            this.#endObject(i);
            break;
          }
          if (byte !== QUOTE) return this.#fail('malformed', i, end);
          this.#keyStart = this.#base + i;
          this.#keyDecoder.reset();
          this.#state = KEY;
          i = this.#scanKey(bytes, i + 1, end);
          // Fast case: colon and value follow at once.
          if (this.#state !== BEFORE_COLON || i >= end || bytes[i] !== COLON) continue;
          this.#state = BEFORE_VALUE;
          i += 1;
          if (i < end && BYTE_CLASS[bytes[i]!] !== SPACE_BYTE) i = this.#scanValue(bytes, i, end);
          continue;
        case BEFORE_COLON:
          if (byte !== COLON) return this.#fail('malformed', i, end);
          this.#state = BEFORE_VALUE;
          break;
        case BEFORE_VALUE:
          i = this.#scanValue(bytes, i, end);
          continue;
        case AFTER_VALUE:
          if (byte === COMMA) this.#startNextMember(i);
          else if (byte === CLOSE_BRACE) this.#endObject(i);
          else return this.#fail('malformed', i, end);
          break;
        case END:
          this.complete = false;
          return this.#fail('trailing', i, end);
        default: // inside a key or value
          return i;
      }
      i += 1;
    }
    return i;
  }

  #failStart(byte: number, i: number, end: number): number {
    // EF BB BF is UTF-8's byte order mark; FE FF and FF FE are UTF-16's.
    const isMark = this.#base + i === 0 && (byte === 0xef || byte === 0xfe || byte === 0xff);
    return this.#fail(isMark ? 'bom' : 'not-object', i, end);
  }

  #startNextMember(i: number): void {
    this.#comma = this.#base + i;
    if (this.#key >= 0) this.#members.setCommaAfter(this.#key, this.#comma);
    this.#state = NEXT_KEY;
  }

  #endObject(i: number): void {
    this.objectClose = this.#base + i;
    this.complete = true;
    this.#state = END;
  }

  /** A value from its first byte on, as far as it goes in these bytes. */
  #scanValue(bytes: Bytes, i: number, end: number): number {
    if (this.#key >= 0) this.#members.setValueStart(this.#key, this.#base + i);
    const byte = bytes[i]!;
    switch (BYTE_CLASS[byte]!) {
      case QUOTE_BYTE:
        this.#inString = true;
        this.#state = STRING;
        return this.#scanString(bytes, i + 1, end);
      case OPEN_BYTE:
        this.#openers[0] = byte;
        this.#depth = 1;
        this.#state = CONTAINER;
        return this.#scanContainer(bytes, i + 1, end);
      case LITERAL_BYTE:
        this.#state = LITERAL;
        return this.#scanLiteral(bytes, i + 1, end);
      default:
        return this.#fail('malformed', i, end);
    }
  }

  #endValue(i: number): void {
    if (this.#key >= 0) this.#members.setValueEnd(this.#key, this.#base + i);
    this.#state = AFTER_VALUE;
  }

  #scanString(bytes: Bytes, from: number, end: number): number {
    const i = this.#skipString(bytes, from, end);
    if (!this.#inString) this.#endValue(i);
    return i;
  }

  #scanLiteral(bytes: Bytes, from: number, end: number): number {
    let i = from;
    while (i < end && BYTE_CLASS[bytes[i]!] === LITERAL_BYTE) i += 1;
    if (i < end) this.#endValue(i);
    return i;
  }

  /** Inside a nested object or array, until its end. */
  #scanContainer(bytes: Bytes, from: number, end: number): number {
    const openers = this.#openers;
    let depth = this.#depth;
    let i = this.#inString ? this.#skipString(bytes, from, end) : from;
    while (i < end) {
      const byte = bytes[i]!;
      const kind = BYTE_CLASS[byte]!;
      i += 1;
      if (kind <= SEPARATOR_BYTE) {
        if (kind === 0) return this.#fail('malformed', i - 1, end);
      } else if (kind === QUOTE_BYTE) {
        // A tiny string ends here, without a call.
        const limit = i + TINY_STRING_BYTES < end ? i + TINY_STRING_BYTES : end;
        while (i < limit && STRING_STOP[bytes[i]!] === 0) i += 1;
        if (i < limit && bytes[i] === QUOTE) {
          i += 1;
          continue;
        }
        this.#inString = true;
        i = this.#skipString(bytes, i, end);
      } else if (kind === OPEN_BYTE) {
        if (depth === openers.length) return this.#deepen(i - 1, end);
        openers[depth] = byte;
        depth += 1;
      } else {
        depth -= 1;
        // In ASCII a closing bracket is two above its opening one.
        if (openers[depth] !== byte - 2) return this.#fail('malformed', i - 1, end);
        if (depth === 0) {
          this.#endValue(i);
          return i;
        }
      }
    }
    this.#depth = depth;
    return i;
  }

  /** At an opening bracket for which there is no room yet. */
  #deepen(i: number, end: number): number {
    const depth = this.#openers.length;
    if (depth === MAX_JSON_DEPTH) return this.#fail('too-deep', i, end);
    const grown = new Uint8Array(MAX_JSON_DEPTH);
    grown.set(this.#openers);
    this.#openers = grown;
    this.#depth = depth;
    return i; // to be scanned again, with room
  }

  /** From inside a string to just after its closing quote, or to `end` with `#inString` still set. */
  #skipString(bytes: Bytes, from: number, end: number): number {
    let i = from;
    if (this.#escaped) {
      this.#escaped = false;
      i += 1;
    }
    const limit = Math.min(i + BYTE_LOOP_BYTES, end);
    while (i < limit) {
      if (STRING_STOP[bytes[i]!] === 0) {
        i += 1;
      } else if (bytes[i] === QUOTE) {
        this.#inString = false;
        return i + 1;
      } else {
        i += 2;
      }
    }
    const quote = i < end ? findStringEnd(bytes, i, end) : -1;
    if (quote !== -1) {
      this.#inString = false;
      return quote + 1;
    }
    // The last byte looked at may be a backslash that escapes the first of the next piece.
    this.#escaped = i > end || (i < end && endsInEscape(bytes, i, end));
    return end;
  }

  /** A top-level key. In one piece and without escapes it is compared in place, else it goes through the decoder. */
  #scanKey(bytes: Bytes, from: number, end: number): number {
    const decoder = this.#keyDecoder;
    let i = from;
    if (decoder.isFresh) {
      while (i < end && KEY_STOP[bytes[i]!] === 0) i += 1;
      if (i < end && bytes[i] === QUOTE) return this.#endKey(this.#keys.find(bytes, from, i - from), i + 1, end);
      i = from;
    }
    while (i < end) {
      const byte = bytes[i]!;
      i += 1;
      if (byte === QUOTE && !decoder.isInEscape) return this.#endKey(decoder.find(this.#keys), i, end);
      if (!decoder.add(byte)) return this.#fail('malformed', i - 1, end);
    }
    return i;
  }

  #endKey(key: number, i: number, end: number): number {
    this.#key = key;
    if (key !== KEY_UNKNOWN && this.#keys.isStrict) {
      if (key <= KEY_CASE_DIFFERS) return this.#failKey('case', KEY_CASE_DIFFERS - key, end);
      if (this.found(key)) return this.#failKey('duplicate', key, end);
    }
    if (key >= 0) {
      if (this.found(key)) this.#hasRepeats = true;
      this.#members.add(key, this.#keyStart, this.#comma, this.memberCount);
    }
    this.memberCount += 1;
    this.#state = BEFORE_COLON;
    return i;
  }

  #failKey(kind: 'case' | 'duplicate', key: number, end: number): number {
    this.failure = { kind, key: this.#keys.names[key] ?? null, offset: this.#keyStart };
    this.#state = FAILED;
    return end;
  }

  #fail(kind: JsonScanFailureKind, i: number, end: number = i): number {
    this.failure = { kind, key: null, offset: this.#base + i };
    this.#state = FAILED;
    return end;
  }
}
