import { closeSync, openSync, writeSync } from 'node:fs';

/** One JSON line per request, in one write for all that end in the same turn of the loop. */
export class RequestLog {
  readonly #descriptor: number;
  #lines = '';
  #isScheduled = false;

  /** @throws when the file cannot be opened. */
  constructor(file: string) {
    this.#descriptor = openSync(file, 'a', 0o600);
  }

  add(line: object): void {
    this.#lines += `${JSON.stringify(line)}\n`;
    if (this.#isScheduled) return;
    this.#isScheduled = true;
    setImmediate(() => this.#flush());
  }

  close(): void {
    this.#flush();
    closeSync(this.#descriptor);
  }

  #flush(): void {
    this.#isScheduled = false;
    if (this.#lines === '') return;
    const lines = this.#lines;
    this.#lines = '';
    writeSync(this.#descriptor, lines);
  }
}
