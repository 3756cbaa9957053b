/** So many keys that turn out not to exist may one client address have looked up per window. */
const MAX_UNKNOWN = 100;
const WINDOW_MS = 10_000;
/** Bounds the table: 1 MB at most. An attacker with more addresses than this starts a new window. */
const MAX_ADDRESSES = 10_000;

/**
 * Keeps a client that guesses keys from occupying the control plane. Only look-ups that found nothing count: after a
 * restart thousands of good keys may be asked for from behind one proxy's address.
 */
export class LookupLimiter {
  readonly #unknown = new Map<string, number>();
  #endsMs = 0;

  /** @returns seconds until `address` may have keys looked up again; 0 = now. */
  waitSeconds(address: string, nowMs: number): number {
    if (nowMs >= this.#endsMs) this.#unknown.clear();
    const count = this.#unknown.get(address);
    return count === undefined || count < MAX_UNKNOWN ? 0 : Math.ceil((this.#endsMs - nowMs) / 1000);
  }

  countUnknown(address: string, nowMs: number): void {
    if (nowMs >= this.#endsMs || this.#unknown.size >= MAX_ADDRESSES) this.#unknown.clear();
    if (this.#unknown.size === 0) this.#endsMs = nowMs + WINDOW_MS;
    this.#unknown.set(address, (this.#unknown.get(address) ?? 0) + 1);
  }
}
