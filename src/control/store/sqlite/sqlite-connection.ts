import { getHeapStatistics } from 'node:v8';
import { Worker } from 'node:worker_threads';
import type { UsageCall } from '../../ingest/usage-calls.ts';
import { UsageFileError } from '../../ingest/usage-file-error.ts';
import { threadEnvironment } from '../../../runtime/thread-environment.ts';
import { StoreError } from '../store-error.ts';
import type {
  SqliteOrder,
  SqliteReply,
  SqliteRequest,
  SqliteResult,
  SqliteRole,
  SqliteThreadData,
} from './sqlite-messages.ts';

/** Primary result codes that say the database, not the query, is at fault: https://sqlite.org/rescode.html */
const UNAVAILABLE = new Set([5, 6, 10, 11, 13, 14, 23, 26]); // busy, locked, I/O, corrupt, full, can't open, auth, not a database
const CONSTRAINT_PRIMARY_KEY = 1555;
const CONSTRAINT_UNIQUE = 2067;
/** A query that is longer than this at the end is left behind; its thread ends with the process. */
const CLOSE_TIMEOUT_MS = 3000;

/** A result larger than this ends the thread, and the store is opened again; in a small container the process's own limit. */
const MAX_HEAP_MB: Readonly<Record<SqliteRole, number>> = { reader: 256, writer: 512 };

interface Waiting {
  readonly resolve: (reply: SqliteReply) => void;
  readonly reject: (error: StoreError) => void;
}

/** One connection to SQLite, in a thread of its own. Statements run one after another, in the order they are sent. */
export class SqliteConnection {
  readonly #worker: Worker;
  readonly #waiting = new Map<number, Waiting>();
  #lastId = 0;
  readonly #lost = Promise.withResolvers<StoreError>();
  #fault: StoreError | null = null;

  constructor(path: string, role: SqliteRole) {
    const workerData: SqliteThreadData = { path, role };
    this.#worker = new Worker(new URL('./sqlite-thread.ts', import.meta.url), {
      name: `sqlite-${role}`,
      workerData,
      env: threadEnvironment(),
      resourceLimits: {
        maxYoungGenerationSizeMb: 8,
        maxOldGenerationSizeMb: Math.min(MAX_HEAP_MB[role], processHeapMb()),
      },
    });
    this.#worker.on('message', (reply: SqliteReply) => {
      this.#waiting.get(reply.id)?.resolve(reply);
      this.#waiting.delete(reply.id);
    });
    this.#worker.on('error', (error) => {
      const reason = error instanceof Error ? error.message : 'unknown';
      this.#end(new StoreError('unavailable', `the database ${path} cannot be used: ${reason}`));
    });
    this.#worker.on('exit', () => this.#end(new StoreError('unavailable', 'the store is closed')));
  }

  /** Resolves when the thread has ended, with the reason. */
  get lost(): Promise<StoreError> {
    return this.#lost.promise;
  }

  async run(sql: string, parameters: readonly unknown[] = []): Promise<SqliteResult> {
    this.#lastId += 1;
    const reply = await this.#ask({ id: this.#lastId, type: 'query', sql, parameters });
    if (reply.type === 'result') return reply.result;
    throw toStoreError(reply);
  }

  /** Of a transaction. `rollback`: if one is open. */
  async order(type: 'begin' | 'commit' | 'rollback'): Promise<void> {
    await this.#order(type);
  }

  /** A call of ingestion. The caller holds the write lock. */
  async usage(call: UsageCall): Promise<unknown> {
    this.#lastId += 1;
    const reply = await this.#ask({ id: this.#lastId, type: 'usage', call });
    if (reply.type === 'usage') return reply.result;
    if (reply.type === 'file-failed') throw new UsageFileError(reply.code, reply.message);
    throw toStoreError(reply);
  }

  async close(): Promise<void> {
    if (this.#fault !== null) return;
    const timer = setTimeout(() => void this.#worker.terminate(), CLOSE_TIMEOUT_MS);
    const exited = new Promise((resolve) => this.#worker.once('exit', resolve));
    this.#order('close').catch(() => undefined); // the exit tells it all
    await Promise.race([exited, new Promise((resolve) => setTimeout(resolve, CLOSE_TIMEOUT_MS * 1.5).unref())]);
    clearTimeout(timer);
  }

  async #order(type: SqliteOrder['type']): Promise<void> {
    this.#lastId += 1;
    const reply = await this.#ask({ id: this.#lastId, type });
    if (reply.type !== 'done') throw toStoreError(reply);
  }

  async #ask(request: SqliteRequest): Promise<SqliteReply> {
    if (this.#fault !== null) throw this.#fault;
    return new Promise<SqliteReply>((resolve, reject) => {
      this.#waiting.set(request.id, { resolve, reject });
      this.#worker.postMessage(request, []);
    });
  }

  #end(error: StoreError): void {
    this.#fault ??= error;
    this.#lost.resolve(this.#fault);
    for (const { reject } of this.#waiting.values()) reject(this.#fault);
    this.#waiting.clear();
  }
}

function processHeapMb(): number {
  return Math.floor(getHeapStatistics().heap_size_limit / 2 ** 20);
}

function toStoreError(reply: SqliteReply): StoreError {
  if (reply.type !== 'failed') return new StoreError('failed', 'the database thread has answered another question');
  const { message, code } = reply;
  if (code === CONSTRAINT_PRIMARY_KEY || code === CONSTRAINT_UNIQUE) return new StoreError('conflict', message);
  return new StoreError(UNAVAILABLE.has(code & 0xff) ? 'unavailable' : 'failed', `SQLite: ${message}`);
}
