import { StoreError } from '../store-error.ts';

/** A transaction that keeps others waiting for longer has lost its way: it waits for a write outside of itself. */
const WAIT_TIMEOUT_MS = 30_000;

/** Whose turn it is on the one writing connection: first come, first served. */
export class WriteLock {
  readonly #queue: (() => void)[] = [];
  #isHeld = false;

  /** @throws {StoreError} after 30 s. */
  async acquire(): Promise<void> {
    if (!this.#isHeld) {
      this.#isHeld = true;
      return;
    }
    await new Promise<void>((resolve, reject) => {
      const take = (): void => {
        clearTimeout(timer);
        resolve();
      };
      const timer = setTimeout(() => {
        this.#queue.splice(this.#queue.indexOf(take), 1);
        reject(new StoreError('unavailable', `the database was busy with one transaction for ${WAIT_TIMEOUT_MS} ms`));
      }, WAIT_TIMEOUT_MS);
      this.#queue.push(take);
    });
  }

  release(): void {
    const next = this.#queue.shift();
    if (next === undefined) this.#isHeld = false;
    else next();
  }
}
