import type { Bytes } from '../base/bytes.ts';
import { CR, LF, QUESTION_MARK, SP, TARGET_PATH, TARGET_QUERY, TOKEN_LOWER } from './byte-class.ts';
import { FieldSectionParser } from './field-section-parser.ts';
import { isVersionByte, minorVersion, VERSION_LENGTH, versionFault } from './http-version.ts';
import { MAX_METHOD_BYTES } from './limits.ts';
import type { RefusalRule } from './refusals.ts';
import { ScanResult, type SectionScanner } from './section-reader.ts';

/**
 * A request head: `method SP request-target SP HTTP-version CRLF` (RFC 9112 §3), with exactly one space in each place,
 * then the field lines. Leaves offsets into the bytes scanned last; judges each byte, not yet what they mean.
 */
export class RequestHeadScanner implements SectionScanner {
  readonly fields: FieldSectionParser;
  refusal: RefusalRule | null = null;
  lineStart: number = 0;
  start: number = 0;
  /** Behind the empty line, once the head is complete. */
  end: number = 0;
  methodEnd: number = 0;
  targetStart: number = 0;
  /** Before the first `?` of the target, or its end. */
  pathEnd: number = 0;
  targetEnd: number = 0;
  minor: 0 | 1 = 1;
  #hasRequestLine: boolean = false;

  constructor(maxHeaders: number) {
    this.fields = new FieldSectionParser(maxHeaders);
  }

  begin(): void {
    this.refusal = null;
    this.#hasRequestLine = false;
    this.fields.begin();
  }

  scan(bytes: Bytes, at: number, end: number): number {
    let fieldsStart = at;
    if (!this.#hasRequestLine) {
      this.lineStart = at;
      fieldsStart = this.#scanRequestLine(bytes, at, end);
      if (fieldsStart < 0) return fieldsStart;
      this.#hasRequestLine = true;
    }
    const position = this.fields.scan(bytes, fieldsStart, end);
    if (position === ScanResult.Refused) this.refusal = this.fields.refusal;
    this.lineStart = this.fields.lineStart;
    this.end = position;
    return position;
  }

  moveTo(bytes: Bytes, shift: number): void {
    this.lineStart += shift;
    this.start += shift;
    this.methodEnd += shift;
    this.targetStart += shift;
    this.pathEnd += shift;
    this.targetEnd += shift;
    this.fields.moveTo(bytes, shift);
  }

  refuseOutgrown(): void {
    this.refusal = this.#hasRequestLine ? 'head_too_large' : 'target_too_long';
  }

  #scanRequestLine(bytes: Bytes, at: number, end: number): number {
    let i = at;
    while (i < end && TOKEN_LOWER[bytes[i]!] !== 0) i++;
    if (i - at > MAX_METHOD_BYTES) return this.#refuse('method_too_long');
    if (i === end) return ScanResult.Incomplete;
    if (bytes[i] !== SP || i === at) return this.#refuse(bytes[i] === LF ? 'bare_lf' : 'bad_method');
    this.start = at;
    this.methodEnd = i++;

    this.targetStart = i;
    while (i < end && TARGET_PATH[bytes[i]!] !== 0) i++;
    this.pathEnd = i;
    if (i < end && bytes[i] === QUESTION_MARK) while (i < end && TARGET_QUERY[bytes[i]!] !== 0) i++;
    if (i === end) return ScanResult.Incomplete;
    if (bytes[i] !== SP || i === this.targetStart) return this.#refuse(targetRule(bytes[i]!));
    this.targetEnd = i++;

    const versionStart = i;
    const versionEnd = versionStart + VERSION_LENGTH;
    while (i < end && i < versionEnd && isVersionByte(bytes[i]!)) i++;
    if (i === end) return ScanResult.Incomplete;
    if (i < versionEnd) return this.#refuse(bytes[i] === LF ? 'bare_lf' : 'bad_version');
    const fault = versionFault(bytes, versionStart);
    if (fault !== null) return this.#refuse(fault);
    this.minor = minorVersion(bytes, versionStart);

    if (bytes[i] !== CR) return this.#refuse(bytes[i] === LF ? 'bare_lf' : 'bad_version');
    i++;
    if (i === end) return ScanResult.Incomplete;
    return bytes[i] === LF ? i + 1 : this.#refuse('bare_cr');
  }

  #refuse(rule: RefusalRule): number {
    this.refusal = rule;
    return ScanResult.Refused;
  }
}

/** `GET /\r\n` is the line of HTTP/0.9: it lacks a version rather than holding a bad character. */
function targetRule(byte: number): RefusalRule {
  if (byte === LF) return 'bare_lf';
  return byte === CR ? 'bad_version' : 'bad_target';
}
