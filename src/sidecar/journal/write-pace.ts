/** Of each window, writes may hold up the event loop for so long (and for one write more). */
export const WRITE_BUDGET_MS = 25;
/** The worker's tick: what writes took is added up over it. */
export const WINDOW_MS = 100;
/** What a write on a good disk never takes: only longer ones count, however many there are. */
const FREE_MS = 0.1;
/** In the thread pool: a write below this is fast. */
const FAST_MS = 5;
const FAST_WRITES_TO_RETURN = 20;
/** All writes have to be fast for so long before the loop trusts the disk again; doubled at each relapse. */
export const FIRST_HOLD_MS = 10_000;
const MAX_HOLD_MS = 300_000;

/**
 * Says where the next write is made: in place, which costs 3 µs and blocks, or in the thread pool, which costs 25 µs
 * and does not (bench/micro/journal.ts). In place is the rule. Once writes have held up the loop for 25 ms within 100 ms, the pool has them,
 * until it has seen nothing but fast ones for a while. So a disk that stays slow holds up the loop once; one that comes
 * and goes, once in 10 s, 20 s, … 5 min.
 */
export class WritePace {
  isPooled = false;

  #windowEndMs = 0;
  #spentMs = 0;
  #holdMs = FIRST_HOLD_MS;
  #slowAtMs = 0;
  #fastInRow = 0;
  #returnedMs = -Infinity;

  /** A write in place took from `startMs` to `endMs`. */
  noteInPlace(startMs: number, endMs: number): void {
    if (endMs - startMs <= FREE_MS) return;
    if (startMs >= this.#windowEndMs) {
      this.#windowEndMs = startMs + WINDOW_MS;
      this.#spentMs = 0;
    }
    this.#spentMs += endMs - startMs;
    if (this.#spentMs < WRITE_BUDGET_MS) return;
    this.isPooled = true;
    const isRelapse = endMs - this.#returnedMs < this.#holdMs * 10;
    this.#holdMs = isRelapse ? Math.min(this.#holdMs * 2, MAX_HOLD_MS) : FIRST_HOLD_MS;
    this.#slowAtMs = endMs;
    this.#fastInRow = 0;
    this.#windowEndMs = 0;
  }

  /** A write in the pool took from `startMs` to `endMs`, the wait for a thread included. */
  notePooled(startMs: number, endMs: number): void {
    if (!this.isPooled) return; // there for another reason
    if (endMs - startMs >= FAST_MS) {
      this.#slowAtMs = endMs;
      this.#fastInRow = 0;
      return;
    }
    this.#fastInRow += 1;
    if (this.#fastInRow < FAST_WRITES_TO_RETURN || endMs - this.#slowAtMs < this.#holdMs) return;
    this.isPooled = false;
    this.#returnedMs = endMs;
  }
}
