/** Stand in for the nonce and for the clock while a reply is built; `JSON.stringify` gives them as written here. */
export const NONCE = '\u0001';
export const CLOCK = '\u0002';

const NONCE_IN_JSON = '\\u0001';
/** The clock is a JSON number, so its quotes go too. */
const CLOCK_IN_JSON = '"\\u0002"';

/** Fixed width, so that each frame of a stream has the same length in every run. JSON allows the spaces before. */
const CLOCK_WIDTH = 20;

/**
 * A reply, or one frame of a stream, made once and filled in per request: the nonce wherever it appears and, at most
 * once, the clock. All its text is ASCII, so its length in characters is its length in bytes.
 */
export class ReplyTemplate {
  /** Text around the nonces, before the clock; after the clock. */
  readonly #before: readonly string[];
  readonly #after: readonly string[] | null;
  readonly #fixedBytes: number;
  readonly #nonceCount: number;

  /** @param json text from `asciiJson`, with whatever framing around it. */
  constructor(json: string) {
    const [before = '', after] = json.split(CLOCK_IN_JSON);
    this.#before = before.split(NONCE_IN_JSON);
    this.#after = after === undefined ? null : after.split(NONCE_IN_JSON);
    this.#nonceCount = this.#before.length - 1 + (this.#after === null ? 0 : this.#after.length - 1);
    let fixed = 0;
    for (const piece of this.#before) fixed += piece.length;
    for (const piece of this.#after ?? []) fixed += piece.length;
    this.#fixedBytes = fixed + (this.#after === null ? 0 : CLOCK_WIDTH);
  }

  byteLength(nonce: string): number {
    return this.#fixedBytes + this.#nonceCount * nonce.length;
  }

  render(nonce: string): string {
    const before = this.#before.length === 1 ? (this.#before[0] ?? '') : this.#before.join(nonce);
    if (this.#after === null) return before;
    const after = this.#after.length === 1 ? (this.#after[0] ?? '') : this.#after.join(nonce);
    return before + String(process.hrtime.bigint()).padStart(CLOCK_WIDTH) + after;
  }
}

/** JSON with everything beyond ASCII escaped. */
export function asciiJson(value: unknown): string {
  return JSON.stringify(value).replace(
    /[\u007f-\uffff]/g,
    (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`,
  );
}
