import { invariant } from '../base/invariant.ts';

/*
 * One amount that all worker threads take from, exact at every moment, without a lock:
 *
 *     cell 0    │ taken in all
 *     cell 1+i  │ of it by worker i
 *
 * A worker that ends leaves in its cell what it had: whoever notices gives that back. A thread may also be ended between
 * its two cells (measured: in a loop that does nothing else, a quarter of the terminated threads were, Node 26.10). The
 * total is always the first to grow and the last to shrink, so what is then missing from the cells is `unowned`.
 */
const TOTAL = 0;

/** A worker's view of an amount that is shared by all: permits, memory. */
export class SharedQuota {
  readonly #cells: Int32Array<SharedArrayBuffer>;
  readonly #own: number;

  /** @param memory of `memoryFor(workerCount)`. */
  constructor(memory: SharedArrayBuffer, workerIndex: number) {
    this.#cells = new Int32Array(memory);
    this.#own = 1 + workerIndex;
    invariant(this.#own < this.#cells.length, 'every worker has its cell');
  }

  static memoryFor(workerCount: number): SharedArrayBuffer {
    return new SharedArrayBuffer((1 + workerCount) * Int32Array.BYTES_PER_ELEMENT);
  }

  /** Gives back what worker `workerIndex`, which has ended, had taken. Answers how much that was. */
  static giveBackAll(memory: SharedArrayBuffer, workerIndex: number): number {
    const cells = new Int32Array(memory);
    const taken = Atomics.exchange(cells, 1 + workerIndex, 0);
    Atomics.sub(cells, TOTAL, taken);
    return taken;
  }

  /**
   * What is taken in all and by no worker: lost by one that ended, or on its way in one that runs, for an instant. So the
   * least of several looks is what was lost.
   */
  static unowned(memory: SharedArrayBuffer): number {
    const cells = new Int32Array(memory);
    for (;;) {
      const total = Atomics.load(cells, TOTAL);
      let owned = 0;
      for (let index = 1; index < cells.length; index += 1) owned += Atomics.load(cells, index);
      if (Atomics.load(cells, TOTAL) === total) return total - owned;
    }
  }

  /** Takes `amount` that no worker has out of the total. */
  static forget(memory: SharedArrayBuffer, amount: number): void {
    Atomics.sub(new Int32Array(memory), TOTAL, amount);
  }

  /** Taken by all workers together. */
  get used(): number {
    return Atomics.load(this.#cells, TOTAL);
  }

  /** Taken by this worker. */
  get own(): number {
    return Atomics.load(this.#cells, this.#own);
  }

  /** Takes `amount` if no more than `limit` is taken then. */
  tryTake(amount: number, limit: number): boolean {
    const cells = this.#cells;
    for (;;) {
      const used = Atomics.load(cells, TOTAL);
      if (used + amount > limit) return false;
      if (Atomics.compareExchange(cells, TOTAL, used, used + amount) === used) break;
    }
    Atomics.add(cells, this.#own, amount);
    return true;
  }

  /** Takes `amount`, whatever is taken already: for what exists anyway and must be counted. */
  take(amount: number): void {
    Atomics.add(this.#cells, TOTAL, amount);
    Atomics.add(this.#cells, this.#own, amount);
  }

  give(amount: number): void {
    Atomics.sub(this.#cells, this.#own, amount);
    Atomics.sub(this.#cells, TOTAL, amount);
  }
}
