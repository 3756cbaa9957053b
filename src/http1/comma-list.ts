import { COMMA, isWhitespace } from './byte-class.ts';
import { equalsIgnoringCase, type HeaderTable } from './header-table.ts';

/** Walks over the elements of a list-valued header line (RFC 9110 §5.6.1): empty ones are skipped, whitespace is not theirs. */
export class CommaList {
  /** Elements met so far. */
  count: number = 0;
  readonly #headers: HeaderTable;
  readonly #end: number;
  #at: number;
  #elementStart: number = 0;
  #elementEnd: number = 0;

  constructor(headers: HeaderTable, index: number) {
    this.#headers = headers;
    this.#at = headers.valueStart(index);
    this.#end = headers.valueEnd(index);
  }

  /** Steps to the next element; false when there is none. */
  next(): boolean {
    const { bytes } = this.#headers;
    while (this.#at < this.#end) {
      let start = this.#at;
      let end = start;
      while (end < this.#end && bytes[end] !== COMMA) end++;
      this.#at = end + 1;
      while (start < end && isWhitespace(bytes[start]!)) start++;
      while (end > start && isWhitespace(bytes[end - 1]!)) end--;
      if (start < end) {
        this.#elementStart = start;
        this.#elementEnd = end;
        this.count++;
        return true;
      }
    }
    return false;
  }

  elementEquals(lowerCaseText: string): boolean {
    return equalsIgnoringCase(this.#headers.bytes, this.#elementStart, this.#elementEnd, lowerCaseText);
  }
}
