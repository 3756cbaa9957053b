import { invariant } from '../base/invariant.ts';
import { MAX_FRAME_BYTES, type ToControl, type ToSidecar } from './control-messages.ts';
import { decodeUtf8, encodeUtf8 } from './utf8.ts';

const HEADER_BYTES = 4;
/** Memory is taken as bytes arrive, not as the header announces them: four bytes must not cost 256 MiB. */
const FIRST_CAPACITY_BYTES = 64 * 1024;

export type FrameFault = 'oversize' | 'bad-utf8' | 'bad-json' | 'not-a-message';

/** What arrived, or was to be sent, is no frame of the control protocol: the connection has to be closed. */
export class FrameError extends Error {
  override readonly name = 'FrameError';
  readonly fault: FrameFault;

  constructor(fault: FrameFault, message: string) {
    super(message);
    this.fault = fault;
  }
}

/**
 * One message as a frame: u32 big-endian byte length, then UTF-8 JSON.
 *
 * @throws {FrameError} `oversize` above MAX_FRAME_BYTES.
 */
export function encodeFrame(message: ToSidecar | ToControl): Uint8Array<ArrayBuffer> {
  const body = encodeUtf8(JSON.stringify(message));
  if (body.length > MAX_FRAME_BYTES) throw oversize(body.length);
  const frame = new Uint8Array(HEADER_BYTES + body.length);
  new DataView(frame.buffer).setUint32(0, body.length, false);
  frame.set(body, HEADER_BYTES);
  return frame;
}

/**
 * Takes a byte stream apart into messages, however it was split. A fault is final: every later push throws it again.
 * That a message has its type's fields is not checked; the peer is our own program of the same protocol version.
 */
export class FrameDecoder<M extends ToSidecar | ToControl> {
  #header: Uint8Array = new Uint8Array(HEADER_BYTES);
  #headerBytes = 0;
  #bodyLength = 0;
  #body: Uint8Array = new Uint8Array(0);
  #bodyBytes = 0;
  #fault: FrameError | null = null;

  /**
   * The messages that `chunk` completed, in order. The chunk is copied where needed and may be reused.
   *
   * @throws {FrameError} when the stream holds something else than messages; those before it in the chunk are lost.
   */
  push(chunk: Uint8Array): M[] {
    if (this.#fault !== null) throw this.#fault;
    const messages: M[] = [];
    let offset = 0;
    while (offset < chunk.length) {
      offset = this.#headerBytes < HEADER_BYTES ? this.#takeHeader(chunk, offset) : this.#takeBody(chunk, offset);
      if (this.#headerBytes === HEADER_BYTES && this.#bodyBytes === this.#bodyLength) messages.push(this.#complete());
    }
    return messages;
  }

  /** A frame has begun and is not complete: the stream must not end here. */
  get isInsideFrame(): boolean {
    return this.#headerBytes > 0;
  }

  #takeHeader(chunk: Uint8Array, offset: number): number {
    while (offset < chunk.length && this.#headerBytes < HEADER_BYTES) {
      this.#header[this.#headerBytes] = chunk[offset] ?? 0;
      this.#headerBytes += 1;
      offset += 1;
    }
    if (this.#headerBytes < HEADER_BYTES) return offset;
    this.#bodyLength = new DataView(this.#header.buffer).getUint32(0, false);
    if (this.#bodyLength > MAX_FRAME_BYTES) throw this.#fail(oversize(this.#bodyLength));
    this.#body = new Uint8Array(Math.min(this.#bodyLength, FIRST_CAPACITY_BYTES));
    this.#bodyBytes = 0;
    return offset;
  }

  #takeBody(chunk: Uint8Array, offset: number): number {
    const taken = Math.min(this.#bodyLength - this.#bodyBytes, chunk.length - offset);
    const wanted = this.#bodyBytes + taken;
    if (wanted > this.#body.length) {
      const grown = new Uint8Array(Math.min(this.#bodyLength, Math.max(wanted, this.#body.length * 2)));
      grown.set(this.#body.subarray(0, this.#bodyBytes));
      this.#body = grown;
    }
    this.#body.set(chunk.subarray(offset, offset + taken), this.#bodyBytes);
    this.#bodyBytes = wanted;
    return offset + taken;
  }

  #complete(): M {
    invariant(this.#bodyBytes === this.#bodyLength, 'a frame is complete when all its bytes are there');
    const body = this.#body.subarray(0, this.#bodyLength);
    this.#headerBytes = 0;
    this.#body = new Uint8Array(0);
    this.#bodyLength = 0;
    this.#bodyBytes = 0;
    const message = this.#parse(body);
    if (typeof message !== 'object' || message === null || !('type' in message) || typeof message.type !== 'string') {
      throw this.#fail(new FrameError('not-a-message', 'the frame is not an object with a type'));
    }
    return message as M;
  }

  #parse(body: Uint8Array): unknown {
    let text: string;
    try {
      text = decodeUtf8(body);
    } catch {
      throw this.#fail(new FrameError('bad-utf8', 'the frame is not valid UTF-8'));
    }
    try {
      return JSON.parse(text) as unknown;
    } catch {
      // The parser's own message quotes the text, which can hold credentials.
      throw this.#fail(new FrameError('bad-json', 'the frame is not valid JSON'));
    }
  }

  #fail(error: FrameError): FrameError {
    this.#fault = error;
    return error;
  }
}

function oversize(bytes: number): FrameError {
  return new FrameError('oversize', `a frame of ${bytes} bytes is over the limit of ${MAX_FRAME_BYTES}`);
}
