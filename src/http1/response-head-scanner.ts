import type { Bytes } from '../base/bytes.ts';
import { CR, FIELD_VALUE, isDigit, LF, SP } from './byte-class.ts';
import { FieldSectionParser } from './field-section-parser.ts';
import { isVersionByte, minorVersion, VERSION_LENGTH, versionFault } from './http-version.ts';
import type { RefusalRule } from './refusals.ts';
import { ScanResult, type SectionScanner } from './section-reader.ts';

/** Where in the head the next byte stands, in the order a head goes through them. */
const Place = { Start: 0, Version: 1, Space: 2, Status: 3, Reason: 4, LineFeed: 5, Fields: 6 } as const;
type Place = (typeof Place)[keyof typeof Place];

const STATUS_DIGITS = 3;
const MIN_STATUS = 100;
const MAX_STATUS = 599;

/**
 * A response head: `HTTP-version SP status-code SP [ reason-phrase ] CRLF` (RFC 9112 §4), then the field lines. A line
 * that ends behind the status code, without the space, is accepted: servers send it, and it can mean only one thing.
 */
export class ResponseHeadScanner implements SectionScanner {
  readonly fields: FieldSectionParser;
  refusal: RefusalRule | null = null;
  status: number = 0;
  minor: 0 | 1 = 1;
  #place: Place = Place.Start;
  #versionStart: number = 0;
  #statusDigits: number = 0;

  constructor(maxHeaders: number) {
    this.fields = new FieldSectionParser(maxHeaders);
  }

  begin(): void {
    this.refusal = null;
    this.status = 0;
    this.#place = Place.Start;
    this.#statusDigits = 0;
    this.fields.begin();
  }

  scan(bytes: Bytes, at: number, end: number): number {
    let position = at;
    if (this.#place !== Place.Fields) {
      position = this.#scanLine(bytes, at, end);
      if (position < 0) return position;
    }
    position = this.fields.scan(bytes, position, end);
    if (position === ScanResult.Refused) this.refusal = this.fields.refusal;
    return position;
  }

  moveTo(bytes: Bytes, shift: number): void {
    this.#versionStart += shift;
    this.fields.moveTo(bytes, shift);
  }

  outgrown(): RefusalRule {
    return 'head_too_large';
  }

  /** Each `if` leads into the next one unless the input ends there. */
  #scanLine(bytes: Bytes, at: number, end: number): number {
    let i = at;
    if (this.#place === Place.Start) {
      this.#versionStart = i;
      this.#place = Place.Version;
    }
    if (this.#place === Place.Version) {
      const versionEnd = this.#versionStart + VERSION_LENGTH;
      while (i < end && i < versionEnd && isVersionByte(bytes[i]!)) i++;
      if (i !== versionEnd) {
        return i === end ? ScanResult.Incomplete : this.#refuse(bytes[i] === LF ? 'bare_lf' : 'bad_version');
      }
      const fault = versionFault(bytes, this.#versionStart);
      if (fault !== null) return this.#refuse(fault);
      this.minor = minorVersion(bytes, this.#versionStart);
      this.#place = Place.Space;
    }
    if (i === end) return ScanResult.Incomplete;
    if (this.#place === Place.Space) {
      if (bytes[i] !== SP) return this.#refuse('bad_status_line');
      i++;
      this.#place = Place.Status;
    }
    if (this.#place === Place.Status) {
      for (; i < end && isDigit(bytes[i]!) && this.#statusDigits < STATUS_DIGITS; i++) {
        this.status = this.status * 10 + (bytes[i]! - 0x30);
        this.#statusDigits++;
      }
      if (i === end) return ScanResult.Incomplete;
      const isStatus = this.#statusDigits === STATUS_DIGITS && this.status >= MIN_STATUS && this.status <= MAX_STATUS;
      if (!isStatus) return this.#refuse('bad_status_line');
      if (bytes[i] !== SP && bytes[i] !== CR) return this.#refuse(bytes[i] === LF ? 'bare_lf' : 'bad_status_line');
      this.#place = Place.Reason;
    }
    if (this.#place === Place.Reason) {
      while (i < end && FIELD_VALUE[bytes[i]!] !== 0) i++;
      if (i === end) return ScanResult.Incomplete;
      if (bytes[i] !== CR) return this.#refuse(bytes[i] === LF ? 'bare_lf' : 'bad_status_line');
      i++;
      this.#place = Place.LineFeed;
    }
    if (i === end) return ScanResult.Incomplete;
    if (bytes[i] !== LF) return this.#refuse('bare_cr');
    this.#place = Place.Fields;
    return i + 1;
  }

  #refuse(rule: RefusalRule): number {
    this.refusal = rule;
    return ScanResult.Refused;
  }
}
