import type { Socket } from 'node:net';
import { Worker as Thread } from 'node:worker_threads';
import type { KeyAnswerMessage, KeyChangesMessage } from '../../contract/control-messages.ts';
import type { Snapshot } from '../../contract/snapshot.ts';
import type { Certificate } from '../tls/certificates.ts';
import { HeartbeatMonitor } from '../../runtime/heartbeat.ts';
import type { Logger } from '../../runtime/logger.ts';
import type { MetricsReader } from '../../runtime/metrics-reader.ts';
import type { Drain, WorkerEvents, WorkerHandle } from './worker-handle.ts';
import type { FromWorker, ToWorker, WorkerThreadData } from './worker-messages.ts';

// Beside this file as .ts from the sources, as .js in a package.
const ENTRY = new URL(import.meta.url.endsWith('.ts') ? './worker-thread.ts' : './worker-thread.js', import.meta.url);

export interface ThreadWorkerOptions {
  readonly data: WorkerThreadData;
  /** Name of this worker among the sources of metrics; a replaced worker has a new one. */
  readonly metricsSource: string;
  readonly metrics: MetricsReader;
  readonly logger: Logger;
  readonly events: WorkerEvents;
  /** Its modules are loaded. */
  readonly onReady: (worker: ThreadWorker) => void;
  /** The thread has ended, and its connections with it. */
  readonly onExit: (worker: ThreadWorker) => void;
}

/** So many beats missed, and new connections go elsewhere: a long turn of the loop is no hang yet. */
const SUSPECT_BEATS = 2;
/** A thread that starts loads its modules before its loop turns for the first time. */
const START_BEATS = 60;

/** A worker in a thread of its own. */
export class ThreadWorker implements WorkerHandle {
  readonly index: number;
  readonly #options: ThreadWorkerOptions;
  readonly #thread: Thread;
  #monitor: HeartbeatMonitor;
  #lastBeat = 0;
  #drained: (() => void) | null = null;

  constructor(options: ThreadWorkerOptions) {
    this.#options = options;
    this.index = options.data.index;
    this.#monitor = this.#newMonitor(START_BEATS);
    this.#thread = new Thread(ENTRY, { workerData: options.data });
    this.#thread.on('message', (message: FromWorker) => {
      this.#onMessage(message);
    });
    this.#thread.on('error', (error) => {
      options.logger.error('a worker thread failed', {
        worker: this.index,
        error: error instanceof Error ? error.stack : String(error),
      });
    });
    this.#thread.on('exit', () => {
      this.#onExit();
    });
  }

  get connectionCount(): number {
    return Atomics.load(this.#options.data.shared.connectionCounts, this.index);
  }

  get isSuspect(): boolean {
    return this.#monitor.missed >= SUSPECT_BEATS;
  }

  /** Called once per heartbeat interval. @returns true when the thread hangs. */
  watch(nowMs: number): boolean {
    const { shared } = this.#options.data;
    const beat = Atomics.load(shared.heartbeats, this.index);
    if (beat !== this.#lastBeat) this.#monitor.beat();
    this.#lastBeat = beat;
    return this.#monitor.tick(nowMs);
  }

  /** Ends the thread at its next stack check; one that sits in a system call ends when that returns. */
  terminate(): void {
    void this.#thread.terminate();
  }

  accept(socket: Socket, listener: number): void {
    // Counted here already, so that a burst of connections spreads before the worker has seen the first of them.
    Atomics.add(this.#options.data.shared.connectionCounts, this.index, 1);
    const message: ToWorker = { type: 'socket', socket, listener };
    // Node 26 moves a connected, unread socket to another thread when it stands in the transfer list.
    this.#thread.postMessage(message, [socket]);
  }

  setCertificate(listener: number, certificate: Certificate): void {
    this.#tell({ type: 'certificate', listener, certificate });
  }

  applySnapshot(snapshot: Snapshot): void {
    this.#tell({ type: 'snapshot', snapshot });
  }

  loadKeys(shared: Uint8Array<SharedArrayBuffer>, sequence: number, complete: boolean): void {
    this.#tell({ type: 'keys', shared, sequence, complete });
  }

  changeKeys(message: KeyChangesMessage): void {
    this.#tell({ type: 'key-changes', message });
  }

  answerKey(answer: Pick<KeyAnswerMessage, 'hash' | 'record' | 'failed'>): void {
    this.#tell({ type: 'key-answer', answer });
  }

  setControlConnected(connected: boolean): void {
    this.#tell({ type: 'control', connected });
  }

  addResponse(responseId: string, deploymentId: string, owner: string): void {
    this.#tell({ type: 'response-made', responseId, deploymentId, owner });
  }

  beginDrain(): void {
    this.#tell({ type: 'begin-drain' });
  }

  finishDrain(drain: Drain): Promise<void> {
    return new Promise((resolve) => {
      this.#drained = resolve;
      this.#tell({ type: 'finish-drain', drain });
    });
  }

  #newMonitor(limit?: number): HeartbeatMonitor {
    return new HeartbeatMonitor(performance.now(), this.#options.data.heartbeatIntervalMs, limit);
  }

  #tell(message: ToWorker): void {
    // oxlint-disable-next-line unicorn/require-post-message-target-origin -- a thread, not a window
    this.#thread.postMessage(message);
  }

  #onMessage(message: FromWorker): void {
    const { events, logger, metrics, metricsSource } = this.#options;
    switch (message.type) {
      case 'ready':
        this.#monitor = this.#newMonitor();
        this.#options.onReady(this);
        return;
      case 'snapshot-applied':
        events.onSnapshotApplied(message.version, message.blockedMs, this);
        return;
      case 'key-lookup':
        events.onKeyLookup(message.hash);
        return;
      case 'key-gap':
        events.onKeyGap();
        return;
      case 'metrics':
        metrics.accept(metricsSource, message.registrations);
        return;
      case 'render-metrics':
        this.#tell({ type: 'metrics-text', id: message.id, text: events.renderMetrics() });
        return;
      case 'response-made':
        events.onResponseMade(message.responseId, message.deploymentId, message.owner, this);
        return;
      case 'drained':
        this.#drained?.();
        this.terminate();
        return;
      case 'log':
        logger[message.level](message.message, { ...message.fields, worker: this.index });
        return;
      default:
        message satisfies never;
    }
  }

  #onExit(): void {
    this.#options.metrics.detach(this.#options.metricsSource);
    this.#drained?.();
    this.#options.onExit(this);
  }
}
