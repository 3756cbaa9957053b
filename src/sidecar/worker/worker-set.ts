import type { Socket } from 'node:net';
import { invariant } from '../../base/invariant.ts';
import type { BoundListenerSpec } from '../../contract/listener.ts';
import type { Snapshot } from '../../contract/snapshot.ts';
import type { Logger } from '../../runtime/logger.ts';
import { MetricsReader } from '../../runtime/metrics-reader.ts';
import { MetricsRegistry } from '../../runtime/metrics-registry.ts';
import type { ResponseLog } from '../local/response-log.ts';
import { LocalWorker } from './local-worker.ts';
import { giveBackShares, newSharedMemory, type SharedMemory } from './shared-memory.ts';
import { ThreadWorker } from './thread-worker.ts';
import type { WorkerOptions } from './worker.ts';
import type { WorkerEvents, WorkerHandle } from './worker-handle.ts';

export interface WorkerSetOptions {
  /** Where sockets come from, by number. */
  readonly listeners: readonly BoundListenerSpec[];
  readonly logger: Logger;
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
  #connectionCounts = new Int32Array(new SharedArrayBuffer(0));
  #shared: SharedMemory | null = null;
  /** One of `all` that serves the Unix sockets on the main thread, where the others are threads. */
  #unixWorker: WorkerHandle | null = null;
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
    this.#snapshot = snapshot;
    this.#connectionCounts = new Int32Array(new SharedArrayBuffer(4 * threads));
    // Node can't move a Unix socket to another thread.
    const needsUnixWorker = threads > 1 && this.#options.listeners.some(({ isUnix }) => isUnix);
    this.#shared = newSharedMemory(needsUnixWorker ? threads + 1 : threads);
    for (let index = 0; index < threads; index += 1) {
      this.all.push(threads === 1 ? this.#newLocalWorker(index) : this.#newThreadWorker(index));
    }
    if (needsUnixWorker) {
      this.#unixWorker = this.#newLocalWorker(threads);
      this.all.push(this.#unixWorker);
    }
    const remembered = this.#options.responses.load();
    for (const worker of this.all) this.#prepare(worker, snapshot, remembered);
  }

  /** Gives an unread socket to the worker with the fewest connections. */
  accept(socket: Socket, listener: number): void {
    const unixWorker = this.#unixWorker;
    if (unixWorker !== null && this.#options.listeners[listener]!.isUnix) {
      unixWorker.accept(socket);
      return;
    }
    let least = this.all[0]!;
    for (const worker of this.all) {
      if (worker !== unixWorker && worker.connectionCount < least.connectionCount) least = worker;
    }
    least.accept(socket);
  }

  applySnapshot(snapshot: Snapshot): void {
    this.#snapshot = snapshot;
    for (const worker of this.all) worker.applySnapshot(snapshot);
  }

  setControlConnected(connected: boolean): void {
    this.#controlConnected = connected;
    for (const worker of this.all) worker.setControlConnected(connected);
  }

  beginDrain(): void {
    for (const worker of this.all) worker.beginDrain();
  }

  finishDrain(drainMs: number): Promise<unknown> {
    return Promise.all(this.all.map((worker) => worker.finishDrain(drainMs)));
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
    worker.setControlConnected(this.#controlConnected);
    for (const { responseId, deploymentId, owner } of remembered) worker.addResponse(responseId, deploymentId, owner);
    worker.applySnapshot(snapshot);
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
    return new ThreadWorker({
      data: { index, ...places, connectionCounts: this.#connectionCounts },
      metricsSource: places.journalPrefix,
      metrics: this.#metrics,
      logger: this.#options.logger,
      events: this,
      onCrash: (crashed) => {
        this.#replace(crashed);
      },
    });
  }

  #workerPlaces(
    index: number,
  ): Pick<WorkerOptions, 'adminSocketPath' | 'journalDirectory' | 'journalPrefix' | 'shared'> {
    this.#started += 1;
    invariant(this.#shared !== null, 'memory is made before the first worker');
    const { adminSocketPath, journalDirectory, journalPrefix } = this.#options;
    return {
      shared: { ...this.#shared, workerIndex: index },
      adminSocketPath,
      journalDirectory,
      // The start number keeps a replaced worker from writing to its predecessor's segments.
      journalPrefix: `${journalPrefix}-${index}.${this.#started}`,
    };
  }

  #replace(crashed: ThreadWorker): void {
    const at = this.all.indexOf(crashed);
    if (at === -1 || this.#snapshot === null) return;
    this.#options.logger.error('a worker thread ended; its connections were dropped, another takes its place', {
      worker: crashed.index,
    });
    if (this.#shared !== null) giveBackShares(this.#shared, crashed.index);
    const worker = this.#newThreadWorker(crashed.index);
    this.all[at] = worker;
    this.#prepare(worker, this.#snapshot, this.#options.responses.load());
  }
}
