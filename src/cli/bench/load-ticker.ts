import { Worker } from 'node:worker_threads';

export interface TickOrder {
  readonly generation: number;
  readonly startNs: number;
  readonly intervalNs: number;
  readonly total: number;
  /** How long before an instant the wake-up is due. */
  readonly leadNs: number;
}

/** Waking a thread, and this one by a message from it, takes about this long on an idle machine. */
const WAKE_UP_NS = 120_000;
/** Of shorter intervals nothing may be spent on polling. */
const SHORTEST_POLLED_NS = 400_000;

/** Calls back shortly before each instant of a schedule, from a thread that sleeps in between. */
export class LoadTicker {
  readonly #generation = new Int32Array(new SharedArrayBuffer(4));
  readonly #worker: Worker;
  #onTick: () => void = () => {};

  constructor() {
    this.#worker = new Worker(new URL('./load-ticker-thread.ts', import.meta.url), {
      workerData: this.#generation.buffer,
    });
    this.#worker.on('message', (generation: number) => {
      if (generation === this.#generation[0]) this.#onTick();
    });
  }

  /** Replaces the schedule before. */
  start(schedule: Pick<TickOrder, 'startNs' | 'intervalNs' | 'total'>, onTick: () => void): void {
    this.stop();
    this.#onTick = onTick;
    const order: TickOrder = {
      ...schedule,
      generation: Atomics.load(this.#generation, 0),
      leadNs: LoadTicker.pollsBefore(schedule.intervalNs) ? WAKE_UP_NS : 0,
    };
    // oxlint-disable-next-line unicorn/require-post-message-target-origin -- a worker thread, not a window
    this.#worker.postMessage(order);
  }

  /** After an early wake-up, may the loop poll until the instant? */
  static pollsBefore(intervalNs: number): boolean {
    return intervalNs >= SHORTEST_POLLED_NS;
  }

  stop(): void {
    this.#onTick = () => {};
    Atomics.add(this.#generation, 0, 1);
    Atomics.notify(this.#generation, 0);
  }

  async close(): Promise<void> {
    this.stop();
    await this.#worker.terminate();
  }
}
