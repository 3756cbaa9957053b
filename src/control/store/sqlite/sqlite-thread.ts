import { DatabaseSync, type SQLInputValue, type StatementSync } from 'node:sqlite';
import { parentPort, workerData } from 'node:worker_threads';
import { invariant } from '../../../base/invariant.ts';
import { runBelowTraffic } from '../../../runtime/below-traffic.ts';
import type { SqliteUsage } from '../../ingest/sqlite-usage.ts';
import { fileErrorCode } from '../../ingest/usage-file-error.ts';
import type {
  SqliteColumn,
  SqliteOrder,
  SqliteQuery,
  SqliteReply,
  SqliteRequest,
  SqliteResult,
  SqliteThreadData,
  SqliteUsageRequest,
} from './sqlite-messages.ts';

/* Entry of a thread that holds one connection to SQLite: what blocks here blocks nothing else. */

/** How long to wait for a lock of another process (`slipstream keys`, a backup) or of the other thread. */
const BUSY_TIMEOUT_MS = 5000;
const MAX_PREPARED = 256;
const CACHE_KIB = 16_384;
const CHECKPOINT_PAGES = 8000;
/** The log is cut back to this once all of it is in the database. */
const MAX_LOG_BYTES = 64 * 1024 * 1024;

invariant(parentPort !== null, 'this module is the entry of a worker thread');
const port = parentPort;
const { path, role } = workerData as SqliteThreadData;
if (role === 'writer') runBelowTraffic();
const database = openDatabase();
/** By SQL, least recently used first. */
const prepared = new Map<string, { statement: StatementSync; columns: readonly SqliteColumn[] }>();

/** Made by the first call. */
let usage: SqliteUsage | null = null;

port.on('message', (request: SqliteRequest) => {
  if (request.type === 'usage') {
    void answerUsage(request).then((reply) => {
      port.postMessage(reply);
    });
    return;
  }
  port.postMessage(answer(request));
  if (request.type === 'close') port.close();
});

function openDatabase(): DatabaseSync {
  const opened = new DatabaseSync(path, { timeout: BUSY_TIMEOUT_MS, enableForeignKeyConstraints: true });
  if (role === 'reader') {
    opened.exec('PRAGMA query_only = ON');
  } else {
    // NORMAL in WAL mode: a power cut can take the last transactions away, never break the file. Usage is ingested with
    // its journal position in the same transaction, so what is lost of it is ingested again. `begin` asks for more.
    opened.exec(`PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL; PRAGMA journal_size_limit = ${MAX_LOG_BYTES}`);
    // Ingestion writes to the ends of some thousand keys' indexes again and again: in the cache, and to the file less often.
    opened.exec(`PRAGMA cache_size = -${CACHE_KIB}; PRAGMA wal_autocheckpoint = ${CHECKPOINT_PAGES}`);
  }
  return opened;
}

function answer(request: SqliteQuery | SqliteOrder): SqliteReply {
  const { id, type } = request;
  try {
    switch (type) {
      case 'query':
        return { id, type: 'result', result: run(request) };
      case 'begin':
        begin();
        return { id, type: 'done' };
      case 'commit':
        database.exec('COMMIT');
        database.exec('PRAGMA synchronous = NORMAL');
        return { id, type: 'done' };
      case 'rollback':
        // Some failures, a full disk for one, have rolled back already.
        if (database.isTransaction) database.exec('ROLLBACK');
        database.exec('PRAGMA synchronous = NORMAL');
        return { id, type: 'done' };
      case 'close':
        prepared.clear();
        database.close();
        return { id, type: 'done' };
      default:
        return type satisfies never;
    }
  } catch (error) {
    const message = error instanceof Error ? error.message : 'unknown';
    return { id, type: 'failed', message, code: codeOf(error) };
  }
}

/** The modules are loaded by the first call: a reader, or a gateway without traffic, does without them. */
async function answerUsage({ id, call }: SqliteUsageRequest): Promise<SqliteReply> {
  try {
    const { SqliteUsage: Usage } = await import('../../ingest/sqlite-usage.ts');
    const { carryOut } = await import('../../ingest/usage-calls.ts');
    usage ??= new Usage(database);
    return { id, type: 'usage', result: carryOut(usage, call) };
  } catch (error) {
    const message = error instanceof Error ? error.message : 'unknown';
    const code = fileErrorCode(error);
    if (code !== null) return { id, type: 'file-failed', message, code };
    return { id, type: 'failed', message, code: codeOf(error) };
  }
}

function begin(): void {
  // Whoever was told that a key is revoked may rely on it.
  database.exec('PRAGMA synchronous = FULL');
  try {
    database.exec('BEGIN IMMEDIATE');
  } catch (error) {
    database.exec('PRAGMA synchronous = NORMAL');
    throw error;
  }
}

function run({ sql, parameters }: SqliteQuery): SqliteResult {
  const { statement, columns } = prepare(sql);
  const values = parameters.map(toSqlite);
  if (columns.length === 0) {
    return { columns, rows: [], affected: Number(statement.run(...values).changes) };
  }
  const rows = statement.all(...values) as unknown as unknown[][];
  return { columns, rows, affected: rows.length };
}

function prepare(sql: string): { statement: StatementSync; columns: readonly SqliteColumn[] } {
  const known = prepared.get(sql);
  if (known !== undefined) {
    prepared.delete(sql);
    prepared.set(sql, known);
    return known;
  }
  const statement = database.prepare(sql);
  statement.setReturnArrays(true);
  statement.setReadBigInts(true);
  const columns = statement.columns().map(({ name, type }) => ({ name, type: type?.toLowerCase() ?? null }));
  const entry = { statement, columns };
  prepared.set(sql, entry);
  if (prepared.size > MAX_PREPARED) {
    const [oldest] = prepared.keys();
    if (oldest !== undefined) prepared.delete(oldest);
  }
  return entry;
}

function toSqlite(value: unknown): SQLInputValue {
  return typeof value === 'boolean' ? Number(value) : (value as SQLInputValue);
}

/** SQLite's extended result code; 0 of other errors. */
function codeOf(error: unknown): number {
  if (typeof error !== 'object' || error === null || !('errcode' in error)) return 0;
  return typeof error.errcode === 'number' ? error.errcode : 0;
}
