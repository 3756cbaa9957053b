import type { MemoryBudget } from '../overload/memory-budget.ts';

/** What one client makes the gateway hold besides the body of its request, counted in the budget of bytes in flight. */
export class HeldBytes {
  /** Of a head that is not whole, as the parser keeps it. */
  headBytes = 0;
  readonly #budget: MemoryBudget;
  #unreadBytes = 0;
  #unsentBytes = 0;

  constructor(budget: MemoryBudget) {
    this.#budget = budget;
  }

  /**
   * The head so far and `bytes` of what follows the present request are kept.
   *
   * @returns false if that is more than the budget has left: then it should not be kept.
   */
  setUnread(bytes: number): boolean {
    const moreBytes = this.headBytes + bytes - this.#unreadBytes;
    if (moreBytes === 0) return true; // fast case: nothing was kept, and nothing is
    this.#unreadBytes += moreBytes;
    if (moreBytes < 0) {
      this.#budget.give(-moreBytes);
      return true;
    }
    if (this.#budget.tryTake(moreBytes)) return true;
    this.#budget.take(moreBytes);
    return false;
  }

  /** `bytes` wait for the client to take them. They exist, so they are counted whatever is left. */
  setUnsent(bytes: number): void {
    const moreBytes = bytes - this.#unsentBytes;
    this.#unsentBytes = bytes;
    if (moreBytes > 0) this.#budget.take(moreBytes);
    else if (moreBytes < 0) this.#budget.give(-moreBytes);
  }

  /** The connection is gone. */
  release(): void {
    this.headBytes = 0;
    this.setUnread(0);
    this.setUnsent(0);
  }
}
