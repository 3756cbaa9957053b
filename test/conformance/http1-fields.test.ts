// RFC 9112 §5 and RFC 9110 §5: field lines.
import { head, readsRequests, readsResponses, refusesRequest, refusesResponse } from './http1-cases.ts';

const withLines = (...lines: string[]): string => head('GET / HTTP/1.1', 'Host: a', ...lines);
const answer = (...lines: string[]): string => head('HTTP/1.1 200 OK', 'Content-Length: 0', ...lines);

/** Reads the one line both ways. */
function reads(name: string, line: string, header: [name: string, value: string]): void {
  readsRequests(name, withLines(line), [{ headers: [['host', 'a'], header] }]);
  readsResponses(`${name} (answer)`, answer(line), [{ headers: [['content-length', '0'], header] }]);
}

function refuses(name: string, rule: Parameters<typeof refusesRequest>[1], ...lines: string[]): void {
  refusesRequest(name, rule, withLines(...lines));
  refusesResponse(`${name} (answer)`, rule, answer(...lines));
}

// 9110 §5.1: names are case-insensitive tokens.
reads('9110 §5.1: names compare in lower case', 'X-MiXeD-Case: v', ['x-mixed-case', 'v']);
reads('9110 §5.1: a known name in odd case', 'cONTENT-tYPE: v', ['content-type', 'v']);
reads('9110 §5.1: every token character', "!#$%&'*+-.^_`|~09AZaz: v", ["!#$%&'*+-.^_`|~09azaz", 'v']);
reads('9110 §5.1: a name of one letter', 'a: v', ['a', 'v']);
reads('9110 §5.1: an underscore is part of another name', 'Content_Length: 5', ['content_length', '5']);
for (const character of '"(),/;<=>?@[\\]{}') {
  refuses(`9110 §5.1: ${character} in a name`, 'bad_header_name', `a${character}b: v`);
}
for (const [name, character] of [
  ['a space', ' '],
  ['a tab', '\t'],
  ['a NUL', '\0'],
  ['a DEL', '\x7f'],
  ['a byte from 0x80 on', '\xe9'],
  ['a vertical tab', '\v'],
] as const) {
  refuses(`9110 §5.1: ${name} in a name`, 'bad_header_name', `a${character}b: v`);
}
refuses('9110 §5.1: an empty name', 'bad_header_name', ': v');
refuses('9112 §5: a line without colon', 'bad_header_name', 'novalue');
refuses('9112 §5: a line without colon in front of a good one', 'bad_header_name', 'novalue', 'a: b');

// 9112 §5.1: no whitespace between name and colon.
refuses('9112 §5.1: a space before the colon', 'bad_header_name', 'X-A : v');
refuses('9112 §5.1: a tab before the colon', 'bad_header_name', 'X-A\t: v');
refuses('9112 §5.1: a space before the colon of Content-Length', 'bad_header_name', 'Content-Length : 5');

// 9112 §5.1, 9110 §5.6.3: whitespace around the value is not part of it.
reads('9112 §5.1: no whitespace', 'X:v', ['x', 'v']);
reads('9112 §5.1: spaces and tabs around a value', 'X: \t  v \t ', ['x', 'v']);
reads('9112 §5.1: whitespace inside a value is kept', 'X:  a \t b  ', ['x', 'a \t b']);
reads('9112 §5.1: an empty value', 'X:', ['x', '']);
reads('9112 §5.1: a value of whitespace only', 'X: \t ', ['x', '']);
reads('9112 §5.1: colons inside a value', 'X: a:b: c', ['x', 'a:b: c']);

// 9110 §5.5: what a value may hold.
reads('9110 §5.5: every visible character', `X: ${visible()}`, ['x', visible()]);
reads('9110 §5.5: every byte from 0x80 on', `X: ${upper()}`, ['x', upper()]);
for (let code = 0; code < 0x20; code++) {
  if (code === 0x09 || code === 0x0a || code === 0x0d) continue;
  refuses(`9110 §5.5: control character ${code} in a value`, 'bad_header_value', `X: a${String.fromCharCode(code)}b`);
}
refuses('9110 §5.5: DEL in a value', 'bad_header_value', 'X: a\x7fb');
refuses('9110 §5.5: a control character in front of a value', 'bad_header_value', 'X:\x0bv');
refuses('9110 §5.5: CR in a value', 'bare_cr', 'X: a\rb');
refuses('9110 §5.5: LF in a value', 'bare_lf', 'X: a\nY: b');

// 9112 §5.2: line folding.
refuses('9112 §5.2: a folded line', 'folded_line', 'X: a', ' b');
refuses('9112 §5.2: a line folded with a tab', 'folded_line', 'X: a', '\tb');
refuses('9112 §5.2: a folded line that looks like a header', 'folded_line', 'X: a', ' Content-Length: 5');
refuses('9112 §5.2: a folded line that is empty', 'folded_line', 'X: a', ' ');

// 9110 §5.2, §5.3: several lines of one name keep their order.
readsRequests('9110 §5.3: lines of the same name keep their order', withLines('X: 1', 'Y: 2', 'x: 3'), [
  {
    headers: [
      ['host', 'a'],
      ['x', '1'],
      ['y', '2'],
      ['x', '3'],
    ],
  },
]);

// 9110 §5.4: limits on fields answer with a 4xx.
const limits = { maxHeaders: 3, maxHeadBytes: 60 };
readsRequests('9110 §5.4: as many lines as allowed', withLines('a: 1', 'b: 2'), [{ isComplete: true }], limits);
refusesRequest('9110 §5.4: one line more than allowed', 'too_many_headers', withLines('a: 1', 'b: 2', 'c: 3'), {
  limits,
});
readsRequests('9110 §5.4: a head as large as allowed', withLines(`a: ${'x'.repeat(28)}`), [{ headBytes: 60 }], limits);
refusesRequest('9110 §5.4: a head one byte larger', 'head_too_large', withLines(`a: ${'x'.repeat(29)}`), { limits });
refusesRequest('9110 §5.4: one endless line', 'head_too_large', `GET / HTTP/1.1\r\nHost: ${'x'.repeat(200)}\r\n\r\n`, {
  limits,
});
refusesRequest('9110 §5.4: an endless name', 'head_too_large', `GET / HTTP/1.1\r\n${'x'.repeat(200)}: v\r\n\r\n`, {
  limits,
});
refusesRequest('9112 §3: an endless target', 'target_too_long', `GET /${'x'.repeat(200)} HTTP/1.1\r\nHost: a\r\n\r\n`, {
  limits,
});
refusesRequest('9112 §3: an endless query', 'target_too_long', `GET /?${'x'.repeat(200)} HTTP/1.1\r\nHost: a\r\n\r\n`, {
  limits,
});
refusesRequest(
  '9110 §5.4: a bad byte within the limit is named before the size',
  'bad_header_value',
  `GET / HTTP/1.1\r\nHost: \0${'x'.repeat(200)}\r\n\r\n`,
  { limits },
);
refusesResponse('9110 §5.4: an answer with too many lines', 'too_many_headers', answer('a: 1', 'b: 2', 'c: 3'), {
  limits: { maxHeaders: 3 },
});
refusesResponse('9110 §5.4: an answer whose head is too large', 'head_too_large', answer(`a: ${'x'.repeat(200)}`), {
  limits: { maxHeadBytes: 60 },
});
readsRequests('9110 §5.4: 128 lines by default', withLines(...Array.from({ length: 127 }, (_, i) => `n${i}: ${i}`)), [
  { method: 'GET' },
]);

function visible(): string {
  return String.fromCharCode(...Array.from({ length: 0x7f - 0x21 }, (_, i) => 0x21 + i));
}

function upper(): string {
  return String.fromCharCode(...Array.from({ length: 0x80 }, (_, i) => 0x80 + i));
}
