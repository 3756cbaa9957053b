/**
 * Bytes as the pure layers see them. Every `Bytes` at run time is a Node `Buffer`, so `indexOf` is memchr and
 * `latin1Slice` is one native call; declaring only what is used keeps `node:*` types out of `base`, `domain`, `http1`.
 */
export interface Bytes extends Uint8Array {
  /** Finds a byte or a byte sequence at or after `fromIndex`; −1 when absent. */
  indexOf(value: number | Uint8Array, fromIndex?: number): number;
  latin1Slice(start?: number, end?: number): string;
  utf8Slice(start?: number, end?: number): string;
  /** Writes `text` as latin1 at `offset`; answers the number of bytes written. */
  latin1Write(text: string, offset?: number, length?: number): number;
  /** Writes `text` as UTF-8 at `offset`; answers the number of bytes written. */
  utf8Write(text: string, offset?: number, length?: number): number;
  copy(target: Uint8Array, targetStart?: number, sourceStart?: number, sourceEnd?: number): number;
  subarray(start?: number, end?: number): Bytes;
}

/** Narrows a Buffer (whose type lacks the native slice methods) to `Bytes`. Costs nothing. */
export function asBytes(buffer: Uint8Array): Bytes {
  return buffer as Bytes;
}

/** The one thing the pure layers take from the platform: where bytes come from. */
declare const Buffer: {
  allocUnsafe(length: number): Bytes;
  from(memory: ArrayBuffer, start: number, length: number): Bytes;
  from(text: string, encoding: 'utf8'): Bytes;
};

/** New bytes with undefined content; small ones share a slab, so don't keep them for long. */
export function allocateBytes(length: number): Bytes {
  return Buffer.allocUnsafe(length);
}

/** `length` bytes of `memory` from `start` on, not a copy. */
export function bytesOver(memory: ArrayBuffer, start: number, length: number): Bytes {
  return Buffer.from(memory, start, length);
}

/** The UTF-8 bytes of `text`. */
export function utf8Bytes(text: string): Bytes {
  return Buffer.from(text, 'utf8');
}
