import type { Socket } from 'node:net';
import { asBytes, type Bytes } from '../../base/bytes.ts';
import type { Exchange } from '../exchange/exchange.ts';
import type { ReadSlab } from '../socket/read-slab.ts';
import { adoptSocket } from '../socket/adopt-socket.ts';

/** What a request's head ends with. */
export const HEAD_END: Buffer = Buffer.from('\r\n\r\n', 'latin1');

/** From here on memory of its own for a read is worth avoiding. */
const LARGE_READ_BYTES = 16 * 1024;

/** What a socket reads for. */
export interface ClientSocketOwner {
  /** The request whose body the next bytes belong to, or null. */
  bodyBeingRead(): Exchange | null;
  /** `isLent`: the chunk's memory will be written to again when this returns. */
  onInput(chunk: Bytes, isLent: boolean): void;
}

/** Decides where a client's bytes are read to, so that as few as possible are copied. */
export class ClientSocket {
  readonly socket: Socket;
  readonly #owner: ClientSocketOwner;
  readonly #slab: ReadSlab;
  /** What the socket reads to: the worker's read buffer, or for the middle of a large body the place where it lies. */
  #target: Bytes;

  constructor(accepted: Socket, slab: ReadSlab, owner: ClientSocketOwner) {
    this.#owner = owner;
    this.#slab = slab;
    this.#target = slab.readBuffer;
    const socket =
      adoptSocket(
        accepted,
        () => this.#nextTarget(),
        (length) => {
          this.#onRead(length);
        },
      ) ?? accepted;
    this.socket = socket;
    if (socket === accepted) {
      socket.on('data', (chunk: Buffer) => {
        owner.onInput(asBytes(chunk), false);
      });
    }
  }

  /** Body bytes are read to, or copied to, where the body lies; all else gets memory of its own. */
  #onRead(length: number): void {
    const slab = this.#slab;
    const owner = this.#owner;
    if (this.#target !== slab.readBuffer) {
      owner.onInput(this.#target.subarray(0, length), true);
      return;
    }
    let at = 0;
    if (length >= LARGE_READ_BYTES && owner.bodyBeingRead() === null) {
      // A head with much of its body behind it: only the head needs memory of its own.
      const headEnd = slab.readBuffer.indexOf(HEAD_END);
      if (headEnd === -1 || headEnd + HEAD_END.length >= length) {
        owner.onInput(slab.take(length), false);
        return;
      }
      at = headEnd + HEAD_END.length;
      owner.onInput(slab.take(at), false);
    }
    if (owner.bodyBeingRead() !== null) owner.onInput(asBytes(slab.readBuffer.subarray(at, length)), true);
    else
      owner.onInput(at === 0 ? slab.take(length) : asBytes(Buffer.from(slab.readBuffer.subarray(at, length))), false);
  }

  #nextTarget(): Bytes {
    this.#target = this.#slab.readBuffer;
    const exchange = this.#owner.bodyBeingRead();
    if (exchange !== null && exchange.refusal === null) {
      const leftBytes = exchange.head.contentLength - exchange.body.length;
      if (leftBytes >= LARGE_READ_BYTES) this.#target = exchange.body.readTarget(leftBytes);
    }
    return this.#target;
  }
}
