import { parentPort, workerData } from 'node:worker_threads';
import pg from 'pg';
import { invariant } from '../../base/invariant.ts';
import { toStoreError } from '../store/postgres/postgres-errors.ts';
import { setUpSession } from '../store/postgres/session-settings.ts';
import { PostgresUsage } from './postgres-usage.ts';
import { carryOut, type UsageCall } from './usage-calls.ts';
import { fileErrorCode } from './usage-file-error.ts';
import { runBelowTraffic } from '../../runtime/below-traffic.ts';

/* Entry of the thread that ingests into PostgreSQL: parsing thousands of events must not hold up the control plane. */

export interface UsageThreadData {
  readonly connectionString: string;
  readonly connectTimeoutMs: number;
}

export type UsageThreadRequest = { readonly id: number; readonly call: UsageCall } | { readonly id: 'close' };

export type UsageThreadReply = { readonly id: number } & (
  | { readonly result: unknown }
  /** `code`: of a file that can't be read; `kind`: of the database. */
  | { readonly message: string; readonly code: string | null; readonly kind: string | null }
);

/** A chunk takes half a second; a server that has vanished would never be noticed. */
const QUERY_TIMEOUT_MS = 60_000;

invariant(parentPort !== null, 'this module is the entry of a worker thread');
const port = parentPort;
runBelowTraffic();
const { connectionString, connectTimeoutMs } = workerData as UsageThreadData;
let client: pg.Client | null = null;
/** Calls are carried out one after another. */
let queue: Promise<void> = Promise.resolve();

port.on('message', (request: UsageThreadRequest) => {
  queue = queue.then(async () => {
    if (request.id === 'close') {
      port.close();
      await drop();
    } else {
      port.postMessage(await answer(request.id, request.call));
    }
  });
});

async function answer(id: number, call: UsageCall): Promise<UsageThreadReply> {
  try {
    return { id, result: await carryOut(new PostgresUsage(await connected()), call) };
  } catch (error) {
    const code = fileErrorCode(error);
    if (code !== null) return { id, message: (error as Error).message, code, kind: null };
    // Also after the fault of a statement: what the connection is in the middle of is not known.
    await drop();
    const { message, kind } = toStoreError(error);
    return { id, message, code: null, kind };
  }
}

async function connected(): Promise<pg.Client> {
  if (client !== null) return client;
  const opened = new pg.Client({
    connectionString,
    connectionTimeoutMillis: connectTimeoutMs,
    query_timeout: QUERY_TIMEOUT_MS,
    keepAlive: true,
    application_name: 'slipstream ingestion',
  });
  // A connection that breaks while nobody asks: the next call makes another.
  opened.on('error', () => {
    if (client === opened) client = null;
  });
  await opened.connect();
  await setUpSession(opened);
  client = opened;
  return opened;
}

async function drop(): Promise<void> {
  const dropped = client;
  client = null;
  await dropped?.end().catch(() => undefined);
}
