import type { Bytes } from '../base/bytes.ts';
import { COLON, CR, FIELD_VALUE, HTAB, LF, SP, TOKEN_LOWER } from './byte-class.ts';
import { HeaderTable } from './header-table.ts';
import type { RefusalRule } from './refusals.ts';
import { ScanResult, type SectionScanner } from './section-reader.ts';

/** Where in a field line the next byte stands, in the order a line goes through them. */
const Place = { LineStart: 0, Name: 1, Padding: 2, Value: 3, LineFeed: 4, LastLineFeed: 5 } as const;
type Place = (typeof Place)[keyof typeof Place];

/**
 * Field lines up to and including the empty line that ends them (RFC 9112 §5): of a request head, a response head or a
 * trailer section. Each byte is looked at once, wherever the input is split.
 */
export class FieldSectionParser implements SectionScanner {
  readonly table: HeaderTable = new HeaderTable();
  refusal: RefusalRule | null = null;
  readonly #maxLines: number;
  #place: Place = Place.LineStart;
  #nameStart: number = 0;
  #nameEnd: number = 0;
  #valueStart: number = 0;
  #valueEnd: number = 0;

  constructor(maxLines: number) {
    this.#maxLines = maxLines;
  }

  /** Before each section. */
  begin(): void {
    this.table.clear();
    this.refusal = null;
    this.#place = Place.LineStart;
  }

  scan(bytes: Bytes, at: number, end: number): number {
    let place = this.#place;
    let nameStart = this.#nameStart;
    let nameEnd = this.#nameEnd;
    let valueStart = this.#valueStart;
    let valueEnd = this.#valueEnd;
    let i = at;
    this.table.bytes = bytes;

    // One turn per line; each `if` leads into the next one unless the input ends there.
    while (i < end) {
      if (place === Place.LineStart) {
        const byte = bytes[i]!;
        if (byte === CR) {
          place = Place.LastLineFeed;
          i++;
        } else if (byte === SP || byte === HTAB) {
          return this.#refuse('folded_line');
        } else {
          nameStart = i;
          place = Place.Name;
        }
      }
      if (place === Place.Name) {
        while (i < end && TOKEN_LOWER[bytes[i]!] !== 0) i++;
        if (i === end) break;
        if (bytes[i] !== COLON || i === nameStart) return this.#refuse(badNameRule(bytes[i]!));
        nameEnd = i++;
        place = Place.Padding;
      }
      if (place === Place.Padding) {
        while (i < end && (bytes[i] === SP || bytes[i] === HTAB)) i++;
        if (i === end) break;
        valueStart = i;
        place = Place.Value;
      }
      if (place === Place.Value) {
        while (i < end && FIELD_VALUE[bytes[i]!] !== 0) i++;
        if (i === end) break;
        if (bytes[i] !== CR) return this.#refuse(bytes[i] === LF ? 'bare_lf' : 'bad_header_value');
        valueEnd = i++;
        while (valueEnd > valueStart && (bytes[valueEnd - 1] === SP || bytes[valueEnd - 1] === HTAB)) valueEnd--;
        place = Place.LineFeed;
      }
      if (i === end) break;
      if (bytes[i] !== LF) return this.#refuse('bare_cr');
      i++;
      if (place === Place.LastLineFeed) return i;
      if (this.table.count === this.#maxLines) return this.#refuse('too_many_headers');
      this.table.add(nameStart, nameEnd, valueStart, valueEnd, i);
      place = Place.LineStart;
    }

    this.#place = place;
    this.#nameStart = nameStart;
    this.#nameEnd = nameEnd;
    this.#valueStart = valueStart;
    this.#valueEnd = valueEnd;
    return ScanResult.Incomplete;
  }

  moveTo(bytes: Bytes, shift: number): void {
    this.table.moveTo(bytes, shift);
    this.#nameStart += shift;
    this.#nameEnd += shift;
    this.#valueStart += shift;
    this.#valueEnd += shift;
  }

  outgrown(): RefusalRule {
    return 'head_too_large';
  }

  #refuse(rule: RefusalRule): number {
    this.refusal = rule;
    return ScanResult.Refused;
  }
}

function badNameRule(byte: number): RefusalRule {
  return byte === LF ? 'bare_lf' : 'bad_header_name';
}
