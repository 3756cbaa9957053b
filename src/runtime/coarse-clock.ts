import { invariant } from '../base/invariant.ts';

/** Every timeout ends at most this late, on an idle loop. */
export const TICK_MS = 100;

/** Longer deadlines go round: a timer is looked at once per 102 s at least. */
const SLOTS = 1024;
const LONGEST_LAP_MS = (SLOTS - 1) * TICK_MS;

/**
 * One interval per thread instead of a timer object per request or connection. Owners make a `CoarseTimer` once per
 * connection and arm it as often as they like: arming later and disarming are one store each, a timer is only moved
 * when its slot comes up.
 *
 *     slots:  | 0 | 1 | 2 | … | 1023 |      slot of a deadline = its tick modulo 1024
 *                   ↓
 *               timer ⇄ timer ⇄ timer
 *
 * A timer never fires early, and on an idle loop at most one tick late. After the loop was held up it fires only after
 * the sockets had their turn, since what it waited for may have been lying in the kernel all the while.
 */
export class CoarseClock {
  readonly #slots: (CoarseTimer | null)[];
  /** Ticks are numbered from the time origin of `performance.now()`. */
  #tick: number;
  #nowMs: number;
  #interval: NodeJS.Timeout | null;
  #catchUp: NodeJS.Immediate | null;

  constructor() {
    this.#slots = Array.from({ length: SLOTS }, () => null);
    this.#nowMs = performance.now();
    this.#tick = Math.floor(this.#nowMs / TICK_MS);
    this.#interval = null;
    this.#catchUp = null;
  }

  /** `performance.now()` as of the last tick: free, and up to one tick old. */
  get nowMs(): number {
    return this.#nowMs;
  }

  /** Does not keep the process alive. */
  start(): void {
    if (this.#interval !== null) return;
    this.#interval = setInterval(() => this.#onInterval(), TICK_MS).unref();
  }

  stop(): void {
    if (this.#interval !== null) clearInterval(this.#interval);
    if (this.#catchUp !== null) clearImmediate(this.#catchUp);
    this.#interval = null;
    this.#catchUp = null;
  }

  /** Fires all timers whose deadline is at or before `nowMs`. Called by the interval; tests call it themselves. */
  advance(nowMs: number): void {
    this.#nowMs = nowMs;
    const target = Math.floor(nowMs / TICK_MS);
    if (target - this.#tick > SLOTS) this.#tick = target - SLOTS;
    while (this.#tick < target) {
      this.#tick++;
      this.#expire(this.#tick % SLOTS);
    }
  }

  /** Called by timers only. */
  link(timer: CoarseTimer): void {
    // The first tick at or after the deadline, but never one that has been handled already.
    const ahead = Math.min(timer.deadlineMs, this.#tick * TICK_MS + LONGEST_LAP_MS);
    const tick = Math.max(Math.ceil(ahead / TICK_MS), this.#tick + 1);
    const slot = tick % SLOTS;
    const head = this.#slots[slot] ?? null;
    timer.linkAt(slot, tick * TICK_MS, head);
    if (head !== null) head.previous = timer;
    this.#slots[slot] = timer;
  }

  /** Called by timers only. */
  unlink(timer: CoarseTimer): void {
    if (timer.previous === null) this.#slots[timer.slot] = timer.next;
    else timer.previous.next = timer.next;
    if (timer.next !== null) timer.next.previous = timer.previous;
    timer.linkAt(-1, 0, null);
  }

  #onInterval(): void {
    const nowMs = performance.now();
    const isLate = nowMs - this.#nowMs > 2 * TICK_MS;
    if (!isLate) {
      this.advance(nowMs);
      return;
    }
    // Immediates run after the poll phase, timers before it.
    this.#catchUp ??= setImmediate(() => {
      this.#catchUp = null;
      this.advance(nowMs);
    });
  }

  #expire(slot: number): void {
    // Callbacks may arm, disarm and close any timer, so the list is taken off before the first one runs.
    const nowMs = this.#nowMs;
    let due: CoarseTimer | null = null;
    let timer = this.#slots[slot] ?? null;
    while (timer !== null) {
      const next: CoarseTimer | null = timer.next;
      this.unlink(timer);
      if (timer.deadlineMs <= nowMs) {
        timer.dueNext = due;
        due = timer;
      } else if (timer.isArmed) {
        this.link(timer);
      }
      timer = next;
    }
    while (due !== null) {
      const next: CoarseTimer | null = due.dueNext;
      due.dueNext = null;
      due.fireIfStillDue(nowMs);
      due = next;
    }
  }
}

/** A timer that belongs to one owner for the owner's life. `close()` it when the owner ends. */
export class CoarseTimer {
  readonly #clock: CoarseClock;
  readonly #onDue: () => void;
  #deadlineMs: number;
  #slotAtMs: number;
  // The clock's own links.
  slot: number;
  next: CoarseTimer | null;
  previous: CoarseTimer | null;
  dueNext: CoarseTimer | null;

  constructor(clock: CoarseClock, onDue: () => void) {
    this.#clock = clock;
    this.#onDue = onDue;
    this.#deadlineMs = Number.POSITIVE_INFINITY;
    this.#slotAtMs = 0;
    this.slot = -1;
    this.next = null;
    this.previous = null;
    this.dueNext = null;
  }

  get isArmed(): boolean {
    return this.#deadlineMs !== Number.POSITIVE_INFINITY;
  }

  get deadlineMs(): number {
    return this.#deadlineMs;
  }

  /**
   * Fires once, `delayMs` from `nowMs`, instead of whenever it was to fire before. `nowMs` is a reading of
   * `performance.now()` taken in this turn of the loop: an older one, such as the clock's, would fire early.
   */
  arm(delayMs: number, nowMs: number): void {
    invariant(delayMs >= 0, 'a delay is not negative');
    this.#deadlineMs = nowMs + delayMs;
    if (this.slot !== -1) {
      if (this.#deadlineMs > this.#slotAtMs - TICK_MS) return; // common: put off, its slot comes up first
      this.#clock.unlink(this);
    }
    this.#clock.link(this);
  }

  disarm(): void {
    this.#deadlineMs = Number.POSITIVE_INFINITY;
  }

  /** Disarms, and lets go of the owner at once; a disarmed timer is held until its slot comes up. */
  close(): void {
    this.#deadlineMs = Number.POSITIVE_INFINITY;
    if (this.slot !== -1) this.#clock.unlink(this);
  }

  /** Called by the clock only. */
  linkAt(slot: number, slotAtMs: number, next: CoarseTimer | null): void {
    this.slot = slot;
    this.#slotAtMs = slotAtMs;
    this.next = next;
    this.previous = null;
  }

  /** Called by the clock only. Another callback of the same tick may have put it off. */
  fireIfStillDue(nowMs: number): void {
    if (this.#deadlineMs > nowMs) {
      if (this.isArmed && this.slot === -1) this.#clock.link(this);
      return;
    }
    this.#deadlineMs = Number.POSITIVE_INFINITY;
    this.#onDue();
  }
}
