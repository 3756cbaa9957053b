// RFC 9112 §4: status line, and RFC 9110 §15: which answers there are.
import { head, readsResponses, refusesResponse } from './http1-cases.ts';

const EMPTY = 'Content-Length: 0';

for (const [line, status] of [
  ['HTTP/1.1 200 OK', 200],
  ['HTTP/1.1 200 ', 200],
  ['HTTP/1.1 200', 200],
  ['HTTP/1.1 404 Not Found', 404],
  ['HTTP/1.1 529 Overloaded\t(try later)', 529],
  ['HTTP/1.1 500 caf\xe9 \xff', 500],
  ['HTTP/1.1 299  two spaces', 299],
  ['HTTP/1.1 599 x', 599],
] as const) {
  readsResponses(`§4: ${JSON.stringify(line)}`, head(line, EMPTY), [{ status, framing: 'length', contentLength: 0 }]);
}
for (const line of [
  'HTTP/1.1',
  'HTTP/1.1 ',
  'HTTP/1.1 20',
  'HTTP/1.1 20 OK',
  'HTTP/1.1 2000 OK',
  'HTTP/1.1 2OO OK',
  'HTTP/1.1  200 OK',
  'HTTP/1.1\t200 OK',
  'HTTP/1.1 200\tOK',
  'HTTP/1.1 200OK',
  'HTTP/1.1 -20 OK',
  'HTTP/1.1 +200 OK',
  'HTTP/1.1 OK',
  'HTTP/1.1 099 x',
  'HTTP/1.1 000 x',
  'HTTP/1.1 600 x',
  'HTTP/1.1 999 x',
  'HTTP/1.1 200 O\0K',
  'HTTP/1.1 200 O\x7fK',
  'HTTP/1.1 200 O\x1bK',
]) {
  refusesResponse(`§4: ${JSON.stringify(line)}`, 'bad_status_line', head(line, EMPTY));
}
refusesResponse('§4: a reason that holds a CR', 'bare_cr', head('HTTP/1.1 200 O\rK', EMPTY));
refusesResponse('§4: a status line that ends in bare LF', 'bare_lf', `HTTP/1.1 200 OK\nContent-Length: 0\r\n\r\n`);
refusesResponse('§4: a status line that ends in bare LF behind the code', 'bare_lf', `HTTP/1.1 200\nA: b\r\n\r\n`);
refusesResponse('§4: a status line that ends in bare LF behind the version', 'bare_lf', `HTTP/1.1\nA: b\r\n\r\n`);

// RFC 9110 §15.2: interim answers.
const FINAL = `${head('HTTP/1.1 200 OK', 'Content-Length: 2')}ok`;
readsResponses('9110 §15.2: a 100 before the answer is dropped', head('HTTP/1.1 100 Continue') + FINAL, [
  { status: 200, body: 'ok' },
]);
readsResponses(
  '9110 §15.2: several interim answers with headers are dropped',
  head('HTTP/1.1 103 Early Hints', 'Link: </a>', 'X: y') +
    head('HTTP/1.1 102 Processing') +
    head('HTTP/1.1 199 ?') +
    FINAL,
  [{ status: 200, body: 'ok', headers: [['content-length', '2']] }],
);
readsResponses('9110 §15.2: sixteen interim answers', head('HTTP/1.1 100 Continue').repeat(16) + FINAL, [
  { status: 200 },
]);
refusesResponse(
  '9110 §15.2: seventeen interim answers',
  'too_many_interim',
  head('HTTP/1.1 100 Continue').repeat(17) + FINAL,
);
readsResponses(
  '9110 §15.2: the count of interim answers begins anew with each answer',
  (head('HTTP/1.1 100 Continue').repeat(16) + FINAL).repeat(2),
  [{ status: 200 }, { status: 200 }],
  { asks: [{ method: 'POST' }, { method: 'POST' }] },
);
refusesResponse(
  '9110 §15.2: a malformed interim answer',
  'bad_header_name',
  head('HTTP/1.1 100 Continue', 'A B: c') + FINAL,
);

// RFC 9110 §15.2.2: 101.
const SWITCH = head('HTTP/1.1 101 Switching Protocols', 'Connection: Upgrade', 'Upgrade: websocket');
readsResponses(
  '9110 §15.2.2: a 101 that was asked for leaves what follows to the caller',
  `${SWITCH}\x81\x05hello`,
  [{ status: 101, framing: 'upgraded', keepAlive: false, body: '' }],
  { asks: [{ method: 'GET', upgrade: true }], rest: '\x81\x05hello' },
);
refusesResponse('9110 §15.2.2: a 101 that nobody asked for', 'unasked_upgrade', SWITCH);
readsResponses(
  '9110 §15.2.2: an upgrade that is declined is an ordinary answer',
  FINAL,
  [{ status: 200, body: 'ok', keepAlive: true }],
  { asks: [{ method: 'GET', upgrade: true }] },
);
readsResponses('9110 §15.2.2: a 100 before the 101', head('HTTP/1.1 100 Continue') + SWITCH, [{ status: 101 }], {
  asks: [{ method: 'GET', upgrade: true }],
});
