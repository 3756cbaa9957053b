import type { Socket } from 'node:net';
import type { KeyAnswerMessage, KeyChangesMessage } from '../../contract/control-messages.ts';
import type { Snapshot } from '../../contract/snapshot.ts';
import type { BoundListenerSpec } from '../../contract/listener.ts';
import type { Certificate } from '../tls/certificates.ts';
import type { MetricRegistration } from '../../runtime/metrics-registry.ts';
import type { SharedMemory } from './shared-memory.ts';
import type { Drain } from './worker-handle.ts';

/** What a worker thread is started with. */
export interface WorkerThreadData {
  readonly index: number;
  readonly listeners: readonly BoundListenerSpec[];
  readonly adminSocketPath: string;
  readonly journalDirectory: string;
  readonly journalPrefix: string;
  readonly shared: SharedMemory;
  readonly heartbeatIntervalMs: number;
}

export type ToWorker =
  | { readonly type: 'socket'; readonly socket: Socket; readonly listener: number }
  | { readonly type: 'certificate'; readonly listener: number; readonly certificate: Certificate }
  | { readonly type: 'snapshot'; readonly snapshot: Snapshot }
  | {
      readonly type: 'keys';
      readonly shared: Uint8Array<SharedArrayBuffer>;
      readonly sequence: number;
      readonly complete: boolean;
    }
  | { readonly type: 'key-changes'; readonly message: KeyChangesMessage }
  | { readonly type: 'key-answer'; readonly answer: Pick<KeyAnswerMessage, 'hash' | 'record' | 'failed'> }
  | { readonly type: 'control'; readonly connected: boolean }
  | {
      readonly type: 'response-made';
      readonly responseId: string;
      readonly deploymentId: string;
      readonly owner: string;
    }
  | { readonly type: 'metrics-text'; readonly id: number; readonly text: string }
  | { readonly type: 'begin-drain' }
  | { readonly type: 'finish-drain'; readonly drain: Drain };

export type FromWorker =
  | { readonly type: 'ready' }
  | { readonly type: 'snapshot-applied'; readonly version: string; readonly blockedMs: number }
  | { readonly type: 'key-lookup'; readonly hash: string }
  | { readonly type: 'key-gap' }
  | { readonly type: 'metrics'; readonly registrations: readonly MetricRegistration[] }
  | { readonly type: 'render-metrics'; readonly id: number }
  | {
      readonly type: 'response-made';
      readonly responseId: string;
      readonly deploymentId: string;
      readonly owner: string;
    }
  | { readonly type: 'drained' }
  | {
      readonly type: 'log';
      readonly level: 'info' | 'warn' | 'error';
      readonly message: string;
      readonly fields: Record<string, unknown>;
    };
