import fc from 'fast-check';
import { damages, damage, framed, harmlessLine } from './http1-request-arbitrary.ts';

/** One answer as text, maybe behind interim ones, mostly well-formed, sometimes damaged by a few bytes. */
export const responseText: fc.Arbitrary<string> = fc
  .tuple(fc.array(interim(), { maxLength: 2 }), final(), damages())
  .map(([interims, answer, edits]) => edits.reduce(damage, interims.join('') + answer));

function interim(): fc.Arbitrary<string> {
  const line = fc.constantFrom('HTTP/1.1 100 Continue', 'HTTP/1.1 103 Early Hints', 'HTTP/1.1 102 ');
  return fc
    .tuple(line, fc.array(harmlessLine(), { maxLength: 2 }))
    .map(([first, lines]) => `${[first, ...lines].join('\r\n')}\r\n\r\n`);
}

function final(): fc.Arbitrary<string> {
  const version = fc.constantFrom('HTTP/1.1', 'HTTP/1.1', 'HTTP/1.1', 'HTTP/1.0', 'HTTP/1.2', 'http/1.1');
  const status = fc.constantFrom(
    '200 OK',
    '200',
    '201 ',
    '204 No Content',
    '304 Not Modified',
    '404 Not\tFound',
    '429 \xe9',
    '599 x',
    '99 x',
    '600 x',
    '200  OK',
    '2000',
  );
  const framingLine = fc.constantFrom(
    'Content-Length: 5',
    'Content-Length: 0',
    'Transfer-Encoding: chunked',
    'Transfer-Encoding: gzip, chunked',
    'Connection: close',
    'Connection: keep-alive',
    'Content-Length: 05 ',
    ' folded',
  );
  const lines = fc.array(fc.oneof({ weight: 4, arbitrary: harmlessLine() }, { weight: 1, arbitrary: framingLine }), {
    maxLength: 5,
  });
  return fc
    .tuple(version, status, lines, framed())
    .map(([v, s, fields, [framing, body]]) => `${[`${v} ${s}`, ...fields, ...framing].join('\r\n')}\r\n\r\n${body}`);
}
