/** Undoes, in reverse order and once, what a command has started: at its end and when it is told to stop. */
export class Cleanup {
  readonly #steps: (() => Promise<void> | void)[] = [];
  #isStopping = false;
  readonly #stop = (signal: NodeJS.Signals): void => {
    this.#isStopping = true;
    void this.run().then(() => process.exit(signal === 'SIGINT' ? 130 : 143));
  };

  constructor() {
    process.on('SIGINT', this.#stop);
    process.on('SIGTERM', this.#stop);
  }

  /** A signal has come: what fails from now on fails because of that. */
  get isStopping(): boolean {
    return this.#isStopping;
  }

  /** To be called in the same turn of the loop in which the thing is started. */
  add(step: () => Promise<void> | void): void {
    this.#steps.push(step);
    // The command has not noticed yet that it is being stopped.
    if (this.#isStopping) void this.run();
  }

  async run(): Promise<void> {
    for (let step = this.#steps.pop(); step !== undefined; step = this.#steps.pop()) await step();
    if (this.#isStopping) return;
    process.off('SIGINT', this.#stop);
    process.off('SIGTERM', this.#stop);
  }
}
