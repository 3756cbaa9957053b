/** Work of about a quarter of a millisecond. */
const STEPS = 8;
/** Long enough that whoever waits for this CPU gets it; the kernel would give it back at the end of a slice of 1 to 3 ms. */
const PAUSE_MS = 0.1;

const NEVER = new Int32Array(new SharedArrayBuffer(Int32Array.BYTES_PER_ELEMENT));

/** Has a thread stand aside every few steps of its work, so that no request waits for the whole of it where CPUs are few. */
export class Breather {
  readonly #isOn: boolean;
  #left = STEPS;

  constructor(isOn: boolean) {
    this.#isOn = isOn;
  }

  /** A step is done: a line parsed, a row written. */
  step(): void {
    if (!this.#isOn) return;
    this.#left -= 1;
    if (this.#left > 0) return;
    this.#left = STEPS;
    Atomics.wait(NEVER, 0, 0, PAUSE_MS);
  }
}
