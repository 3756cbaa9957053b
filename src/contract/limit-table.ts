import { invariant } from '../base/invariant.ts';
import { SharedRows } from './shared-rows.ts';

/*
 * One row per limited subject (a key, a user, a team, a model group, a key's use of a model, a deployment), 64 bytes:
 *
 *      0         8              16             24        32                40            64
 *     │ id (u64)│ requests word│ tokens word  │ permits │ spend (i64, n$) │ money's window … │
 *                      │                          (i32)
 *                      └─ u32 used │ u32 table ms at which the window opened      one 64-bit word
 *
 * A window word changes only by a compare-exchange of all 64 bits, so opening and amount never part: no request is lost
 * or counted twice when one window follows another, whatever the threads do. The halves are read by 32-bit loads (opening,
 * amount, opening again) and the word is put together in memory of the thread's own: 37 ns for a take, against 73 ns with
 * BigInt arithmetic (bench/micro/limit-table.ts).
 *
 * What a worker holds (permits, reserved money) stands again in a region of its own, one cell per row, so that the main
 * thread can return it when the worker has ended. Shared count first, own cell right after it, by a plain store of what
 * was computed before. Nothing comes between: a thread is terminated at stack checks only (entry of a function, back edge
 * of a loop), and from the exchange that succeeded to the store there is neither. Measured, since V8 promises nothing:
 * 0 of 640 threads that were terminated in a loop of takes and returns, cold and optimised, left anything behind (Node
 * 26.10); with a call in the place of the store many do (shared-quota.ts).
 */
const ROW_BYTES = 64;
const WORDS_PER_ROW = ROW_BYTES / 8;
const REQUESTS_WORD = 1;
const TOKENS_WORD = 2;
const PERMITS_I32 = 6;
const SPEND_WORD = 4;
/** Start of the window that the spend is of, Unix ms (i64). */
const SPEND_WINDOW_WORD = 5;
/** One more than the start of the window of which it has been told that its soft budget is used up (i64). */
const NOTICE_WORD = 6;
/** What is reserved by requests in progress (i64), those of earlier windows included: it only makes a new window strict. */
const RESERVED_WORD = 7;
const HELD_BYTES = 32;

const MAX_USED = 0xffff_ffff;

/**
 * A thread may be preempted between its look at the clock and its compare-exchange, and then finds a window that opened
 * "later": within this time that window is open, not 49 days old. The price: a row that nobody used for 49.7 days, to
 * these ten minutes exactly, is taken for one in its window.
 */
const LATE_MS = 600_000;

/** Linear probing meets a run of taken rows this long only when the table is all but full. */
const MAX_PROBES = 4_096;

/** `take`: the limit is reached. */
export const REFUSED = -1;

/** Table time of a window's opening, as `take` answers it. */
export type WindowOpening = number;

/** The memory of a limit table, made once by the main thread and sent to every worker as it is. */
export interface LimitMemory {
  readonly rows: SharedArrayBuffer;
  /**
   * Per worker, of every row: reserved nano-dollars (i64), those of them that are in the spend of the window that its last
   * reservation was of (i64), start of that window (i64), permits (i32).
   */
  readonly held: SharedArrayBuffer;
  readonly windowMs: number;
}

/** @param capacity rows, a power of two. Pages that nobody touches cost nothing. */
export function newLimitMemory(capacity: number, workerCount: number, windowMs: number): LimitMemory {
  return {
    rows: SharedRows.memoryFor(capacity, ROW_BYTES),
    held: new SharedArrayBuffer(capacity * HELD_BYTES * workerCount),
    windowMs,
  };
}

/**
 * Exact limits of all threads of a sidecar together: requests and tokens per window, requests at the same time, money.
 * Times are ms since the memory was made, by one clock for all threads; openings are modular (u32).
 */
export class LimitTable {
  readonly capacity: number;
  readonly windowMs: number;
  readonly #memory: LimitMemory;
  readonly #rows: SharedRows;
  readonly #words: BigInt64Array;
  readonly #halves: Int32Array;
  readonly #heldPermits: Int32Array;
  readonly #heldReserved: BigInt64Array;
  readonly #heldSpend: BigInt64Array;
  readonly #heldWindow: BigInt64Array;
  readonly #scratchHalves = new Int32Array(2);
  readonly #scratchWord = new BigInt64Array(this.#scratchHalves.buffer);

  /** @param workerIndex whose region takes what is held through this object. */
  constructor(memory: LimitMemory, workerIndex: number) {
    this.#memory = memory;
    this.windowMs = memory.windowMs;
    this.#rows = new SharedRows(memory.rows, ROW_BYTES);
    this.capacity = this.#rows.capacity;
    this.#words = new BigInt64Array(memory.rows);
    this.#halves = new Int32Array(memory.rows);
    this.#heldPermits = this.#permitsOf(workerIndex);
    this.#heldReserved = this.#moneyOf(workerIndex, 0);
    this.#heldSpend = this.#moneyOf(workerIndex, 1);
    this.#heldWindow = this.#moneyOf(workerIndex, 2);
  }

  /** The row of a subject, made if it has none; −1 when the table is full: its requests must be refused. */
  claim(id: bigint): number {
    return this.#rows.claim(id, MAX_PROBES);
  }

  requestsCell(row: number): number {
    return row * WORDS_PER_ROW + REQUESTS_WORD;
  }

  tokensCell(row: number): number {
    return row * WORDS_PER_ROW + TOKENS_WORD;
  }

  /**
   * Uses `amount` of a window, opening one if none is open.
   *
   * @param amount whole, may be 0: refused all the same once the limit is used up.
   * @returns the window's opening, for `giveBack` and `settle`; `REFUSED` if it would go beyond `limit`.
   */
  take(cell: number, amount: number, limit: number, nowMs: number): WindowOpening {
    const now = nowMs >>> 0;
    for (;;) {
      const opened = this.#openedAt(cell);
      const used = this.#usedAt(cell);
      if (this.#openedAt(cell) !== opened) continue;
      const isOpen = this.#isOpen(opened, used, now);
      const before = isOpen ? used : 0;
      if (before >= limit || before + amount > limit) return REFUSED;
      const opening = isOpen ? opened : now;
      if (this.#exchange(cell, this.#word(opened, used), this.#word(opening, before + amount))) return opening;
    }
  }

  /** Undoes a `take`, if its window is still the one in the row. */
  giveBack(cell: number, opening: WindowOpening, amount: number): void {
    for (;;) {
      const opened = this.#openedAt(cell);
      const used = this.#usedAt(cell);
      if (this.#openedAt(cell) !== opened) continue;
      if (opened !== opening) return;
      if (this.#exchange(cell, this.#word(opened, used), this.#word(opened, Math.max(0, used - amount)))) return;
    }
  }

  /**
   * What was taken by estimate turned out to be `difference` more (or less, below 0). When the window is over, less is
   * of no use to anyone any more, and more is charged to the window that is open now, one being opened if need be: what
   * was used must not vanish because it was long in coming. Goes beyond the limit; saturates at 2³² − 1.
   */
  settle(cell: number, opening: WindowOpening, difference: number, nowMs: number): void {
    if (difference === 0) return;
    const now = nowMs >>> 0;
    for (;;) {
      const opened = this.#openedAt(cell);
      const used = this.#usedAt(cell);
      if (this.#openedAt(cell) !== opened) continue;
      const isOpen = this.#isOpen(opened, used, now);
      if (difference < 0 && (opened !== opening || !isOpen)) return;
      const after = Math.min(MAX_USED, Math.max(0, (isOpen ? used : 0) + difference));
      if (this.#exchange(cell, this.#word(opened, used), this.#word(isOpen ? opened : now, after))) return;
    }
  }

  /** Used in the window that is open now. */
  used(cell: number, nowMs: number): number {
    const now = nowMs >>> 0;
    for (;;) {
      const opened = this.#openedAt(cell);
      const used = this.#usedAt(cell);
      if (this.#openedAt(cell) === opened) return this.#isOpen(opened, used, now) ? used : 0;
    }
  }

  /** Until the window that is open now ends, ms; 0 if none is. */
  resetMs(cell: number, nowMs: number): number {
    const now = nowMs >>> 0;
    const opened = this.#openedAt(cell);
    if (!this.#isOpen(opened, this.#usedAt(cell), now)) return 0;
    return Math.min(this.windowMs, (opened + this.windowMs - now) >>> 0);
  }

  /** One more at the same time. @returns false if there are `limit` already. */
  takePermit(row: number, limit: number): boolean {
    const at = row * 2 * WORDS_PER_ROW + PERMITS_I32;
    const own = this.#heldPermits;
    const held = own[row]! + 1;
    for (;;) {
      const count = Atomics.load(this.#halves, at);
      if (count >= limit) return false;
      if (Atomics.compareExchange(this.#halves, at, count, count + 1) === count) {
        own[row] = held;
        return true;
      }
    }
  }

  returnPermit(row: number): void {
    const own = this.#heldPermits;
    const held = own[row]! - 1;
    invariant(held >= 0, 'a permit is returned once');
    Atomics.sub(this.#halves, row * 2 * WORDS_PER_ROW + PERMITS_I32, 1);
    own[row] = held;
  }

  permits(row: number): number {
    return Atomics.load(this.#halves, row * 2 * WORDS_PER_ROW + PERMITS_I32);
  }

  /** Nano-dollars spent and reserved. */
  spend(row: number): bigint {
    return Atomics.load(this.#words, row * WORDS_PER_ROW + SPEND_WORD);
  }

  /**
   * Money of `row` is of the window that began at `startMs` from here on: whoever comes first sets the spend to 0. What a
   * request of the window before adds between two instructions of that one stays in the new one: the cost of a request.
   *
   * @returns false: the row is in a later window already, where it stays.
   */
  openSpendWindow(row: number, startMs: bigint): boolean {
    const at = row * WORDS_PER_ROW + SPEND_WINDOW_WORD;
    for (;;) {
      const open = Atomics.load(this.#words, at);
      if (open >= startMs) return open === startMs;
      const spent = Atomics.load(this.#words, row * WORDS_PER_ROW + SPEND_WORD);
      if (Atomics.compareExchange(this.#words, at, open, startMs) === open) {
        Atomics.sub(this.#words, row * WORDS_PER_ROW + SPEND_WORD, spent);
        return true;
      }
    }
  }

  /** Start of the window that money is counted in, Unix ms. */
  spendWindow(row: number): bigint {
    return Atomics.load(this.#words, row * WORDS_PER_ROW + SPEND_WINDOW_WORD);
  }

  /**
   * Spends `amount` ahead of knowing it. A request that is alone may go beyond the limit: an estimate that is more than
   * what is left must not keep the last of a budget from being spent.
   *
   * @param startMs the window that it is in.
   * @returns false if the limit is used up, or others have reserved what is left.
   */
  reserve(row: number, amount: bigint, limit: bigint, startMs = 0n): boolean {
    const at = row * WORDS_PER_ROW + SPEND_WORD;
    const reserved = this.#heldReserved[row]! + amount;
    const isSameWindow = this.#heldWindow[row] === startMs;
    const spend = (isSameWindow ? this.#heldSpend[row]! : 0n) + amount;
    const others = Atomics.add(this.#words, row * WORDS_PER_ROW + RESERVED_WORD, amount);
    for (;;) {
      const before = Atomics.load(this.#words, at);
      const after = before + amount;
      if (before >= limit || (after > limit && others > 0n)) {
        Atomics.sub(this.#words, row * WORDS_PER_ROW + RESERVED_WORD, amount);
        return false;
      }
      if (Atomics.compareExchange(this.#words, at, before, after) === before) {
        this.#heldReserved[row] = reserved;
        this.#heldSpend[row] = spend;
        this.#heldWindow[row] = startMs;
        return true;
      }
    }
  }

  /** A reservation is over: it cost `actual`, which may be beyond any limit. Its window must be `startMs` still to count. */
  settleSpend(row: number, reserved: bigint, actual: bigint, startMs = 0n): void {
    const held = this.#heldReserved[row]! - reserved;
    invariant(held >= 0n, 'a reservation is settled once');
    const isInSpend = this.#heldWindow[row] === startMs;
    const spend = this.#heldSpend[row]! - reserved;
    const difference = actual - reserved;
    if (this.spendWindow(row) === startMs) Atomics.add(this.#words, row * WORDS_PER_ROW + SPEND_WORD, difference);
    if (isInSpend) this.#heldSpend[row] = spend;
    this.#heldReserved[row] = held;
    // Last: a thread that ends before this leaves something reserved, which only makes the rest of the time strict.
    Atomics.sub(this.#words, row * WORDS_PER_ROW + RESERVED_WORD, reserved);
  }

  /** Spends, or takes back what others learnt was less, if the row is still in the window that began at `startMs`. */
  addSpend(row: number, amount: bigint, startMs = 0n): void {
    if (this.spendWindow(row) !== startMs) return;
    Atomics.add(this.#words, row * WORDS_PER_ROW + SPEND_WORD, amount);
  }

  /** True for the first that asks in the window that began at `startMs`. */
  takeNotice(row: number, startMs: bigint): boolean {
    const at = row * WORDS_PER_ROW + NOTICE_WORD;
    const before = Atomics.load(this.#words, at);
    return before <= startMs && Atomics.compareExchange(this.#words, at, before, startMs + 1n) === before;
  }

  /** Returns what a worker held that has ended. By the main thread, before another takes the worker's place. */
  returnHeld(workerIndex: number): void {
    const permits = this.#permitsOf(workerIndex);
    const reserved = this.#moneyOf(workerIndex, 0);
    const spend = this.#moneyOf(workerIndex, 1);
    const windows = this.#moneyOf(workerIndex, 2);
    // Nothing is written where nothing was held: the pages of a table that few use are not there.
    for (let row = 0; row < permits.length; row += 1) {
      const count = permits[row]!;
      if (count > 0) Atomics.sub(this.#halves, row * 2 * WORDS_PER_ROW + PERMITS_I32, count);
      if (count !== 0) permits[row] = 0;
      if (reserved[row] === 0n) continue;
      Atomics.sub(this.#words, row * WORDS_PER_ROW + RESERVED_WORD, reserved[row]!);
      // What it had reserved of a window that is over went with that.
      if (windows[row] === this.spendWindow(row)) {
        Atomics.sub(this.#words, row * WORDS_PER_ROW + SPEND_WORD, spend[row]!);
      }
      reserved[row] = 0n;
      spend[row] = 0n;
    }
  }

  /** Every row in which something was counted, in no order, with what `age` is at `nowMs`. */
  *openWindows(nowMs: number): Generator<OpenWindows> {
    for (let row = 0; row < this.capacity; row += 1) {
      const id = this.#rows.idAt(row);
      if (id === 0n) continue;
      const requests = this.#window(this.requestsCell(row), nowMs);
      const tokens = this.#window(this.tokensCell(row), nowMs);
      if (requests.used > 0 || tokens.used > 0) yield { id, requests, tokens };
    }
  }

  /** Takes over a window that was counted elsewhere. What was counted here meanwhile is added; the older opening stays. */
  adopt(cell: number, { ageMs, used }: WindowState, nowMs: number): void {
    if (used === 0 || ageMs >= this.windowMs) return;
    const now = nowMs >>> 0;
    const adopted = (now - ageMs) >>> 0;
    for (;;) {
      const opened = this.#openedAt(cell);
      const before = this.#usedAt(cell);
      if (this.#openedAt(cell) !== opened) continue;
      const isOpen = this.#isOpen(opened, before, now);
      const opening = isOpen && ((now - opened) | 0) > ageMs ? opened : adopted;
      const after = Math.min(MAX_USED, (isOpen ? before : 0) + used);
      if (this.#exchange(cell, this.#word(opened, before), this.#word(opening, after))) return;
    }
  }

  #window(cell: number, nowMs: number): WindowState {
    const used = this.used(cell, nowMs);
    return used === 0 ? { ageMs: 0, used } : { ageMs: this.windowMs - this.resetMs(cell, nowMs), used };
  }

  #openedAt(cell: number): number {
    return Atomics.load(this.#halves, 2 * cell + 1) >>> 0;
  }

  #usedAt(cell: number): number {
    return Atomics.load(this.#halves, 2 * cell) >>> 0;
  }

  /** One in which nothing is used counts as none, so that a word of zeros is no window that opened at 0. */
  #isOpen(opened: number, used: number, now: number): boolean {
    return used > 0 && (now - opened + LATE_MS) >>> 0 < this.windowMs + LATE_MS;
  }

  /** Little-endian, as all machines that we run on. */
  #word(opened: number, used: number): bigint {
    this.#scratchHalves[0] = used;
    this.#scratchHalves[1] = opened;
    return this.#scratchWord[0]!;
  }

  #exchange(cell: number, before: bigint, after: bigint): boolean {
    return Atomics.compareExchange(this.#words, cell, before, after) === before;
  }

  #permitsOf(workerIndex: number): Int32Array {
    const from = this.capacity * (workerIndex * HELD_BYTES + 24);
    return new Int32Array(this.#memory.held, from, this.capacity);
  }

  #moneyOf(workerIndex: number, column: number): BigInt64Array {
    const from = this.capacity * (workerIndex * HELD_BYTES + 8 * column);
    return new BigInt64Array(this.#memory.held, from, this.capacity);
  }
}

/** A window, by how long ago it opened. */
export interface WindowState {
  readonly ageMs: number;
  readonly used: number;
}

/** The windows of one row. */
export interface OpenWindows {
  readonly id: bigint;
  readonly requests: WindowState;
  readonly tokens: WindowState;
}
