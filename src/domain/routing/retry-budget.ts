/** Requests and retries are remembered for about so long. */
export const RETRY_BUDGET_WINDOW_MS = 10_000;

/**
 * Bounds the retries that a failing deployment gets, so that they can't multiply its load: of the last ten seconds, at most
 * `floor + ratio × requests`. A deployment that has not failed meanwhile takes any number of them, since they are requests
 * that another one lost. Sliding by two windows: the present one, and of the last one the part that has not passed.
 */
export class RetryBudget {
  #startMs = -Infinity;
  #requests = 0;
  #retries = 0;
  #failures = 0;
  #lastRequests = 0;
  #lastRetries = 0;
  #lastFailures = 0;

  /** A first attempt is made. */
  onRequest(nowMs: number): void {
    if (nowMs - this.#startMs >= RETRY_BUDGET_WINDOW_MS) this.#roll(nowMs);
    this.#requests += 1;
  }

  onRetry(nowMs: number): void {
    if (nowMs - this.#startMs >= RETRY_BUDGET_WINDOW_MS) this.#roll(nowMs);
    this.#retries += 1;
  }

  onFailure(nowMs: number): void {
    if (nowMs - this.#startMs >= RETRY_BUDGET_WINDOW_MS) this.#roll(nowMs);
    this.#failures += 1;
  }

  /** May one more retry be sent there? Asking costs nothing. */
  allows(nowMs: number, ratio: number, floor: number): boolean {
    if (nowMs - this.#startMs >= RETRY_BUDGET_WINDOW_MS) this.#roll(nowMs);
    if (this.#failures + this.#lastFailures === 0) return true;
    const left = 1 - (nowMs - this.#startMs) / RETRY_BUDGET_WINDOW_MS;
    const requests = this.#requests + this.#lastRequests * left;
    const retries = this.#retries + this.#lastRetries * left;
    return retries + 1 <= floor + ratio * requests;
  }

  #roll(nowMs: number): void {
    const isNext = nowMs - this.#startMs < 2 * RETRY_BUDGET_WINDOW_MS;
    this.#lastRequests = isNext ? this.#requests : 0;
    this.#lastRetries = isNext ? this.#retries : 0;
    this.#lastFailures = isNext ? this.#failures : 0;
    this.#startMs = isNext ? this.#startMs + RETRY_BUDGET_WINDOW_MS : nowMs;
    this.#requests = 0;
    this.#retries = 0;
    this.#failures = 0;
  }
}
