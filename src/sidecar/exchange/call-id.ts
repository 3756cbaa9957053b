import { randomBytes } from 'node:crypto';

/**
 * Makes ids in the form of UUID version 7 (RFC 9562 §5.7): unique, sorting by time. Random bits are drawn once per
 * worker, a counter makes them unique within it: ids name requests, they are not secrets, and this costs no system call.
 */
export class CallIds {
  readonly #random: string;
  #millisecond = -1;
  #prefix = '';
  #counter = 0;

  constructor() {
    // 12 + 28 random bits: variant group, then the first seven digits of the node field.
    const hex = randomBytes(5).toString('hex');
    const variant = (8 + (Number.parseInt(hex[0]!, 16) & 3)).toString(16);
    this.#random = `-${variant}${hex.slice(1, 4)}-${hex.slice(3, 10)}`;
  }

  next(unixMs: number): string {
    if (unixMs !== this.#millisecond) {
      this.#millisecond = unixMs;
      const hex = unixMs.toString(16).padStart(12, '0');
      this.#prefix = `${hex.slice(0, 8)}-${hex.slice(8)}-7`;
    }
    // 32 bits of counter: 12 in the third group, so that ids of one millisecond sort, 20 at the end.
    this.#counter = (this.#counter + 1) >>> 0;
    const digits = (this.#counter + 0x1_0000_0000).toString(16);
    return this.#prefix + digits.slice(1, 4) + this.#random + digits.slice(4);
  }
}
