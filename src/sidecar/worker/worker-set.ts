import type { Socket } from 'node:net';
import { invariant } from '../../base/invariant.ts';
import type { BoundListenerSpec } from '../../contract/listener.ts';
import type { Snapshot } from '../../contract/snapshot.ts';
import type { Logger } from '../../runtime/logger.ts';
import { MetricsReader } from '../../runtime/metrics-reader.ts';
import { MetricsRegistry } from '../../runtime/metrics-registry.ts';
import { startSpaceScan } from '../journal/space-scan.ts';
import { RestartPolicy } from '../../runtime/restart-policy.ts';
import type { ResponseLog } from '../local/response-log.ts';
import { HealthGauges } from '../routing/health-gauges.ts';
import type { Certificate, Certificates } from '../tls/certificates.ts';
import { LocalWorker } from './local-worker.ts';
import type { BudgetFeed } from '../budgets/budget-feed.ts';
import { exportShared, importShared, type SharedState } from './shared-state.ts';
import { giveBackShares, newSharedMemory, type SharedMemory } from './shared-memory.ts';
import { ThreadWorker } from './thread-worker.ts';
import type { WorkerOptions } from './worker.ts';
import type { Drain, WorkerEvents, WorkerHandle } from './worker-handle.ts';

/** Like the queue of a listening socket. */
const MAX_WAITING = 4_096;

export interface WorkerSetOptions {
  /** Where sockets come from, by number. */
  readonly listeners: readonly BoundListenerSpec[];
  /** Those in use now, for a worker that has just been made. */
  readonly certificates: () => Certificates['current'];
  readonly logger: Logger;
  readonly heartbeatIntervalMs: number;
  readonly adminSocketPath: string;
  readonly journalDirectory: string;
  /** Of this process; each worker adds its own number. */
  readonly journalPrefix: string;
  readonly responses: ResponseLog;
  readonly onKeyLookup: (hash: string) => void;
  readonly onKeyGap: () => void;
  /** Every worker serves by this version now; `blockedMs` is the longest that one was busy with the change. */
  readonly onSnapshotApplied: (version: string, blockedMs: number) => void;
  /** Gives the keys to a worker that has just been made. */
  readonly giveKeys: (worker: WorkerHandle) => void;
}

/** The workers of a sidecar: made with the first snapshot, replaced when they crash, told what all have to know. */
export class WorkerSet implements WorkerEvents {
  /** Those that serve. */
  readonly all: WorkerHandle[] = [];
  readonly #options: WorkerSetOptions;
  readonly #metrics = new MetricsReader();
  /** By index. */
  readonly #policies: RestartPolicy[] = [];
  readonly #restarts = new Set<NodeJS.Timeout>();
  /** Connections that came while no worker was there. */
  readonly #waiting: { readonly socket: Socket; readonly listener: number }[] = [];
  #watch: NodeJS.Timeout | null = null;
  #isDraining = false;
  #isEnding = false;
  #shared: SharedMemory | null = null;
  /** One of `all` that serves the Unix sockets on the main thread, where the others are threads. */
  #unixWorker: WorkerHandle | null = null;
  #endSpaceScan: () => void = () => undefined;
  #gauges: HealthGauges | null = null;
  #started = 0;
  #snapshot: Snapshot | null = null;
  #controlConnected = false;
  #applied = { version: '', blockedMs: 0, by: new Set<WorkerHandle>() };

  constructor(options: WorkerSetOptions) {
    this.#options = options;
  }

  get isStarted(): boolean {
    return this.#shared !== null;
  }

  /** With as many workers as the snapshot says; later ones don't change that. */
  start(snapshot: Snapshot): void {
    const { threads } = snapshot.settings;
    const { journalDirectory, logger } = this.#options;
    this.#snapshot = snapshot;
    // Node can't move a Unix socket to another thread.
    const needsUnixWorker = threads > 1 && this.#options.listeners.some(({ isUnix }) => isUnix);
    this.#shared = newSharedMemory(needsUnixWorker ? threads + 1 : threads, snapshot.settings.rateLimits);
    this.#endSpaceScan = startSpaceScan(journalDirectory, this.#shared.journalSpace, logger);
    this.#gauges = new HealthGauges(this.#shared.deploymentHealth, this.#metrics);
    this.#gauges.applySnapshot(snapshot);
    if (threads === 1) {
      this.all.push(this.#newLocalWorker(0));
    } else {
      for (let index = 0; index < threads; index += 1) {
        this.#policies.push(new RestartPolicy(false));
        this.all.push(this.#newThreadWorker(index));
      }
      this.#watch = setInterval(() => {
        this.#findHung();
      }, this.#options.heartbeatIntervalMs);
    }
    if (needsUnixWorker) {
      this.#unixWorker = this.#newLocalWorker(threads);
      this.all.push(this.#unixWorker);
    }
    const remembered = this.#options.responses.load();
    for (const worker of this.all) this.#prepare(worker, snapshot, remembered);
  }

  /** Gives an unread socket to the worker with the fewest connections, of those that don't seem to hang if there are any. */
  accept(socket: Socket, listener: number): void {
    const unixWorker = this.#unixWorker;
    if (unixWorker !== null && this.#options.listeners[listener]!.isUnix) {
      unixWorker.accept(socket, listener);
      return;
    }
    let best: WorkerHandle | null = null;
    for (const worker of this.all) {
      if (worker !== unixWorker && (best === null || isBetter(worker, best))) best = worker;
    }
    if (best === null) this.#keep(socket, listener);
    else best.accept(socket, listener);
  }

  setCertificate(listener: number, certificate: Certificate): void {
    for (const worker of this.all) worker.setCertificate(listener, certificate);
  }

  applySnapshot(snapshot: Snapshot): void {
    this.#snapshot = snapshot;
    this.#gauges?.applySnapshot(snapshot);
    for (const worker of this.all) worker.applySnapshot(snapshot);
  }

  setControlConnected(connected: boolean): void {
    this.#controlConnected = connected;
    for (const worker of this.all) worker.setControlConnected(connected);
  }

  /** What was spent before; called before the first connection comes. */
  loadBudgets(feed: BudgetFeed): void {
    invariant(this.#shared !== null, 'there is memory for budgets once the workers are started');
    feed.load(this.#shared);
  }

  /** What another sidecar needs to go on from here. */
  exportState(): SharedState {
    invariant(this.#shared !== null, 'there is memory to hand over once the workers are started');
    return exportShared(this.#shared);
  }

  /** Goes on from where another sidecar stopped; called before the first connection comes. */
  importState(state: SharedState): void {
    invariant(this.#shared !== null, 'there is memory to take over to once the workers are started');
    importShared(this.#shared, state);
  }

  /** Reads again which deployment made which response: another process may have written. */
  reloadResponses(): void {
    const entries = this.#options.responses.load();
    for (const worker of this.all) {
      for (const { responseId, deploymentId, owner } of entries) worker.addResponse(responseId, deploymentId, owner);
    }
  }

  beginDrain(): void {
    this.#isDraining = true;
    for (const worker of this.all) worker.beginDrain();
  }

  finishDrain(drain: Drain): Promise<unknown> {
    this.#endSpaceScan();
    this.#isEnding = true;
    for (const timer of this.#restarts) clearTimeout(timer);
    for (const { socket } of this.#waiting.splice(0)) socket.destroy();
    const drained = Promise.all(this.all.map((worker) => worker.finishDrain(drain)));
    // Until then one that hangs still has to be ended: nothing else would.
    return drained.finally(() => {
      if (this.#watch !== null) clearInterval(this.#watch);
    });
  }

  onKeyLookup(hash: string): void {
    this.#options.onKeyLookup(hash);
  }

  onKeyGap(): void {
    this.#options.onKeyGap();
  }

  onSnapshotApplied(version: string, blockedMs: number, from: WorkerHandle): void {
    if (version !== this.#applied.version) this.#applied = { version, blockedMs: 0, by: new Set() };
    this.#applied.by.add(from);
    this.#applied.blockedMs = Math.max(this.#applied.blockedMs, blockedMs);
    if (!this.all.every((worker) => this.#applied.by.has(worker))) return;
    this.#options.onSnapshotApplied(version, this.#applied.blockedMs);
  }

  onResponseMade(responseId: string, deploymentId: string, owner: string, from: WorkerHandle | null): void {
    this.#options.responses.append({ responseId, deploymentId, owner });
    for (const worker of this.all) if (worker !== from) worker.addResponse(responseId, deploymentId, owner);
  }

  renderMetrics(): string {
    return this.#metrics.render();
  }

  #prepare(worker: WorkerHandle, snapshot: Snapshot, remembered: ReturnType<ResponseLog['load']>): void {
    this.#options.giveKeys(worker);
    for (const [listener, certificate] of this.#options.certificates()) worker.setCertificate(listener, certificate);
    worker.setControlConnected(this.#controlConnected);
    for (const { responseId, deploymentId, owner } of remembered) worker.addResponse(responseId, deploymentId, owner);
    worker.applySnapshot(snapshot);
    if (this.#isDraining) worker.beginDrain();
  }

  #newLocalWorker(index: number): WorkerHandle {
    const registry = new MetricsRegistry({
      publish: (registrations) => {
        this.#metrics.accept('main', registrations);
      },
    });
    return new LocalWorker({ logger: this.#options.logger, registry, ...this.#workerPlaces(index) }, this);
  }

  #newThreadWorker(index: number): WorkerHandle {
    const places = this.#workerPlaces(index);
    const startedAtMs = performance.now();
    return new ThreadWorker({
      data: { index, ...places, heartbeatIntervalMs: this.#options.heartbeatIntervalMs },
      metricsSource: places.journalPrefix,
      metrics: this.#metrics,
      logger: this.#options.logger,
      events: this,
      onReady: () => {
        this.#policies[index]?.onReady();
      },
      onExit: (worker) => {
        this.#onExit(worker, performance.now() - startedAtMs);
      },
    });
  }

  #workerPlaces(
    index: number,
  ): Pick<WorkerOptions, 'listeners' | 'adminSocketPath' | 'journalDirectory' | 'journalPrefix' | 'shared'> {
    this.#started += 1;
    invariant(this.#shared !== null, 'memory is made before the first worker');
    const { listeners, adminSocketPath, journalDirectory, journalPrefix } = this.#options;
    return {
      shared: { ...this.#shared, workerIndex: index },
      listeners,
      adminSocketPath,
      journalDirectory,
      // The start number keeps a replaced worker from writing to its predecessor's segments.
      journalPrefix: `${journalPrefix}-${index}.${this.#started}`,
    };
  }

  #findHung(): void {
    const nowMs = performance.now();
    const hung = this.all.filter((worker) => worker instanceof ThreadWorker && worker.watch(nowMs)) as ThreadWorker[];
    for (const worker of hung) {
      this.#options.logger.error('a worker thread hangs: its loop does not turn; it is ended', {
        worker: worker.index,
      });
      // No new connection goes there; the place is free again when it has ended.
      this.#remove(worker);
      worker.terminate();
    }
  }

  #onExit(worker: ThreadWorker, livedMs: number): void {
    invariant(this.#shared !== null, 'memory is there as long as there are workers');
    this.#remove(worker);
    giveBackShares(this.#shared, worker.index);
    if (this.#isEnding) return;
    const decision = this.#policies[worker.index]!.onDeath(livedMs);
    if (!decision.restart) {
      this.#options.logger.error('a worker thread can not be started; it is given up', { worker: worker.index });
      // Ends the process: whoever supervises it starts it again, or gives up.
      invariant(
        this.all.some((other) => other instanceof ThreadWorker) || this.#restarts.size > 0,
        'no worker thread can be started',
      );
      return;
    }
    this.#options.logger.error('a worker thread ended; its connections were dropped, another takes its place', {
      worker: worker.index,
    });
    if (decision.delayMs === 0) {
      this.#replace(worker.index);
      return;
    }
    const timer = setTimeout(() => {
      this.#restarts.delete(timer);
      this.#replace(worker.index);
    }, decision.delayMs);
    this.#restarts.add(timer);
  }

  #replace(index: number): void {
    if (this.#snapshot === null) return;
    const worker = this.#newThreadWorker(index);
    this.all.push(worker);
    this.#prepare(worker, this.#snapshot, this.#options.responses.load());
    for (const { socket, listener } of this.#waiting.splice(0)) this.accept(socket, listener);
  }

  #remove(worker: WorkerHandle): void {
    const at = this.all.indexOf(worker);
    if (at !== -1) this.all.splice(at, 1);
  }

  #keep(socket: Socket, listener: number): void {
    if (this.#isEnding || this.#waiting.length >= MAX_WAITING) socket.destroy();
    else this.#waiting.push({ socket, listener });
  }
}

function isBetter(worker: WorkerHandle, than: WorkerHandle): boolean {
  if (worker.isSuspect !== than.isSuspect) return than.isSuspect;
  return worker.connectionCount < than.connectionCount;
}
