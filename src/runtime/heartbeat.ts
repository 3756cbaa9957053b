/** How often a process shows that its loop turns. */
export const HEARTBEAT_INTERVAL_MS = 1000;

/** Beats missed in a row that count as a hang. */
const MISSED_BEATS_LIMIT = 10;

/** A watcher's tick that comes later than this says that the watcher itself was held up. */
const ON_TIME_WITHIN_MS = HEARTBEAT_INTERVAL_MS * 1.5;

/**
 * Calls `send` now and each second. Does not keep the process alive.
 *
 * @returns stops it.
 */
export function startHeartbeat(send: () => void): () => void {
  send();
  const interval = setInterval(send, HEARTBEAT_INTERVAL_MS).unref();
  return () => clearInterval(interval);
}

/**
 * Decides whether another process hangs. Its watcher calls `tick` each second; only ticks that were on time count, since
 * a machine that is overloaded or was suspended delays the beats and the watcher alike, and overload must never become a
 * restart loop.
 */
export class HeartbeatMonitor {
  #lastTickMs: number;
  #missed: number;

  constructor(nowMs: number) {
    this.#lastTickMs = nowMs;
    this.#missed = 0;
  }

  beat(): void {
    this.#missed = 0;
  }

  /** @returns true when the process has missed 10 beats in a row, each while the watcher was on time. */
  tick(nowMs: number): boolean {
    const isOnTime = nowMs - this.#lastTickMs <= ON_TIME_WITHIN_MS;
    this.#lastTickMs = nowMs;
    if (isOnTime) this.#missed++;
    return this.#missed >= MISSED_BEATS_LIMIT;
  }
}
