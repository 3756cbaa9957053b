import { digestOf } from './key-store.ts';

/**
 * The digest of the key that a connection used last. Nearly every connection uses one for life, and comparing its text costs
 * 20 ns where hashing it again costs 500. Whether the key is still good is looked up for each request all the same.
 */
export class LastKey {
  #text: string | null = null;
  #digest = '';

  digestOf(text: string): string {
    if (text !== this.#text) {
      this.#digest = digestOf(text);
      this.#text = text;
    }
    return this.#digest;
  }
}
