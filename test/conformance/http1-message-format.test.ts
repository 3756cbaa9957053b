// RFC 9112 §2: how a message is cut into lines, and its version.
import { head, readsRequests, readsResponses, refusesRequest, refusesResponse } from './http1-cases.ts';

const HOST = 'Host: a';

// §2.2: parse as octets, lines end in CRLF.
readsRequests('§2.2: bytes are read as octets, not characters', head('GET / HTTP/1.1', HOST, 'X-A: \xff\xfe\x80é'), [
  {
    headers: [
      ['host', 'a'],
      ['x-a', '\xff\xfe\x80é'],
    ],
  },
]);
refusesRequest('§2.2: a request line that ends in bare LF', 'bare_lf', 'GET / HTTP/1.1\nHost: a\r\n\r\n');
refusesRequest('§2.2: a header line that ends in bare LF', 'bare_lf', 'GET / HTTP/1.1\r\nHost: a\nX: b\r\n\r\n');
refusesRequest('§2.2: an empty line that is a bare LF', 'bare_lf', 'GET / HTTP/1.1\r\nHost: a\r\n\n');
refusesRequest('§2.2: a head with bare LFs only', 'bare_lf', 'GET / HTTP/1.1\nHost: a\n\n');
refusesRequest('§2.2: a CR alone behind the version', 'bare_cr', 'GET / HTTP/1.1\rHost: a\r\n\r\n');
refusesRequest('§2.2: a CR alone inside a header value', 'bare_cr', head('GET / HTTP/1.1', HOST, 'X: a\rb'));
refusesRequest('§2.2: two CRs before the LF', 'bare_cr', 'GET / HTTP/1.1\r\nHost: a\r\r\n\r\n');
refusesRequest('§2.2: a CR alone where the empty line should be', 'bare_cr', 'GET / HTTP/1.1\r\nHost: a\r\n\rX\r\n');
refusesRequest('§2.2: a CR alone inside a header name', 'bad_header_name', head('GET / HTTP/1.1', HOST, 'X\rY: a'));
refusesRequest('§2.2: a CR alone inside the target', 'bad_version', head('GET /a\rb HTTP/1.1', HOST));

// §2.2: one empty line before a request is ignored; whitespace before the first header is not.
readsRequests('§2.2: an empty line before the request line is ignored', `\r\n${head('GET / HTTP/1.1', HOST)}`, [
  { method: 'GET', headBytes: 27 },
]);
readsRequests(
  '§2.2: an empty line between two requests is ignored',
  `${head('GET /1 HTTP/1.1', HOST)}\r\n${head('GET /2 HTTP/1.1', HOST)}`,
  [{ path: '/1' }, { path: '/2' }],
);
readsRequests(
  '§2.2: an empty line behind a body is ignored, and the connection counts as idle',
  `${head('POST / HTTP/1.1', HOST, 'Content-Length: 2')}ab\r\n`,
  [{ body: 'ab' }],
);
refusesRequest(
  '§2.2: two empty lines before the request line',
  'extra_empty_line',
  '\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n',
);
refusesRequest('§2.2: a bare LF before the request line', 'bare_lf', '\nGET / HTTP/1.1\r\nHost: a\r\n\r\n');
refusesRequest('§2.2: a bare CR before the request line', 'bare_cr', '\rGET / HTTP/1.1\r\nHost: a\r\n\r\n');
refusesRequest(
  '§2.2: whitespace between request line and first header',
  'folded_line',
  head('GET / HTTP/1.1', ' Host: a'),
);
refusesRequest(
  '§2.2: a tab between request line and first header',
  'folded_line',
  head('GET / HTTP/1.1', '\tX: y', HOST),
);
refusesRequest('§2.2: a line of whitespace before the first header', 'folded_line', head('GET / HTTP/1.1', '  ', HOST));
refusesResponse(
  '§2.2: whitespace between status line and first header',
  'folded_line',
  head('HTTP/1.1 200 OK', ' A: b'),
);
refusesResponse('§2.2: an empty line before a status line', 'bad_version', `\r\n${head('HTTP/1.1 204 No Content')}`);

// §2.2: not HTTP at all.
refusesRequest('§2.2: a TLS hello', 'bad_method', '\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n');
refusesRequest('§2.2: a SOCKS greeting', 'bad_method', '\x05\x01\x00\r\n\r\n');
refusesRequest('§2.2: a PROXY protocol line', 'bad_version', 'PROXY TCP4 10.0.0.1 10.0.0.2 5000 4000\r\n\r\n');
refusesRequest('§2.2: an HTTP/2 preface', 'unsupported_version', 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n');

// §2.3: version.
readsRequests('§2.3: HTTP/1.1', head('GET / HTTP/1.1', HOST), [{ minor: 1 }]);
readsRequests('§2.3: HTTP/1.0', head('GET / HTTP/1.0'), [{ minor: 0, headers: [], headBytes: 18 }]);
for (const version of [
  'HTTP/2.0',
  'HTTP/3.0',
  'HTTP/0.9',
  'HTTP/9.9',
  'HTTP/1.2',
  'HTTP/1.9',
  'HTTP/0.0',
  'HTTP/2.1',
]) {
  refusesRequest(`§2.3: ${version}`, 'unsupported_version', head(`GET / ${version}`, HOST));
  refusesResponse(`§2.3: an answer in ${version}`, 'unsupported_version', head(`${version} 200 OK`));
}
const MALFORMED_VERSIONS = [
  ['in lower case', 'http/1.1'],
  ['in mixed case', 'Http/1.1'],
  ['without slash', 'HTTP 1.1'],
  ['without minor', 'HTTP/1'],
  ['without dot', 'HTTP/11'],
  ['with two dots', 'HTTP/1..1'],
  ['with a two-digit minor', 'HTTP/1.10'],
  ['with a two-digit major', 'HTTP/01.1'],
  ['with a comma', 'HTTP/1,1'],
  ['with a sign', 'HTTP/+1.1'],
  ['with a space behind it', 'HTTP/1.1 '],
  ['with a tab behind it', 'HTTP/1.1\t'],
  ['with a word behind it', 'HTTP/1.1 x'],
  ['with a NUL behind it', 'HTTP/1.1\0'],
  ['with another first letter', 'XTTP/1.1'],
  ['with another second letter', 'HXTP/1.1'],
  ['with another third letter', 'HTXP/1.1'],
  ['with another fourth letter', 'HTTX/1.1'],
  ['with a DEL', 'HTTP/1.\x7f'],
  ['of another protocol', 'RTSP/1.0'],
  ['that is empty', ''],
] as const;
for (const [how, version] of MALFORMED_VERSIONS) {
  refusesRequest(`§2.3: a version ${how}`, 'bad_version', head(`GET / ${version}`, HOST));
}
refusesRequest('§2.3: the request line of HTTP/0.9', 'bad_version', 'GET /\r\n\r\n');
refusesResponse('§2.3: an answer in lower case', 'bad_version', head('http/1.1 200 OK'));
refusesResponse('§2.3: an answer that begins with its body', 'bad_version', '<html>\r\n\r\n');
refusesResponse('§2.3: an ICY answer', 'bad_version', head('ICY 200 OK'));
readsResponses('§2.3: an answer in HTTP/1.0', head('HTTP/1.0 200 OK', 'Content-Length: 0'), [
  { minor: 0, keepAlive: false },
]);
