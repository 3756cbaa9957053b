import type { Socket } from 'node:net';
import { asBytes, type Bytes } from '../../base/bytes.ts';

export interface TunnelListener {
  /** The socket now leads to the provider and has no listeners of the tunnel's. */
  onTunnelOpen(): void;
  /** `reason`: "asks for authentication (407)". `error` is set if the connection itself failed. */
  onTunnelFailed(reason: string | null, error: Error | null): void;
}

/** A reply to CONNECT has a few header lines; error pages come after the head and are not read. */
const MAX_REPLY_HEAD_BYTES = 16 * 1024;
const HEAD_END = Buffer.from('\r\n\r\n');
const STATUS_LINE = /^HTTP\/1\.[01] ([1-5]\d\d)(?: |\r\n)/;

/** The CONNECT dialogue with an egress proxy (RFC 9110 §9.3.6) on a connected socket. */
export class ProxyTunnel {
  readonly #socket: Socket;
  readonly #listener: TunnelListener;
  #head: Bytes;
  readonly #onData: (chunk: Buffer) => void;
  readonly #onEnd: () => void;
  readonly #onError: (error: Error) => void;

  constructor(socket: Socket, requestHead: string, listener: TunnelListener) {
    this.#socket = socket;
    this.#listener = listener;
    this.#head = asBytes(Buffer.alloc(0));
    this.#onData = (chunk) => this.#receive(chunk);
    this.#onEnd = () => this.#fail('closed the connection instead of opening a tunnel', null);
    this.#onError = (error) => this.#fail(null, error);
    socket.on('data', this.#onData);
    socket.on('end', this.#onEnd);
    socket.on('error', this.#onError);
    socket.write(requestHead, 'latin1');
  }

  /** The listener is not called any more. The socket is the caller's to destroy. */
  cancel(): void {
    this.#socket.off('data', this.#onData);
    this.#socket.off('end', this.#onEnd);
    this.#socket.off('error', this.#onError);
  }

  #fail(reason: string | null, error: Error | null): void {
    this.cancel();
    this.#listener.onTunnelFailed(reason, error);
  }

  #receive(chunk: Buffer): void {
    this.#head = asBytes(this.#head.length === 0 ? chunk : Buffer.concat([this.#head, chunk]));
    const end = this.#head.indexOf(HEAD_END);
    if (end < 0) {
      if (this.#head.length > MAX_REPLY_HEAD_BYTES) this.#fail('gave an oversize reply to CONNECT', null);
      return;
    }
    const length = end + HEAD_END.length;
    const status = STATUS_LINE.exec(this.#head.latin1Slice(0, length))?.[1];
    if (status === undefined) return this.#fail('gave no HTTP reply to CONNECT', null);
    if (status.startsWith('1')) {
      // Interim replies may come before the real one (RFC 9110 §15.2).
      const rest = Buffer.from(this.#head.subarray(length));
      this.#head = asBytes(Buffer.alloc(0));
      if (rest.length > 0) this.#receive(rest);
      return;
    }
    if (status === '407') return this.#fail('asks for other credentials (407)', null);
    if (!status.startsWith('2')) return this.#fail(`refused the tunnel (${status})`, null);
    // In a tunnel the client speaks first, in TLS as in HTTP: bytes from the other side were put there by someone else.
    if (this.#head.length > length) return this.#fail('sent bytes of its own into the tunnel', null);
    this.cancel();
    this.#listener.onTunnelOpen();
  }
}
