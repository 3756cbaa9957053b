import {
  type CompiledQuery,
  type DatabaseConnection,
  type DatabaseIntrospector,
  type Dialect,
  type DialectAdapter,
  type Driver,
  type Kysely,
  type QueryCompiler,
  type QueryResult,
  SqliteAdapter,
  SqliteIntrospector,
  SqliteQueryCompiler,
} from 'kysely';
import { StoreError } from '../store-error.ts';
import { encodeParameter } from '../value-codec.ts';
import { decodeRows } from './decode-rows.ts';
import type { SqliteConnection } from './sqlite-connection.ts';
import type { SqliteResult } from './sqlite-messages.ts';
import type { WriteLock } from './write-lock.ts';

export interface SqliteConnections {
  readonly writer: SqliteConnection;
  readonly reader: SqliteConnection;
  readonly lock: WriteLock;
}

/** Kysely over the two threads: queries go to the reader, everything else, and transactions, to the writer. */
export class SqliteThreadDialect implements Dialect {
  readonly #connections: SqliteConnections;

  constructor(connections: SqliteConnections) {
    this.#connections = connections;
  }

  createDriver(): Driver {
    return new SqliteThreadDriver(this.#connections);
  }

  createQueryCompiler(): QueryCompiler {
    return new SqliteQueryCompiler();
  }

  createAdapter(): DialectAdapter {
    return new SqliteThreadAdapter();
  }

  // oxlint-disable-next-line typescript/no-explicit-any -- the interface has it
  createIntrospector(db: Kysely<any>): DatabaseIntrospector {
    return new SqliteIntrospector(db);
  }
}

class SqliteThreadAdapter extends SqliteAdapter {
  /** Without this Kysely would let one query at a time pass, and a slow report hold up every write. */
  override get supportsMultipleConnections(): boolean {
    return true;
  }
}

/** What Kysely takes for a connection: one use of the threads. */
class SqliteSession implements DatabaseConnection {
  readonly #connections: SqliteConnections;
  #isInTransaction = false;

  constructor(connections: SqliteConnections) {
    this.#connections = connections;
  }

  async begin(): Promise<void> {
    const { lock, writer } = this.#connections;
    await lock.acquire();
    try {
      await writer.order('begin');
      this.#isInTransaction = true;
    } catch (error) {
      lock.release();
      throw error;
    }
  }

  async commit(): Promise<void> {
    await this.#connections.writer.order('commit');
    this.#leave();
  }

  /** Gives the writer back, whatever became of the transaction. Also after a commit that failed. */
  async rollBack(): Promise<void> {
    if (!this.#isInTransaction) return;
    try {
      await this.#connections.writer.order('rollback');
    } finally {
      this.#leave();
    }
  }

  #leave(): void {
    this.#isInTransaction = false;
    this.#connections.lock.release();
  }

  async executeQuery<R>({ sql, parameters, query }: CompiledQuery): Promise<QueryResult<R>> {
    const { writer, reader, lock } = this.#connections;
    const values = parameters.map(encodeParameter);
    if (this.#isInTransaction) return toResult(await writer.run(sql, values));
    if (query.kind === 'SelectQueryNode' || isRawQuery(query.kind, sql)) return toResult(await reader.run(sql, values));
    await lock.acquire();
    try {
      return toResult(await writer.run(sql, values));
    } finally {
      lock.release();
    }
  }

  streamQuery<R>(): AsyncIterableIterator<QueryResult<R>> {
    throw new StoreError('failed', 'rows are not streamed: ask for pages');
  }
}

/** A query written by hand; with `with` it may write, so it counts as one that does. */
function isRawQuery(kind: string, sql: string): boolean {
  return kind === 'RawNode' && /^\s*(?:select|explain)\b/i.test(sql);
}

function toResult<R>(result: SqliteResult): QueryResult<R> {
  return { rows: decodeRows(result) as R[], numAffectedRows: BigInt(result.affected) };
}

class SqliteThreadDriver implements Driver {
  readonly #connections: SqliteConnections;

  constructor(connections: SqliteConnections) {
    this.#connections = connections;
  }

  async init(): Promise<void> {
    // The threads are opened, and closed, by the store.
  }

  async acquireConnection(): Promise<DatabaseConnection> {
    return new SqliteSession(this.#connections);
  }

  async beginTransaction(session: SqliteSession): Promise<void> {
    await session.begin();
  }

  async commitTransaction(session: SqliteSession): Promise<void> {
    await session.commit();
  }

  async rollbackTransaction(session: SqliteSession): Promise<void> {
    await session.rollBack();
  }

  async releaseConnection(session: SqliteSession): Promise<void> {
    await session.rollBack();
  }

  async destroy(): Promise<void> {
    // as init
  }
}
