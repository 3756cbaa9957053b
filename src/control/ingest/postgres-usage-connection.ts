import { getHeapStatistics } from 'node:v8';
import { Worker } from 'node:worker_threads';
import { threadEnvironment } from '../../runtime/thread-environment.ts';
import { StoreError, type StoreErrorKind } from '../store/store-error.ts';
import type { UsageThreadData, UsageThreadReply, UsageThreadRequest } from './postgres-usage-thread.ts';
import type { UsageBackend } from './usage-backend.ts';
import { type UsageCall, usageBackendOver } from './usage-calls.ts';
import { UsageFileError } from './usage-file-error.ts';

const CLOSE_TIMEOUT_MS = 3000;
/** Of sums and one row at a time; the bytes of a chunk lie outside of it. */
const MAX_HEAP_MB = 128;

interface Waiting {
  readonly resolve: (result: unknown) => void;
  readonly reject: (error: Error) => void;
}

/** The thread that ingests into PostgreSQL, started by the first call, and again by the next one if it should end. */
export class PostgresUsageConnection {
  readonly backend: UsageBackend = usageBackendOver((call) => this.#send(call));
  readonly #data: UsageThreadData;
  readonly #waiting = new Map<number, Waiting>();
  #worker: Worker | null = null;
  #isClosed = false;
  #lastId = 0;

  constructor(data: UsageThreadData) {
    this.#data = data;
  }

  async close(): Promise<void> {
    this.#isClosed = true;
    const worker = this.#worker;
    if (worker === null) return;
    const exited = new Promise((resolve) => worker.once('exit', resolve));
    const timer = setTimeout(() => void worker.terminate(), CLOSE_TIMEOUT_MS);
    worker.postMessage({ id: 'close' } satisfies UsageThreadRequest, []);
    await exited;
    clearTimeout(timer);
  }

  #send(call: UsageCall): Promise<unknown> {
    if (this.#isClosed) return Promise.reject(new StoreError('unavailable', 'the store is closed'));
    this.#worker ??= this.#start();
    const worker = this.#worker;
    this.#lastId += 1;
    const id = this.#lastId;
    return new Promise((resolve, reject) => {
      this.#waiting.set(id, { resolve, reject });
      worker.postMessage({ id, call } satisfies UsageThreadRequest, []);
    });
  }

  #start(): Worker {
    const worker = new Worker(new URL('./postgres-usage-thread.ts', import.meta.url), {
      name: 'ingestion',
      workerData: this.#data,
      env: threadEnvironment(),
      resourceLimits: {
        maxYoungGenerationSizeMb: 8,
        maxOldGenerationSizeMb: Math.min(MAX_HEAP_MB, Math.floor(getHeapStatistics().heap_size_limit / 2 ** 20)),
      },
    });
    let reason = 'the ingestion thread has ended';
    worker.on('message', (reply: UsageThreadReply) => {
      this.#answer(reply);
    });
    worker.on('error', (error) => {
      reason = error instanceof Error ? error.message : reason;
    });
    worker.on('exit', () => {
      this.#worker = null;
      for (const { reject } of this.#waiting.values()) reject(new StoreError('unavailable', reason));
      this.#waiting.clear();
    });
    return worker;
  }

  #answer(reply: UsageThreadReply): void {
    const waiting = this.#waiting.get(reply.id);
    this.#waiting.delete(reply.id);
    if (waiting === undefined) return;
    if ('result' in reply) waiting.resolve(reply.result);
    else if (reply.code !== null) waiting.reject(new UsageFileError(reply.code, reply.message));
    else waiting.reject(new StoreError((reply.kind ?? 'failed') as StoreErrorKind, reply.message));
  }
}
