import type { Socket } from 'node:net';
import type { BoundListenerSpec } from '../../contract/listener.ts';
import { ProxyHeaderParser, ProxyHeaderResult } from '../../http1/proxy-header-parser.ts';
import type { Certificate } from '../tls/certificates.ts';
import { TlsTerminator } from '../tls/tls-terminator.ts';

/**
 * Most sockets of one thread that are on their way to be connections. OpenSSL holds some 50 KB for each; beyond this the
 * oldest is dropped: a handshake takes two round trips, and who is slow shall not keep others out.
 */
const MAX_ARRIVALS = 1_024;

/** Told by a worker. */
export interface ArrivalsListener {
  /** Ready to carry requests. `address`: the client's, if a load balancer told it. */
  onArrived(socket: Socket, address: string | null): void;
  /** Dropped on the way: no PROXY header, no handshake, too late. */
  onTurnedAway(reason: TurnedAwayReason): void;
}

export const TURNED_AWAY_REASONS = ['proxy_header', 'tls', 'client_certificate', 'late', 'crowded'] as const;
export type TurnedAwayReason = (typeof TURNED_AWAY_REASONS)[number];

/**
 * Sockets that owe us something before their first request: a PROXY protocol header, a TLS handshake, or first the one
 * and then the other.
 *
 *     accepted ─► [header] ─► [handshake] ─► arrived        any ──► turned away
 */
export class Arrivals {
  readonly #listeners: readonly BoundListenerSpec[];
  readonly #terminators: readonly (TlsTerminator | null)[];
  readonly #listener: ArrivalsListener;
  /** Oldest first. */
  readonly #waiting: Set<Arrival>;

  constructor(listeners: readonly BoundListenerSpec[], listener: ArrivalsListener) {
    this.#listeners = listeners;
    this.#terminators = listeners.map(({ tls }) => (tls === null ? null : new TlsTerminator(tls)));
    this.#listener = listener;
    this.#waiting = new Set();
  }

  get size(): number {
    return this.#waiting.size;
  }

  /** Whether connections of that listener have to come this way. */
  concerns(index: number): boolean {
    const listener = this.#listeners[index];
    return listener !== undefined && (listener.proxyProtocol || listener.tls !== null);
  }

  setCertificate(index: number, certificate: Certificate): void {
    this.#terminators[index]?.setCertificate(certificate);
  }

  accept(socket: Socket, index: number, deadlineMs: number): void {
    if (this.#waiting.size >= MAX_ARRIVALS) {
      for (const oldest of this.#waiting) {
        oldest.turnAway('crowded');
        break;
      }
    }
    const arrival = new Arrival(socket, this.#terminators[index] ?? null, deadlineMs, (reason) => {
      this.#waiting.delete(arrival);
      if (reason === null) this.#listener.onArrived(arrival.socket, arrival.address);
      else this.#listener.onTurnedAway(reason);
    });
    this.#waiting.add(arrival);
    arrival.start(this.#listeners[index]!.proxyProtocol);
  }

  onTick(nowMs: number): void {
    for (const arrival of this.#waiting) if (arrival.deadlineMs <= nowMs) arrival.turnAway('late');
  }

  /** The gateway is stopping: who is in the middle of a handshake may end it, who is silent is not waited for. */
  hurry(deadlineMs: number): void {
    for (const arrival of this.#waiting) arrival.deadlineMs = Math.min(arrival.deadlineMs, deadlineMs);
  }

  turnAllAway(): void {
    for (const arrival of this.#waiting) arrival.turnAway('late');
  }
}

class Arrival {
  deadlineMs: number;
  /** The TLS socket once there is one. */
  socket: Socket;
  address: string | null;
  readonly #terminator: TlsTerminator | null;
  /** Once: null when it has arrived. */
  readonly #onOver: (reason: TurnedAwayReason | null) => void;
  #isOver: boolean;

  constructor(
    socket: Socket,
    terminator: TlsTerminator | null,
    deadlineMs: number,
    onOver: (reason: TurnedAwayReason | null) => void,
  ) {
    this.deadlineMs = deadlineMs;
    this.socket = socket;
    this.address = null;
    this.#terminator = terminator;
    this.#onOver = onOver;
    this.#isOver = false;
  }

  start(hasProxyHeader: boolean): void {
    if (hasProxyHeader) this.#readHeader(this.socket);
    else this.#handshake();
  }

  turnAway(reason: TurnedAwayReason): void {
    if (this.#isOver) return;
    this.#isOver = true;
    this.socket.on('error', ignore).destroy();
    this.#onOver(reason);
  }

  #readHeader(socket: Socket): void {
    const parser = new ProxyHeaderParser();
    const onGone = (): void => this.turnAway('proxy_header');
    const onData = (chunk: Buffer): void => {
      const end = parser.push(chunk);
      if (end === ProxyHeaderResult.Incomplete) return;
      if (end === ProxyHeaderResult.Refused) return onGone();
      socket.off('data', onData).off('error', onGone).off('end', onGone).off('close', onGone);
      socket.pause();
      if (end < chunk.length) socket.unshift(chunk.subarray(end));
      this.address = parser.address;
      this.#handshake();
    };
    socket.on('data', onData).on('error', onGone).on('end', onGone).on('close', onGone).resume();
  }

  #handshake(): void {
    if (this.#terminator === null) return this.#arrive();
    const tlsSocket = this.#terminator.wrap(this.socket);
    if (tlsSocket === null) return this.turnAway('tls');
    const onGone = (): void => this.turnAway('tls');
    const onSecure = (): void => {
      tlsSocket.off('error', onGone).off('close', onGone);
      if (this.#terminator!.admits(tlsSocket)) this.#arrive();
      else this.turnAway('client_certificate');
    };
    this.socket.on('error', ignore); // comes from tlsSocket too
    this.socket = tlsSocket;
    tlsSocket.once('secure', onSecure).on('error', onGone).on('close', onGone);
  }

  #arrive(): void {
    if (this.#isOver) return;
    this.#isOver = true;
    this.#onOver(null);
  }
}

function ignore(): void {}
