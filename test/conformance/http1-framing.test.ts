// RFC 9112 §6, RFC 9110 §6.4 and §8.6: where a message ends.
import { head, readsRequests, readsResponses, refusesRequest, refusesResponse } from './http1-cases.ts';

const post = (...lines: string[]): string => head('POST / HTTP/1.1', 'Host: a', ...lines);
const ok = (...lines: string[]): string => head('HTTP/1.1 200 OK', ...lines);
const NEXT = head('GET /next HTTP/1.1', 'Host: a');
const NEXT_OK = `${ok('Content-Length: 4')}next`;
const TWO = { asks: [{ method: 'GET' }, { method: 'GET' }] };

// §6.2: Content-Length.
readsRequests('§6.2: a body of the given length, then the next request', `${post('Content-Length: 5')}hello${NEXT}`, [
  { framing: 'length', contentLength: 5, body: 'hello' },
  { path: '/next', framing: 'none', contentLength: -1, body: '' },
]);
readsRequests('§6.2: a body that looks like a request', `${post(`Content-Length: ${NEXT.length}`)}${NEXT}`, [
  { body: NEXT },
]);
readsRequests('§6.2: length 0', `${post('Content-Length: 0')}${NEXT}`, [
  { framing: 'length', contentLength: 0, body: '' },
  {},
]);
readsRequests('§6.2: leading zeros', `${post('Content-Length: 0000000000000000000002')}ab`, [
  { contentLength: 2, body: 'ab' },
]);
readsRequests('§6.2: whitespace around the number', `${post('Content-Length: \t 2 \t')}ab`, [
  { contentLength: 2, body: 'ab' },
]);
readsRequests(
  '9110 §6.4: a GET may have a body',
  `${head('GET / HTTP/1.1', 'Host: a', 'Content-Length: 2')}ab${NEXT}`,
  [{ method: 'GET', body: 'ab' }, { path: '/next' }],
);
readsRequests('9110 §8.6: the largest length', post('Content-Length: 9007199254740991'), [
  { contentLength: Number.MAX_SAFE_INTEGER, isComplete: false },
]);
readsResponses('§6.2: an answer of the given length', ok('Content-Length: 5') + 'hello', [
  { framing: 'length', contentLength: 5, body: 'hello', keepAlive: true },
]);
for (const [name, value] of [
  ['is empty', ''],
  ['has a plus sign', '+5'],
  ['has a minus sign', '-5'],
  ['is a list of equal numbers', '5, 5'],
  ['is a list of different numbers', '5, 6'],
  ['ends in a comma', '5,'],
  ['has a space inside', '1 0'],
  ['is hexadecimal', '0x5'],
  ['has hexadecimal digits', 'a'],
  ['has a fraction', '5.0'],
  ['has an exponent', '1e1'],
  ['has an underscore', '1_0'],
  ['is quoted', '"5"'],
  ['has other digits', '\xb2'],
  ['is 2^53', '9007199254740992'],
  ['is 2^64 + 5', '18446744073709551621'],
  ['is endless', '9'.repeat(400)],
] as const) {
  refusesRequest(`9110 §8.6: a length that ${name}`, 'bad_length', `${post(`Content-Length: ${value}`)}hello`);
  refusesResponse(`9110 §8.6: an answer's length that ${name}`, 'bad_length', `${ok(`Content-Length: ${value}`)}hello`);
}
refusesRequest('§6.3: two lengths that differ', 'length_repeated', post('Content-Length: 5', 'Content-Length: 6'));
refusesRequest('§6.3: two lengths that agree', 'length_repeated', post('Content-Length: 5', 'content-length: 5'));
refusesResponse('§6.3: two lengths in an answer', 'length_repeated', ok('Content-Length: 5', 'Content-Length: 5'));

// §6.1: Transfer-Encoding.
const CHUNKED = '5\r\nhello\r\n0\r\n\r\n';
readsRequests('§6.1: chunked', `${post('Transfer-Encoding: chunked')}${CHUNKED}${NEXT}`, [
  { framing: 'chunked', contentLength: -1, body: 'hello' },
  { path: '/next' },
]);
readsRequests('§6.1: codings are case-insensitive', `${post('transfer-encoding: ChUnKeD')}${CHUNKED}`, [
  { body: 'hello' },
]);
readsResponses('§6.1: a chunked answer', `${ok('Transfer-Encoding: chunked')}${CHUNKED}`, [
  { framing: 'chunked', body: 'hello', keepAlive: true },
]);
for (const value of [
  '',
  ',',
  'chunked,',
  ', chunked',
  'identity',
  'chunked, identity',
  'chunked, chunked',
  'chunked, gzip',
  'gzip',
  'xchunked',
  'chunked2',
  'chunked;a=b',
  'chunked ;',
  '"chunked"',
  "'chunked'",
  'chunked chunked',
  'chunk',
  'chunke\xe4',
]) {
  refusesRequest(`§6.3: Transfer-Encoding: ${value}`, 'bad_coding', post(`Transfer-Encoding: ${value}`) + CHUNKED);
  refusesResponse(
    `§6.3: an answer's Transfer-Encoding: ${value}`,
    'bad_coding',
    ok(`Transfer-Encoding: ${value}`) + CHUNKED,
  );
}
for (const value of ['gzip, chunked', 'identity,chunked', 'x, y , chunked', 'xchunked, chunked']) {
  refusesRequest(
    `§6.1: a coding we don't have: ${value}`,
    'unknown_coding',
    post(`Transfer-Encoding: ${value}`) + CHUNKED,
  );
  refusesResponse(
    `§6.1: an answer with a coding we don't have: ${value}`,
    'unknown_coding',
    ok(`Transfer-Encoding: ${value}`) + CHUNKED,
  );
}
refusesRequest(
  '§6.1: two Transfer-Encoding lines',
  'coding_repeated',
  post('Transfer-Encoding: chunked', 'Transfer-Encoding: chunked') + CHUNKED,
);
refusesRequest(
  '§6.1: a second line that takes chunked back',
  'coding_repeated',
  post('Transfer-Encoding: chunked', 'Transfer-Encoding: identity'),
);
refusesRequest(
  '§6.1: chunked in HTTP/1.0',
  'coding_before_1_1',
  head('POST / HTTP/1.0', 'Transfer-Encoding: chunked') + CHUNKED,
);
refusesResponse(
  '§6.1: a chunked answer in HTTP/1.0',
  'coding_before_1_1',
  head('HTTP/1.0 200 OK', 'Transfer-Encoding: chunked') + CHUNKED,
);
refusesRequest(
  '§6.3: length, then chunked',
  'length_and_coding',
  post('Content-Length: 5', 'Transfer-Encoding: chunked') + CHUNKED,
);
refusesRequest(
  '§6.3: chunked, then length',
  'length_and_coding',
  post('Transfer-Encoding: chunked', 'Content-Length: 0') + CHUNKED,
);
refusesResponse(
  '§6.3: an answer with length and chunked',
  'length_and_coding',
  ok('Content-Length: 15', 'Transfer-Encoding: chunked') + CHUNKED,
);

// §6.3, 7: a request without either has no body.
readsRequests('§6.3: a POST without length has no body', `${post()}${NEXT}`, [
  { framing: 'none', body: '' },
  { path: '/next' },
]);

// §6.3, 1: answers that end with their head, whatever it says.
for (const [name, method, line, lines] of [
  ['to HEAD, with a length', 'HEAD', 'HTTP/1.1 200 OK', ['Content-Length: 5']],
  ['to HEAD, chunked', 'HEAD', 'HTTP/1.1 200 OK', ['Transfer-Encoding: chunked']],
  ['to HEAD, with neither', 'HEAD', 'HTTP/1.1 200 OK', []],
  ['204', 'GET', 'HTTP/1.1 204 No Content', []],
  ['204 with length 0', 'GET', 'HTTP/1.1 204 No Content', ['Content-Length: 0']],
  ['304', 'GET', 'HTTP/1.1 304 Not Modified', []],
  ['304 with the length of what it would have sent', 'GET', 'HTTP/1.1 304 Not Modified', ['Content-Length: 5']],
  ['304, chunked', 'GET', 'HTTP/1.1 304 Not Modified', ['Transfer-Encoding: chunked']],
] as const) {
  const asks = [{ method }, { method: 'GET' }];
  readsResponses(
    `§6.3: no body: ${name}`,
    head(line, ...lines) + NEXT_OK,
    [{ framing: 'none', contentLength: -1, body: '', keepAlive: true }, { body: 'next' }],
    { asks },
  );
}
for (const lines of [['Content-Length: 5'], ['Transfer-Encoding: chunked']]) {
  readsResponses(
    `§6.3: a 204 with ${lines[0]} ends with its head, and the connection with it`,
    head('HTTP/1.1 204 No Content', ...lines),
    [{ framing: 'none', body: '', keepAlive: false }],
  );
}
refusesResponse(
  '§6.3: a bad length is refused even where it is not used',
  'bad_length',
  head('HTTP/1.1 304 Not Modified', 'Content-Length: x'),
);

// §6.3, 2: a successful CONNECT.
readsResponses(
  '§6.3: a 2xx to CONNECT is a tunnel, whatever it says',
  `${ok('Content-Length: 5', 'Transfer-Encoding: chunked')}\x16\x03`,
  [{ framing: 'upgraded', keepAlive: false, body: '' }],
  { asks: [{ method: 'CONNECT' }], rest: '\x16\x03' },
);
readsResponses(
  '§6.3: a redirected CONNECT has a body',
  `${head('HTTP/1.1 300 Multiple Choices', 'Content-Length: 2')}no`,
  [{ framing: 'length', body: 'no' }],
  { asks: [{ method: 'CONNECT' }] },
);
readsResponses(
  '§6.3: a refused CONNECT has a body',
  `${head('HTTP/1.1 407 Proxy Authentication Required', 'Content-Length: 2')}no`,
  [{ framing: 'length', body: 'no' }],
  { asks: [{ method: 'CONNECT' }] },
);

// §6.3, 8: until the connection closes.
readsResponses(
  '§6.3: neither length nor chunked: until close',
  `${ok()}hello\r\n0\r\n\r\n`,
  [{ framing: 'until-close', keepAlive: false, body: 'hello\r\n0\r\n\r\n' }],
  { closes: true },
);
readsResponses('§6.3: until close, and nothing comes', ok(), [{ framing: 'until-close', body: '' }], { closes: true });
readsResponses(
  '§6.3: until close, HTTP/1.0 with keep-alive',
  head('HTTP/1.0 200 OK', 'Connection: keep-alive') + 'x',
  [{ framing: 'until-close', keepAlive: false, body: 'x' }],
  { closes: true },
);

// §8: incomplete messages.
readsRequests('§8: a body that is cut off is not complete', `${post('Content-Length: 5')}hell`, [
  { body: 'hell', isComplete: false },
]);
for (const [name, input, reported] of [
  ['before the first byte', '', 0],
  ['inside the status line', 'HTTP/1.1 2', 0],
  ['inside the head', 'HTTP/1.1 200 OK\r\nA: b\r\n', 0],
  ['behind an interim answer', head('HTTP/1.1 100 Continue'), 0],
  ['before a body', ok('Content-Length: 5'), 1],
  ['inside a body', `${ok('Content-Length: 5')}hell`, 1],
  ['before the first chunk', ok('Transfer-Encoding: chunked'), 1],
  ['inside a chunk', `${ok('Transfer-Encoding: chunked')}5\r\nhel`, 1],
  ['between chunks', `${ok('Transfer-Encoding: chunked')}5\r\nhello\r\n`, 1],
  ['behind the last chunk', `${ok('Transfer-Encoding: chunked')}0\r\n`, 1],
  ['inside the trailers', `${ok('Transfer-Encoding: chunked')}0\r\nA: b\r\n`, 1],
] as const) {
  refusesResponse(`§8: an answer cut off ${name}`, 'cut_off', input, { closes: true, reported });
}
readsResponses('§8: a close behind a complete answer is no error', `${ok('Content-Length: 2')}ok`, [{ body: 'ok' }], {
  closes: true,
});

// §9.2: bytes that belong to no request.
refusesResponse('§9.2: a second answer to one request', 'unasked_reply', NEXT_OK + NEXT_OK, { reported: 1 });
refusesResponse('§9.2: an answer to no request', 'unasked_reply', NEXT_OK, { asks: [] });
refusesResponse('§9.2: a body longer than its length', 'unasked_reply', `${ok('Content-Length: 2')}okay`, {
  reported: 1,
});
refusesResponse('§9.2: a 204 with a body', 'unasked_reply', `${head('HTTP/1.1 204 No Content')}x`, { reported: 1 });
readsResponses(
  '§9.3: answers in the order of their requests',
  NEXT_OK + NEXT_OK,
  [{ body: 'next' }, { body: 'next' }],
  TWO,
);
