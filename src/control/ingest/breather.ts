/** Between two looks at the clock. */
const STEPS = 4;
const WORK_MS = 0.25;
/** Long enough that whoever waits for this CPU gets it; the kernel would give it back at the end of a slice of 1 to 3 ms. */
const PAUSE_MS = 0.1;

const NEVER = new Int32Array(new SharedArrayBuffer(Int32Array.BYTES_PER_ELEMENT));

/** Has a thread stand aside every now and then, so that no request waits for the whole of its work where CPUs are few. */
export class Breather {
  readonly #isOn: boolean;
  #left = STEPS;
  #sinceMs = performance.now();

  constructor(isOn: boolean) {
    this.#isOn = isOn;
  }

  /** A step is done, some microseconds of work: a line parsed, a row written. */
  step(): void {
    if (!this.#isOn) return;
    this.#left -= 1;
    if (this.#left > 0) return;
    this.#left = STEPS;
    if (performance.now() - this.#sinceMs < WORK_MS) return;
    Atomics.wait(NEVER, 0, 0, PAUSE_MS);
    this.#sinceMs = performance.now();
  }
}
