import { connect, type Socket } from 'node:net';
import { connect as connectTls } from 'node:tls';
import { NONCE_DIGITS, type LoadSpec } from './load-spec.ts';
import { nowNs } from './monotonic-clock.ts';
import { ReplyReader } from './reply-reader.ts';

/** What a connection tells the run it belongs to. */
export interface LoadConnectionOwner {
  /** Ready for a request: connected, and no reply outstanding. */
  onIdle(connection: LoadConnection): void;
  /** No longer ready: the connection ended. `onIdle` follows when there is a new one. */
  onLost(connection: LoadConnection): void;
  /** A complete reply; `onIdle` follows, or `onLost`. */
  onReply(connection: LoadConnection, atNs: number): void;
  /** The request in flight is lost; or, with `hadRequest` false, the connection had none or could not be made. */
  onFailure(kind: string, note: string, hadRequest: boolean): void;
}

const RECONNECT_MS = 20;
const ZERO = 0x30;
const EMPTY = Buffer.alloc(0);
/** "nonce-", before the digits. */
const NONCE_PREFIX_BYTES = 6;

/** Reads of all connections land here: each is used up before the next. */
const READ_BUFFER = Buffer.allocUnsafeSlow(64 * 1024);

/** One kept-alive connection with at most one request in flight. Connects again when it is lost. */
export class LoadConnection {
  readonly reader: ReplyReader;
  /** Instant that the request in flight was scheduled for. */
  scheduledNs = 0;
  isInFlight = false;
  readonly #spec: LoadSpec;
  readonly #owner: LoadConnectionOwner;
  /** This connection's own copy: its nonce changes while others are being sent. */
  readonly #request: Buffer;
  readonly #nonce: Buffer;
  #socket: Socket | null = null;
  #isClosed = false;

  constructor(spec: LoadSpec, owner: LoadConnectionOwner, reader: ReplyReader) {
    this.#spec = spec;
    this.#owner = owner;
    this.reader = reader;
    this.#request = Buffer.from(spec.request, 'latin1');
    this.#nonce =
      spec.nonceAt < 0 ? EMPTY : this.#request.subarray(spec.nonceAt - NONCE_PREFIX_BYTES, spec.nonceAt + NONCE_DIGITS);
  }

  open(): void {
    if (this.#isClosed) return;
    const { host, port, tlsServerName, tlsVerify } = this.#spec;
    if (tlsServerName !== null) {
      const socket = connectTls({
        host,
        port,
        servername: tlsServerName,
        ALPNProtocols: ['http/1.1'],
        rejectUnauthorized: tlsVerify,
      });
      socket.setNoDelay(true);
      socket.on('data', (chunk: Buffer) => this.#receive(chunk));
      socket.once('secureConnect', () => this.#owner.onIdle(this));
      this.#watch(socket);
      return;
    }
    const socket = connect({
      host,
      port,
      noDelay: true,
      onread: {
        buffer: READ_BUFFER,
        callback: (length) => {
          this.#receive(READ_BUFFER.subarray(0, length));
          return true;
        },
      },
    });
    socket.once('connect', () => this.#owner.onIdle(this));
    this.#watch(socket);
  }

  send(scheduledNs: number, nonce: number): void {
    this.scheduledNs = scheduledNs;
    this.isInFlight = true;
    if (this.#nonce.length > 0) this.#writeNonce(nonce);
    this.reader.begin(this.#nonce);
    this.#socket?.write(this.#request);
  }

  /** Gives the request in flight up, and its connection with it. */
  abandon(kind: string, note: string): void {
    const socket = this.#socket;
    this.#lose(kind, note);
    socket?.destroy();
  }

  close(): void {
    this.#isClosed = true;
    this.isInFlight = false;
    this.#socket?.destroy();
  }

  #watch(socket: Socket): void {
    this.#socket = socket;
    let cause = '';
    socket.on('error', (error: NodeJS.ErrnoException) => {
      cause = error.code ?? error.message;
    });
    socket.once('close', () => {
      if (this.#socket !== socket) return;
      const isComplete = this.isInFlight && cause === '' && this.reader.isCompleteAtClose;
      if (isComplete) this.#finish(nowNs());
      else if (this.isInFlight) this.#lose(cause === '' ? 'closed' : cause, 'connection lost before the reply ended');
      else if (cause !== '' && !this.#isClosed) this.#owner.onFailure(`connect ${cause}`, 'no connection', false);
      this.#socket = null;
      this.#owner.onLost(this);
      if (!this.#isClosed) setTimeout(() => this.open(), isComplete ? 0 : RECONNECT_MS);
    });
  }

  #receive(bytes: Buffer): void {
    if (!this.isInFlight) {
      if (!this.#isClosed) this.#owner.onFailure('unasked bytes', bytes.toString('latin1', 0, 80), false);
      this.#socket?.destroy();
      return;
    }
    const atNs = nowNs();
    const progress = this.reader.read(bytes, atNs);
    if (progress === 'complete') this.#finish(atNs);
    else if (progress === 'malformed') this.abandon('malformed reply', bytes.toString('latin1', 0, 80));
  }

  #finish(atNs: number): void {
    this.isInFlight = false;
    this.#owner.onReply(this, atNs);
    if (this.reader.closes) this.#socket?.end();
    else this.#owner.onIdle(this);
  }

  #lose(kind: string, note: string): void {
    this.isInFlight = false;
    if (!this.#isClosed) this.#owner.onFailure(kind, note, true);
  }

  #writeNonce(nonce: number): void {
    let rest = nonce;
    for (let i = this.#spec.nonceAt + NONCE_DIGITS - 1; i >= this.#spec.nonceAt; i--) {
      this.#request[i] = ZERO + (rest % 10);
      rest = Math.floor(rest / 10);
    }
  }
}
