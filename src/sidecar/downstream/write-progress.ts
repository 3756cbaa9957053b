import type { Socket } from 'node:net';

/**
 * A client that takes less than this in the time `clientWriteIdle` does not read. (It sets the least pace of a reader too:
 * with 60 s, 70 bytes per second.)
 */
const MIN_PROGRESS_BYTES = 4 * 1024;

/** The handle of a socket, under libuv's name: private to Node, and only read here. */
interface WithHandle {
  readonly _handle: { readonly writeQueueSize?: number } | null;
}

/**
 * Tells whether a client that can't take all at once takes something. Looked at each tick.
 *
 * `drain` comes when everything has been taken; before that only libuv knows how much of a write is left, since it writes
 * in pieces as the kernel has room. (The kernel makes room in steps of a third of its buffer, so a pace can't be told
 * finer than that.)
 */
export class WriteProgress {
  #leftBytes = 0;

  begin(socket: Socket): void {
    this.#leftBytes = waitingBytes(socket);
  }

  /** Enough has been taken since `begin`, or since this last said so. */
  hasMoved(socket: Socket): boolean {
    const leftBytes = waitingBytes(socket);
    if (leftBytes > this.#leftBytes) this.#leftBytes = leftBytes;
    if (this.#leftBytes - leftBytes < MIN_PROGRESS_BYTES) return false;
    this.#leftBytes = leftBytes;
    return true;
  }
}

/** Bytes that wait for the client in this process. Each is in one of the two or both, which a difference does not mind. */
function waitingBytes(socket: Socket): number {
  const { _handle: handle } = socket as unknown as WithHandle;
  return (handle?.writeQueueSize ?? 0) + socket.writableLength;
}
