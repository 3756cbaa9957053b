/** How often a process shows that its loop turns. */
export const HEARTBEAT_INTERVAL_MS = 1000;

/** As a rule. */
const MISSED_BEATS_LIMIT = 10;

/** A watcher's tick that comes later than so many intervals says that the watcher itself was held up. */
const ON_TIME_WITHIN_INTERVALS = 1.5;

/**
 * Calls `send` now and each `intervalMs`. Does not keep the process alive.
 *
 * @returns stops it.
 */
export function startHeartbeat(send: () => void, intervalMs: number = HEARTBEAT_INTERVAL_MS): () => void {
  send();
  const interval = setInterval(send, intervalMs).unref();
  return () => clearInterval(interval);
}

/**
 * Decides whether another process, or thread, hangs. Its watcher calls `tick` each `intervalMs`; only ticks that were on
 * time count, since a machine that is overloaded or was suspended delays the beats and the watcher alike, and overload
 * must never become a restart loop. Where the watcher's priority is higher than the other's it may be on time all the same:
 * then it says whether the other one was starved.
 */
export class HeartbeatMonitor {
  readonly #onTimeWithinMs: number;
  readonly #limit: number;
  #lastTickMs: number;
  #missed: number;

  /** @param limit beats missed in a row that count as a hang. */
  constructor(nowMs: number, intervalMs: number = HEARTBEAT_INTERVAL_MS, limit: number = MISSED_BEATS_LIMIT) {
    this.#onTimeWithinMs = intervalMs * ON_TIME_WITHIN_INTERVALS;
    this.#limit = limit;
    this.#lastTickMs = nowMs;
    this.#missed = 0;
  }

  /** Beats missed in a row. */
  get missed(): number {
    return this.#missed;
  }

  beat(): void {
    this.#missed = 0;
  }

  /**
   * @param isStarved the watched one was kept from running for much of the time since the last tick.
   * @returns true when `limit` beats in a row were missed, each while the watcher was on time.
   */
  tick(nowMs: number, isStarved = false): boolean {
    const isOnTime = nowMs - this.#lastTickMs <= this.#onTimeWithinMs;
    this.#lastTickMs = nowMs;
    if (isOnTime && !isStarved) this.#missed++;
    return this.#missed >= this.#limit;
  }
}
