import type { Logger } from '../../runtime/logger.ts';
import type { Store } from '../store/store.ts';
import type { ChangeRow } from '../store/tables/log-tables.ts';

const CHANGES_PER_READ = 1000;
/**
 * How often it is asked for changes that nobody announced here: those of another process. Also where announcements
 * arrive: that they have ceased to is never told, and a change must be in force within a second all the same.
 */
const POLL_MS = 400;
const RETRY_MS = 500;
/** Lines of the sequence are kept so long, for gateways that were cut off from the database. */
const KEPT_MS = 24 * 3600 * 1000;
const PRUNE_INTERVAL_MS = 3600 * 1000;

export interface ChangeFollowerOptions {
  readonly store: Store;
  readonly logger: Logger;
  /** Reads everything anew. */
  readonly onLoad: () => Promise<void>;
  readonly onChanges: (changes: readonly ChangeRow[]) => Promise<void>;
}

/**
 * Follows the sequence of changes of one open store: first everything is read, then what changes, in order, none left
 * out. Looks when woken (a change made here, an announcement), and now and then by itself.
 */
export class ChangeFollower {
  readonly #options: ChangeFollowerOptions;
  readonly #removeListener: () => void;
  readonly #waiting: { readonly sequence: number; readonly resolve: () => void }[] = [];
  /** Of the last change taken; null: everything is to be read. */
  #sequence: number | null = null;
  /** Of the last change made by this process. */
  #ownSequence = 0;
  #isWoken = false;
  #wake: () => void = () => undefined;
  #hasFailed = false;
  #prunedAtMs = performance.now();
  #isClosed = false;

  constructor(options: ChangeFollowerOptions) {
    this.#options = options;
    this.#removeListener = options.store.changes.onChange((sequence) => {
      this.#ownSequence = sequence;
      this.wake();
    });
    void this.#run();
  }

  /** Looks now. */
  wake(): void {
    this.#isWoken = true;
    this.#wake();
  }

  /** Everything is read again, soon. */
  reload(): void {
    this.#sequence = null;
    this.wake();
  }

  /** Every change that this process has made so far has been taken. */
  settled(): Promise<void> {
    const sequence = this.#ownSequence;
    if (this.#isClosed || (this.#sequence !== null && this.#sequence >= sequence)) return Promise.resolve();
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#waiting.push({ sequence, resolve });
    return promise;
  }

  close(): void {
    this.#isClosed = true;
    this.#removeListener();
    this.#wake();
    for (const { resolve } of this.#waiting.splice(0)) resolve();
  }

  async #run(): Promise<void> {
    while (!this.#isClosed) {
      let waitMs = POLL_MS;
      this.#isWoken = false;
      try {
        if (await this.#step()) continue;
        this.#hasFailed = false;
      } catch (error) {
        this.#fail(error);
        waitMs = RETRY_MS;
      }
      if (!this.#isWoken) await this.#sleep(waitMs);
    }
  }

  /** @returns there may be more. */
  async #step(): Promise<boolean> {
    const { store, onLoad, onChanges } = this.#options;
    if (this.#sequence === null) {
      const sequence = await store.changes.lastSequence();
      // A wish to read it all again may come while it is read.
      this.#sequence = sequence;
      try {
        await onLoad();
      } catch (error) {
        this.#sequence = null;
        throw error;
      }
      return true;
    }
    const from = this.#sequence;
    const { changes, isGap } = await store.changes.readAfter(from, CHANGES_PER_READ);
    if (isGap) {
      this.#sequence = null;
      return true;
    }
    const last = changes.at(-1);
    if (last !== undefined) {
      await onChanges(changes);
      if (this.#sequence === from) this.#sequence = last.sequence;
    }
    this.#release();
    if (last === undefined) await this.#prune();
    return last !== undefined;
  }

  #release(): void {
    const reached = this.#sequence ?? -1;
    for (const waiting of this.#waiting.splice(0)) {
      if (waiting.sequence <= reached) waiting.resolve();
      else this.#waiting.push(waiting);
    }
  }

  async #prune(): Promise<void> {
    if (performance.now() - this.#prunedAtMs < PRUNE_INTERVAL_MS) return;
    this.#prunedAtMs = performance.now();
    const { store } = this.#options;
    const nowMs = Date.now();
    await store.changes.prune(nowMs - KEPT_MS);
    await store.keys.removeRetired(nowMs - KEPT_MS);
  }

  #fail(error: unknown): void {
    if (this.#isClosed || this.#hasFailed) return;
    this.#hasFailed = true;
    const reason = error instanceof Error ? error.message : 'unknown';
    this.#options.logger.error('changes of keys can not be read; sidecars keep those they have, it is tried again', {
      reason,
    });
  }

  async #sleep(ms: number): Promise<void> {
    if (this.#isClosed) return;
    const { promise, resolve } = Promise.withResolvers<void>();
    const timer = setTimeout(resolve, ms);
    this.#wake = resolve;
    await promise;
    clearTimeout(timer);
  }
}
