// Request smuggling: two readers of the same bytes who find different ends. Each family in its known shapes, each with
// the refusal it must meet; where a shape is legal, with the one reading we give it. Families are named front.back: CL =
// reads Content-Length, TE = reads Transfer-Encoding, 0 = reads no body. Shapes: Linhart et al. 2005, Kettle 2019–2025,
// and advisories of proxies and servers since.
import { head, readsRequests, refusesRequest, refusesResponse } from './http1-cases.ts';

const post = (...lines: string[]): string => head('POST / HTTP/1.1', 'Host: a', ...lines);
const SMUGGLED = head('GET /smuggled HTTP/1.1', 'Host: a');

// CL.TE: the front sends Content-Length bytes on, the back stops at the last chunk.
const CL_TE = `0\r\n\r\n${SMUGGLED}`;
refusesRequest(
  'CL.TE: both headers',
  'length_and_coding',
  post(`Content-Length: ${CL_TE.length}`, 'Transfer-Encoding: chunked') + CL_TE,
);
refusesRequest(
  'CL.TE: both headers, coding first',
  'length_and_coding',
  post('Transfer-Encoding: chunked', `Content-Length: ${CL_TE.length}`) + CL_TE,
);
refusesRequest(
  'CL.TE: with the length 0',
  'length_and_coding',
  post('Content-Length: 0', 'Transfer-Encoding: chunked') + CL_TE,
);
refusesRequest(
  'CL.TE: in HTTP/1.0',
  'length_and_coding',
  head('POST / HTTP/1.0', 'Content-Length: 5', 'Transfer-Encoding: chunked') + CL_TE,
);
refusesRequest(
  'CL.TE: on a GET',
  'length_and_coding',
  head('GET / HTTP/1.1', 'Host: a', 'Content-Length: 5', 'Transfer-Encoding: chunked') + CL_TE,
);

// TE.CL: the front stops at the last chunk, the back reads Content-Length bytes.
const TE_CL = `${SMUGGLED.length.toString(16)}\r\n${SMUGGLED}\r\n0\r\n\r\n`;
refusesRequest(
  'TE.CL: both headers',
  'length_and_coding',
  post('Content-Length: 4', 'Transfer-Encoding: chunked') + TE_CL,
);
refusesRequest(
  'TE.CL: a length inside a chunked body’s trailers',
  'forbidden_trailer',
  `${post('Transfer-Encoding: chunked')}0\r\nContent-Length: 44\r\n\r\n`,
  { reported: 1 },
);

// TE.TE: both read Transfer-Encoding, one can be talked out of it.
const LENGTH = 'Content-Length: 4';
for (const [name, line, rule] of [
  ['a space before the colon', 'Transfer-Encoding : chunked', 'bad_header_name'],
  ['a tab before the colon', 'Transfer-Encoding\t: chunked', 'bad_header_name'],
  ['a space before the name', ' Transfer-Encoding: chunked', 'folded_line'],
  ['a folded value', 'Transfer-Encoding:\r\n chunked', 'folded_line'],
  ['a folded name', 'Transfer-\r\n Encoding: chunked', 'bad_header_name'],
  ['a vertical tab before the value', 'Transfer-Encoding: \x0bchunked', 'bad_header_value'],
  ['a form feed before the value', 'Transfer-Encoding: \x0cchunked', 'bad_header_value'],
  ['a NUL behind the value', 'Transfer-Encoding: chunked\0', 'bad_header_value'],
  ['a NUL before the colon', 'Transfer-Encoding\0: chunked', 'bad_header_name'],
  ['a non-breaking space before the value', 'Transfer-Encoding: \xa0chunked', 'bad_coding'],
  ['a next-line byte before the value', 'Transfer-Encoding: \x85chunked', 'bad_coding'],
  ['a leading x', 'Transfer-Encoding: xchunked', 'bad_coding'],
  ['a trailing x', 'Transfer-Encoding: chunkedx', 'bad_coding'],
  ['quotes', 'Transfer-Encoding: "chunked"', 'bad_coding'],
  ['identity behind it', 'Transfer-Encoding: chunked, identity', 'bad_coding'],
  ['identity before it', 'Transfer-Encoding: identity, chunked', 'unknown_coding'],
  ['an unknown coding before it', 'Transfer-Encoding: cow, chunked', 'unknown_coding'],
  ['a parameter', 'Transfer-Encoding: chunked;q=0', 'bad_coding'],
  ['a leading comma', 'Transfer-Encoding: ,chunked', 'bad_coding'],
  ['an empty value', 'Transfer-Encoding:', 'bad_coding'],
  ['a Kelvin sign for the k', 'Transfer-Encoding: chun\xe2\x84\xaaed', 'bad_coding'],
  ['a bare CR before the value', 'Transfer-Encoding: \rchunked', 'bare_cr'],
  ['a bare LF before the name', 'X: x\nTransfer-Encoding: chunked', 'bare_lf'],
  ['a bare CR before the name', 'X: x\rTransfer-Encoding: chunked', 'bare_cr'],
  ['a name in front', 'Foo: bar\r\n\tTransfer-Encoding: chunked', 'folded_line'],
  ['a quoted name', '"Transfer-Encoding": chunked', 'bad_header_name'],
  ['a bracketed name', '[Transfer-Encoding]: chunked', 'bad_header_name'],
  ['no colon', 'Transfer-Encoding chunked', 'bad_header_name'],
] as const) {
  refusesRequest(`TE.TE: ${name}`, rule, post(line) + TE_CL);
  refusesResponse(`TE.TE in an answer: ${name}`, rule, head('HTTP/1.1 200 OK', line) + TE_CL);
}
refusesRequest(
  'TE.TE: a second line',
  'coding_repeated',
  post('Transfer-Encoding: chunked', 'Transfer-Encoding: x', LENGTH) + TE_CL,
);
refusesRequest(
  'TE.TE: an unknown coding first',
  'bad_coding',
  post('Transfer-Encoding: x', 'Transfer-Encoding: chunked') + TE_CL,
);
readsRequests(
  'TE.TE: an underscore makes another header, and the length counts',
  `${post('Transfer_Encoding: chunked', LENGTH)}abcd`,
  [{ framing: 'length', body: 'abcd' }],
);
readsRequests('TE.TE: the TE header is no Transfer-Encoding', `${post('TE: chunked', LENGTH)}abcd`, [
  { framing: 'length', body: 'abcd' },
]);
readsRequests('TE.TE: a header whose value names it', `${post('X: Transfer-Encoding: chunked', LENGTH)}abcd`, [
  { framing: 'length', body: 'abcd' },
]);

// CL.CL: two lengths, or one that two readers read differently.
refusesRequest(
  'CL.CL: two that differ',
  'length_repeated',
  post('Content-Length: 0', `Content-Length: ${SMUGGLED.length}`) + SMUGGLED,
);
refusesRequest('CL.CL: two that agree', 'length_repeated', post('Content-Length: 4', 'Content-Length: 4') + 'abcd');
for (const [name, line, rule] of [
  ['a list', 'Content-Length: 0, 44', 'bad_length'],
  ['a list of equals', 'Content-Length: 44, 44', 'bad_length'],
  ['a plus sign', 'Content-Length: +44', 'bad_length'],
  ['a minus zero', 'Content-Length: -0', 'bad_length'],
  ['a letter behind', 'Content-Length: 44x', 'bad_length'],
  ['a number behind', 'Content-Length: 0 44', 'bad_length'],
  ['hexadecimal', 'Content-Length: 0x2c', 'bad_length'],
  ['octal', 'Content-Length: 0o54', 'bad_length'],
  ['more than 64 bits', 'Content-Length: 18446744073709551660', 'bad_length'],
  ['a NUL behind', 'Content-Length: 44\0', 'bad_header_value'],
  ['a space before the colon', 'Content-Length : 44', 'bad_header_name'],
  ['a space before the name', ' Content-Length: 44', 'folded_line'],
  ['a folded value', 'Content-Length:\r\n 44', 'folded_line'],
  ['a bare CR', 'X: y\rContent-Length: 44', 'bare_cr'],
  ['a bare LF', 'X: y\nContent-Length: 44', 'bare_lf'],
  ['a non-breaking space', 'Content-Length:\xa044', 'bad_length'],
  ['a vertical tab', 'Content-Length:\x0b44', 'bad_header_value'],
  ['nothing', 'Content-Length:', 'bad_length'],
] as const) {
  refusesRequest(`CL.CL: ${name}`, rule, post(line) + SMUGGLED);
  refusesResponse(`CL.CL in an answer: ${name}`, rule, head('HTTP/1.1 200 OK', line) + SMUGGLED);
}

// 0.CL: one reader sees no body where another sees one.
readsRequests(
  '0.CL: a GET with a length has that body',
  `${head('GET / HTTP/1.1', 'Host: a', `Content-Length: ${SMUGGLED.length}`)}${SMUGGLED}`,
  [{ method: 'GET', framing: 'length', body: SMUGGLED }],
);
readsRequests(
  '0.CL: so have HEAD, DELETE and OPTIONS',
  ['HEAD', 'DELETE', 'OPTIONS'].map((method) => `${head(`${method} / HTTP/1.1`, 'Host: a', LENGTH)}abcd`).join(''),
  [
    { method: 'HEAD', body: 'abcd' },
    { method: 'DELETE', body: 'abcd' },
    { method: 'OPTIONS', body: 'abcd' },
  ],
);
readsRequests(
  '0.CL: an upgrade request with a length has that body',
  `${head('GET / HTTP/1.1', 'Host: a', 'Connection: Upgrade', 'Upgrade: websocket', LENGTH)}abcd`,
  [{ upgrade: true, framing: 'length', body: 'abcd' }],
);
readsRequests(
  '0.CL: Connection naming Content-Length does not take it away',
  `${post('Connection: Content-Length', LENGTH)}abcd`,
  [{ framing: 'length', body: 'abcd' }],
);
readsRequests(
  '0.CL: an obfuscated Expect is no 100-continue, and the body is still there',
  `${post('Expect: y 100-continue', LENGTH)}abcd`,
  [{ expectation: 'other', body: 'abcd' }],
);
refusesRequest('0.CL: a length before a folded line', 'folded_line', post('Content-Length: 4', ' ') + SMUGGLED);
refusesRequest(
  '0.CL: a length hidden in the request line',
  'bad_version',
  `POST / HTTP/1.1 Content-Length: 44\r\nHost: a\r\n\r\n${SMUGGLED}`,
);
refusesRequest('0.CL: a NUL that ends the head for some', 'bad_header_value', post('X: \0', LENGTH) + SMUGGLED);

// CL.0: the length is believed by the front only. With one reading there is one request here, whatever the path.
readsRequests(
  'CL.0: a body that is a request stays a body',
  `${head('POST /health HTTP/1.1', 'Host: a', `Content-Length: ${SMUGGLED.length}`)}${SMUGGLED}`,
  [{ path: '/health', body: SMUGGLED }],
);

// TE.0: the same for chunked.
readsRequests(
  'TE.0: chunks on an OPTIONS are its body',
  `${head('OPTIONS / HTTP/1.1', 'Host: a', 'Transfer-Encoding: chunked')}${TE_CL}`,
  [{ method: 'OPTIONS', framing: 'chunked', body: SMUGGLED }],
);

// Chunk framing: terminators and extensions that two readers end in different places.
const chunked = (chunks: string): string => post('Transfer-Encoding: chunked') + chunks;
for (const [name, chunks, rule] of [
  ['TERM.EXT: bare LF ends an extension', `2;\nxx\r\n4c\r\n0\r\n\r\n${SMUGGLED}`, 'bare_lf'],
  ['EXT.TERM: bare CR ends an extension', `2;\rxx\r\n0\r\n\r\n${SMUGGLED}`, 'bare_cr'],
  ['TERM.SPILL: a chunk without line end', `5\r\nhello0\r\n\r\n${SMUGGLED}`, 'bad_chunk_end'],
  ['SPILL.TERM: a chunk with two bytes for a line end', `5\r\nhelloXX0\r\n\r\n${SMUGGLED}`, 'bad_chunk_end'],
  ['ONE.TWO: a chunk that ends in LF only', `5\r\nhello\n0\r\n\r\n${SMUGGLED}`, 'bad_chunk_end'],
  ['a size with 0x', `0x0\r\n\r\n${SMUGGLED}`, 'bad_chunk_size'],
  ['a size that wraps at 64 bits', `10000000000000000\r\n\r\n${SMUGGLED}`, 'bad_chunk_size'],
  ['a negative size', `-1\r\n\r\n${SMUGGLED}`, 'bad_chunk_size'],
  ['a size behind whitespace', ` 0\r\n\r\n${SMUGGLED}`, 'bad_chunk_size'],
  ['a size before whitespace', `0 \r\n\r\n${SMUGGLED}`, 'bad_chunk_size'],
  ['a last chunk that isn’t there', `\r\n${SMUGGLED}`, 'bad_chunk_size'],
  ['a last chunk that ends in LF', `0\n\n${SMUGGLED}`, 'bare_lf'],
] as const) {
  refusesRequest(`chunk framing: ${name}`, rule, chunked(chunks), { reported: 1 });
}
readsRequests('chunk framing: a size above 32 bits is not wrapped', chunked('100000000\r\nabc'), [
  { body: 'abc', isComplete: false },
]);

// Header injection through the request line and the target.
refusesRequest('a request line split by CR LF', 'bad_version', `GET /\r\nX: y HTTP/1.1\r\nHost: a\r\n\r\n`);
refusesRequest('two requests in one target', 'bad_version', 'GET /a HTTP/1.1 GET /b HTTP/1.1\r\nHost: a\r\n\r\n');
refusesRequest('a Host that ends the head for some', 'bare_cr', 'GET / HTTP/1.1\r\nHost: a\r\r\n\r\n');
refusesRequest(
  'an absolute target with another authority behind an @',
  'target_authority',
  'GET http://a@b/ HTTP/1.1\r\nHost: a\r\n\r\n',
);

// Answers: the same differences poison the answer queue of a reused connection.
const ok = (...lines: string[]): string => head('HTTP/1.1 200 OK', ...lines);
refusesResponse(
  'answer queue: both headers',
  'length_and_coding',
  `${ok('Content-Length: 5', 'Transfer-Encoding: chunked')}0\r\n\r\n`,
);
refusesResponse(
  'answer queue: two answers to one request',
  'unasked_reply',
  `${ok('Content-Length: 0')}${ok('Content-Length: 0')}`,
  { reported: 1 },
);
refusesResponse('answer queue: a HEAD answered with a body', 'unasked_reply', `${ok('Content-Length: 4')}abcd`, {
  asks: [{ method: 'HEAD' }],
  reported: 1,
});
