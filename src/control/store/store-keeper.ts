import { backOffMs } from '../../domain/routing/back-off.ts';
import type { Logger } from '../../runtime/logger.ts';
import type { StoreOptions } from './open-store.ts';
import type { Store } from './store.ts';
import type { StoreEngine } from './store-engine.ts';
import { StoreError } from './store-error.ts';

const BACK_OFF = { initialMs: 500, maxMs: 15_000, floorMs: 100 };
/** A stop does not wait longer for a database that does not answer. */
const STOP_TIMEOUT_MS = 1000;
const TIDY_EVERY_MS = 3_600_000;
/** A gateway that was away for longer reads all keys anew. */
const CHANGES_KEPT_MS = 7 * 24 * 3_600_000;

export interface StoreStatus {
  readonly engine: StoreEngine;
  readonly state: 'opening' | 'open' | 'unavailable';
  /** Why it is unavailable. Without secrets. */
  readonly reason: string | null;
}

/**
 * Opens the store beside everything else and keeps it open: a database that is away, or whose tables are newer than this
 * program, is tried again and again, less and less often. Nobody waits for it; who needs it asks for it.
 */
export class StoreKeeper {
  readonly #options: StoreOptions;
  readonly #logger: Logger;
  readonly #listeners = new Set<(store: Store) => void>();
  readonly #stopping = Promise.withResolvers<void>();
  #store: Store | null = null;
  #reason: string | null = null;
  #running: Promise<void> | null = null;
  #isStopped = false;

  constructor(options: StoreOptions, logger: Logger) {
    this.#options = options;
    this.#logger = logger;
  }

  start(): void {
    this.#running ??= this.#run();
  }

  /** Null while it is not open. */
  get store(): Store | null {
    return this.#store;
  }

  /** @throws {StoreError} `unavailable` while it is not open. */
  require(): Store {
    if (this.#store !== null) return this.#store;
    throw new StoreError('unavailable', this.#reason ?? 'the database is being opened');
  }

  get status(): StoreStatus {
    const engine = this.#options.databaseUrl === null ? 'sqlite' : 'postgres';
    if (this.#store !== null) return { engine, state: 'open', reason: null };
    return { engine, state: this.#reason === null ? 'opening' : 'unavailable', reason: this.#reason };
  }

  /** Calls `listener` each time the store has been opened, and at once if it is. @returns stops that. */
  onOpen(listener: (store: Store) => void): () => void {
    this.#listeners.add(listener);
    if (this.#store !== null) listener(this.#store);
    return () => this.#listeners.delete(listener);
  }

  async stop(): Promise<void> {
    this.#isStopped = true;
    this.#stopping.resolve();
    const timeout = new Promise((resolve) => setTimeout(resolve, STOP_TIMEOUT_MS).unref());
    await Promise.race([this.#running, timeout]);
  }

  async #run(): Promise<void> {
    let failures = 0;
    while (!this.#isStopped) {
      const store = await this.#open();
      if (store === null) {
        failures += 1;
        await this.#wait(backOffMs(failures, BACK_OFF, Math.random()));
        continue;
      }
      failures = 0;
      await this.#keep(store);
    }
  }

  async #open(): Promise<Store | null> {
    try {
      // Loaded here: nothing of it is needed to serve traffic.
      const { openStore } = await import('./open-store.ts');
      return await openStore(this.#options);
    } catch (error) {
      this.#fail(error);
      return null;
    }
  }

  /** Until it is lost, or to be closed. */
  async #keep(store: Store): Promise<void> {
    if (!this.#isStopped) {
      this.#store = store;
      this.#reason = null;
      this.#logger.info('store open', { engine: store.engine });
      for (const listener of this.#listeners) listener(store);
      const tidying = setInterval(() => void this.#tidy(store), TIDY_EVERY_MS);
      void this.#tidy(store);
      const lost = await Promise.race([store.lost, this.#stopping.promise]);
      clearInterval(tidying);
      this.#store = null;
      if (lost !== undefined) this.#fail(lost);
    }
    try {
      await store.close();
    } catch (error) {
      this.#logger.warn('the store did not close', { reason: reasonOf(error) });
    }
  }

  /** Removes what nobody will ask for again. */
  async #tidy(store: Store): Promise<void> {
    const nowMs = Date.now();
    try {
      await store.changes.prune(nowMs - CHANGES_KEPT_MS);
      await store.keys.removeRetired(nowMs);
    } catch (error) {
      // At an end, or when the database goes, this is told elsewhere; else it is tried again in an hour.
      if (this.#store === store) this.#logger.warn('the store could not be tidied', { reason: reasonOf(error) });
    }
  }

  #fail(error: unknown): void {
    const reason = reasonOf(error);
    // Each reason once: what is tried every few seconds for a day must not fill the log.
    if (reason !== this.#reason) {
      this.#logger.error('store unavailable; traffic goes on without it, and it is tried again', { reason });
    }
    this.#reason = reason;
  }

  async #wait(ms: number): Promise<void> {
    let timer: NodeJS.Timeout | undefined;
    const slept = new Promise((resolve) => (timer = setTimeout(resolve, ms)));
    await Promise.race([slept, this.#stopping.promise]);
    clearTimeout(timer);
  }
}

function reasonOf(error: unknown): string {
  return error instanceof Error ? error.message : 'unknown';
}
