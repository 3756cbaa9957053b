import type { Bytes } from '../base/bytes.ts';
import { CR, LF, QUESTION_MARK, SP, TARGET_PATH, TARGET_QUERY, TOKEN_LOWER } from './byte-class.ts';
import { FieldSectionParser } from './field-section-parser.ts';
import { isVersionByte, minorVersion, VERSION_LENGTH, versionFault } from './http-version.ts';
import type { RefusalRule } from './refusals.ts';
import { ScanResult, type SectionScanner } from './section-reader.ts';

/** Where in the head the next byte stands, in the order a head goes through them. */
const Place = { Start: 0, Method: 1, Path: 2, Query: 3, Version: 4, Return: 5, LineFeed: 6, Fields: 7 } as const;
type Place = (typeof Place)[keyof typeof Place];

/** Longer than any registered method (UPDATEREDIRECTREF has 17). */
const MAX_METHOD_BYTES = 24;

/**
 * A request head: `method SP request-target SP HTTP-version CRLF` (RFC 9112 §3), with exactly one space in each place,
 * then the field lines. Leaves offsets into the bytes scanned last; judges each byte, not yet what they mean.
 */
export class RequestHeadScanner implements SectionScanner {
  readonly fields: FieldSectionParser;
  refusal: RefusalRule | null = null;
  start: number = 0;
  /** Behind the empty line, once the head is complete. */
  end: number = 0;
  methodEnd: number = 0;
  targetStart: number = 0;
  /** Before the first `?` of the target, or its end. */
  pathEnd: number = 0;
  targetEnd: number = 0;
  minor: 0 | 1 = 1;
  #versionStart: number = 0;
  #place: Place = Place.Start;

  constructor(maxHeaders: number) {
    this.fields = new FieldSectionParser(maxHeaders);
  }

  begin(): void {
    this.refusal = null;
    this.#place = Place.Start;
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
    this.end = position;
    return position;
  }

  moveTo(bytes: Bytes, shift: number): void {
    this.start += shift;
    this.methodEnd += shift;
    this.targetStart += shift;
    this.pathEnd += shift;
    this.targetEnd += shift;
    this.#versionStart += shift;
    this.fields.moveTo(bytes, shift);
  }

  outgrown(): RefusalRule {
    const isInTarget = this.#place === Place.Path || this.#place === Place.Query;
    return isInTarget ? 'target_too_long' : 'head_too_large';
  }

  /** Each `if` leads into the next one unless the input ends there. */
  #scanLine(bytes: Bytes, at: number, end: number): number {
    let i = at;
    if (this.#place === Place.Start) {
      this.start = i;
      this.#place = Place.Method;
    }
    if (this.#place === Place.Method) {
      while (i < end && TOKEN_LOWER[bytes[i]!] !== 0) i++;
      if (i - this.start > MAX_METHOD_BYTES) return this.#refuse('method_too_long');
      if (i === end) return ScanResult.Incomplete;
      if (bytes[i] !== SP || i === this.start) return this.#refuse(bytes[i] === LF ? 'bare_lf' : 'bad_method');
      this.methodEnd = i++;
      this.targetStart = i;
      this.#place = Place.Path;
    }
    if (this.#place === Place.Path) {
      while (i < end && TARGET_PATH[bytes[i]!] !== 0) i++;
      if (i === end) return ScanResult.Incomplete;
      this.pathEnd = i;
      if (bytes[i] === QUESTION_MARK) {
        this.#place = Place.Query;
        i++;
      } else {
        if (bytes[i] !== SP || i === this.targetStart) return this.#refuse(targetRule(bytes[i]!));
        this.targetEnd = i++;
        this.#versionStart = i;
        this.#place = Place.Version;
      }
    }
    if (this.#place === Place.Query) {
      while (i < end && TARGET_QUERY[bytes[i]!] !== 0) i++;
      if (i === end) return ScanResult.Incomplete;
      if (bytes[i] !== SP) return this.#refuse(targetRule(bytes[i]!));
      this.targetEnd = i++;
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
      this.#place = Place.Return;
    }
    if (i === end) return ScanResult.Incomplete;
    if (this.#place === Place.Return) {
      if (bytes[i] !== CR) return this.#refuse(bytes[i] === LF ? 'bare_lf' : 'bad_version');
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

/** `GET /\r\n` is the line of HTTP/0.9: it lacks a version rather than holding a bad character. */
function targetRule(byte: number): RefusalRule {
  if (byte === LF) return 'bare_lf';
  return byte === CR ? 'bad_version' : 'bad_target';
}
