// RFC 9112 §7: the chunked coding and its trailers.
import { head, readsRequests, readsResponses, refusesRequest, refusesResponse } from './http1-cases.ts';

const REQUEST = head('POST / HTTP/1.1', 'Host: a', 'Transfer-Encoding: chunked');
const ANSWER = head('HTTP/1.1 200 OK', 'Transfer-Encoding: chunked');
const NEXT = head('GET /next HTTP/1.1', 'Host: a');

function reads(name: string, chunks: string, body: string): void {
  readsRequests(name, REQUEST + chunks + NEXT, [{ body }, { path: '/next' }]);
  readsResponses(`${name} (answer)`, ANSWER + chunks, [{ body }]);
}

function refuses(name: string, rule: Parameters<typeof refusesRequest>[1], chunks: string): void {
  refusesRequest(name, rule, REQUEST + chunks, { reported: 1 });
  refusesResponse(`${name} (answer)`, rule, ANSWER + chunks, { reported: 1 });
}

// §7.1: chunks.
reads('§7.1: no chunk but the last', '0\r\n\r\n', '');
reads('§7.1: one chunk', '5\r\nhello\r\n0\r\n\r\n', 'hello');
reads('§7.1: several chunks', '1\r\na\r\n2\r\nbc\r\n3\r\ndef\r\n0\r\n\r\n', 'abcdef');
reads('§7.1: data that looks like framing', '7\r\n0\r\n\r\n\r\n\r\n0\r\n\r\n', '0\r\n\r\n\r\n');
reads('§7.1: sizes in either case', 'A\r\n0123456789\r\na\r\n0123456789\r\n0\r\n\r\n', '01234567890123456789');
reads('§7.1: a size of two digits', `1F\r\n${'x'.repeat(31)}\r\n0\r\n\r\n`, 'x'.repeat(31));
reads('§7.1: leading zeros', '000000000000005\r\nhello\r\n000000000000000\r\n\r\n', 'hello');
readsRequests('§7.1: the largest size', `${REQUEST}1fffffffffffff\r\nabc`, [{ body: 'abc', isComplete: false }]);
for (const [name, size] of [
  ['that is empty', ''],
  ['with 0x', '0x5'],
  ['with a sign', '+5'],
  ['with a minus sign', '-5'],
  ['with a space before it', ' 5'],
  ['with a space behind it', '5 '],
  ['with a tab behind it', '5\t'],
  ['with other letters', '5g'],
  ['that is no number', 'hello'],
  ['with a comma', '5,5'],
  ['with a dot', '5.0'],
  ['with an underscore', '1_0'],
  ['with an h', '5h'],
  ['of 16 digits', '0000000000000005'],
  ['of 16 digits that overflow', 'ffffffffffffffff'],
  ['of 17 digits that wrap to 5', '10000000000000005'],
  ['of 2^53', '20000000000000'],
  ['of 15 digits above 2^53', 'fffffffffffffff'],
  ['with a NUL', '5\0'],
  ['with a byte from 0x80 on', '5\xe9'],
  ['with a quote', '"5"'],
] as const) {
  refuses(`§7.1: a chunk size ${name}`, 'bad_chunk_size', `${size}\r\nhello\r\n0\r\n\r\n`);
}
refuses('§7.1: a size that ends in bare LF', 'bare_lf', '5\nhello\r\n0\r\n\r\n');
refuses('§7.1: a size that ends in bare CR', 'bare_cr', '5\rhello\r\n0\r\n\r\n');
refuses('§7.1: a last chunk that ends in bare LF', 'bare_lf', '0\n\r\n');
refuses('§7.1: data longer than its size', 'bad_chunk_end', '5\r\nhello!\r\n0\r\n\r\n');
refuses('§7.1: data shorter than its size', 'bad_chunk_end', '6\r\nhello\r\n0\r\n\r\n');
refuses('§7.1: data that ends in bare LF', 'bad_chunk_end', '5\r\nhello\n0\r\n\r\n');
refuses('§7.1: data that ends in bare CR', 'bad_chunk_end', '5\r\nhello\r0\r\n\r\n');
refuses('§7.1: data that ends in two bytes of anything', 'bad_chunk_end', '5\r\nhelloXX0\r\n\r\n');
refuses('§7.1: an empty line between chunks', 'bad_chunk_size', '5\r\nhello\r\n\r\n0\r\n\r\n');

// §7.1.1: extensions are ignored, whatever they are; but bounded, and without control characters.
reads('§7.1.1: an extension', '5;a\r\nhello\r\n0;b\r\n\r\n', 'hello');
reads('§7.1.1: an extension with value', '5;a=b;c="d;e"\r\nhello\r\n0\r\n\r\n', 'hello');
reads('§7.1.1: whitespace inside an extension', '5; a = b \r\nhello\r\n0\r\n\r\n', 'hello');
reads('§7.1.1: an empty extension', '5;\r\nhello\r\n0\r\n\r\n', 'hello');
reads('§7.1.1: bytes from 0x80 on in an extension', '5;a="\xe9\xff"\r\nhello\r\n0\r\n\r\n', 'hello');
reads('§7.1.1: an extension of 256 bytes', `5;${'x'.repeat(255)}\r\nhello\r\n0\r\n\r\n`, 'hello');
refuses('§7.1.1: an extension of 257 bytes', 'chunk_extension_too_long', `5;${'x'.repeat(256)}\r\nhello\r\n0\r\n\r\n`);
refuses('§7.1.1: an endless extension', 'chunk_extension_too_long', `5;${'x'.repeat(1000)}`);
refuses('§7.1.1: the limit holds for the last chunk', 'chunk_extension_too_long', `0;${'x'.repeat(256)}\r\n\r\n`);
reads(
  '§7.1.1: the limit is one chunk’s',
  `5;${'x'.repeat(200)}\r\nhello\r\n`.repeat(3) + '0\r\n\r\n',
  'hellohellohello',
);
refuses('§7.1.1: an extension without size', 'bad_chunk_size', ';a=b\r\nhello\r\n0\r\n\r\n');
refuses('§7.1.1: whitespace before an extension', 'bad_chunk_size', '5 ;a=b\r\nhello\r\n0\r\n\r\n');
refuses('§7.1.1: bare LF in an extension', 'bare_lf', '5;a\nhello\r\n0\r\n\r\n');
refuses('§7.1.1: bare CR in an extension', 'bare_cr', '5;a\rb\r\nhello\r\n0\r\n\r\n');
refuses('§7.1.1: NUL in an extension', 'bad_chunk_extension', '5;a\0\r\nhello\r\n0\r\n\r\n');
refuses('§7.1.1: bare LF in a quoted extension', 'bare_lf', '5;a="\n"\r\nhello\r\n0\r\n\r\n');

// §7.1.2: trailers are parsed, bounded and dropped.
readsRequests(
  '§7.1.2: trailers are dropped, not merged into the headers',
  `${REQUEST}5\r\nhello\r\n0\r\nX-Checksum: 1\r\nServer-Timing: a;dur=1\r\n\r\n${NEXT}`,
  [
    {
      body: 'hello',
      headers: [
        ['host', 'a'],
        ['transfer-encoding', 'chunked'],
      ],
    },
    { path: '/next' },
  ],
);
reads('§7.1.2: a trailer with empty value', '0\r\nX:\r\n\r\n', '');
for (const name of [
  'Content-Length',
  'Transfer-Encoding',
  'Host',
  'Trailer',
  'TE',
  'Connection',
  'Upgrade',
  'Expect',
  'Authorization',
  'X-Api-Key',
  'Api-Key',
  'Cookie',
  'Set-Cookie',
  'Content-Encoding',
  'Content-Type',
  'Content-Range',
  'Cache-Control',
  'Max-Forwards',
  'transfer-ENCODING',
]) {
  refuses(`9110 §6.5.1: the trailer ${name}`, 'forbidden_trailer', `0\r\n${name}: 1\r\n\r\n`);
}
refuses(
  '9110 §6.5.1: a forbidden trailer behind good ones',
  'forbidden_trailer',
  '0\r\nA: b\r\nC: d\r\nHost: e\r\n\r\n',
);
refuses('§7.1.2: a trailer without colon', 'bad_header_name', '0\r\nnocolon\r\n\r\n');
refuses('§7.1.2: whitespace before the colon of a trailer', 'bad_header_name', '0\r\nA : b\r\n\r\n');
refuses('§7.1.2: a folded trailer', 'folded_line', '0\r\nA: b\r\n c\r\n\r\n');
refuses('§7.1.2: a control character in a trailer', 'bad_header_value', '0\r\nA: \0\r\n\r\n');
refuses('§7.1.2: a trailer that ends in bare LF', 'bare_lf', '0\r\nA: b\n\r\n');
refuses('§7.1.2: a trailer section that ends in bare LF', 'bare_lf', '0\r\n\n');
refuses('§7.1.2: a trailer section that ends in bare CR', 'bare_cr', '0\r\n\rX\r\n');
refuses('§7.1.2: a request where the trailers should be', 'bad_header_name', `0\r\n${NEXT}`);

const limits = { maxTrailerBytes: 20, maxHeaders: 3 };
readsRequests(
  '§7.1.2: trailers as large as allowed',
  `${REQUEST}0\r\nA: ${'x'.repeat(13)}\r\n\r\n`,
  [{ body: '' }],
  limits,
);
refusesRequest(
  '§7.1.2: trailers one byte larger',
  'trailers_too_large',
  `${REQUEST}0\r\nA: ${'x'.repeat(14)}\r\n\r\n`,
  { limits, reported: 1 },
);
refusesRequest('§7.1.2: an endless trailer', 'trailers_too_large', `${REQUEST}0\r\nA: ${'x'.repeat(500)}`, {
  limits,
  reported: 1,
});
refusesRequest('§7.1.2: too many trailers', 'too_many_headers', `${REQUEST}0\r\na:\r\nb:\r\nc:\r\nd:\r\n\r\n`, {
  limits,
  reported: 1,
});
