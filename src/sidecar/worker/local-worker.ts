import type { Socket } from 'node:net';
import type { KeyAnswerMessage, KeyChangesMessage } from '../../contract/control-messages.ts';
import type { Snapshot } from '../../contract/snapshot.ts';
import type { Certificate } from '../tls/certificates.ts';
import { Worker, type WorkerOptions } from './worker.ts';
import type { Drain, WorkerEvents, WorkerHandle } from './worker-handle.ts';

/** The only worker, on the main loop: no message, no hand-over. */
export class LocalWorker implements WorkerHandle {
  readonly #worker: Worker;
  readonly #events: WorkerEvents;

  constructor(options: Omit<WorkerOptions, 'host'>, events: WorkerEvents) {
    this.#events = events;
    this.#worker = new Worker({
      ...options,
      host: {
        lookUpKey: (hash) => {
          events.onKeyLookup(hash);
        },
        renderMetrics: (take) => {
          take(events.renderMetrics());
        },
        shareResponse: (responseId, deploymentId, owner) => {
          events.onResponseMade(responseId, deploymentId, owner, this);
        },
        connectionsChanged: () => undefined,
      },
    });
  }

  /** Its loop is the main thread's: a hang is for the supervisor to see. */
  readonly isSuspect = false;

  get connectionCount(): number {
    return this.#worker.connectionCount;
  }

  accept(socket: Socket, listener: number): void {
    this.#worker.accept(socket, listener);
  }

  setCertificate(listener: number, certificate: Certificate): void {
    this.#worker.setCertificate(listener, certificate);
  }

  applySnapshot(snapshot: Snapshot): void {
    this.#events.onSnapshotApplied(snapshot.version, this.#worker.applySnapshot(snapshot), this);
  }

  loadKeys(shared: Uint8Array<SharedArrayBuffer>, sequence: number, complete: boolean): void {
    this.#worker.loadKeys(shared, sequence, complete);
  }

  changeKeys(message: KeyChangesMessage): void {
    if (!this.#worker.changeKeys(message)) this.#events.onKeyGap();
  }

  answerKey(answer: Pick<KeyAnswerMessage, 'hash' | 'record' | 'failed'>): void {
    this.#worker.answerKey(answer);
  }

  setControlConnected(connected: boolean): void {
    this.#worker.setControlConnected(connected);
  }

  addResponse(responseId: string, deploymentId: string, owner: string): void {
    this.#worker.responses.add(responseId, { deploymentId, owner });
  }

  beginDrain(): void {
    this.#worker.beginDrain();
  }

  finishDrain(drain: Drain): Promise<void> {
    return this.#worker.finishDrain(drain);
  }
}
