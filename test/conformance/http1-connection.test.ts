// RFC 9112 §9, RFC 9110 §7.6.1, §7.8, §10.1.1: keep-alive, pipelining, upgrade, expectations.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { asBytes } from '../../src/base/bytes.ts';
import { DEFAULT_LIMITS } from '../../src/http1/limits.ts';
import { ParserEvent } from '../../src/http1/parser-event.ts';
import { RequestParser } from '../../src/http1/request-parser.ts';
import { ResponseParser } from '../../src/http1/response-parser.ts';
import { head, readsRequests, readsResponses } from './http1-cases.ts';

const http11 = (...lines: string[]): string => head('GET / HTTP/1.1', 'Host: a', ...lines);
const http10 = (...lines: string[]): string => head('GET / HTTP/1.0', ...lines);

// §9.3: persistence.
for (const [name, request, keepAlive] of [
  ['HTTP/1.1', http11(), true],
  ['HTTP/1.1 that says close', http11('Connection: close'), false],
  ['HTTP/1.1 that says Close', http11('connection: CLOSE'), false],
  ['HTTP/1.1 that says keep-alive', http11('Connection: keep-alive'), true],
  ['HTTP/1.1 that says close among others', http11('Connection: TE , close,, foo'), false],
  ['HTTP/1.1 that says close on a second line', http11('Connection: keep-alive', 'Connection: close'), false],
  ['HTTP/1.1 that says keep-alive and close', http11('Connection: keep-alive, close'), false],
  ['HTTP/1.1 that says something like close', http11('Connection: closed, x-close, "close"'), true],
  ['HTTP/1.1 with an empty Connection', http11('Connection:'), true],
  ['HTTP/1.0', http10(), false],
  ['HTTP/1.0 that says keep-alive', http10('Connection: Keep-Alive'), true],
  ['HTTP/1.0 that says keep-alive among others', http10('Connection: TE, Keep-Alive'), true],
  ['HTTP/1.0 that says keep-alive and close', http10('Connection: keep-alive, close'), false],
  ['HTTP/1.0 with a Proxy-Connection', http10('Proxy-Connection: keep-alive'), false],
  ['HTTP/1.0 with only a Keep-Alive header', http10('Keep-Alive: timeout=5'), false],
] as const) {
  readsRequests(`§9.3: ${name} ${keepAlive ? 'keeps the connection' : 'closes'}`, request, [{ keepAlive }]);
}
for (const [name, lines, keepAlive] of [
  ['HTTP/1.1', ['HTTP/1.1 200 OK'], true],
  ['HTTP/1.1 with close', ['HTTP/1.1 200 OK', 'Connection: close'], false],
  ['HTTP/1.0', ['HTTP/1.0 200 OK'], false],
  ['HTTP/1.0 with keep-alive', ['HTTP/1.0 200 OK', 'Connection: keep-alive'], true],
] as const) {
  readsResponses(`§9.3: an answer in ${name}`, head(...lines, 'Content-Length: 0'), [{ keepAlive }]);
}

// §9.3.2: pipelining.
readsRequests(
  '§9.3.2: pipelined requests come out in order',
  [
    http11(),
    `${head('POST /1 HTTP/1.1', 'Host: a', 'Content-Length: 3')}abc`,
    `${head('POST /2 HTTP/1.1', 'Host: a', 'Transfer-Encoding: chunked')}1\r\nx\r\n0\r\n\r\n`,
    head('GET /3 HTTP/1.1', 'Host: a'),
  ].join(''),
  [{ path: '/' }, { path: '/1', body: 'abc' }, { path: '/2', body: 'x' }, { path: '/3', headers: [['host', 'a']] }],
);

test('§9.3.2: after End, the bytes of the next request are still the caller’s', () => {
  const first = `${head('POST / HTTP/1.1', 'Host: a', 'Content-Length: 3')}abc`;
  const chunk = asBytes(Buffer.from(first + http11()));
  const parser = new RequestParser(DEFAULT_LIMITS);
  let at = 0;
  do at = parser.next(chunk, at, chunk.length);
  while (parser.event !== ParserEvent.End);
  assert.equal(at, first.length);
  assert.equal(parser.isIdle(), true);
  assert.equal(parser.head.method, 'POST');
});

test('a request is idle before its first byte, busy from then on', () => {
  const parser = new RequestParser(DEFAULT_LIMITS);
  const chunk = asBytes(Buffer.from(`\r\n${http11()}`));
  assert.equal(parser.isIdle(), true);
  parser.next(chunk, 0, 0);
  assert.equal(parser.isIdle(), true, 'nothing came');
  parser.next(chunk, 0, 1);
  assert.equal(parser.isIdle(), false, 'half an empty line');
  parser.next(chunk, 1, 2);
  assert.equal(parser.isIdle(), true, 'an empty line is no request');
  parser.next(chunk, 2, 3);
  assert.equal(parser.isIdle(), false);
  parser.next(chunk, 3, chunk.length);
  assert.equal(parser.event, ParserEvent.Head);
  assert.equal(parser.isIdle(), false);
  parser.next(chunk, chunk.length, chunk.length);
  assert.equal(parser.event, ParserEvent.End);
  assert.equal(parser.isIdle(), true);
});

test('an answer is idle until its first byte, and again after its end', () => {
  const parser = new ResponseParser(DEFAULT_LIMITS);
  const chunk = asBytes(Buffer.from(head('HTTP/1.1 204 No Content')));
  assert.equal(parser.isIdle(), true);
  parser.expect('GET', false);
  assert.equal(parser.isIdle(), true);
  parser.next(chunk, 0, 1);
  assert.equal(parser.isIdle(), false);
  parser.next(chunk, 1, chunk.length);
  assert.equal(parser.isIdle(), false);
  parser.next(chunk, chunk.length, chunk.length);
  assert.equal(parser.event, ParserEvent.End);
  assert.equal(parser.isIdle(), true);
});

test('what a parser holds of the last message can be let go between messages only', () => {
  const parser = new ResponseParser(DEFAULT_LIMITS);
  const chunk = asBytes(Buffer.from(head('HTTP/1.1 204 No Content', 'Date: x')));
  parser.expect('GET', false);
  const at = parser.next(chunk, 0, chunk.length);
  assert.throws(() => parser.release(), /no answer is being read/);
  parser.next(chunk, at, chunk.length);
  parser.release();
  assert.equal(parser.head.headers.count, 0);
  assert.equal(parser.head.headers.bytes.length, 0);
});

test('an answer can’t be announced while one is being read', () => {
  const parser = new ResponseParser(DEFAULT_LIMITS);
  parser.expect('GET', false);
  parser.next(asBytes(Buffer.from('HTTP/1.1 2')), 0, 10);
  assert.throws(() => parser.expect('GET', false), /the last answer is complete/);
});

test('a range that does not lie within the chunk is the caller’s fault', () => {
  const chunk = asBytes(Buffer.from(http11()));
  for (const parser of [new RequestParser(DEFAULT_LIMITS), new ResponseParser(DEFAULT_LIMITS)]) {
    assert.throws(() => parser.next(chunk, 2, 1), /the range lies within the chunk/);
    assert.throws(() => parser.next(chunk, 0, chunk.length + 1), /the range lies within the chunk/);
  }
});

// 9110 §7.6.1: headers that Connection names end here.
for (const [lines, connectionNamesHeaders] of [
  [[], false],
  [['Connection: close'], false],
  [['Connection: keep-alive, Upgrade'], false],
  [['Connection: keep-alive, X-Hop'], true],
  [['Connection: x-hop', 'Connection: close'], true],
] as const) {
  const answers = 'whether Connection names headers';
  readsRequests(`9110 §7.6.1: [${lines.join('] [')}]: ${answers}`, http11(...lines), [{ connectionNamesHeaders }]);
  readsResponses(
    `9110 §7.6.1: [${lines.join('] [')}]: ${answers} (answer)`,
    head('HTTP/1.1 200 OK', 'Connection: x', 'Content-Length: 0') +
      head('HTTP/1.1 200 OK', 'Content-Length: 0', ...lines),
    [{ connectionNamesHeaders: true }, { connectionNamesHeaders }],
    { asks: [{ method: 'GET' }, { method: 'GET' }] },
  );
}
readsRequests('9110 §7.6.1: the next request begins anew', http11('Connection: x') + http11(), [
  { connectionNamesHeaders: true },
  { connectionNamesHeaders: false },
]);
readsResponses(
  '9110 §7.6.1: a tunnel behind CONNECT begins anew',
  head('HTTP/1.1 403 Forbidden', 'Connection: x', 'Content-Length: 0') + head('HTTP/1.1 200 OK'),
  [{ connectionNamesHeaders: true }, { connectionNamesHeaders: false, framing: 'upgraded' }],
  { asks: [{ method: 'CONNECT' }, { method: 'CONNECT' }] },
);

// 9110 §7.8: upgrade.
const upgrades = ['Connection: Upgrade', 'Upgrade: websocket'];
readsRequests('9110 §7.8: Connection and Upgrade', http11(...upgrades), [{ upgrade: true, keepAlive: true }]);
readsRequests(
  '9110 §7.8: upgrade among other options',
  http11('Connection: keep-alive, Upgrade', 'Upgrade: h2c, websocket'),
  [{ upgrade: true }],
);
readsRequests('9110 §7.8: an Upgrade header that Connection does not name', http11('Upgrade: websocket'), [
  { upgrade: false },
]);
readsRequests('9110 §7.8: Connection: upgrade without an Upgrade header', http11('Connection: upgrade'), [
  { upgrade: false },
]);
readsRequests('9110 §7.8: an upgrade in HTTP/1.0 is ignored', http10(...upgrades), [{ upgrade: false }]);

// 9110 §10.1.1: expectations.
for (const [lines, expectation] of [
  [[], 'none'],
  [['Expect: 100-continue'], 'continue'],
  [['expect: 100-CONTINUE'], 'continue'],
  [['Expect: 100-continue, 100-continue'], 'continue'],
  [['Expect: 100-continue', 'Expect: 100-continue'], 'continue'],
  [['Expect:'], 'none'],
  [['Expect: 200-ok'], 'other'],
  [['Expect: 100-continue, x'], 'other'],
  [['Expect: x', 'Expect: 100-continue'], 'other'],
  [['Expect: 100-continue=1'], 'other'],
  [['Expect: 100 continue'], 'other'],
] as const) {
  readsRequests(`9110 §10.1.1: [${lines.join('] [')}] ⇒ ${expectation}`, http11(...lines), [{ expectation }]);
}
readsRequests('9110 §10.1.1: HTTP/1.0’s 100-continue is ignored', http10('Expect: 100-continue'), [
  { expectation: 'none' },
]);
readsRequests('9110 §10.1.1: another expectation in HTTP/1.0', http10('Expect: x'), [{ expectation: 'other' }]);
