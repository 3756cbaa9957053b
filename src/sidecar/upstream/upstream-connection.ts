import type { Socket } from 'node:net';
import { asBytes, type Bytes } from '../../base/bytes.ts';
import { invariant } from '../../base/invariant.ts';
import type { ErrorName } from '../../domain/errors/error-table.ts';
import type { ParserLimits } from '../../http1/limits.ts';
import { ResponseParser } from '../../http1/response-parser.ts';
import type { Outgoing } from '../socket/outgoing.ts';
import { SocketWriter } from '../socket/socket-writer.ts';
import { errorCode, socketErrorText } from './socket-error-text.ts';

const KEEP_ALIVE_MARGIN_MS = 1000;

/** Why there is no connection (any more). */
export interface UpstreamFailure {
  /** `upstream_unreachable`, `upstream_timeout` or `upstream_closed`. */
  readonly name: ErrorName;
  /** Shown to clients: names host and port and the reason, never a credential. */
  readonly message: string;
  /** `ECONNREFUSED`, `CERT_HAS_EXPIRED`, …; null for our own timeouts and limits. */
  readonly systemCode: string | null;
  /** The connection had served someone before: it may have died while idle, so a fresh one is worth a try. */
  readonly reused: boolean;
  /** The gateway's own limits were reached: the provider is not to blame. */
  readonly isOurs: boolean;
}

/** An attempt in progress. Its methods are called synchronously from socket events, never from within `acquire`. */
export interface UpstreamOwner {
  /** Only after `acquire` answered null. `connection.owner` is already this. */
  onUpstreamConnected(connection: UpstreamConnection): void;
  onUpstreamConnectFailed(failure: UpstreamFailure): void;
  /** `chunk` may be kept: nobody writes to it again. */
  onUpstreamData(chunk: Bytes): void;
  /** After `write` answered false: the queue is empty again. */
  onUpstreamDrain(): void;
  /** null: clean FIN. Else reset or TLS error. The connection is unusable and already out of its pool. */
  onUpstreamClosed(failure: UpstreamFailure | null): void;
}

/** What a connection tells the pool it belongs to. */
export interface UpstreamConnectionHome {
  /** The provider, for messages. */
  readonly label: string;
  /** The exchange is over, and the connection is good for another. `owner` is null. */
  onConnectionReleased(connection: UpstreamConnection): void;
  /** Closed, for whatever reason; called once, before the owner hears of it. `wasIdle`: nobody owned it. */
  onConnectionGone(connection: UpstreamConnection, wasIdle: boolean): void;
}

/**
 * One connection to a provider, handshakes done.
 *
 *     busy (owner set) ⇄ idle (owner null, in the pool)
 *          └────────► closed ◄────────┘                   closed is final
 *
 * After `release` or `destroy` the attempt drops its reference: the connection may be another's at once.
 */
export class UpstreamConnection {
  owner: UpstreamOwner | null;
  readonly parser: ResponseParser;
  /** Keeps the time of the pool: when an idle connection is closed; 0 = the next tick sets it. */
  idleDeadlineMs: number;
  /** Ms that the provider's own `Keep-Alive` leaves it in the pool; Infinity = it said nothing. */
  keepAliveMs: number;
  readonly #socket: Socket;
  readonly #writer: SocketWriter;
  readonly #home: UpstreamConnectionHome;
  #isReused: boolean;
  #isIdle: boolean;
  #isClosed: boolean;
  #isPaused: boolean;

  /** `socket` is connected and without listeners; its 'data' events are listened to if `readsByEvent`. */
  constructor(socket: Socket, home: UpstreamConnectionHome, limits: ParserLimits, readsByEvent: boolean) {
    this.owner = null;
    this.parser = new ResponseParser(limits);
    this.idleDeadlineMs = 0;
    this.keepAliveMs = Infinity;
    this.#socket = socket;
    this.#writer = new SocketWriter(socket);
    this.#home = home;
    this.#isReused = false;
    this.#isIdle = true;
    this.#isClosed = false;
    this.#isPaused = false;
    if (readsByEvent) socket.on('data', (chunk: Buffer) => this.receive(asBytes(chunk)));
    socket.on('end', () => this.lose(null));
    socket.on('error', (error) => this.lose(this.#failure(error)));
    socket.on('close', () => this.lose(this.#failure(null)));
    socket.on('drain', () => {
      if (this.owner !== null) this.owner.onUpstreamDrain();
    });
    socket.resume();
  }

  /** This attempt did not open it. */
  get reused(): boolean {
    return this.#isReused;
  }

  /** Bytes that wait in the write queue. */
  get bufferedBytes(): number {
    return this.#writer.unsentBytes;
  }

  /** A string is sent as latin1. False: wait for `onUpstreamDrain` (it was queued all the same). */
  write(bytes: Uint8Array | string): boolean {
    if (this.#isClosed) return false;
    return typeof bytes === 'string' ? this.#socket.write(bytes, 'latin1') : this.#socket.write(bytes);
  }

  /** False: wait for `onUpstreamDrain` (it was queued all the same). */
  send(outgoing: Outgoing): boolean {
    return !this.#isClosed && this.#writer.send(outgoing);
  }

  /** Stops `onUpstreamData`; at most what is already read (64 KiB) may still come. */
  pause(): void {
    this.#isPaused = true;
    this.#socket.pause();
  }

  resume(): void {
    this.#isPaused = false;
    this.#socket.resume();
  }

  /**
   * The exchange is finished clean: back to the pool or to the next waiter, whose `onUpstreamConnected` may run before
   * this returns. Ignored unless busy.
   *
   * @param keepAliveTimeoutMs the provider's `Keep-Alive: timeout=`, null when it sent none. It is honoured minus one
   * second, for what is under way when it ends.
   */
  release(keepAliveTimeoutMs: number | null): void {
    if (this.#isClosed || this.#isIdle) return;
    this.owner = null;
    this.#isIdle = true;
    this.keepAliveMs = keepAliveTimeoutMs === null ? Infinity : keepAliveTimeoutMs - KEEP_ALIVE_MARGIN_MS;
    // Request bytes still queued: the reply came early, and the provider may never read the rest.
    const isClean = this.#writer.unsentBytes === 0 && this.parser.isIdle();
    if (!isClean || this.keepAliveMs <= 0) return this.destroy();
    if (this.#isPaused) this.resume(); // else its FIN would go unseen
    this.#isReused = true;
    this.parser.release(); // an idle connection must not keep alive what its last head was read into
    this.#home.onConnectionReleased(this);
  }

  /** Closes at once, unread and unsent bytes are dropped. The owner is not called back. Idempotent. */
  destroy(): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    const wasIdle = this.#isIdle;
    this.owner = null;
    this.#socket.destroy();
    this.#home.onConnectionGone(this, wasIdle);
  }

  /** The pool gives it to `owner`. */
  take(owner: UpstreamOwner): void {
    invariant(this.#isIdle && !this.#isClosed, 'only an idle connection can be taken');
    this.#isIdle = false;
    this.idleDeadlineMs = 0;
    this.owner = owner;
  }

  /** It goes idle without having served anyone: whoever takes it did not open it. */
  rest(): void {
    this.#isReused = true;
  }

  /** Bytes that came. While idle there is nothing to come: whatever it is, the connection's framing is in doubt. */
  receive(chunk: Bytes): void {
    if (this.owner !== null) this.owner.onUpstreamData(chunk);
    else this.destroy();
  }

  /** Closes it and tells the owner, if any. */
  lose(failure: UpstreamFailure | null): void {
    if (this.#isClosed) return;
    const { owner } = this;
    this.destroy();
    if (owner !== null) owner.onUpstreamClosed(failure);
  }

  #failure(error: Error | null): UpstreamFailure {
    const { label } = this.#home;
    return {
      name: 'upstream_closed',
      message: `connection to ${label} lost: ${error === null ? 'closed' : socketErrorText(error)}`,
      systemCode: errorCode(error),
      reused: this.#isReused,
      isOurs: false,
    };
  }
}
