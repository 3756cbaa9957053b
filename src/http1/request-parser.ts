import type { Bytes } from '../base/bytes.ts';
import { invariant } from '../base/invariant.ts';
import { isAuthority } from './authority.ts';
import { BodyDecoder } from './body-decoder.ts';
import { CR, LF } from './byte-class.ts';
import type { ParserLimits } from './limits.ts';
import { MessageFacts } from './message-facts.ts';
import { methodText } from './method-text.ts';
import { ParserEvent } from './parser-event.ts';
import { type ParseFailure, type RefusalRule, refuseRequest } from './refusals.ts';
import { type RequestHead, RequestHeadRecord } from './request-head.ts';
import { RequestHeadScanner } from './request-head-scanner.ts';
import { RequestTarget } from './request-target.ts';
import { ScanResult, SectionReader } from './section-reader.ts';

/** What the next byte belongs to. */
const Stage = {
  /** No byte of a next request seen. */
  Idle: 0,
  /** Inside the one empty line that may come before a request. */
  EmptyLine: 1,
  /** Behind it. */
  AfterEmptyLine: 2,
  Head: 3,
  Body: 4,
  Failed: 5,
} as const;
type Stage = (typeof Stage)[keyof typeof Stage];

/**
 * Reads the requests of one connection: strict, incremental, no I/O. The caller owns the chunks and pulls:
 *
 *     do {
 *       at = parser.next(chunk, at, end);
 *       switch (parser.event) { case ParserEvent.Head: … parser.head …  case ParserEvent.Body: … bodyStart, bodyEnd … }
 *     } while (parser.event !== ParserEvent.NeedMore && …);
 *
 * Body bytes are ranges of the caller's chunk. After `End` it stops before the next request's first byte, so pipelined
 * bytes stay with the caller. An error is final: nothing after it can be trusted to begin a request.
 */
export class RequestParser {
  event: ParserEvent = ParserEvent.NeedMore;
  /** Why, after the event Error. */
  error: ParseFailure | null = null;
  readonly #head: RequestHeadRecord;
  readonly #scanner: RequestHeadScanner;
  readonly #reader: SectionReader;
  readonly #target: RequestTarget = new RequestTarget();
  readonly #facts: MessageFacts = new MessageFacts();
  readonly #body: BodyDecoder;
  #stage: Stage = Stage.Idle;

  constructor(limits: ParserLimits) {
    this.#scanner = new RequestHeadScanner(limits.maxHeaders);
    this.#reader = new SectionReader(this.#scanner, limits.maxHeadBytes);
    this.#head = new RequestHeadRecord(this.#scanner.fields.table);
    this.#body = new BodyDecoder(limits);
  }

  /** Valid from the event Head until the first byte of the next request is parsed. */
  get head(): RequestHead {
    return this.#head;
  }

  /** After the event Body: first byte, in the chunk just passed. */
  get bodyStart(): number {
    return this.#body.bodyStart;
  }

  /** After the event Body: behind the last byte. */
  get bodyEnd(): number {
    return this.#body.bodyEnd;
  }

  /** Between requests, and no byte of a next one seen (an empty line is none). */
  isIdle(): boolean {
    return this.#stage === Stage.Idle || this.#stage === Stage.AfterEmptyLine;
  }

  /**
   * Between requests: forgets the last head, so that an idle connection keeps no chunk alive. (A chunk is often a small
   * part of a 64 KiB block.)
   */
  release(): void {
    invariant(this.isIdle(), 'no request is being read');
    this.#reader.begin();
    this.#head.headers.release();
  }

  /** Parses on from `at`, sets `event` and answers the new offset. Events: see ParserEvent. */
  next(chunk: Bytes, at: number, end: number): number {
    invariant(at <= end && end <= chunk.length, 'the range lies within the chunk');
    if (this.#stage === Stage.Body) return this.#nextBody(chunk, at, end);
    if (this.#stage === Stage.Head) return this.#nextHead(chunk, at, end);
    if (this.#stage === Stage.Failed) return at;
    return this.#nextStart(chunk, at, end);
  }

  #nextBody(chunk: Bytes, at: number, end: number): number {
    const body = this.#body;
    const position = body.next(chunk, at, end);
    this.event = body.event;
    if (body.event === ParserEvent.End) this.#stage = Stage.Idle;
    else if (body.refusal !== null) this.#fail(body.refusal);
    return position;
  }

  /** Before a request. Fast case: its first byte is that of a method. */
  #nextStart(chunk: Bytes, at: number, end: number): number {
    let i = at;
    if (i < end && this.#stage === Stage.Idle && chunk[i] === CR) {
      this.#stage = Stage.EmptyLine;
      i++;
    }
    if (i < end && this.#stage === Stage.EmptyLine) {
      if (chunk[i] !== LF) return this.#refuse('bare_cr', i);
      this.#stage = Stage.AfterEmptyLine;
      i++;
    }
    if (i === end) {
      this.event = ParserEvent.NeedMore;
      return i;
    }
    if (chunk[i] === CR) return this.#refuse('extra_empty_line', i);
    this.#stage = Stage.Head;
    this.#reader.begin();
    this.#scanner.begin();
    return this.#nextHead(chunk, i, end);
  }

  #nextHead(chunk: Bytes, at: number, end: number): number {
    const position = this.#reader.read(chunk, at, end);
    if (position === ScanResult.Incomplete) {
      this.event = ParserEvent.NeedMore;
      return end;
    }
    if (position === ScanResult.Refused) return this.#refuse(this.#scanner.refusal ?? 'head_too_large', at);

    const broken = this.#understandHead();
    if (broken !== null) return this.#refuse(broken, at);
    this.event = ParserEvent.Head;
    this.#stage = Stage.Body;
    return position;
  }

  /** From offsets to meaning; answers the rule that the head breaks, or null. */
  #understandHead(): RefusalRule | null {
    const head = this.#head;
    const scanner = this.#scanner;
    const { bytes } = head.headers;
    head.method = methodText(bytes, scanner.start, scanner.methodEnd);
    head.minor = scanner.minor;
    const broken =
      this.#target.read(bytes, scanner, head.method) ?? this.#facts.read(head.headers, head.minor) ?? this.#hostFault();
    if (broken !== null) return broken;

    const target = bytes.latin1Slice(scanner.targetStart, scanner.targetEnd);
    head.target = target;
    head.path = target.slice(this.#target.pathStart - scanner.targetStart, this.#target.pathEnd - scanner.targetStart);
    if (head.path === '') head.path = '/';
    head.query = scanner.pathEnd === scanner.targetEnd ? '' : target.slice(scanner.pathEnd + 1 - scanner.targetStart);
    head.headBytes = scanner.end - scanner.start;
    this.#applyFacts();
    return null;
  }

  #applyFacts(): void {
    const head = this.#head;
    const facts = this.#facts;
    head.contentLength = facts.contentLength;
    if (facts.isChunked) {
      head.framing = 'chunked';
      this.#body.beginChunked();
    } else if (facts.contentLength >= 0) {
      head.framing = 'length';
      this.#body.beginLength(facts.contentLength);
    } else {
      head.framing = 'none';
      this.#body.beginNone();
    }
    head.keepAlive = !facts.saysClose && (head.minor === 1 || facts.saysKeepAlive);
    head.connectionNamesHeaders = facts.namesHeaders;
    head.upgrade = facts.saysUpgrade && head.minor === 1;
    head.expectation = head.minor === 0 && facts.expectation === 'continue' ? 'none' : facts.expectation;
  }

  #hostFault(): RefusalRule | null {
    const { hostCount, hostIndex } = this.#facts;
    const { headers, minor } = this.#head;
    if (hostCount === 0) return minor === 1 ? 'host_missing' : null;
    if (hostCount > 1) return 'host_repeated';
    const isSane = isAuthority(headers.bytes, headers.valueStart(hostIndex), headers.valueEnd(hostIndex));
    return isSane ? null : 'bad_host';
  }

  #refuse(rule: RefusalRule, at: number): number {
    this.#fail(rule);
    return at;
  }

  #fail(rule: RefusalRule): void {
    this.error = refuseRequest(rule);
    this.event = ParserEvent.Error;
    this.#stage = Stage.Failed;
  }
}
