import type { Logger } from '../../runtime/logger.ts';
import type { Store } from '../store/store.ts';
import type { StoreKeeper } from '../store/store-keeper.ts';
import { readStoredKeys, type StoredKeys } from './stored-keys.ts';

/** Of a database that can't be read though it is open: it is read again after this time. */
const RETRY_MS = 1000;
/** Whoever made a change waits no longer until sidecars know it. */
const SETTLE_TIMEOUT_MS = 2000;

/**
 * The keys of the store, as this process knows them: read when the store opens and after each change made here. Several
 * changes that come while it reads are one more reading.
 */
export class KeyBook {
  readonly #onLoaded: () => void;
  readonly #logger: Logger;
  readonly #removeOpenListener: () => void;
  #removeChangeListener: () => void = () => undefined;
  #stored: StoredKeys | null = null;
  #store: Store | null = null;
  #reading: Promise<void> | null = null;
  #isStale = false;
  #isClosed = false;
  #retry: NodeJS.Timeout | null = null;

  /** @param onLoaded called after each reading. */
  constructor(keeper: StoreKeeper, onLoaded: () => void, logger: Logger) {
    this.#onLoaded = onLoaded;
    this.#logger = logger;
    this.#removeOpenListener = keeper.onOpen((store) => {
      this.#removeChangeListener();
      this.#store = store;
      this.#removeChangeListener = store.changes.onChange(() => void this.refresh());
      void this.refresh();
    });
  }

  /** Null before it was read for the first time; what was read last while the database is away. */
  get stored(): StoredKeys | null {
    return this.#stored;
  }

  /** Reads again. Never rejects. */
  refresh(): Promise<void> {
    this.#isStale = true;
    this.#reading ??= this.#read();
    return this.#reading;
  }

  /** What has changed so far is known to the sidecars, or that takes too long to wait for. */
  async settled(): Promise<void> {
    if (this.#reading === null) return;
    let timer: NodeJS.Timeout | undefined;
    const timeout = new Promise((resolve) => (timer = setTimeout(resolve, SETTLE_TIMEOUT_MS)));
    await Promise.race([this.#reading, timeout]);
    clearTimeout(timer);
  }

  close(): void {
    this.#isClosed = true;
    this.#removeOpenListener();
    this.#removeChangeListener();
    if (this.#retry !== null) clearTimeout(this.#retry);
  }

  async #read(): Promise<void> {
    try {
      while (this.#isStale && !this.#isClosed && this.#store !== null) {
        this.#isStale = false;
        const isFirst = this.#stored === null;
        this.#stored = await readStoredKeys(this.#store, Date.now());
        if (this.#isClosed) return;
        if (isFirst) this.#logger.info('keys of the store read', { keys: this.#stored.keys.length });
        this.#onLoaded();
      }
    } catch (error) {
      if (!this.#isClosed) {
        const reason = error instanceof Error ? error.message : 'unknown';
        this.#logger.error('the keys of the store can not be read; sidecars keep those they have', { reason });
        this.#retry = setTimeout(() => void this.refresh(), RETRY_MS);
      }
    } finally {
      this.#reading = null;
    }
  }
}
