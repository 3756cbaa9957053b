import type { Socket } from 'node:net';
import { invariant } from '../../base/invariant.ts';
import type { OriginSpec } from '../../contract/snapshot.ts';
import type { ParserLimits } from '../../http1/limits.ts';
import { ConnectAttempt, type ConnectAttemptListener, type ConnectTools, type SlabReads } from './connect-attempt.ts';
import type { DnsCache } from './dns-cache.ts';
import type { ReadSlab } from '../socket/read-slab.ts';
import { TlsDialer } from './tls-dialer.ts';
import {
  UpstreamConnection,
  type UpstreamConnectionHome,
  type UpstreamFailure,
  type UpstreamOwner,
} from './upstream-connection.ts';
import { upstreamTarget, type UpstreamTarget } from './upstream-target.ts';

export interface UpstreamPoolOptions {
  /** From the start of an attempt to its connection, handshakes included. Bounds no wait for a free connection. */
  readonly connectTimeoutMs: number;
  /** Wait at the connection limit until a connection is free or may be opened. Bounds no connecting. */
  readonly poolWaitMs: number;
  /** An idle connection is closed after this, or earlier if the provider's `Keep-Alive` says so. */
  readonly idleTimeoutMs: number;
  /** Requests that may wait at one origin's connection limit, each holding its body; more fail at once. */
  readonly maxWaiting?: number;
  readonly parserLimits: ParserLimits;
}

/** What the pools of a worker share. */
export interface UpstreamPoolHome {
  readonly options: UpstreamPoolOptions;
  readonly dns: DnsCache;
  readonly slab: ReadSlab;
  /** Something begins in this pool: tick it until it is empty. */
  onPoolActive(pool: UpstreamPool): void;
}

export interface UpstreamPoolStats {
  /** `host:port`, or `unix:` and a path. */
  readonly label: string;
  readonly idle: number;
  readonly busy: number;
  readonly connecting: number;
  /** At the connection limit. */
  readonly waiting: number;
  readonly opened: number;
  /** Times that a connection was given out again. */
  readonly reused: number;
  readonly connectFailures: number;
  readonly connectTimeouts: number;
  /** Failed for want of a free connection: waited too long, or too many waited. */
  readonly limitFailures: number;
}

const DEFAULT_MAX_WAITING = 1000;

class Waiter {
  readonly owner: UpstreamOwner;
  readonly isFresh: boolean;
  /** Null while at the connection limit. */
  attempt: ConnectAttempt | null;
  /** When waiting at the limit ends. */
  readonly deadlineMs: number;

  constructor(owner: UpstreamOwner, isFresh: boolean, deadlineMs: number) {
    this.owner = owner;
    this.isFresh = isFresh;
    this.attempt = null;
    this.deadlineMs = deadlineMs;
  }
}

/**
 * Connections to one origin.
 *
 *     acquire ─► idle connection (most recently used first)
 *        └─────► dialling: an attempt of its own ─► connection
 *        └─────► queued, at maxConnections ─► dialling, or a released connection
 *
 * A released connection goes to whoever has waited longest, dialling ones included; the attempt that is left over
 * serves the next waiter or becomes idle.
 */
export class UpstreamPool implements UpstreamConnectionHome, ConnectAttemptListener {
  readonly label: string;
  /** Equal for pools of equal origins. */
  readonly key: string;
  readonly #home: UpstreamPoolHome;
  readonly #target: UpstreamTarget;
  readonly #tools: ConnectTools;
  readonly #maxConnections: number;
  /** Last in, first out: what is seldom needed stays at the bottom and expires. */
  readonly #idle: UpstreamConnection[];
  readonly #connections: Set<UpstreamConnection>;
  /** The waiter that each attempt was started for; null: it was served otherwise. */
  readonly #attempts: Map<ConnectAttempt, Waiter | null>;
  readonly #dialling: Map<UpstreamOwner, Waiter>;
  readonly #queued: Map<UpstreamOwner, Waiter>;
  /** To be told in the next turn of the loop. */
  readonly #refused: Map<UpstreamOwner, UpstreamFailure>;
  #state: 'named' | 'retired' | 'closed';
  #isActive: boolean;
  #opened: number;
  #reused: number;
  #connectFailures: number;
  #connectTimeouts: number;
  #limitFailures: number;

  constructor(key: string, origin: OriginSpec, home: UpstreamPoolHome) {
    const target = upstreamTarget(origin);
    this.label = target.label;
    this.key = key;
    this.#home = home;
    this.#target = target;
    const tls = target.tlsName === null ? null : new TlsDialer(target.tlsName, origin.tls);
    this.#tools = { dns: home.dns, slab: home.slab, tls };
    this.#maxConnections = Math.max(1, origin.maxConnections);
    this.#idle = [];
    this.#connections = new Set();
    this.#attempts = new Map();
    this.#dialling = new Map();
    this.#queued = new Map();
    this.#refused = new Map();
    this.#state = 'named';
    this.#isActive = false;
    this.#opened = 0;
    this.#reused = 0;
    this.#connectFailures = 0;
    this.#connectTimeouts = 0;
    this.#limitFailures = 0;
  }

  /**
   * An idle live connection at once, `owner` set; else null, and one of the owner's `onUpstreamConnected` and
   * `onUpstreamConnectFailed` is called later. An owner waits for one connection at a time.
   */
  acquire(owner: UpstreamOwner, nowMs: number): UpstreamConnection | null {
    // Fast case: an idle connection. Allocates nothing.
    let connection = this.#idle.pop();
    while (connection !== undefined) {
      if (connection.idleDeadlineMs === 0 || connection.idleDeadlineMs > nowMs) {
        connection.take(owner);
        this.#reused++;
        return connection;
      }
      connection.destroy();
      connection = this.#idle.pop();
    }
    this.#wait(owner, nowMs, false);
    return null;
  }

  /** Like `acquire`, but never a connection that served before: for the retry after one of those died. */
  acquireFresh(owner: UpstreamOwner, nowMs: number): null {
    const oldest = this.#idle[0];
    if (oldest !== undefined && this.#count() >= this.#maxConnections) oldest.destroy();
    this.#wait(owner, nowMs, true);
    return null;
  }

  /** `owner` no longer waits and is not called back. Without effect once it has its connection. */
  cancel(owner: UpstreamOwner): void {
    const waiter = this.#dialling.get(owner);
    if (waiter !== undefined) {
      this.#dialling.delete(owner);
      if (waiter.attempt !== null) {
        this.#attempts.delete(waiter.attempt);
        waiter.attempt.cancel();
      }
      this.#dialQueued();
    }
    this.#queued.delete(owner);
    this.#refused.delete(owner);
  }

  stats(): UpstreamPoolStats {
    return {
      label: this.label,
      idle: this.#idle.length,
      busy: this.#connections.size - this.#idle.length,
      connecting: this.#attempts.size,
      waiting: this.#queued.size,
      opened: this.#opened,
      reused: this.#reused,
      connectFailures: this.#connectFailures,
      connectTimeouts: this.#connectTimeouts,
      limitFailures: this.#limitFailures,
    };
  }

  /** Expires what is over. For `UpstreamPools`. */
  tick(nowMs: number): void {
    const { connectTimeoutMs, poolWaitMs, idleTimeoutMs } = this.#home.options;
    if (this.#target.dial !== null) this.#home.dns.touch(this.#target.dial.host);
    for (let i = this.#idle.length - 1; i >= 0; i--) {
      const connection = this.#idle[i];
      if (connection === undefined) continue;
      if (connection.idleDeadlineMs === 0) {
        connection.idleDeadlineMs = nowMs + Math.min(idleTimeoutMs, connection.keepAliveMs);
      } else if (connection.idleDeadlineMs <= nowMs) {
        connection.destroy();
      }
    }
    if (this.#attempts.size > 0) {
      for (const attempt of this.#attempts.keys()) {
        if (attempt.deadlineMs === 0) attempt.deadlineMs = nowMs + connectTimeoutMs;
        else if (attempt.deadlineMs <= nowMs) attempt.expire(connectTimeoutMs);
      }
    }
    if (this.#queued.size > 0) {
      for (const waiter of this.#queued.values()) {
        if (waiter.deadlineMs > nowMs) continue;
        this.#queued.delete(waiter.owner);
        this.#limitFailures++;
        const wait = `none of the ${this.#maxConnections} connections became free within ${poolWaitMs} ms`;
        waiter.owner.onUpstreamConnectFailed(this.#failure('upstream_timeout', wait));
      }
    }
  }

  /** A snapshot names it (again). For `UpstreamPools`. */
  name(): void {
    if (this.#state === 'retired') this.#state = 'named';
  }

  /** No snapshot names it any more: what is idle goes now, the rest when it is released. For `UpstreamPools`. */
  retire(): void {
    if (this.#state === 'named') this.#state = 'retired';
    for (const connection of this.#idle.slice()) connection.destroy();
    for (const [attempt, waiter] of this.#attempts) {
      if (waiter !== null) continue;
      this.#attempts.delete(attempt);
      attempt.cancel();
    }
    this.#dialQueued();
  }

  get isRetired(): boolean {
    return this.#state === 'retired';
  }

  /** True: nothing left to tick, `onPoolActive` will tell when there is. For `UpstreamPools`. */
  restIfEmpty(): boolean {
    if (this.#count() === 0 && this.#queued.size === 0) this.#isActive = false;
    return !this.#isActive;
  }

  /** Cuts everything off; owners hear of it. Nothing can be acquired afterwards. For `UpstreamPools`. */
  close(): void {
    this.#state = 'closed';
    const failure = this.#failure('upstream_closed', 'the gateway is shutting down');
    const waiters = [...this.#dialling.values(), ...this.#queued.values()];
    this.#dialling.clear();
    this.#queued.clear();
    for (const attempt of this.#attempts.keys()) attempt.cancel();
    this.#attempts.clear();
    for (const waiter of waiters) waiter.owner.onUpstreamConnectFailed(failure);
    for (const connection of this.#connections) {
      connection.lose(connection.reused ? { ...failure, reused: true } : failure);
    }
  }

  onAttemptConnected(attempt: ConnectAttempt, socket: Socket, reads: SlabReads | null): void {
    const waiter = this.#attempts.get(attempt);
    invariant(waiter !== undefined, 'the attempt is one of this pool');
    this.#attempts.delete(attempt);
    this.#opened++;
    const connection = new UpstreamConnection(socket, this, this.#home.options.parserLimits, reads === null);
    if (reads !== null) reads.connection = connection;
    this.#connections.add(connection);
    if (waiter === null) this.#offer(connection);
    else this.#serve(waiter, connection);
  }

  onAttemptFailed(attempt: ConnectAttempt, failure: UpstreamFailure): void {
    const waiter = this.#attempts.get(attempt);
    invariant(waiter !== undefined, 'the attempt is one of this pool');
    this.#attempts.delete(attempt);
    if (failure.name === 'upstream_timeout') this.#connectTimeouts++;
    else this.#connectFailures++;
    if (waiter !== null) this.#dialling.delete(waiter.owner);
    this.#dialQueued();
    if (waiter !== null) waiter.owner.onUpstreamConnectFailed(failure);
  }

  onConnectionReleased(connection: UpstreamConnection): void {
    // Fast case: nobody waits.
    if (this.#dialling.size === 0 && this.#queued.size === 0 && this.#state === 'named') this.#idle.push(connection);
    else this.#offer(connection);
  }

  onConnectionGone(connection: UpstreamConnection, wasIdle: boolean): void {
    this.#connections.delete(connection);
    if (wasIdle) {
      const index = this.#idle.lastIndexOf(connection);
      if (index >= 0) this.#idle.splice(index, 1);
    }
    this.#dialQueued();
  }

  #wait(owner: UpstreamOwner, nowMs: number, isFresh: boolean): void {
    invariant(
      !this.#dialling.has(owner) && !this.#queued.has(owner) && !this.#refused.has(owner),
      'an owner waits for one connection at a time',
    );
    if (!this.#isActive) {
      this.#isActive = true;
      this.#home.onPoolActive(this);
    }
    const { connectTimeoutMs, poolWaitMs, maxWaiting = DEFAULT_MAX_WAITING } = this.#home.options;
    if (this.#state === 'closed') {
      this.#refuse(owner, this.#failure('upstream_closed', 'the gateway is shutting down'));
      return;
    }
    const waiter = new Waiter(owner, isFresh, nowMs + poolWaitMs);
    if (this.#count() < this.#maxConnections) {
      this.#dial(waiter, nowMs + connectTimeoutMs);
    } else if (this.#queued.size < maxWaiting) {
      this.#queued.set(owner, waiter);
    } else {
      this.#limitFailures++;
      const full = `all ${this.#maxConnections} connections are in use and ${maxWaiting} requests wait for one`;
      this.#refuse(owner, this.#failure('upstream_unreachable', full));
    }
  }

  #count(): number {
    return this.#connections.size + this.#attempts.size;
  }

  #dial(waiter: Waiter, deadlineMs: number): void {
    const attempt = new ConnectAttempt(this.#target, this.#tools, this, deadlineMs);
    waiter.attempt = attempt;
    this.#attempts.set(attempt, waiter);
    this.#dialling.set(waiter.owner, waiter);
    attempt.start();
  }

  /** There may be room below the limit: those at the head of the queue dial. */
  #dialQueued(): void {
    if (this.#queued.size === 0) return;
    for (const waiter of this.#queued.values()) {
      if (this.#count() >= this.#maxConnections) return;
      this.#queued.delete(waiter.owner);
      this.#dial(waiter, 0);
    }
  }

  /** A connection that nobody owns: to whoever has waited longest, else it becomes idle. */
  #offer(connection: UpstreamConnection): void {
    for (const waiter of this.#dialling.values()) {
      if (waiter.isFresh && connection.reused) continue;
      if (waiter.attempt !== null) this.#attempts.set(waiter.attempt, null);
      return this.#serve(waiter, connection);
    }
    for (const waiter of this.#queued.values()) {
      if (!waiter.isFresh || !connection.reused) return this.#serve(waiter, connection);
      // Its turn, but not with this one: make room for a new one.
      return connection.destroy();
    }
    if (this.#state !== 'named') return connection.destroy();
    connection.rest();
    this.#idle.push(connection);
  }

  #serve(waiter: Waiter, connection: UpstreamConnection): void {
    this.#dialling.delete(waiter.owner);
    this.#queued.delete(waiter.owner);
    if (connection.reused) this.#reused++;
    connection.take(waiter.owner);
    waiter.owner.onUpstreamConnected(connection);
  }

  #refuse(owner: UpstreamOwner, failure: UpstreamFailure): void {
    if (this.#refused.size === 0) process.nextTick(() => this.#tellRefused());
    this.#refused.set(owner, failure);
  }

  #tellRefused(): void {
    for (const [owner, failure] of this.#refused) {
      this.#refused.delete(owner);
      owner.onUpstreamConnectFailed(failure);
    }
  }

  #failure(name: UpstreamFailure['name'], reason: string): UpstreamFailure {
    return {
      name,
      message: `no connection to ${this.label}: ${reason}`,
      systemCode: null,
      reused: false,
      isOurs: true,
    };
  }
}
