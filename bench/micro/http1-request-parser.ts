// Nanoseconds per request: from bytes to method, path, framing and header ids, then body and end.
//   node bin/slipstream.js node -- bench/micro/http1-request-parser.ts
import { asBytes, type Bytes } from '../../src/base/bytes.ts';
import { HeaderId } from '../../src/http1/header-id.ts';
import { DEFAULT_LIMITS } from '../../src/http1/limits.ts';
import { ParserEvent } from '../../src/http1/parser-event.ts';
import { RequestParser } from '../../src/http1/request-parser.ts';
import { report } from './http1-median-time.ts';

const HEAD = [
  'POST /v1/chat/completions HTTP/1.1',
  'Host: 127.0.0.1:4000',
  'Authorization: Bearer sk-1b3f5d7a9c2e4f6081a3c5e7092b4d6f8a1c3e5',
  'Content-Type: application/json',
  'Accept: application/json',
  'User-Agent: OpenAI/Python 2.14.0',
  'X-Stainless-Lang: python',
  'X-Stainless-Package-Version: 2.14.0',
  'Accept-Encoding: gzip, deflate',
  'Content-Length: 300',
  '\r\n',
].join('\r\n');

// As many chunks as a busy worker would touch, so that the bytes don't always come from the nearest cache.
const chunks: Bytes[] = Array.from({ length: 64 }, () => asBytes(Buffer.from(HEAD + 'x'.repeat(300))));
const parser = new RequestParser(DEFAULT_LIMITS);
let turn = 0;
let sum = 0;

function nextChunk(): Bytes {
  turn = (turn + 1) % chunks.length;
  return chunks[turn]!;
}

function feed(chunk: Bytes, start: number, end: number): void {
  let at = start;
  do {
    at = parser.next(chunk, at, end);
    if (parser.event === ParserEvent.Head) sum += parser.head.headBytes;
    if (parser.event === ParserEvent.Body) sum += parser.bodyEnd - parser.bodyStart;
  } while (parser.event !== ParserEvent.NeedMore);
}

const size = `${HEAD.length} bytes, 9 headers`;
report(`request whole (${size})`, () => {
  const chunk = nextChunk();
  feed(chunk, 0, chunk.length);
});
report('request whole, key read as string', () => {
  const chunk = nextChunk();
  feed(chunk, 0, chunk.length);
  sum += parser.head.headers.text(HeaderId.Authorization)!.length;
});
report('request whole, all names and values read as strings', () => {
  const chunk = nextChunk();
  feed(chunk, 0, chunk.length);
  const { headers } = parser.head;
  for (let i = 0; i < headers.count; i++) sum += headers.name(i).length + headers.value(i).length;
});
report('request with its head split in two', () => {
  const chunk = nextChunk();
  feed(chunk, 0, 200);
  feed(chunk, 200, chunk.length);
});
if (sum === 0) throw new Error('nothing was parsed');
