import { randomUUID } from 'node:crypto';
import { createServer, type AddressInfo, type Server, type Socket } from 'node:net';
import { join } from 'node:path';
import { invariant } from '../base/invariant.ts';
import type { KeyChangesMessage, KeyDirectoryMessage, ToSidecar } from '../contract/control-messages.ts';
import type { KeyRecord } from '../contract/key-record.ts';
import { DATA_FILES } from '../contract/persisted-state.ts';
import type { Snapshot } from '../contract/snapshot.ts';
import { SNAPSHOT_FORMAT } from '../contract/snapshot.ts';
import { TIMEOUTS } from '../contract/timeouts.ts';
import type { Logger } from '../runtime/logger.ts';
import { MetricsReader } from '../runtime/metrics-reader.ts';
import { MetricsRegistry } from '../runtime/metrics-registry.ts';
import { ControlLink, type ControlLinkListener } from './control-link.ts';
import { ResponseLog } from './local/response-log.ts';
import { loadNodeId, readPersistedState, readSharedFile } from './sidecar-files.ts';
import { LocalWorker } from './worker/local-worker.ts';
import { newSharedMemory, type SharedMemory } from './worker/shared-memory.ts';
import { ThreadWorker } from './worker/thread-worker.ts';
import type { WorkerOptions } from './worker/worker.ts';
import type { WorkerEvents, WorkerHandle } from './worker/worker-handle.ts';

/** A sidecar that starts waits so long for the control plane before it serves by what it had last. */
const CONTROL_GRACE_MS = 1_000;

/** After the supervisor has closed its copy of the socket, connections that were queued are still taken. */
const ACCEPT_QUEUED_MS = 50;
/** New ones that keep coming are not waited for any longer. */
const ACCEPT_QUEUED_MAX_MS = 500;

/** Like the kernel's own somaxconn. */
const BACKLOG = 4_096;

export interface SidecarOptions {
  readonly dataDirectory: string;
  readonly listen: { readonly fd: number } | { readonly host: string; readonly port: number };
  readonly controlSocketPath: string;
  readonly adminSocketPath: string;
  readonly logger: Logger;
  /** Of the product, for the handshake. */
  readonly version?: string;
}

export interface RunningSidecar {
  readonly port: number;
  /** A configuration is there and connections are accepted. */
  readonly ready: Promise<void>;
  /** Readiness false and `connection: close` on every answer; resolves when `shutdownDelayMs` is over. */
  beginDrain(): Promise<void>;
  /** Stops accepting, lets requests in progress finish within `drainMs`, closes everything. */
  finishDrain(): Promise<void>;
}

export async function runSidecar(options: SidecarOptions): Promise<RunningSidecar> {
  const sidecar = new Sidecar(options);
  await sidecar.start();
  return sidecar;
}

/** What a worker needs to know every key, also one that starts later. */
interface Keys {
  readonly shared: Uint8Array<SharedArrayBuffer>;
  /** Of the last change taken. */
  sequence: number;
  readonly complete: boolean;
  /** Since the directory was written; by hash, the last one counts. */
  readonly changes: Map<string, KeyRecord | null>;
}

/** The sidecar's main thread: listener, control link, and what all workers share. */
class Sidecar implements RunningSidecar, ControlLinkListener, WorkerEvents {
  readonly ready: Promise<void>;
  readonly #options: SidecarOptions;
  readonly #logger: Logger;
  readonly #metrics = new MetricsReader();
  readonly #link: ControlLink;
  readonly #responses: ResponseLog;
  readonly #server: Server;
  readonly #nodeId: string;
  readonly #epoch = Date.now().toString(36);
  readonly #keysAsked = new Map<string, NodeJS.Timeout>();
  #workers: WorkerHandle[] = [];
  #connectionCounts = new Int32Array(new SharedArrayBuffer(0));
  #shared: SharedMemory | null = null;
  #workersStarted = 0;
  #snapshot: Snapshot | null = null;
  #keys: Keys | null = null;
  #appliedBy = 0;
  #applied: { version: string; blockedMs: number } = { version: '', blockedMs: 0 };
  #controlConnected = false;
  #lastLookupId = 0;
  #accepted = 0;
  #setReady: () => void = () => undefined;

  constructor(options: SidecarOptions) {
    this.#options = options;
    this.#logger = options.logger;
    this.#nodeId = loadNodeId(options.dataDirectory, randomUUID);
    this.#responses = new ResponseLog(options.dataDirectory, options.logger);
    this.#link = new ControlLink(options.controlSocketPath, options.version ?? '0', this, options.logger);
    this.#server = createServer({ pauseOnConnect: true, noDelay: true }, (socket) => {
      this.#onConnection(socket);
    });
    this.ready = new Promise((resolve) => {
      this.#setReady = resolve;
    });
  }

  get port(): number {
    const address = this.#server.address() as AddressInfo | null;
    return address?.port ?? 0;
  }

  /** Gets a configuration, from the control plane or else from disk, starts the workers, listens. */
  async start(): Promise<void> {
    this.#link.open();
    const fallback = setTimeout(() => {
      this.#startFromDisk();
    }, CONTROL_GRACE_MS);
    await this.#firstSnapshot();
    clearTimeout(fallback);
    await this.#listen();
    this.#setReady();
  }

  onControlConnected(): void {
    this.#controlConnected = true;
    this.#logger.info('control plane connected');
    for (const worker of this.#workers) worker.setControlConnected(true);
  }

  onControlLost(): void {
    this.#controlConnected = false;
    this.#logger.warn('control plane lost; traffic goes on by the last configuration');
    for (const worker of this.#workers) worker.setControlConnected(false);
    for (const [hash, timer] of this.#keysAsked) {
      clearTimeout(timer);
      this.#answerKey(hash, true);
    }
  }

  onControlMessage(message: ToSidecar): void {
    switch (message.type) {
      case 'hello':
      case 'refused':
        return; // the link's own
      case 'snapshot':
        this.#takeSnapshot(message.snapshot);
        return;
      case 'key-directory':
        this.#takeKeys(message);
        return;
      case 'key-changes':
        this.#takeKeyChanges(message);
        return;
      case 'key-answer':
        clearTimeout(this.#keysAsked.get(message.hash));
        this.#keysAsked.delete(message.hash);
        for (const worker of this.#workers) worker.answerKey(message);
        return;
      default:
        message satisfies never;
    }
  }

  onKeyLookup(hash: string): void {
    if (this.#keysAsked.has(hash)) return;
    this.#lastLookupId += 1;
    if (!this.#link.send({ type: 'key-lookup', id: this.#lastLookupId, hash })) {
      this.#answerKey(hash, true);
      return;
    }
    const timeoutMs = this.#snapshot?.settings.timeouts.authLookupMs ?? TIMEOUTS.authLookupMs.defaultMs;
    this.#keysAsked.set(
      hash,
      setTimeout(() => {
        this.#answerKey(hash, true);
      }, timeoutMs),
    );
  }

  onKeyGap(): void {
    this.#link.send({ type: 'resend-keys' });
  }

  onSnapshotApplied(version: string, blockedMs: number): void {
    if (version !== this.#applied.version) {
      this.#applied = { version, blockedMs: 0 };
      this.#appliedBy = 0;
    }
    this.#appliedBy += 1;
    this.#applied.blockedMs = Math.max(this.#applied.blockedMs, blockedMs);
    if (this.#appliedBy < this.#workers.length) return;
    this.#link.send({ type: 'snapshot-applied', version, blockedMs: this.#applied.blockedMs });
  }

  onResponseMade(responseId: string, deploymentId: string, owner: string, from: WorkerHandle | null): void {
    this.#responses.append({ responseId, deploymentId, owner });
    for (const worker of this.#workers) if (worker !== from) worker.addResponse(responseId, deploymentId, owner);
  }

  renderMetrics(): string {
    return this.#metrics.render();
  }

  async beginDrain(): Promise<void> {
    for (const worker of this.#workers) worker.beginDrain();
    const delayMs = this.#snapshot?.settings.timeouts.shutdownDelayMs ?? 0;
    if (delayMs > 0) await new Promise((resolve) => setTimeout(resolve, delayMs));
  }

  async finishDrain(): Promise<void> {
    await this.#acceptQueued();
    this.#server.close();
    const drainMs = this.#snapshot?.settings.timeouts.drainMs ?? TIMEOUTS.drainMs.defaultMs;
    await Promise.all(this.#workers.map((worker) => worker.finishDrain(drainMs)));
    this.#link.close();
    for (const timer of this.#keysAsked.values()) clearTimeout(timer);
    this.#responses.close();
  }

  #firstSnapshot(): Promise<void> {
    return new Promise((resolve) => {
      this.#onFirstSnapshot = resolve;
      if (this.#workers.length > 0) resolve();
    });
  }

  #onFirstSnapshot: () => void = () => undefined;

  #startFromDisk(): void {
    const { dataDirectory } = this.#options;
    const state = readPersistedState(dataDirectory, this.#logger);
    if (state === null || this.#snapshot !== null) return;
    this.#logger.warn('the control plane is away: serving by the last configuration on disk', {
      version: state.snapshot.version,
    });
    const { fileName, sequence, complete } = state.keyDirectory;
    this.#takeKeys({ type: 'key-directory', path: join(dataDirectory, fileName), sequence, complete });
    this.#takeSnapshot(state.snapshot);
  }

  #takeSnapshot(snapshot: Snapshot): void {
    if (snapshot.format !== SNAPSHOT_FORMAT) {
      this.#logger.error('refused a configuration of another format', {
        format: snapshot.format,
        ours: SNAPSHOT_FORMAT,
      });
      return;
    }
    this.#snapshot = snapshot;
    if (this.#workers.length > 0) {
      for (const worker of this.#workers) worker.applySnapshot(snapshot);
      return;
    }
    // Keys come right after the first snapshot; nothing is accepted before both are there.
    if (this.#keys !== null) this.#startWorkers(snapshot);
  }

  #takeKeys(message: KeyDirectoryMessage): void {
    try {
      const { sequence, complete } = message;
      this.#keys = { shared: readSharedFile(message.path), sequence, complete, changes: new Map() };
    } catch (error) {
      this.#logger.error('the key directory can not be read; keys stay as they are', { error: String(error) });
      return;
    }
    const { shared, sequence, complete } = this.#keys;
    for (const worker of this.#workers) worker.loadKeys(shared, sequence, complete);
    if (this.#workers.length === 0 && this.#snapshot !== null) this.#startWorkers(this.#snapshot);
  }

  #takeKeyChanges(message: KeyChangesMessage): void {
    if (this.#keys === null) return;
    if (message.fromSequence !== this.#keys.sequence) {
      this.onKeyGap();
      return;
    }
    this.#keys.sequence = message.toSequence;
    for (const { hash, record } of message.changes) this.#keys.changes.set(hash, record);
    for (const worker of this.#workers) worker.changeKeys(message);
  }

  #startWorkers(snapshot: Snapshot): void {
    const { threads } = snapshot.settings;
    this.#connectionCounts = new Int32Array(new SharedArrayBuffer(4 * threads));
    this.#shared = newSharedMemory(threads);
    for (let index = 0; index < threads; index += 1) {
      this.#workers.push(threads === 1 ? this.#newLocalWorker() : this.#newThreadWorker(index));
    }
    const remembered = this.#responses.load();
    for (const worker of this.#workers) this.#prepare(worker, snapshot, remembered);
    this.#onFirstSnapshot();
  }

  #prepare(worker: WorkerHandle, snapshot: Snapshot, remembered: ReturnType<ResponseLog['load']>): void {
    if (this.#keys !== null) {
      const { shared, sequence, complete, changes } = this.#keys;
      worker.loadKeys(shared, sequence, complete);
      worker.changeKeys({
        type: 'key-changes',
        fromSequence: sequence,
        toSequence: sequence,
        changes: Array.from(changes, ([hash, record]) => ({ hash, record })),
      });
    }
    worker.setControlConnected(this.#controlConnected);
    for (const { responseId, deploymentId, owner } of remembered) worker.addResponse(responseId, deploymentId, owner);
    worker.applySnapshot(snapshot);
  }

  #newLocalWorker(): WorkerHandle {
    const registry = new MetricsRegistry({
      publish: (registrations) => {
        this.#metrics.accept('main', registrations);
      },
    });
    return new LocalWorker({ logger: this.#logger, registry, ...this.#workerPlaces(0) }, this);
  }

  #newThreadWorker(index: number): WorkerHandle {
    const places = this.#workerPlaces(index);
    return new ThreadWorker({
      data: { index, ...places, connectionCounts: this.#connectionCounts },
      metricsSource: places.journalPrefix,
      metrics: this.#metrics,
      logger: this.#logger,
      events: this,
      onCrash: (crashed) => {
        this.#replace(crashed);
      },
    });
  }

  #workerPlaces(
    index: number,
  ): Pick<WorkerOptions, 'adminSocketPath' | 'journalDirectory' | 'journalPrefix' | 'shared'> {
    this.#workersStarted += 1;
    invariant(this.#shared !== null, 'memory is made before the first worker');
    return {
      shared: { ...this.#shared, workerIndex: index },
      adminSocketPath: this.#options.adminSocketPath,
      journalDirectory: join(this.#options.dataDirectory, DATA_FILES.journal),
      // The start number keeps a replaced worker from writing to its predecessor's segments.
      journalPrefix: `${this.#nodeId}-${this.#epoch}-${index}.${this.#workersStarted}`,
    };
  }

  #replace(crashed: ThreadWorker): void {
    const at = this.#workers.indexOf(crashed);
    if (at === -1 || this.#snapshot === null) return;
    this.#logger.error('a worker thread ended; its connections were dropped, another takes its place', {
      worker: crashed.index,
    });
    const worker = this.#newThreadWorker(crashed.index);
    this.#workers[at] = worker;
    this.#prepare(worker, this.#snapshot, this.#responses.load());
  }

  #answerKey(hash: string, failed: boolean): void {
    this.#keysAsked.delete(hash);
    for (const worker of this.#workers) worker.answerKey({ hash, record: null, failed });
  }

  #onConnection(socket: Socket): void {
    this.#accepted += 1;
    let least = this.#workers[0]!;
    for (const worker of this.#workers) if (worker.connectionCount < least.connectionCount) least = worker;
    least.accept(socket);
  }

  /**
   * Closing the socket resets what is queued at it. libuv accepts one connection in each turn of the loop, so the queue
   * is empty when a turn has brought none: 6 of 8 clients that came back at once were reset before this was waited for.
   */
  async #acceptQueued(): Promise<void> {
    await new Promise((resolve) => setTimeout(resolve, ACCEPT_QUEUED_MS));
    const deadlineMs = performance.now() + ACCEPT_QUEUED_MAX_MS;
    let before = -1;
    while (this.#accepted !== before && performance.now() < deadlineMs) {
      before = this.#accepted;
      // Immediates run right after the loop has looked at its sockets.
      await new Promise((resolve) => setImmediate(resolve));
    }
  }

  #listen(): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#server.once('error', reject);
      this.#server.listen({ ...this.#options.listen, backlog: BACKLOG }, () => {
        this.#server.off('error', reject);
        this.#server.on('error', (error) => {
          this.#logger.error('listening socket', { error: String(error) });
        });
        resolve();
      });
    });
  }
}
