import { asBytes, type Bytes } from '../../base/bytes.ts';

/** What a client may send ahead while a request of its is worked on; beyond it reading goes on by one read a tick. */
const MAX_AHEAD_BYTES = 64 * 1024;

/** Beyond it nothing is kept any more, and the connection ends with the answer that is being made. */
const MAX_KEPT_BYTES = 1024 * 1024;

/** How a client that runs ahead is read. */
export type ReadPace = 'freely' | 'by-tick' | 'to-drop';

/** Bytes of a client that have been read and not yet worked through. */
export class ClientInput {
  bytes: Bytes | null = null;
  at = 0;
  /** `bytes` is memory that will be read to again: gone when this read has been worked through. */
  isLent = false;

  /** Bytes not worked through. */
  get length(): number {
    return this.bytes === null ? 0 : this.bytes.length - this.at;
  }

  /**
   * While too much waits, one read each tick goes on: a client that leaves is seen only by reading, and were it not seen,
   * its request would be worked on for nobody. What even so gets too much is read and dropped.
   */
  get pace(): ReadPace {
    const { length } = this;
    if (length <= MAX_AHEAD_BYTES) return 'freely';
    return length <= MAX_KEPT_BYTES ? 'by-tick' : 'to-drop';
  }

  add(chunk: Bytes, isLent: boolean): void {
    if (this.bytes === null) {
      this.bytes = chunk;
      this.isLent = isLent;
    } else {
      this.bytes = asBytes(Buffer.concat([this.bytes.subarray(this.at), chunk]));
    }
    this.at = 0;
  }

  /** What is left of a lent chunk gets memory of its own. */
  keep(): void {
    if (this.isLent && this.bytes !== null) {
      this.bytes = asBytes(Buffer.from(this.bytes.subarray(this.at)));
      this.at = 0;
    }
    this.isLent = false;
  }

  drop(): void {
    this.bytes = null;
  }

  /** What is left, which is the caller's then. */
  takeRest(): Bytes | null {
    const rest = this.bytes === null ? null : this.bytes.subarray(this.at);
    this.bytes = null;
    return rest;
  }
}
