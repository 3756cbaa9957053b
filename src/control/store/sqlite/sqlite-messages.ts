import type { UsageCall } from '../../ingest/usage-calls.ts';

/** One connection of the store is one thread: `writer`, or `reader` that can't write. */
export type SqliteRole = 'writer' | 'reader';

export interface SqliteThreadData {
  readonly path: string;
  readonly role: SqliteRole;
}

export interface SqliteStatement {
  readonly sql: string;
  readonly parameters: readonly unknown[];
  /** Rows that it must change; else the batch is rolled back. Null: any number. */
  readonly affects: number | null;
}

/** `batch`: all statements in one transaction. `rollback`: of the transaction, if one is open. */
export interface SqliteQuery {
  readonly id: number;
  readonly type: 'statement' | 'batch' | 'rollback' | 'close';
  readonly statements: readonly SqliteStatement[];
}

/** A call of ingestion; its sender holds the write lock. */
export interface SqliteUsageRequest {
  readonly id: number;
  readonly type: 'usage';
  readonly call: UsageCall;
}

export type SqliteRequest = SqliteQuery | SqliteUsageRequest;

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
  | { readonly id: number; readonly type: 'results'; readonly results: readonly SqliteResult[] }
  /** A statement of the batch changed another number of rows than it had to: nothing was changed. */
  | { readonly id: number; readonly type: 'rolled-back' }
  | { readonly id: number; readonly type: 'failed'; readonly message: string; readonly code: number };
