/** A process that lived this long has recovered from what it died of before. */
const STEADY_AFTER_MS = 30_000;
const FIRST_DELAY_MS = 100;
const MAX_DELAY_MS = 10_000;
/** Deaths in a row after which a process that never served is taken to be unable to. */
const MAX_FAILED_STARTS = 3;
/** Deaths in a row after which the whole service ends, for its own supervisor (systemd, Kubernetes) to see. */
const MAX_DEATHS = 10;

export type RestartDecision = { readonly restart: true; readonly delayMs: number } | { readonly restart: false };

/**
 * When a child that died is started again: the first time at once, then after 0.1 s, 0.2 s, … 10 s. A sidecar gives up
 * after 10 deaths in a row; a control plane that has served before never does, since traffic flows without it.
 */
export class RestartPolicy {
  readonly #isEssential: boolean;
  #deaths: number;
  #hasServed: boolean;

  constructor(isEssential: boolean) {
    this.#isEssential = isEssential;
    this.#deaths = 0;
    this.#hasServed = false;
  }

  onReady(): void {
    this.#hasServed = true;
  }

  onDeath(livedMs: number): RestartDecision {
    if (livedMs >= STEADY_AFTER_MS) this.#deaths = 0;
    this.#deaths++;
    if (!this.#hasServed && this.#deaths >= MAX_FAILED_STARTS) return { restart: false };
    if (this.#isEssential && this.#deaths >= MAX_DEATHS) return { restart: false };
    const delayMs = this.#deaths === 1 ? 0 : Math.min(FIRST_DELAY_MS * 2 ** (this.#deaths - 2), MAX_DELAY_MS);
    return { restart: true, delayMs };
  }
}
