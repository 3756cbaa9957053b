import type { UsageCall } from '../../ingest/usage-calls.ts';

/** One connection of the store is one thread: `writer`, or `reader` that can't write. */
export type SqliteRole = 'writer' | 'reader';

export interface SqliteThreadData {
  readonly path: string;
  readonly role: SqliteRole;
}

export interface SqliteQuery {
  readonly id: number;
  readonly type: 'query';
  readonly sql: string;
  readonly parameters: readonly unknown[];
}

/** `begin`, `commit`: a transaction that also a power cut does not undo. `rollback`: if one is open. */
export interface SqliteOrder {
  readonly id: number;
  readonly type: 'begin' | 'commit' | 'rollback' | 'close';
}

/** A call of ingestion; its sender holds the write lock. */
export interface SqliteUsageRequest {
  readonly id: number;
  readonly type: 'usage';
  readonly call: UsageCall;
}

export type SqliteRequest = SqliteQuery | SqliteOrder | SqliteUsageRequest;

export interface SqliteColumn {
  readonly name: string;
  /** As declared, lower case; null of expressions. */
  readonly type: string | null;
}

export interface SqliteResult {
  readonly columns: readonly SqliteColumn[];
  readonly rows: readonly (readonly unknown[])[];
  readonly affected: number;
}

export type SqliteReply =
  | { readonly id: number; readonly type: 'usage'; readonly result: unknown }
  /** A file that ingestion reads: the database is not at fault. */
  | { readonly id: number; readonly type: 'file-failed'; readonly message: string; readonly code: string }
  | { readonly id: number; readonly type: 'result'; readonly result: SqliteResult }
  | { readonly id: number; readonly type: 'done' }
  | { readonly id: number; readonly type: 'failed'; readonly message: string; readonly code: number };
