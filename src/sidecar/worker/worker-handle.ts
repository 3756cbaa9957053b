import type { Socket } from 'node:net';
import type { KeyAnswerMessage, KeyChangesMessage } from '../../contract/control-messages.ts';
import type { Snapshot } from '../../contract/snapshot.ts';
import type { Certificate } from '../tls/certificates.ts';

/** How connections end when nothing new is accepted any more. */
export interface Drain {
  /** Requests in progress may take so long; then they are cut off. */
  readonly drainMs: number;
  /** A connection on which nothing came for so long is closed; any other closes with its next answer. */
  readonly unusedMs: number;
  /** Another sidecar accepts in place of this one. */
  readonly isHandedOver: boolean;
}

/** A worker as the main thread sees it, on its own loop or in another thread. */
export interface WorkerHandle {
  readonly connectionCount: number;
  /** It may hang: others are to be preferred. */
  readonly isSuspect: boolean;
  /** Takes an accepted, unread socket of the listener with that number. */
  accept(socket: Socket, listener: number): void;
  setCertificate(listener: number, certificate: Certificate): void;
  applySnapshot(snapshot: Snapshot): void;
  loadKeys(shared: Uint8Array<SharedArrayBuffer>, sequence: number, complete: boolean): void;
  changeKeys(message: KeyChangesMessage): void;
  answerKey(answer: Pick<KeyAnswerMessage, 'hash' | 'record' | 'failed'>): void;
  setControlConnected(connected: boolean): void;
  addResponse(responseId: string, deploymentId: string, owner: string): void;
  beginDrain(): void;
  finishDrain(drain: Drain): Promise<void>;
}

/** What a worker tells the main thread. */
export interface WorkerEvents {
  onKeyLookup(hash: string): void;
  onKeyGap(): void;
  onSnapshotApplied(version: string, blockedMs: number, from: WorkerHandle): void;
  onResponseMade(responseId: string, deploymentId: string, owner: string, from: WorkerHandle | null): void;
  renderMetrics(): string;
}
