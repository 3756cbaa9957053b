import fc from 'fast-check';

const ODD_BYTES = [
  '\r',
  '\n',
  '\r\n',
  ' ',
  '\t',
  '\0',
  '\x0b',
  '\x7f',
  '\x80',
  '\xff',
  ':',
  ',',
  ';',
  '"',
  '0',
  '5',
  'x',
  '-',
  '_',
];

/**
 * Requests as text, one byte per character: mostly well-formed, in the corners of the grammar rather than its middle, and
 * sometimes damaged by a few bytes. Several may follow each other on a connection.
 */
export const requestStream: fc.Arbitrary<string> = fc
  .tuple(fc.array(fc.oneof(plainRequest(), oddRequest()), { minLength: 1, maxLength: 3 }), damages())
  .map(([requests, edits]) => edits.reduce(damage, requests.join('')));

interface Damage {
  readonly kind: 'insert' | 'replace' | 'delete' | 'repeat';
  /** Where, as a share of the length. */
  readonly where: number;
  readonly bytes: string;
}

export function damages(): fc.Arbitrary<readonly Damage[]> {
  const edit = fc.record({
    kind: fc.constantFrom('insert', 'replace', 'delete', 'repeat'),
    where: fc.double({ min: 0, max: 1, noNaN: true }),
    bytes: fc.constantFrom(...ODD_BYTES),
  });
  return fc.oneof(
    { weight: 2, arbitrary: fc.constant([]) },
    { weight: 3, arbitrary: fc.array(edit, { maxLength: 3 }) },
  );
}

export function damage(text: string, edit: Damage): string {
  const at = Math.floor(edit.where * text.length);
  switch (edit.kind) {
    case 'insert':
      return text.slice(0, at) + edit.bytes + text.slice(at);
    case 'replace':
      return text.slice(0, at) + edit.bytes + text.slice(at + 1);
    case 'delete':
      return text.slice(0, at) + text.slice(at + 1);
    case 'repeat':
      return text.slice(0, at) + text.slice(Math.max(0, at - 12));
    default:
      return edit.kind satisfies never;
  }
}

function plainRequest(): fc.Arbitrary<string> {
  return fc
    .tuple(
      fc.constantFrom('POST', 'GET', 'PUT', 'OPTIONS', 'HEAD', 'DELETE', 'PATCH'),
      target(),
      headerLines(harmlessLine()),
      framed(),
    )
    .map(([method, url, lines, [framing, body]]) => {
      const head = [`${method} ${url} HTTP/1.1`, 'Host: a.test:80', ...lines, ...framing];
      return `${head.join('\r\n')}\r\n\r\n${body}`;
    });
}

function oddRequest(): fc.Arbitrary<string> {
  return fc
    .tuple(
      fc.constantFrom('GET', 'POST', 'get', 'QUERY', 'M-SEARCH', 'CONNECT', 'TRACE', 'PRI', 'X', 'SOURCE'),
      target(),
      fc.constantFrom('HTTP/1.1', 'HTTP/1.0', 'HTTP/1.2', 'HTTP/2.0', 'http/1.1', 'HTTP/1.1 ', 'HTTP/01.1'),
      headerLines(fc.oneof(harmlessLine(), framingLine())),
      fc.oneof(framed(), fc.constant<readonly [string[], string]>([[], ''])),
    )
    .map(
      ([method, url, version, lines, [framing, body]]) =>
        `${[`${method} ${url} ${version}`, ...lines, ...framing].join('\r\n')}\r\n\r\n${body}`,
    );
}

function target(): fc.Arbitrary<string> {
  const piece = fc.constantFrom(
    '/',
    'v1',
    'chat',
    '?',
    'a=b',
    '&',
    '%2e',
    '..',
    '*',
    ':',
    '@',
    '[',
    '{',
    '\\',
    '#',
    '"',
    ';',
    '//',
    '|',
    "'",
  );
  const path = fc.array(piece, { maxLength: 6 }).map((pieces) => `/${pieces.join('')}`);
  const rest = fc.array(piece, { maxLength: 3 }).map((pieces) => pieces.join(''));
  const authority = fc.constantFrom(
    'http://a.test',
    'https://[::1]:80',
    'HTTP://a',
    'http://',
    'http://u@a',
    'ftp://a',
    'a.test:443',
    '*',
  );
  return fc.oneof(
    { weight: 5, arbitrary: path },
    fc.tuple(authority, rest).map(([a, b]) => a + b),
  );
}

function headerLines(line: fc.Arbitrary<string>): fc.Arbitrary<string[]> {
  return fc.array(line, { maxLength: 5 });
}

export function harmlessLine(): fc.Arbitrary<string> {
  const name = fc.constantFrom(
    'X-A',
    'Accept',
    'Authorization',
    'x_b',
    "!#$%&'*+.^`|~",
    'Cookie',
    'TE',
    'A',
    'Content-Type',
    'Date',
    'Trailer',
  );
  const value = fc
    .array(fc.constantFrom('a', 'b c', ' ', '\t', ',', ':', '"', ';q=1', '\xe9', '\x80', '{', 'chunked', '5', '='), {
      maxLength: 5,
    })
    .map((pieces) => pieces.join(''));
  const padding = fc.constantFrom('', ' ', '\t', '  ');
  return fc.tuple(name, padding, value, padding).map(([n, before, v, after]) => `${n}:${before}${v}${after}`);
}

function framingLine(): fc.Arbitrary<string> {
  return fc.constantFrom(
    'Host: a',
    'Host: b.test:8080',
    'Host:',
    'Host: a b',
    'host: [::1]:80',
    'Connection: close',
    'Connection: keep-alive',
    'Connection: Upgrade',
    'Connection: keep-alive, Upgrade, close',
    'Connection: Content-Length',
    'Upgrade: websocket',
    'Expect: 100-continue',
    'Expect: 100-CONTINUE',
    'Expect: odd',
    'Content-Length: 0',
    'Content-Length: 5',
    'Content-Length: 05',
    'Content-Length: +5',
    'Content-Length: 5, 5',
    'Content-Length : 5',
    'content-length:\t5 ',
    'Transfer-Encoding: chunked',
    'Transfer-Encoding: Chunked ',
    'Transfer-Encoding: gzip, chunked',
    'Transfer-Encoding: identity',
    'Transfer-Encoding: chunked, chunked',
    'transfer-encoding:\tchunked',
    'Proxy-Connection: close',
    'Keep-Alive: timeout=5',
    ' folded',
    'no-colon',
    ': no-name',
  );
}

/** A body with the headers that announce it. */
export function framed(): fc.Arbitrary<readonly [framing: string[], body: string]> {
  const content = fc
    .array(fc.constantFrom('a', '\r\n', '0', '\0', '\xff', 'GET / HTTP/1.1\r\n\r\n', '5\r\n'), { maxLength: 5 })
    .map((parts) => parts.join(''));
  const withLength = content.map((body) => [[`Content-Length: ${body.length}`], body] as const);
  const chunk = fc
    .tuple(
      content.filter((data) => data !== ''),
      fc.constantFrom('', '', '', ';a', ';a=b', ';a="b;c"', '; a'),
      fc.constantFrom(
        (size: number) => size.toString(16),
        (size: number) => size.toString(16).toUpperCase(),
        (size: number) => `00${size.toString(16)}`,
      ),
    )
    .map(([data, extension, digits]) => `${digits(data.length)}${extension}\r\n${data}\r\n`);
  const trailers = fc.constantFrom('', '', '', 'X-Sum: 1\r\n', 'A:\r\nB: c\r\n', 'Content-Length: 5\r\n');
  const chunked = fc
    .tuple(fc.array(chunk, { maxLength: 4 }), trailers)
    .map(([chunks, last]) => [['Transfer-Encoding: chunked'], `${chunks.join('')}0\r\n${last}\r\n`] as const);
  return fc
    .oneof(withLength, chunked, fc.constant([[], ''] as const))
    .map(([framing, body]) => [[...framing], body] as const);
}
