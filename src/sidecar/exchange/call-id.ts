import { randomBytes } from 'node:crypto';

/** All numbers of two and of three hexadecimal digits: a look-up is cheaper than to write one. */
const HEX_2: readonly string[] = Array.from({ length: 256 }, (_, number) => number.toString(16).padStart(2, '0'));
const HEX_3: readonly string[] = Array.from({ length: 4096 }, (_, number) => number.toString(16).padStart(3, '0'));

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
    const counter = this.#counter;
    return this.#prefix + HEX_3[counter >>> 20] + this.#random + HEX_3[(counter >>> 8) & 0xfff] + HEX_2[counter & 0xff];
  }
}
