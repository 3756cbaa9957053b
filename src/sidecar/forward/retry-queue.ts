import { performance } from 'node:perf_hooks';
import type { Exchange, Forwarder } from '../exchange/exchange.ts';

/** Waits are rounded up to this, so that those which end together wake the loop once. */
const SLOT_MS = 10;

/** A request that waits before it is sent again. */
interface Waiting {
  readonly dueMs: number;
  wake(): void;
}

/** All waits of a worker, and one timer, for the earliest: the tick of 100 ms would round most of them to twice as long. */
export class RetryQueue {
  readonly #waiting = new Set<Waiting>();
  #timer: NodeJS.Timeout | null = null;
  #timerMs = Infinity;

  get size(): number {
    return this.#waiting.size;
  }

  add(waiting: Waiting): void {
    this.#waiting.add(waiting);
    if (waiting.dueMs < this.#timerMs) this.#arm(waiting.dueMs);
  }

  remove(waiting: Waiting): void {
    this.#waiting.delete(waiting);
    if (this.#waiting.size === 0) this.#disarm();
  }

  #arm(dueMs: number): void {
    this.#disarm();
    this.#timerMs = dueMs;
    // Timers may fire up to a millisecond early by this clock.
    const delayMs = Math.ceil(Math.max(0, dueMs - performance.now())) + 1;
    this.#timer = setTimeout(() => {
      this.#onTimer();
    }, delayMs);
  }

  #disarm(): void {
    if (this.#timer !== null) clearTimeout(this.#timer);
    this.#timer = null;
    this.#timerMs = Infinity;
  }

  #onTimer(): void {
    this.#timer = null;
    this.#timerMs = Infinity;
    const nowMs = performance.now();
    const due: Waiting[] = [];
    for (const waiting of this.#waiting) if (waiting.dueMs <= nowMs) due.push(waiting);
    // Those that a late loop finds due together still go in their order.
    if (due.length > 1) due.sort((one, other) => one.dueMs - other.dueMs);
    for (const waiting of due) this.#waiting.delete(waiting);
    for (const waiting of due) waiting.wake();
    let earliestMs = this.#timerMs;
    for (const waiting of this.#waiting) earliestMs = Math.min(earliestMs, waiting.dueMs);
    if (earliestMs < this.#timerMs) this.#arm(earliestMs);
  }
}

/** The exchange waits, without a connection; its client may leave, and its call may end meanwhile. */
export class WaitingRetry implements Waiting, Forwarder {
  readonly dueMs: number;
  readonly #exchange: Exchange;
  readonly #goOn: (exchange: Exchange) => void;

  /** @param goOn called once when the wait is over, in whatever way but `cancel`. */
  constructor(exchange: Exchange, waitMs: number, goOn: (exchange: Exchange) => void) {
    this.dueMs = Math.ceil((performance.now() + waitMs) / SLOT_MS) * SLOT_MS;
    this.#exchange = exchange;
    this.#goOn = goOn;
    exchange.attempt = this;
    exchange.attemptDeadlineMs = Infinity;
    exchange.worker.retries.add(this);
  }

  wake(): void {
    const exchange = this.#exchange;
    try {
      this.#goOn(exchange);
    } catch (error) {
      // Here no socket event is above us to catch it.
      exchange.worker.onFault(error);
      exchange.connection.destroy();
    }
  }

  cancel(): void {
    this.#exchange.worker.retries.remove(this);
  }

  resume(): void {
    // Nothing has been sent to the client yet.
  }

  /** Only the call as a whole can end here: a wait that would outlast it is not begun, but the clock may be late. */
  onTimeout(): void {
    this.cancel();
    this.wake();
  }
}
