import type { Socket } from 'node:net';
import { performance } from 'node:perf_hooks';
import type { KeyAnswerMessage, KeyChangesMessage } from '../../contract/control-messages.ts';
import type { BoundListenerSpec } from '../../contract/listener.ts';
import { DEFAULT_JOURNAL_SETTINGS, type Snapshot } from '../../contract/snapshot.ts';
import { TIMEOUTS } from '../../contract/timeouts.ts';
import { DEFAULT_LIMITS, type ParserLimits } from '../../http1/limits.ts';
import type { Logger } from '../../runtime/logger.ts';
import type { MetricsRegistry } from '../../runtime/metrics-registry.ts';
import { compileSnapshot, type CompiledSnapshot } from '../compiled-snapshot.ts';
import { ArrivalRush } from '../downstream/arrival-rush.ts';
import { Arrivals, type TurnedAwayReason } from '../downstream/arrivals.ts';
import { peerAddress } from '../downstream/peer-address.ts';
import { DownstreamConnection } from '../downstream/downstream-connection.ts';
import { BlockPool } from '../exchange/block-pool.ts';
import type { Exchange } from '../exchange/exchange.ts';
import { CallIds } from '../exchange/call-id.ts';
import { onAdmitted, onWaitedTooLong } from '../exchange/run-request.ts';
import { RetryQueue } from '../forward/retry-queue.ts';
import { JournalMetrics } from '../journal/journal-metrics.ts';
import { JournalSpace } from '../journal/journal-space.ts';
import { JournalWatch } from '../journal/journal-watch.ts';
import { JournalWriter, type JournalWaiter } from '../journal/journal-writer.ts';
import { KeyStore } from '../keys/key-store.ts';
import { LookupLimiter } from '../keys/lookup-limiter.ts';
import { WorkerLimits } from '../limits/worker-limits.ts';
import { ResponseOwners } from '../local/response-owners.ts';
import { Admission } from '../overload/admission.ts';
import { DeploymentLoad } from '../routing/deployment-load.ts';
import { HealthChecks } from '../health/health-checks.ts';
import { DeploymentHealth } from '../routing/deployment-health.ts';
import { healthReporter } from '../routing/health-reporter.ts';
import type { Certificate } from '../tls/certificates.ts';
import { MemoryBudget } from '../overload/memory-budget.ts';
import type { ReadSlab } from '../socket/read-slab.ts';
import type { UpstreamPool } from '../upstream/upstream-pool.ts';
import { UpstreamPools, type UpstreamPoolsOptions } from '../upstream/upstream-pools.ts';
import { adminOrigin } from './admin-origin.ts';
import type { SharedMemory } from './shared-memory.ts';
import { SidecarMetrics } from './sidecar-metrics.ts';
import type { KeyWaiter, WorkerContext, WorkerHost } from './worker-context.ts';
import type { Drain } from './worker-handle.ts';

/** The one timer of a worker. Every deadline is met at most this late, on an idle loop. */
const TICK_MS = 100;

/** A worker that stops waits so long for handshakes that are under way. */
const LAST_HANDSHAKES_MS = 1_000;

export interface WorkerOptions {
  readonly host: WorkerHost;
  /** Where sockets come from, by number. */
  readonly listeners: readonly BoundListenerSpec[];
  readonly logger: Logger;
  readonly registry: MetricsRegistry;
  readonly adminSocketPath: string;
  readonly journalDirectory: string;
  readonly journalPrefix: string;
  readonly shared: SharedMemory;
}

/** Serves the connections of one thread: owns its pools, its journal, its view of configuration and keys. */
export class Worker implements WorkerContext {
  snapshot: CompiledSnapshot | null = null;
  draining = false;
  handedOver = false;
  controlConnected = false;
  readonly limits: WorkerLimits;
  readonly keys: KeyStore;
  readonly journal: JournalWriter;
  readonly openLines: JournalWaiter;
  readonly metrics: SidecarMetrics;
  readonly ids: CallIds = new CallIds();
  readonly responses: ResponseOwners = new ResponseOwners();
  readonly lookupLimiter: LookupLimiter = new LookupLimiter();
  readonly host: WorkerHost;
  readonly shared: SharedMemory;
  readonly load: DeploymentLoad;
  readonly adminPool: UpstreamPool;
  readonly admission: Admission<Exchange>;
  readonly budget: MemoryBudget;
  readonly slab: ReadSlab;
  readonly blocks: BlockPool = new BlockPool();
  readonly rush: ArrivalRush = new ArrivalRush(performance.now());
  readonly health: DeploymentHealth;
  readonly retries: RetryQueue = new RetryQueue();
  readonly healthChecks: HealthChecks = new HealthChecks(this);
  readonly keyWaiters: Map<string, KeyWaiter[]> = new Map();

  readonly #logger: Logger;
  readonly #journalWatch: JournalWatch;
  readonly #pools: UpstreamPools;
  readonly #connections = new Set<DownstreamConnection>();
  readonly #arrivals: Arrivals;
  readonly #ticker: NodeJS.Timeout;
  readonly #onGone: (connection: DownstreamConnection) => void;
  #tickedMs: number;
  #drained: (() => void) | null = null;
  #unusedMs = 0;

  constructor(options: WorkerOptions) {
    this.host = options.host;
    this.shared = options.shared;
    this.#logger = options.logger;
    this.limits = new WorkerLimits(options.shared, options.registry, options.logger);
    this.keys = new KeyStore(this.limits);
    this.metrics = new SidecarMetrics(options.registry);
    this.health = new DeploymentHealth(this.shared.deploymentHealth, healthReporter(this, options.logger));
    this.load = new DeploymentLoad(options.shared, this.metrics, Date.now());
    const { workerIndex, journalSpace } = options.shared;
    const journalMetrics = new JournalMetrics(options.registry);
    const space = new JournalSpace(journalSpace, workerIndex);
    this.journal = new JournalWriter({
      directory: options.journalDirectory,
      prefix: options.journalPrefix,
      settings: DEFAULT_JOURNAL_SETTINGS,
      space,
      writeSeconds: journalMetrics.writeSeconds,
    });
    this.admission = new Admission(options.shared, options.registry, { onAdmitted, onWaitedTooLong });
    this.openLines = {
      onJournaled: (stored) => {
        if (stored) journalMetrics.opens.add(1);
      },
    };
    this.#journalWatch = new JournalWatch(this.journal, space, journalMetrics, options.logger, workerIndex);
    this.budget = new MemoryBudget(options.shared.memoryBudget, options.shared.workerIndex);
    this.#pools = new UpstreamPools(poolOptions(null));
    this.slab = this.#pools.slab;
    this.adminPool = this.#pools.poolFor(adminOrigin(options.adminSocketPath));
    this.#onGone = (connection) => {
      this.#connections.delete(connection);
      this.metrics.connections.add(-1);
      this.#onCountChanged();
    };
    this.#arrivals = new Arrivals(options.listeners, {
      onArrived: (socket, address) => {
        this.#connect(socket, address);
      },
      onTurnedAway: (reason) => {
        this.#onTurnedAway(reason);
      },
    });
    this.#tickedMs = performance.now();
    this.#ticker = setInterval(() => {
      this.#onInterval();
    }, TICK_MS);
  }

  /** Those on their way to be one included. */
  get connectionCount(): number {
    return this.#connections.size + this.#arrivals.size;
  }

  /** Takes an accepted, unread socket of the listener with that number. */
  accept(socket: Socket, listener: number): void {
    if (!this.#arrivals.concerns(listener)) {
      this.#connect(socket, null);
      return;
    }
    const timeoutMs = this.snapshot?.settings.timeouts.clientHandshakeMs ?? TIMEOUTS.clientHandshakeMs.defaultMs;
    this.#arrivals.accept(socket, listener, performance.now() + timeoutMs);
    this.host.connectionsChanged(this.connectionCount);
  }

  /** For connections that come from now on. */
  setCertificate(listener: number, certificate: Certificate): void {
    this.#arrivals.setCertificate(listener, certificate);
  }

  /** Requests that come from now on use `snapshot`; those in progress keep the one they began with. Answers ms blocked. */
  applySnapshot(snapshot: Snapshot): number {
    const startMs = performance.now();
    this.#pools.configure(poolOptions(snapshot));
    const parts = { pools: this.#pools, load: this.load, health: this.health, limits: this.limits };
    const compiled = compileSnapshot(snapshot, parts);
    this.metrics.prepare(compiled);
    this.journal.configure(snapshot.settings.journal);
    this.snapshot = compiled;
    this.admission.configure(snapshot.settings);
    this.budget.configure(snapshot.settings.limits.maxInFlightBytes);
    const named = new Set([this.adminPool]);
    for (const { pool } of compiled.deployments.values()) named.add(pool);
    this.#pools.retain(named);
    return performance.now() - startMs;
  }

  loadKeys(shared: Uint8Array, sequence: number, complete: boolean): void {
    this.keys.load(shared, sequence, complete);
  }

  /** @returns false on a gap in the sequence: the directory has to be loaded again. */
  changeKeys(message: KeyChangesMessage): boolean {
    return this.keys.apply(message);
  }

  /** The control plane answered a look-up that some worker asked for. */
  answerKey(message: Pick<KeyAnswerMessage, 'hash' | 'record' | 'failed'>): void {
    if (message.record !== null) this.keys.learn(message.hash, message.record);
    else if (!message.failed) this.keys.rememberUnknown(message.hash, performance.now());
    const waiting = this.keyWaiters.get(message.hash);
    this.keyWaiters.delete(message.hash);
    for (const waiter of waiting ?? []) waiter.onKeyResolved(message.failed);
  }

  setControlConnected(connected: boolean): void {
    this.controlConnected = connected;
  }

  /** From now on every answer closes its connection. Idle connections stay: closing them now would lose requests. */
  beginDrain(): void {
    this.draining = true;
  }

  /** Lets requests in progress finish within `drainMs`, then cuts off what is left; resolves when all are gone. */
  finishDrain({ drainMs, unusedMs, isHandedOver }: Drain): Promise<void> {
    this.draining = true;
    this.handedOver = isHandedOver;
    this.#unusedMs = unusedMs;
    return new Promise((resolve) => {
      const deadline = setTimeout(() => {
        for (const { exchange } of this.#connections) {
          exchange?.attempt?.cancel();
          exchange?.cutOff('drain');
        }
        this.journal.flush();
        for (const connection of this.#connections) connection.destroy();
        this.#arrivals.turnAllAway();
      }, drainMs);
      this.#drained = () => {
        clearTimeout(deadline);
        this.#drained = null;
        this.#stop(resolve);
      };
      this.#closeUnused(performance.now());
      this.#arrivals.hurry(performance.now() + LAST_HANDSHAKES_MS);
      if (this.connectionCount === 0) this.#drained();
    });
  }

  onFault(error: unknown): void {
    this.#logger.error('a request failed inside the gateway; its connection was dropped', {
      error: error instanceof Error ? error.stack : String(error),
    });
  }

  /** @param address the client's, if a load balancer told it. */
  #connect(socket: Socket, address: string | null): void {
    this.rush.onArrival();
    const connection = new DownstreamConnection(socket, this, parserLimits(this.snapshot), this.#onGone);
    connection.peerAddress = address ?? peerAddress(connection.socket);
    this.#connections.add(connection);
    this.metrics.connections.add(1);
    this.host.connectionsChanged(this.connectionCount);
    connection.socket.resume();
  }

  #onTurnedAway(reason: TurnedAwayReason): void {
    this.metrics.turnedAway[reason].add(1);
    this.#onCountChanged();
  }

  #onCountChanged(): void {
    this.host.connectionsChanged(this.connectionCount);
    if (this.connectionCount === 0) this.#drained?.();
  }

  #closeUnused(nowMs: number): void {
    for (const connection of this.#connections) connection.closeIfUnused(nowMs, this.#unusedMs);
  }

  /** `done` is called when the journal has everything. */
  #stop(done: () => void): void {
    clearInterval(this.#ticker);
    this.#pools.closeAll();
    this.journal.close(done);
  }

  #onInterval(): void {
    const nowMs = performance.now();
    const isLate = nowMs - this.#tickedMs > 2 * TICK_MS;
    this.#tickedMs = nowMs;
    // After the loop was held up, what a deadline waits for may have been lying in the kernel all the while: let the
    // sockets have their turn first (immediates run after the poll phase, timers before it).
    if (!isLate) {
      this.#tick(nowMs);
      return;
    }
    setImmediate(() => {
      this.#tick(nowMs);
    });
  }

  #tick(nowMs: number): void {
    this.load.tick(Date.now());
    for (const connection of this.#connections) connection.onTick(nowMs);
    this.#arrivals.onTick(nowMs);
    this.rush.onTick(nowMs);
    this.admission.tick(nowMs);
    this.budget.tick();
    this.metrics.inFlightBytes.set(this.budget.ownBytes);
    this.#pools.tick(nowMs);
    this.healthChecks.tick(nowMs);
    this.journal.tick(nowMs);
    this.#journalWatch.onTick(nowMs);
    if (this.#drained !== null) this.#closeUnused(nowMs);
  }
}

function parserLimits(snapshot: CompiledSnapshot | null): ParserLimits {
  if (snapshot === null) return DEFAULT_LIMITS;
  return snapshot.parserLimits;
}

function poolOptions(snapshot: Snapshot | null): UpstreamPoolsOptions {
  const timeouts = snapshot?.settings.timeouts;
  return {
    connectTimeoutMs: timeouts?.connectMs ?? TIMEOUTS.connectMs.defaultMs,
    poolWaitMs: timeouts?.poolWaitMs ?? TIMEOUTS.poolWaitMs.defaultMs,
    idleTimeoutMs: timeouts?.upstreamIdleMs ?? TIMEOUTS.upstreamIdleMs.defaultMs,
    parserLimits: DEFAULT_LIMITS,
  };
}
