import type { Bytes } from '../base/bytes.ts';
import { CR, FIELD_VALUE, isDigit, LF, SP } from './byte-class.ts';
import { FieldSectionParser } from './field-section-parser.ts';
import { isVersionByte, minorVersion, VERSION_LENGTH, versionFault } from './http-version.ts';
import type { RefusalRule } from './refusals.ts';
import { ScanResult, type SectionScanner } from './section-reader.ts';

/** Bytes of ` 200`. */
const STATUS_LENGTH = 4;
const MIN_STATUS = 100;
const MAX_STATUS = 599;

/**
 * A response head: `HTTP-version SP status-code SP [ reason-phrase ] CRLF` (RFC 9112 §4), then the field lines. A line
 * that ends behind the status code, without the space, is accepted: servers send it, and it can mean only one thing.
 */
export class ResponseHeadScanner implements SectionScanner {
  readonly fields: FieldSectionParser;
  refusal: RefusalRule | null = null;
  lineStart: number = 0;
  status: number = 0;
  minor: 0 | 1 = 1;
  #hasStatusLine: boolean = false;

  constructor(maxHeaders: number) {
    this.fields = new FieldSectionParser(maxHeaders);
  }

  begin(): void {
    this.refusal = null;
    this.#hasStatusLine = false;
    this.fields.begin();
  }

  scan(bytes: Bytes, at: number, end: number): number {
    let fieldsStart = at;
    if (!this.#hasStatusLine) {
      this.lineStart = at;
      fieldsStart = this.#scanStatusLine(bytes, at, end);
      if (fieldsStart < 0) return fieldsStart;
      this.#hasStatusLine = true;
    }
    const position = this.fields.scan(bytes, fieldsStart, end);
    if (position === ScanResult.Refused) this.refusal = this.fields.refusal;
    this.lineStart = this.fields.lineStart;
    return position;
  }

  moveTo(bytes: Bytes, shift: number): void {
    this.lineStart += shift;
    this.fields.moveTo(bytes, shift);
  }

  refuseOutgrown(): void {
    this.refusal = 'head_too_large';
  }

  #scanStatusLine(bytes: Bytes, at: number, end: number): number {
    let i = at;
    const versionEnd = at + VERSION_LENGTH;
    while (i < end && i < versionEnd && isVersionByte(bytes[i]!)) i++;
    if (i === end) return ScanResult.Incomplete;
    if (i < versionEnd) return this.#refuse(bytes[i] === LF ? 'bare_lf' : 'bad_version');
    const fault = versionFault(bytes, at);
    if (fault !== null) return this.#refuse(fault);
    this.minor = minorVersion(bytes, at);

    const statusEnd = versionEnd + STATUS_LENGTH;
    if (bytes[i] !== SP) return this.#refuse(bytes[i] === LF ? 'bare_lf' : 'bad_status_line');
    i++;
    this.status = 0;
    for (; i < end && i < statusEnd && isDigit(bytes[i]!); i++) this.status = this.status * 10 + (bytes[i]! - 0x30);
    if (i === end) return ScanResult.Incomplete;
    const isStatus = i === statusEnd && this.status >= MIN_STATUS && this.status <= MAX_STATUS;
    if (!isStatus || (bytes[i] !== SP && bytes[i] !== CR)) {
      return this.#refuse(bytes[i] === LF ? 'bare_lf' : 'bad_status_line');
    }

    while (i < end && FIELD_VALUE[bytes[i]!] !== 0) i++;
    if (i === end) return ScanResult.Incomplete;
    if (bytes[i] !== CR) return this.#refuse(bytes[i] === LF ? 'bare_lf' : 'bad_status_line');
    i++;
    if (i === end) return ScanResult.Incomplete;
    return bytes[i] === LF ? i + 1 : this.#refuse('bare_cr');
  }

  #refuse(rule: RefusalRule): number {
    this.refusal = rule;
    return ScanResult.Refused;
  }
}
