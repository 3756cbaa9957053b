import type { Socket } from 'node:net';
import { getSystemErrorName } from 'node:util';
import { asBytes, type Bytes } from '../../base/bytes.ts';
import { assemble, assembled, bytesOf, type Outgoing } from './outgoing.ts';

/** Up to here one copy into one buffer and one write(2) is cheaper than a writev of its pieces. */
const MAX_COPIED_BYTES = 64 * 1024;

/** Room for that and for a head and a tail around it. */
const SCRATCH_BYTES = MAX_COPIED_BYTES + 16 * 1024;

/** `writeBuffer` of these versions was looked at, and a test holds them to it. With others we write through the stream. */
const KNOWN_NODE_VERSIONS: readonly string[] = ['26.10.0'];
const isNodeKnown = KNOWN_NODE_VERSIONS.includes(process.versions.node);

/** A socket's handle, libuv's side of it: private to Node. */
interface StreamHandle {
  /**
   * 0: the kernel has all of it. A negative number: minus the errno. An object: the rest waits in libuv's queue, and
   * `oncomplete` is called when it has gone.
   */
  writeBuffer(request: null, bytes: Uint8Array): number | WriteRequest;
}

interface WriteRequest {
  handle: StreamHandle;
  /** With 0, or minus the errno. */
  oncomplete: (this: WriteRequest, status: number) => void;
  /** Where the bytes lie until then. */
  buffer: Uint8Array;
  writer: SocketWriter;
}

interface WithHandle {
  readonly _handle: Partial<StreamHandle> | null;
}

/** What is sent lies here for as long as write(2) takes; all sockets of a thread share it. */
let scratch = allocateScratch();

/**
 * Writes to a socket, past Node's stream where that has nothing to add: nearly always the kernel takes all at once, and
 * then the bytes need no memory of their own, no queue, no callback and no tick. With two writes for a request that is
 * 1 to 2.5 of the sidecar's 38 µs (docs/decisions/2026-11-30-direct-writes.md). What the kernel does not take is queued by
 * libuv as it is for the stream, whose own writes go behind it.
 */
export class SocketWriter {
  readonly #socket: Socket;
  readonly #isPlain: boolean;
  /** Of a write past the stream, not with the kernel yet. */
  #queuedBytes = 0;
  /** The sender was told to wait. */
  #isAwaited = false;

  constructor(socket: Socket) {
    this.#socket = socket;
    // Of TLS the handle is not the whole connection.
    this.#isPlain = isNodeKnown && !('encrypted' in socket);
  }

  /** Bytes that the kernel has not taken. Of a write of which it took a part, all count until it has taken the rest. */
  get unsentBytes(): number {
    return this.#queuedBytes + this.#socket.writableLength;
  }

  /** @returns false if the socket wants no more until its 'drain'. What was given is sent all the same. */
  send(outgoing: Outgoing): boolean {
    const { head, parts, tail } = outgoing;
    const bodyBytes = bytesOf(parts);
    if (bodyBytes > MAX_COPIED_BYTES) return this.#sendInPieces(outgoing);
    const length = head.length + bodyBytes + tail.length;
    const handle = this.#freeHandle();
    if (handle === null || length > SCRATCH_BYTES) return this.#socket.write(assembled(outgoing));
    // Fast case. Allocates nothing but a view.
    assemble(outgoing, scratch);
    const bytes = scratch.subarray(0, length);
    const rest = handle.writeBuffer(null, bytes);
    return rest === 0 ? true : this.#onIncomplete(handle, rest, bytes);
  }

  /** The handle, if there is nothing that the stream has to do first. */
  #freeHandle(): StreamHandle | null {
    const socket = this.#socket;
    const { _handle: handle } = socket as unknown as WithHandle;
    const isFree = this.#isPlain && this.#queuedBytes === 0 && socket.writableLength === 0 && socket.writable;
    return isFree ? (handle as StreamHandle | null) : null;
  }

  #onIncomplete(handle: StreamHandle, rest: number | WriteRequest, bytes: Bytes): boolean {
    if (typeof rest === 'number') {
      this.#socket.destroy(writeError(rest));
      return false;
    }
    // It is libuv's until it is sent.
    scratch = allocateScratch();
    rest.handle = handle;
    rest.buffer = bytes;
    rest.writer = this;
    rest.oncomplete = onComplete;
    this.#queuedBytes = bytes.length;
    this.#isAwaited = bytes.length >= this.#socket.writableHighWaterMark;
    return !this.#isAwaited;
  }

  /** libuv has sent what was queued, or has given up. */
  onSent(status: number): void {
    const socket = this.#socket;
    const { destroyed, writableNeedDrain } = socket;
    const isDrained = this.#isAwaited && !writableNeedDrain;
    this.#queuedBytes = 0;
    this.#isAwaited = false;
    if (destroyed) return;
    if (status < 0) socket.destroy(writeError(status));
    else if (isDrained) socket.emit('drain');
  }

  #sendInPieces({ head, parts, tail }: Outgoing): boolean {
    const socket = this.#socket;
    socket.cork();
    let isReady = true;
    if (head !== '') isReady = socket.write(Buffer.from(head, 'latin1'));
    for (const part of parts) isReady = socket.write(part);
    if (tail !== '') isReady = socket.write(Buffer.from(tail, 'latin1'));
    socket.uncork();
    return isReady;
  }
}

function onComplete(this: WriteRequest, status: number): void {
  this.writer.onSent(status);
}

function allocateScratch(): Bytes {
  return asBytes(Buffer.allocUnsafeSlow(SCRATCH_BYTES));
}

/** As Node's own: `write EPIPE`. */
function writeError(status: number): Error {
  const code = getSystemErrorName(status);
  return Object.assign(new Error(`write ${code}`), { errno: status, code, syscall: 'write' });
}
