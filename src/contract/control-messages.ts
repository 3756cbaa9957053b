import type { KeyRecord } from './key-record.ts';
import type { Snapshot } from './snapshot.ts';

/**
 * Messages on `control.sock`. The control plane listens, sidecars connect and reconnect. Each frame is a u32 big-endian
 * byte length, then that many bytes of UTF-8 JSON: one message. The first message each way is `hello`; a peer of another
 * protocol version is answered `refused` and closed.
 */
export const CONTROL_PROTOCOL = 1;

/** A larger frame is a protocol error: the connection is closed. */
export const MAX_FRAME_BYTES = 256 * 1024 * 1024;

export interface HelloMessage {
  readonly type: 'hello';
  readonly protocol: number;
  readonly role: 'control' | 'sidecar';
  readonly pid: number;
  readonly version: string;
}

/** Closes the connection; `reason` is one clear line for the log. */
export interface RefusedMessage {
  readonly type: 'refused';
  readonly reason: string;
}

/** Replaces the configuration. */
export interface SnapshotMessage {
  readonly type: 'snapshot';
  readonly snapshot: Snapshot;
}

/** A new key directory file lies at `path`; changes continue from `sequence`. */
export interface KeyDirectoryMessage {
  readonly type: 'key-directory';
  readonly path: string;
  readonly sequence: number;
  /** Every key there is stands in the file: one that is not there is unknown, no need to ask. */
  readonly complete: boolean;
}

/** Changes since the directory. `fromSequence` must be the last one known, else the directory is asked for again. */
export interface KeyChangesMessage {
  readonly type: 'key-changes';
  readonly fromSequence: number;
  readonly toSequence: number;
  /**
   * `record: null`: forget the key. Where the directory is complete, or held the key, there is no such key any more;
   * else it may exist, and is asked for when it is used next.
   */
  readonly changes: readonly { readonly hash: string; readonly record: KeyRecord | null }[];
}

export interface KeyAnswerMessage {
  readonly type: 'key-answer';
  readonly id: number;
  readonly hash: string;
  /** null = there is no such key. */
  readonly record: KeyRecord | null;
  /** The control plane could not tell (its store is away): the sidecar answers 503. */
  readonly failed: boolean;
}

/**
 * What others have spent altogether of each row (budget-row.ts) that is named, nano-dollars as text: other nodes, and
 * changes made by hand. All rows when a sidecar connects, then those that changed; said twice it counts once.
 */
export interface BudgetOthersMessage {
  readonly type: 'budget-others';
  readonly rows: Readonly<Record<string, string>>;
}

export interface KeyLookupMessage {
  readonly type: 'key-lookup';
  readonly id: number;
  readonly hash: string;
}

export interface ResendKeysMessage {
  readonly type: 'resend-keys';
}

/** Every thread of the sidecar now serves by this snapshot; `blockedMs` is the longest a worker was held up. */
export interface SnapshotAppliedMessage {
  readonly type: 'snapshot-applied';
  readonly version: string;
  readonly blockedMs: number;
}

export type ToSidecar =
  | HelloMessage
  | RefusedMessage
  | SnapshotMessage
  | KeyDirectoryMessage
  | KeyChangesMessage
  | KeyAnswerMessage
  | BudgetOthersMessage;
export type ToControl = HelloMessage | RefusedMessage | KeyLookupMessage | ResendKeysMessage | SnapshotAppliedMessage;
