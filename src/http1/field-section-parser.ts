import type { Bytes } from '../base/bytes.ts';
import { COLON, CR, FIELD_VALUE, isWhitespace, LF, TOKEN_LOWER } from './byte-class.ts';
import { HeaderTable } from './header-table.ts';
import type { RefusalRule } from './refusals.ts';
import { ScanResult, type SectionScanner } from './section-reader.ts';

/**
 * Field lines up to and including the empty line that ends them (RFC 9112 §5): of a request head, a response head or a
 * trailer section.
 */
export class FieldSectionParser implements SectionScanner {
  readonly table: HeaderTable = new HeaderTable();
  refusal: RefusalRule | null = null;
  lineStart: number = 0;
  readonly #maxLines: number;

  constructor(maxLines: number) {
    this.#maxLines = maxLines;
  }

  /** Before each section. */
  begin(): void {
    this.table.clear();
    this.refusal = null;
  }

  scan(bytes: Bytes, at: number, end: number): number {
    const { table } = this;
    table.bytes = bytes;
    let lineStart = at;
    let i = at;
    for (;;) {
      if (i === end) return this.#incomplete(lineStart);
      if (bytes[i] === CR) return this.#endSection(bytes, lineStart, end);

      while (i < end && TOKEN_LOWER[bytes[i]!] !== 0) i++;
      if (i === end) return this.#incomplete(lineStart);
      if (bytes[i] !== COLON || i === lineStart) return this.#refuseName(bytes[i]!, i === lineStart);
      const nameEnd = i++;

      while (i < end && isWhitespace(bytes[i]!)) i++;
      const valueStart = i;
      while (i < end && FIELD_VALUE[bytes[i]!] !== 0) i++;
      if (i === end) return this.#incomplete(lineStart);
      if (bytes[i] !== CR) return this.#refuse(bytes[i] === LF ? 'bare_lf' : 'bad_header_value');
      let valueEnd = i++;
      while (valueEnd > valueStart && isWhitespace(bytes[valueEnd - 1]!)) valueEnd--;

      if (i === end) return this.#incomplete(lineStart);
      if (bytes[i] !== LF) return this.#refuse('bare_cr');
      i++;
      if (table.count === this.#maxLines) return this.#refuse('too_many_headers');
      table.add(lineStart, nameEnd, valueStart, valueEnd, i);
      lineStart = i;
    }
  }

  moveTo(bytes: Bytes, shift: number): void {
    this.table.moveTo(bytes, shift);
    this.lineStart += shift;
  }

  refuseOutgrown(): void {
    this.refusal = 'head_too_large';
  }

  /** `at` has a CR: the empty line. */
  #endSection(bytes: Bytes, at: number, end: number): number {
    if (at + 1 === end) return this.#incomplete(at);
    return bytes[at + 1] === LF ? at + 2 : this.#refuse('bare_cr');
  }

  #incomplete(lineStart: number): number {
    this.lineStart = lineStart;
    return ScanResult.Incomplete;
  }

  #refuseName(byte: number, isFirst: boolean): number {
    if (byte === LF) return this.#refuse('bare_lf');
    return this.#refuse(isFirst && isWhitespace(byte) ? 'folded_line' : 'bad_header_name');
  }

  #refuse(rule: RefusalRule): number {
    this.refusal = rule;
    return ScanResult.Refused;
  }
}
