/** Undoes, in reverse order and once, what a command has started: at its end and when it is told to stop. */
export class Cleanup {
  readonly #steps: (() => Promise<void> | void)[] = [];
  readonly #stop = (signal: NodeJS.Signals): void => {
    void this.run().then(() => process.exit(signal === 'SIGINT' ? 130 : 143));
  };

  constructor() {
    process.once('SIGINT', this.#stop);
    process.once('SIGTERM', this.#stop);
  }

  add(step: () => Promise<void> | void): void {
    this.#steps.push(step);
  }

  async run(): Promise<void> {
    for (let step = this.#steps.pop(); step !== undefined; step = this.#steps.pop()) await step();
    process.off('SIGINT', this.#stop);
    process.off('SIGTERM', this.#stop);
  }
}
