import type { Bytes } from '../base/bytes.ts';
import { invariant } from '../base/invariant.ts';
import { BodyDecoder } from './body-decoder.ts';
import { MAX_INTERIM_RESPONSES, type ParserLimits } from './limits.ts';
import { MessageFacts } from './message-facts.ts';
import { ParserEvent } from './parser-event.ts';
import { type ParseFailure, type RefusalRule, refuseResponse } from './refusals.ts';
import { type ResponseHead, ResponseHeadRecord } from './response-head.ts';
import { ResponseHeadScanner } from './response-head-scanner.ts';
import { ScanResult, SectionReader } from './section-reader.ts';

/** What the next byte belongs to. */
const Stage = {
  /** To nothing: no answer is expected. */
  Idle: 0,
  /** An answer is expected, no byte of it seen. */
  Waiting: 1,
  Head: 2,
  Body: 3,
  Failed: 4,
} as const;
type Stage = (typeof Stage)[keyof typeof Stage];

const SWITCHING_PROTOCOLS = 101;
const NO_CONTENT = 204;
const NOT_MODIFIED = 304;

/**
 * Reads the answers on one upstream connection: as strict as RequestParser, and pulled in the same way. How an answer
 * is framed depends on its request, so each is announced with `expect`. Interim answers (1xx) are read and dropped.
 */
export class ResponseParser {
  event: ParserEvent = ParserEvent.NeedMore;
  /** Why, after the event Error. */
  error: ParseFailure | null = null;
  readonly #head: ResponseHeadRecord;
  readonly #scanner: ResponseHeadScanner;
  readonly #reader: SectionReader;
  readonly #facts: MessageFacts = new MessageFacts();
  readonly #body: BodyDecoder;
  #stage: Stage = Stage.Idle;
  #requestMethod: string = '';
  #isUpgradeAsked: boolean = false;
  #interimCount: number = 0;

  constructor(limits: ParserLimits) {
    this.#scanner = new ResponseHeadScanner(limits.maxHeaders);
    this.#reader = new SectionReader(this.#scanner, limits.maxHeadBytes);
    this.#head = new ResponseHeadRecord(this.#scanner.fields.table);
    this.#body = new BodyDecoder(limits);
  }

  /** Valid from the event Head until the first byte of the next answer is parsed. */
  get head(): ResponseHead {
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

  /** Before each answer: the method of its request, and whether that asked to upgrade the connection. */
  expect(requestMethod: string, upgradeAsked: boolean): void {
    invariant(this.#stage === Stage.Idle || this.#stage === Stage.Waiting, 'the last answer is complete');
    this.#requestMethod = requestMethod;
    this.#isUpgradeAsked = upgradeAsked;
    this.#interimCount = 0;
    this.event = ParserEvent.NeedMore;
    this.#stage = Stage.Waiting;
  }

  /** Between answers, and no byte of a next one seen. */
  isIdle(): boolean {
    return this.#stage === Stage.Idle || this.#stage === Stage.Waiting;
  }

  /** Between answers: forgets the last head, so that an idle connection keeps no chunk alive. */
  release(): void {
    invariant(this.isIdle(), 'no answer is being read');
    this.#reader.begin();
    this.#head.headers.release();
  }

  /** Parses on from `at`, sets `event` and answers the new offset. Events: see ParserEvent. */
  next(chunk: Bytes, at: number, end: number): number {
    invariant(at <= end && end <= chunk.length, 'the range lies within the chunk');
    if (this.#stage === Stage.Body) return this.#nextBody(chunk, at, end);
    if (this.#stage === Stage.Failed) return at;
    return this.#nextHead(chunk, at, end);
  }

  /** The provider closed its side: `End` if that is how this body ends, nothing if it has ended, else `Error`. */
  finish(): void {
    switch (this.#stage) {
      case Stage.Body:
        if (this.#body.isUntilClose() || this.#body.isAtEnd()) {
          this.event = ParserEvent.End;
          this.#stage = Stage.Idle;
        } else {
          this.#fail('cut_off');
        }
        return;
      case Stage.Waiting:
      case Stage.Head:
        this.#fail('cut_off');
        return;
      case Stage.Idle:
      case Stage.Failed:
        return;
      default:
        this.#stage satisfies never;
    }
  }

  #nextBody(chunk: Bytes, at: number, end: number): number {
    const body = this.#body;
    const position = body.next(chunk, at, end);
    this.event = body.event;
    if (body.event === ParserEvent.End) this.#stage = Stage.Idle;
    else if (body.refusal !== null) this.#fail(body.refusal);
    return position;
  }

  #nextHead(chunk: Bytes, at: number, end: number): number {
    let i = at;
    while (i < end) {
      if (this.#stage === Stage.Idle) return this.#refuse('unasked_reply', i);
      if (this.#stage === Stage.Waiting) {
        this.#stage = Stage.Head;
        this.#reader.begin();
        this.#scanner.begin();
      }
      const position = this.#reader.read(chunk, i, end);
      if (position === ScanResult.Incomplete) break;
      if (position === ScanResult.Refused) return this.#refuse(this.#scanner.refusal ?? 'head_too_large', i);

      const broken = this.#understandHead();
      if (broken !== null) return this.#refuse(broken, i);
      i = position;
      if (!this.#isInterim()) {
        this.event = ParserEvent.Head;
        this.#stage = Stage.Body;
        return i;
      }
      this.#interimCount++;
      if (this.#interimCount > MAX_INTERIM_RESPONSES) return this.#refuse('too_many_interim', i);
      this.#stage = Stage.Head;
      this.#reader.begin();
      this.#scanner.begin();
    }
    this.event = ParserEvent.NeedMore;
    return end;
  }

  #isInterim(): boolean {
    return this.#head.status < 200 && this.#head.status !== SWITCHING_PROTOCOLS;
  }

  /** Framing in the order of RFC 9112 §6.3; answers the rule that the head breaks, or null. */
  #understandHead(): RefusalRule | null {
    const head = this.#head;
    const facts = this.#facts;
    const { status, minor } = this.#scanner;
    head.status = status;
    head.minor = minor;
    head.contentLength = -1;
    head.connectionNamesHeaders = false;

    // Rule 2: whatever a successful answer to CONNECT says about framing is ignored.
    if (this.#requestMethod === 'CONNECT' && status >= 200 && status < 300) return this.#becomeTunnel();
    const broken = facts.read(head.headers, minor);
    if (broken !== null) return broken;
    head.connectionNamesHeaders = facts.namesHeaders;
    if (status === SWITCHING_PROTOCOLS) return this.#isUpgradeAsked ? this.#becomeTunnel() : 'unasked_upgrade';

    head.keepAlive = !facts.saysClose && (minor === 1 || facts.saysKeepAlive);
    // Rule 1: these end with the head.
    if (status < 200 || status === NO_CONTENT || status === NOT_MODIFIED || this.#requestMethod === 'HEAD') {
      head.framing = 'none';
      this.#body.beginNone();
      // A 204 that announces a body may be followed by one: nobody can tell what the next bytes are (RFC 9110 §8.6).
      if (status === NO_CONTENT && (facts.isChunked || facts.contentLength > 0)) head.keepAlive = false;
      return null;
    }
    if (facts.isChunked) {
      head.framing = 'chunked';
      this.#body.beginChunked();
    } else if (facts.contentLength >= 0) {
      head.framing = 'length';
      head.contentLength = facts.contentLength;
      this.#body.beginLength(facts.contentLength);
    } else {
      head.framing = 'until-close';
      head.keepAlive = false;
      this.#body.beginUntilClose();
    }
    return null;
  }

  #becomeTunnel(): null {
    this.#head.framing = 'upgraded';
    this.#head.keepAlive = false;
    this.#body.beginNone();
    return null;
  }

  #refuse(rule: RefusalRule, at: number): number {
    this.#fail(rule);
    return at;
  }

  #fail(rule: RefusalRule): void {
    this.error = refuseResponse(rule);
    this.event = ParserEvent.Error;
    this.#stage = Stage.Failed;
  }
}
