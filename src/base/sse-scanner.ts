import type { Bytes } from './bytes.ts';

const LINE_FEED = 0x0a;
const CARRIAGE_RETURN = 0x0d;
const COLON = 0x3a;
const SPACE = 0x20;
const LOWER_D = 0x64;
const LOWER_E = 0x65;
const NONE = 0x7fffffff;

const DATA: Uint8Array = Uint8Array.from('data', (letter) => letter.charCodeAt(0));
const EVENT: Uint8Array = Uint8Array.from('event', (letter) => letter.charCodeAt(0));

/**
 * Cuts `text/event-stream` into events, by the rules of the HTML standard (§9.2.6): lines end with LF, CR or CRLF, an empty
 * line ends an event. Says where the event's data and name lie; copies nothing.
 *
 * `scanEvent` reads an event that begins in the bytes at hand. If it goes on beyond them, `findEnd` looks for its end in
 * the bytes that follow, and the caller, who kept the pieces, has the whole read by `scanEvent`. Before either, `begin` names
 * the bytes.
 */
export class SseScanner {
  /** `data` lines of the event scanned last; comments and unknown fields don't count. */
  dataLines: number;
  /** The value of its first data line. */
  dataStart: number;
  dataEnd: number;
  /** The value of its last `event` line; equal if there was none. */
  nameStart: number;
  nameEnd: number;
  /** Next line feed and carriage return at or after the position that asked last. */
  #nextLf: number;
  #nextCr: number;
  #atStreamStart: boolean;
  /** Where the open event stands: its current line is empty so far; the byte before was a CR. */
  #lineIsEmpty: boolean;
  #afterCr: boolean;
  /** The last event ended with a CR that was the last byte at hand: an LF that follows is part of it. */
  #mayOweLf: boolean;

  constructor() {
    this.dataLines = 0;
    this.dataStart = 0;
    this.dataEnd = 0;
    this.nameStart = 0;
    this.nameEnd = 0;
    this.#nextLf = -1;
    this.#nextCr = -1;
    this.#atStreamStart = true;
    this.#lineIsEmpty = true;
    this.#afterCr = false;
    this.#mayOweLf = false;
  }

  reset(): void {
    this.#atStreamStart = true;
    this.#lineIsEmpty = true;
    this.#afterCr = false;
    this.#mayOweLf = false;
  }

  /** Calls below are about these bytes. */
  begin(): void {
    this.#nextLf = -1;
    this.#nextCr = -1;
  }

  /** Is `byte`, the first of new bytes, the LF of a CRLF that ended the last event? */
  takesLineFeed(byte: number): boolean {
    const takes = this.#mayOweLf && byte === LINE_FEED;
    this.#mayOweLf = false;
    return takes;
  }

  /**
   * Reads the event that begins at `start`.
   *
   * @param bytes end at `end`.
   * @returns the offset just after the empty line that ends it, or −1 if it isn't there yet.
   */
  scanEvent(bytes: Bytes, start: number, end: number): number {
    this.dataLines = 0;
    this.nameStart = 0;
    this.nameEnd = 0;
    this.#afterCr = false;
    let i = start;
    if (this.#atStreamStart && bytes[i] === 0xef && bytes[i + 1] === 0xbb && bytes[i + 2] === 0xbf) i += 3;
    while (i < end) {
      // Fast case: an empty line ends the event, no search needed.
      if (bytes[i] === LINE_FEED || bytes[i] === CARRIAGE_RETURN) {
        this.#atStreamStart = false;
        return this.#endEvent(bytes, i, end);
      }
      const stop = this.#lineEnd(bytes, i);
      if (stop === NONE) {
        this.#readLine(bytes, i, end);
        this.#lineIsEmpty = false;
        return -1;
      }
      this.#readLine(bytes, i, stop);
      i = this.#nextLine(bytes, stop, end);
    }
    this.#lineIsEmpty = true;
    return -1;
  }

  /** Reads an event whose end `findEnd` has found, or that the end of the stream cut off, now that it is in one piece. */
  scanWhole(bytes: Bytes, end: number): void {
    const mayOweLf = this.#mayOweLf;
    this.begin();
    this.scanEvent(bytes, 0, end);
    this.begin();
    this.#atStreamStart = false;
    this.#mayOweLf = mayOweLf; // of the bytes that came last, not of the copy
  }

  /**
   * Goes on in the event that `scanEvent` left open.
   *
   * @param bytes end at `end`.
   * @returns as `scanEvent`.
   */
  findEnd(bytes: Bytes, start: number, end: number): number {
    let i = start;
    if (this.#afterCr) {
      this.#afterCr = false;
      if (bytes[i] === LINE_FEED) i += 1;
    }
    while (i < end) {
      const stop = this.#lineEnd(bytes, i);
      if (stop === i && this.#lineIsEmpty) return this.#endEvent(bytes, i, end);
      if (stop === NONE) {
        this.#lineIsEmpty = false;
        return -1;
      }
      this.#lineIsEmpty = true;
      i = this.#nextLine(bytes, stop, end);
    }
    return -1;
  }

  #lineEnd(bytes: Bytes, from: number): number {
    if (this.#nextLf < from) {
      const found = bytes.indexOf(LINE_FEED, from);
      this.#nextLf = found === -1 ? NONE : found;
    }
    if (this.#nextCr < from) {
      const found = bytes.indexOf(CARRIAGE_RETURN, from);
      this.#nextCr = found === -1 ? NONE : found;
    }
    return this.#nextLf < this.#nextCr ? this.#nextLf : this.#nextCr;
  }

  /** Start of the line after the one that ends at `stop`. */
  #nextLine(bytes: Bytes, stop: number, end: number): number {
    if (bytes[stop] === LINE_FEED) return stop + 1;
    if (stop + 1 === end) {
      this.#afterCr = true;
      return end;
    }
    return bytes[stop + 1] === LINE_FEED ? stop + 2 : stop + 1;
  }

  #endEvent(bytes: Bytes, stop: number, end: number): number {
    const next = this.#nextLine(bytes, stop, end);
    this.#mayOweLf = this.#afterCr;
    this.#afterCr = false;
    this.#lineIsEmpty = true;
    return next;
  }

  #readLine(bytes: Bytes, start: number, stop: number): void {
    const first = bytes[start];
    if (first === LOWER_D) {
      const value = fieldValue(bytes, start, stop, DATA);
      if (value === -1) return;
      if (this.dataLines === 0) {
        this.dataStart = value;
        this.dataEnd = stop;
      }
      this.dataLines += 1;
    } else if (first === LOWER_E) {
      const value = fieldValue(bytes, start, stop, EVENT);
      if (value === -1) return;
      this.nameStart = value;
      this.nameEnd = stop;
    }
  }
}

/** Start of the value, if the line's field is `name`; else −1. One space after the colon isn't part of it. */
function fieldValue(bytes: Bytes, start: number, stop: number, name: Uint8Array): number {
  const { length } = name;
  let i = 0;
  while (i < length && bytes[start + i] === name[i]) i += 1;
  if (i < length) return -1;
  const colon = start + length;
  if (colon >= stop) return colon === stop ? stop : -1;
  if (bytes[colon] !== COLON) return -1;
  return bytes[colon + 1] === SPACE && colon + 1 < stop ? colon + 2 : colon + 1;
}
