/** Where so many clients connect in a second it may be that some did not wait to be accepted. */
const RUSH_PER_SECOND = 300;
/** Ticks may follow one another closely: a few at once are no rush. */
const RUSH_AT_LEAST = 30;
/** It comes in bursts: one stall of the loop must not end it. */
const LASTS_MS = 1_000;

/** What waits for the next turn of the loop. */
export interface Newcomer {
  onNextTurn(): void;
}

/**
 * Notices a rush of new connections, and lets the first request of each wait for one turn of the loop while it lasts.
 *
 * When clients connect faster than they are served, the kernel's queue fills with some that have given up: each has left
 * a request and its FIN. The request is read in one turn and the FIN in the next, so at once it would be forwarded, on a
 * connection that then has to be closed: 4,000 of these kept a starved sidecar busy for 3 s. A turn later they are
 * closed unasked. In a rush that costs a client that is still there some microseconds of the handshake's hundreds.
 */
export class ArrivalRush {
  isOn = false;
  #arrived = 0;
  #sinceMs: number;
  #untilMs = 0;
  #waiting: Newcomer[] = [];

  constructor(nowMs: number) {
    this.#sinceMs = nowMs;
  }

  onArrival(): void {
    this.#arrived++;
  }

  onTick(nowMs: number): void {
    const isRush = this.#arrived * 1000 >= RUSH_PER_SECOND * (nowMs - this.#sinceMs);
    if (isRush && this.#arrived >= RUSH_AT_LEAST) this.#untilMs = nowMs + LASTS_MS;
    this.isOn = nowMs < this.#untilMs;
    this.#arrived = 0;
    this.#sinceMs = nowMs;
  }

  /** `newcomer.onNextTurn` is called when the sockets have been looked at once more. */
  wait(newcomer: Newcomer): void {
    if (this.#waiting.length === 0) setImmediate(this.#lookOnceMore);
    this.#waiting.push(newcomer);
  }

  /** Immediates run after a turn's reading: those of this turn, whose newcomers were read in it, are too early. */
  readonly #lookOnceMore = (): void => {
    const due = this.#waiting;
    this.#waiting = [];
    setImmediate(() => {
      for (const newcomer of due) newcomer.onNextTurn();
    });
  };
}
