import { allocateBytes, type Bytes } from '../../base/bytes.ts';
import type { JsonObjectScanner } from '../../base/json-object-scanner.ts';

const FIRST_BYTES = 1024;

/** Keeps the source of one top-level value while a scanner passes over it, in one piece or in many, up to a limit. */
export class JsonValueCapture {
  /** The value's source once it is complete; null before, when absent, and when over the limit. */
  text: string | null;
  readonly #key: number;
  readonly #maxBytes: number;
  #bytes: Bytes | null;
  #length: number;
  /** Offset of the value that is being kept, −1 for none. */
  #start: number;
  #isDone: boolean;

  constructor(key: number, maxBytes: number) {
    this.text = null;
    this.#key = key;
    this.#maxBytes = maxBytes;
    this.#bytes = null;
    this.#length = 0;
    this.#start = -1;
    this.#isDone = false;
  }

  reset(): void {
    this.text = null;
    this.#length = 0;
    this.#start = -1;
    this.#isDone = false;
  }

  /** Call after `scanner` was pushed `chunk[start, end)`, whose first byte it counts as `offset`. */
  take(scanner: JsonObjectScanner, chunk: Bytes, start: number, offset: number): void {
    const valueStart = scanner.valueStart(this.#key);
    if (valueStart === -1) return;
    if (valueStart !== this.#start) {
      this.reset(); // the first, or a repeated key: the last one wins
      this.#start = valueStart;
    }
    if (this.#isDone) return;
    const valueEnd = scanner.valueEnd(this.#key);
    this.#isDone = valueEnd !== -1;
    const from = start + Math.max(valueStart - offset, 0);
    const to = start + (this.#isDone ? valueEnd : scanner.length) - offset;
    const isOver = (this.#isDone ? valueEnd : scanner.length) - valueStart > this.#maxBytes;
    if (isOver) return;
    if (this.#isDone && this.#length === 0) {
      // Fast case: the value lies in this chunk.
      this.text = chunk.utf8Slice(from, to);
      return;
    }
    this.#append(chunk, from, to);
    if (this.#isDone && this.#bytes !== null) this.text = this.#bytes.utf8Slice(0, this.#length);
  }

  #append(chunk: Bytes, from: number, to: number): void {
    const needed = this.#length + to - from;
    if (this.#bytes === null || this.#bytes.length < needed) {
      const grown = allocateBytes(Math.max(FIRST_BYTES, needed * 2));
      this.#bytes?.copy(grown, 0, 0, this.#length);
      this.#bytes = grown;
    }
    chunk.copy(this.#bytes, this.#length, from, to);
    this.#length = needed;
  }
}
