import assert from 'node:assert/strict';
import { asBytes, type Bytes } from '../../src/base/bytes.ts';
import type { HeaderTable } from '../../src/http1/header-table.ts';
import { DEFAULT_LIMITS, type ParserLimits } from '../../src/http1/limits.ts';
import { ParserEvent } from '../../src/http1/parser-event.ts';
import type { RefusalRule } from '../../src/http1/refusals.ts';
import { RequestParser } from '../../src/http1/request-parser.ts';
import { ResponseParser } from '../../src/http1/response-parser.ts';
import type { Piece } from './split-everywhere.ts';

type Header = readonly [name: string, value: string];

export interface ReadRequest {
  method: string;
  target: string;
  path: string;
  query: string;
  minor: number;
  headers: Header[];
  framing: string;
  contentLength: number;
  keepAlive: boolean;
  expectation: string;
  upgrade: boolean;
  connectionNamesHeaders: boolean;
  headBytes: number;
  body: string;
  isComplete: boolean;
}

export interface ReadRequests {
  requests: ReadRequest[];
  /** Rule and status of the refusal; null if there was none. */
  refusal: { rule: RefusalRule; name: string; status: number } | null;
  isIdle: boolean;
}

export interface ReadResponse {
  status: number;
  minor: number;
  headers: Header[];
  framing: string;
  contentLength: number;
  keepAlive: boolean;
  connectionNamesHeaders: boolean;
  body: string;
  isComplete: boolean;
}

export interface ReadResponses {
  responses: ReadResponse[];
  refusal: { rule: RefusalRule; name: string; status: number } | null;
  /** What was left to the caller behind the last answer: a tunnel's bytes. */
  rest: string;
}

/** What was asked for, in the order the answers come; and whether the provider closes after its last byte. */
export interface Exchange {
  readonly asks?: readonly { readonly method: string; readonly upgrade?: boolean }[];
  readonly closes?: boolean;
  readonly limits?: Partial<ParserLimits>;
}

interface Pulled {
  readonly event: ParserEvent;
  readonly bodyStart: number;
  readonly bodyEnd: number;
  next(chunk: Bytes, at: number, end: number): number;
}

/** Reads all pieces as the requests of one connection, and checks the parser's manners on the way. */
export function readRequests(input: Iterable<Piece>, limits: Partial<ParserLimits> = {}): ReadRequests {
  const parser = new RequestParser({ ...DEFAULT_LIMITS, ...limits });
  const requests: ReadRequest[] = [];
  for (const piece of input) {
    let { at } = piece;
    do {
      const last = requests.at(-1);
      at = step(parser, piece, at, last?.isComplete === false);
      if (parser.event === ParserEvent.Head) requests.push(copyRequest(parser));
      else if (parser.event === ParserEvent.Body) last!.body += bodyText(parser, piece);
      else if (parser.event === ParserEvent.End) last!.isComplete = true;
    } while (parser.event !== ParserEvent.NeedMore && parser.event !== ParserEvent.Error);
    if (parser.event === ParserEvent.Error) break;
  }
  const refusal = describe(parser);
  if (refusal !== null) assertSticky(parser);
  return { requests, refusal, isIdle: parser.isIdle() };
}

/** Reads all pieces as the answers on one connection; the default is one GET. */
export function readResponses(input: Iterable<Piece>, exchange: Exchange = {}): ReadResponses {
  const { asks = [{ method: 'GET' }], closes = false, limits = {} } = exchange;
  const parser = new ResponseParser({ ...DEFAULT_LIMITS, ...limits });
  const responses: ReadResponse[] = [];
  let rest = '';
  let asked = 0;
  const askNext = (): void => {
    const ask = asks[asked++];
    if (ask !== undefined) parser.expect(ask.method, ask.upgrade ?? false);
  };
  askNext();
  for (const piece of input) {
    let { at } = piece;
    let event: ParserEvent;
    do {
      const last = responses.at(-1);
      if (last?.isComplete === true && last.framing === 'upgraded') {
        rest += piece.chunk.latin1Slice(at, piece.end);
        break;
      }
      at = step(parser, piece, at, last?.isComplete === false);
      // Kept, since `expect` sets the parser's own back.
      event = parser.event;
      if (event === ParserEvent.Head) responses.push(copyResponse(parser));
      else if (event === ParserEvent.Body) last!.body += bodyText(parser, piece);
      else if (event === ParserEvent.End) {
        last!.isComplete = true;
        if (last!.framing !== 'upgraded') askNext();
      }
    } while (event !== ParserEvent.NeedMore && event !== ParserEvent.Error);
    if (parser.event === ParserEvent.Error) break;
  }
  if (closes && parser.event !== ParserEvent.Error) {
    parser.finish();
    if (parser.event === ParserEvent.End) responses.at(-1)!.isComplete = true;
  }
  const refusal = describe(parser);
  if (refusal !== null) assertSticky(parser);
  return { responses, refusal, rest };
}

function step(parser: Pulled, piece: Piece, at: number, isInMessage: boolean): number {
  const before = parser.event;
  const next = parser.next(piece.chunk, at, piece.end);
  assert.ok(next >= at && next <= piece.end, 'the offset moves on and stays within the range');
  const { event } = parser;
  if (event === ParserEvent.NeedMore) assert.equal(next, piece.end, 'NeedMore means that all is consumed');
  if (event === ParserEvent.Head) assert.ok(!isInMessage, 'a head comes after the end of the last message');
  if (event === ParserEvent.Body || event === ParserEvent.End) assert.ok(isInMessage, `event ${event} after ${before}`);
  if (event === ParserEvent.Body) {
    assert.ok(parser.bodyStart >= at && parser.bodyEnd <= next, 'body bytes lie between the offsets');
    assert.ok(parser.bodyStart < parser.bodyEnd, 'body bytes are never empty');
  }
  return next;
}

function assertSticky(parser: RequestParser | ResponseParser): void {
  const good = asBytes(Buffer.from('GET / HTTP/1.1\r\nHost: a\r\n\r\nHTTP/1.1 204 No Content\r\n\r\n'));
  const error = parser.error;
  assert.equal(parser.next(good, 0, good.length), 0, 'nothing is consumed after an error');
  assert.equal(parser.event, ParserEvent.Error);
  assert.equal(parser.error, error);
  assert.equal(parser.isIdle(), false);
}

function describe(parser: RequestParser | ResponseParser): ReadRequests['refusal'] {
  assert.equal(parser.event === ParserEvent.Error, parser.error !== null);
  if (parser.error === null) return null;
  const { rule, name, status } = parser.error;
  return { rule, name, status };
}

function bodyText(parser: Pulled, piece: Piece): string {
  return piece.chunk.latin1Slice(parser.bodyStart, parser.bodyEnd);
}

function headersOf(table: HeaderTable): Header[] {
  return Array.from({ length: table.count }, (_, index) => [table.name(index), table.value(index)] as const);
}

function copyRequest(parser: RequestParser): ReadRequest {
  const { method, target, path, query, minor, framing, contentLength, keepAlive, expectation, upgrade, headBytes } =
    parser.head;
  const headers = headersOf(parser.head.headers);
  const { connectionNamesHeaders } = parser.head;
  const read = { method, target, path, query, minor, headers, framing, contentLength, keepAlive };
  return { ...read, expectation, upgrade, connectionNamesHeaders, headBytes, body: '', isComplete: false };
}

function copyResponse(parser: ResponseParser): ReadResponse {
  const { status, minor, framing, contentLength, keepAlive, connectionNamesHeaders } = parser.head;
  const headers = headersOf(parser.head.headers);
  const read = { status, minor, headers, framing, contentLength, keepAlive, connectionNamesHeaders };
  return { ...read, body: '', isComplete: false };
}
