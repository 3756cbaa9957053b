import { connect, type Socket } from 'node:net';
import type { TLSSocket } from 'node:tls';
import type { DnsCache, DnsListener } from './dns-cache.ts';
import { ProxyTunnel, type TunnelListener } from './proxy-tunnel.ts';
import type { ReadSlab } from '../socket/read-slab.ts';
import { errorCode, socketErrorText } from './socket-error-text.ts';
import { TcpRace, type TcpRaceListener } from './tcp-race.ts';
import type { TlsDialer } from './tls-dialer.ts';
import type { UpstreamConnection, UpstreamFailure } from './upstream-connection.ts';
import type { UpstreamTarget } from './upstream-target.ts';

export interface ConnectAttemptListener {
  /** `socket` has no listeners; what it receives goes to `reads.connection` if `reads` is set, else to 'data' events. */
  onAttemptConnected(attempt: ConnectAttempt, socket: Socket, reads: SlabReads | null): void;
  onAttemptFailed(attempt: ConnectAttempt, failure: UpstreamFailure): void;
}

/** Reads of one plain socket, through the worker's slab. */
export interface SlabReads {
  connection: UpstreamConnection | null;
}

export interface ConnectTools {
  readonly dns: DnsCache;
  readonly slab: ReadSlab;
  readonly tls: TlsDialer | null;
}

const WHERE_STUCK = {
  resolving: 'looking up the name',
  connecting: 'connecting',
  tunnelling: 'waiting for the egress proxy to open a tunnel',
  handshaking: 'in the TLS handshake',
} as const;

type Phase = keyof typeof WHERE_STUCK | 'over';

/** Finds peers that vanished without a word, which a request that is silent for minutes would not. */
const KEEP_ALIVE_PROBE_MS = 60_000;

/**
 * Opens one connection.
 *
 *     resolving ─► connecting ─► [tunnelling] ─► [handshaking] ─► over
 *
 * Exactly one of the listener's methods is called, later than `start`, unless `cancel` comes first.
 */
export class ConnectAttempt implements DnsListener, TcpRaceListener, TunnelListener {
  /** When the pool calls `expire`; 0 = its next tick sets it. */
  deadlineMs: number;
  readonly #target: UpstreamTarget;
  readonly #tools: ConnectTools;
  readonly #listener: ConnectAttemptListener;
  #phase: Phase;
  #race: TcpRace | null;
  #tunnel: ProxyTunnel | null;
  #tcpSocket: Socket | null;
  #tlsSocket: TLSSocket | null;
  #readsBySocket: Map<Socket, SlabReads> | null;

  constructor(target: UpstreamTarget, tools: ConnectTools, listener: ConnectAttemptListener, deadlineMs: number) {
    this.deadlineMs = deadlineMs;
    this.#target = target;
    this.#tools = tools;
    this.#listener = listener;
    this.#phase = 'resolving';
    this.#race = null;
    this.#tunnel = null;
    this.#tcpSocket = null;
    this.#tlsSocket = null;
    this.#readsBySocket = null;
  }

  start(): void {
    const { problem, dial, socketPath } = this.#target;
    if (problem !== null) {
      process.nextTick(() => this.#fail(`no connection to ${this.#target.label}: ${problem}`, null));
    } else if (dial === null) {
      this.#connect([socketPath ?? '']);
    } else {
      const addresses = this.#tools.dns.resolve(dial.host, this);
      if (addresses !== null) this.#connect(addresses);
    }
  }

  /** Nothing is called any more, everything is closed. */
  cancel(): void {
    if (this.#target.dial !== null) this.#tools.dns.cancel(this.#target.dial.host, this);
    this.#phase = 'over';
    this.#race?.cancel();
    this.#tunnel?.cancel();
    this.#tlsSocket?.on('error', ignore).destroy();
    this.#tcpSocket?.on('error', ignore).destroy();
  }

  /** The connect timeout is over. */
  expire(timeoutMs: number): void {
    const phase = this.#phase;
    if (phase === 'over') return;
    const message = `no connection to ${this.#target.label} within ${timeoutMs} ms: still ${WHERE_STUCK[phase]}`;
    this.cancel();
    this.#listener.onAttemptFailed(this, {
      name: 'upstream_timeout',
      message,
      systemCode: null,
      reused: false,
      isOurs: false,
    });
  }

  onResolved(addresses: readonly string[]): void {
    if (this.#phase === 'resolving') this.#connect(addresses);
  }

  onResolveFailed(error: Error): void {
    this.#fail(`could not look up ${this.#dialledName()}: ${socketErrorText(error)}`, error);
  }

  openSocket(address: string): Socket {
    const common = { noDelay: true, keepAlive: true, keepAliveInitialDelay: KEEP_ALIVE_PROBE_MS } as const;
    const { dial } = this.#target;
    const where = dial === null ? { path: address } : { host: address, port: dial.port, autoSelectFamily: false };
    // TLS and the tunnel's dialogue take their bytes from 'data' events; node:tls has no onread over a given socket.
    if (this.#target.tlsName !== null || this.#target.tunnelHead !== null) return connect({ ...where, ...common });
    const reads: SlabReads = { connection: null };
    const { slab } = this.#tools;
    const callback = (length: number): boolean => {
      const chunk = slab.take(length);
      if (reads.connection !== null) reads.connection.receive(chunk);
      return true;
    };
    const socket = connect({ ...where, ...common, onread: { buffer: slab.readBuffer, callback } });
    this.#readsBySocket ??= new Map();
    this.#readsBySocket.set(socket, reads);
    return socket;
  }

  onRaceWon(socket: Socket, address: string): void {
    this.#race = null;
    this.#tcpSocket = socket;
    const { dial, tunnelHead } = this.#target;
    if (dial !== null) this.#tools.dns.report(dial.host, address, true);
    if (tunnelHead === null) return this.#secure(socket);
    this.#phase = 'tunnelling';
    this.#tunnel = new ProxyTunnel(socket, tunnelHead, this);
  }

  onAddressFailed(address: string): void {
    const { dial } = this.#target;
    if (dial !== null) this.#tools.dns.report(dial.host, address, false);
  }

  onRaceLost(error: Error, addressCount: number): void {
    const tried = addressCount > 1 ? ` (${addressCount} addresses tried)` : '';
    this.#fail(`could not connect to ${this.#dialledName()}: ${socketErrorText(error)}${tried}`, error);
  }

  onTunnelOpen(): void {
    this.#tunnel = null;
    if (this.#tcpSocket !== null) this.#secure(this.#tcpSocket);
  }

  onTunnelFailed(reason: string | null, error: Error | null): void {
    const what = reason ?? socketErrorText(error);
    const { label } = this.#target;
    this.#fail(`no connection to ${label}: ${this.#dialledName()} ${reason === null ? 'failed: ' : ''}${what}`, error);
  }

  #connect(addresses: readonly string[]): void {
    this.#phase = 'connecting';
    this.#race = new TcpRace(this, addresses);
  }

  #secure(socket: Socket): void {
    const { tls } = this.#tools;
    if (tls === null) return this.#succeed(socket);
    this.#phase = 'handshaking';
    let tlsSocket: TLSSocket;
    try {
      tlsSocket = tls.dial(socket);
    } catch (error) {
      // Never the error's own text: it may quote the PEM.
      return this.#fail(
        `no connection to ${this.#target.label}: its CA, client certificate or key can't be used (${errorCode(error) ?? 'unreadable'})`,
        error,
      );
    }
    this.#tlsSocket = tlsSocket;
    socket.on('error', ignore); // comes from tlsSocket too
    const onSecure = (): void => {
      tlsSocket.off('error', onError);
      tlsSocket.off('close', onClose);
      this.#succeed(tlsSocket);
    };
    const onError = (error: Error): void => this.#failHandshake(error);
    const onClose = (): void => this.#failHandshake(null);
    tlsSocket.once('secureConnect', onSecure).once('error', onError).once('close', onClose);
  }

  #failHandshake(error: Error | null): void {
    if (this.#phase === 'over') return;
    this.#tools.tls?.forgetSession();
    const code = errorCode(error);
    const reason = error === null || code === 'ECONNRESET' ? 'connection closed by the peer' : socketErrorText(error);
    this.#fail(`TLS handshake with ${this.#target.label} failed: ${reason}`, error);
  }

  #succeed(socket: Socket): void {
    this.#phase = 'over';
    const reads = this.#readsBySocket?.get(socket) ?? null;
    this.#readsBySocket = null;
    this.#listener.onAttemptConnected(this, socket, reads);
  }

  #fail(message: string, error: unknown): void {
    if (this.#phase === 'over') return;
    this.cancel();
    const failure: UpstreamFailure = {
      name: 'upstream_unreachable',
      message,
      systemCode: errorCode(error),
      reused: false,
      isOurs: OUR_LIMITS.has(errorCode(error) ?? ''),
    };
    this.#listener.onAttemptFailed(this, failure);
  }

  /** What TCP connects to, for messages. */
  #dialledName(): string {
    const { dial, label, tunnelHead } = this.#target;
    if (dial === null) return label;
    return tunnelHead === null ? label : `egress proxy ${dial.label}`;
  }
}

/** Out of descriptors, memory or local ports. */
const OUR_LIMITS: ReadonlySet<string> = new Set(['EMFILE', 'ENFILE', 'ENOMEM', 'ENOBUFS', 'EADDRNOTAVAIL']);

function ignore(): void {}
