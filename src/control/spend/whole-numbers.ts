const COMMA = 0x2c;
const MINUS = 0x2d;
const ZERO = 0x30;

/** Reads `12,-3,4` number by number: a hundred thousand of them without a text made for each. */
export class WholeNumbers {
  readonly #text: string;
  #at = 0;

  constructor(text: string) {
    this.#text = text;
  }

  get hasMore(): boolean {
    return this.#at < this.#text.length;
  }

  /** The next one, exactly: a bigint where a number could not be. 0 behind the last. */
  next(): number | bigint {
    const text = this.#text;
    const from = this.#at;
    const isNegative = text.charCodeAt(from) === MINUS;
    let at = isNegative ? from + 1 : from;
    let value = 0;
    for (; at < text.length; at += 1) {
      const code = text.charCodeAt(at);
      if (code === COMMA) break;
      value = value * 10 + (code - ZERO);
    }
    this.#at = at + 1;
    if (value > Number.MAX_SAFE_INTEGER) return BigInt(text.slice(from, at));
    return isNegative ? -value : value;
  }
}
