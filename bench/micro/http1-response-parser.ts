// Nanoseconds per answer, and per chunk of a chunked one.
//   node bin/slipstream.js node -- bench/micro/http1-response-parser.ts
import { asBytes, type Bytes } from '../../src/base/bytes.ts';
import { HeaderId } from '../../src/http1/header-id.ts';
import { DEFAULT_LIMITS } from '../../src/http1/limits.ts';
import { ParserEvent } from '../../src/http1/parser-event.ts';
import { ResponseParser } from '../../src/http1/response-parser.ts';
import { report } from './http1-median-time.ts';

const LINES = [
  'HTTP/1.1 200 OK',
  'Date: Sun, 22 Nov 2026 10:00:00 GMT',
  'Content-Type: application/json',
  'Connection: keep-alive',
  'access-control-expose-headers: X-Request-ID',
  'openai-organization: user-abcdef0123456789',
  'openai-processing-ms: 412',
  'openai-version: 2020-10-01',
  'x-ratelimit-limit-requests: 10000',
  'x-ratelimit-remaining-requests: 9999',
  'x-request-id: req_0123456789abcdef0123456789abcdef',
  'strict-transport-security: max-age=31536000; includeSubDomains; preload',
  'Server: cloudflare',
  'CF-RAY: 0123456789abcdef-FRA',
];
const BODY = 'x'.repeat(600);
const WITH_LENGTH = `${[...LINES, `Content-Length: ${BODY.length}`].join('\r\n')}\r\n\r\n`;
const CHUNKED = `${[...LINES, 'Transfer-Encoding: chunked'].join('\r\n')}\r\n\r\n`;
const EVENT = `data: {"id":"x","choices":[{"index":0,"delta":{"content":" word"}}]}\n\n`;
const CHUNK = `${EVENT.length.toString(16)}\r\n${EVENT}\r\n`;
const CHUNKS = 1000;

const parser = new ResponseParser(DEFAULT_LIMITS);
let sum = 0;

function copies(text: string, count: number): Bytes[] {
  return Array.from({ length: count }, () => asBytes(Buffer.from(text)));
}

function feed(chunk: Bytes): void {
  let at = 0;
  do {
    at = parser.next(chunk, at, chunk.length);
    if (parser.event === ParserEvent.Head) sum += parser.head.status;
    if (parser.event === ParserEvent.Body) sum += parser.bodyEnd - parser.bodyStart;
  } while (parser.event !== ParserEvent.NeedMore);
}

const answers = copies(WITH_LENGTH + BODY, 64);
let turn = 0;
report(`answer whole (head ${WITH_LENGTH.length} bytes, ${LINES.length} headers)`, () => {
  parser.expect('POST', false);
  turn = (turn + 1) % answers.length;
  feed(answers[turn]!);
});
report('answer whole, content-type read as string', () => {
  parser.expect('POST', false);
  turn = (turn + 1) % answers.length;
  feed(answers[turn]!);
  sum += parser.head.headers.text(HeaderId.ContentType)!.length;
});

const head = asBytes(Buffer.from(CHUNKED));
const last = asBytes(Buffer.from('0\r\n\r\n'));
const each = copies(CHUNK, CHUNKS);
report(`${CHUNKS} chunks of ${EVENT.length} bytes, each in a read of its own`, () => {
  parser.expect('POST', false);
  feed(head);
  for (const chunk of each) feed(chunk);
  feed(last);
});
const together = asBytes(Buffer.from(`${CHUNKED}${CHUNK.repeat(CHUNKS)}0\r\n\r\n`));
report(`${CHUNKS} chunks of ${EVENT.length} bytes in one read`, () => {
  parser.expect('POST', false);
  feed(together);
});
if (sum === 0) throw new Error('nothing was parsed');
