import { LoadClient, type Outcome, type RequestPlan } from './load-client.ts';

export interface LoadOptions {
  readonly port: number;
  readonly runId: string;
  /** Requests per second. They are spread evenly; those for which no client is free wait. */
  readonly qps: number;
  /** At most this many at once. */
  readonly clients: number;
  /** What the next request is. */
  readonly plan: (number: number) => RequestPlan;
  /** Each request that ended. */
  readonly onOutcome: (outcome: Outcome) => void;
  /** Each client has its turn, so that no connection is ever long without a request. Default: the one that was free last. */
  readonly inTurn?: boolean;
  /** Number of the first request. Default 1. */
  readonly firstNumber?: number;
}

const TICK_MS = 5;
/** A gateway that stood still is not to be met with all that was due meanwhile: this much is made up for. */
const MAX_BACKLOG_SECONDS = 0.25;

/** A load of requests that are all known by their numbers. */
export class Load {
  readonly #options: LoadOptions;
  readonly #idle: LoadClient[];
  readonly #all: LoadClient[];
  readonly #timer: NodeJS.Timeout;
  readonly #finished: PromiseWithResolvers<void>;
  #next: number;
  #due: number;
  #lastMs: number;
  #isStopping: boolean;
  #inFlight: number;

  constructor(options: LoadOptions) {
    this.#options = options;
    this.#next = options.firstNumber ?? 1;
    this.#due = 0;
    this.#lastMs = performance.now();
    this.#isStopping = false;
    this.#inFlight = 0;
    this.#finished = Promise.withResolvers();
    const onEnd = (client: LoadClient, outcome: Outcome): void => this.#onEnd(client, outcome);
    this.#all = Array.from({ length: options.clients }, () => new LoadClient(options.port, options.runId, onEnd));
    this.#idle = [...this.#all];
    this.#timer = setInterval(() => this.#tick(), TICK_MS);
  }

  get inFlight(): number {
    return this.#inFlight;
  }

  /** The number that the next request gets. */
  get next(): number {
    return this.#next;
  }

  /** No request begins after this; resolves when those in flight have ended. */
  async stop(): Promise<void> {
    this.#isStopping = true;
    clearInterval(this.#timer);
    if (this.#inFlight > 0) await this.#finished.promise;
    for (const client of this.#all) client.close();
  }

  #tick(): void {
    const now = performance.now();
    const { qps } = this.#options;
    this.#due = Math.min(this.#due + ((now - this.#lastMs) * qps) / 1000, Math.max(1, qps * MAX_BACKLOG_SECONDS));
    this.#lastMs = now;
    while (this.#due >= 1) {
      const client = this.#options.inTurn === true ? this.#idle.shift() : this.#idle.pop();
      if (client === undefined) return;
      this.#due -= 1;
      this.#inFlight += 1;
      const number = this.#next;
      this.#next += 1;
      client.send(number, this.#options.plan(number));
    }
  }

  #onEnd(client: LoadClient, outcome: Outcome): void {
    this.#inFlight -= 1;
    this.#idle.push(client);
    this.#options.onOutcome(outcome);
    if (this.#isStopping && this.#inFlight === 0) this.#finished.resolve();
  }
}
