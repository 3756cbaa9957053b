import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { asBytes } from '../base/bytes.ts';
import { isNamedByConnection } from './connection-options.ts';
import { HeaderId } from './header-id.ts';
import type { HeaderTable } from './header-table.ts';
import { DEFAULT_LIMITS } from './limits.ts';
import { RequestParser } from './request-parser.ts';

const LINES = ['Host: a\r\n', 'X-One:  first \r\n', 'content-TYPE: Text/Plain\r\n', 'x-one: second\r\n', 'Empty:\r\n'];

/** The table of a head with these lines that lies at `offset`, or arrives in two pieces when `cut` is given. */
function parse(lines: readonly string[], offset: number = 5, cut: number = -1): HeaderTable {
  const chunk = Buffer.from(`${'.'.repeat(offset)}GET / HTTP/1.1\r\n${lines.join('')}\r\n`, 'latin1');
  const parser = new RequestParser(DEFAULT_LIMITS);
  if (cut !== -1) parser.next(asBytes(chunk), offset, cut);
  parser.next(asBytes(chunk), cut === -1 ? offset : cut, chunk.length);
  return parser.head.headers;
}

describe('header table', () => {
  for (const [where, table] of [
    ['whole in a chunk', parse(LINES)],
    ['split', parse(LINES, 5, 40)],
  ] as const) {
    it(`answers names, values and ids: ${where}`, () => {
      assert.equal(table.count, 5);
      assert.deepEqual(
        [0, 1, 2, 3, 4].map((i) => table.name(i)),
        ['host', 'x-one', 'content-type', 'x-one', 'empty'],
      );
      assert.deepEqual(
        [0, 1, 2, 3, 4].map((i) => table.value(i)),
        ['a', 'first', 'Text/Plain', 'second', ''],
      );
      assert.deepEqual(
        [0, 1, 2, 3, 4].map((i) => table.id(i)),
        [HeaderId.Host, HeaderId.XOther, HeaderId.ContentType, HeaderId.XOther, HeaderId.Unknown],
      );
    });

    it(`finds the first line of a name: ${where}`, () => {
      assert.equal(table.find(HeaderId.ContentType), 2);
      assert.equal(table.find(HeaderId.XOther), 1);
      assert.equal(table.find(HeaderId.Authorization), -1);
      assert.equal(table.text(HeaderId.ContentType), 'Text/Plain');
      assert.equal(table.text(HeaderId.Authorization), null);
      assert.equal(table.findName('x-one'), 1);
      assert.equal(table.findName('empty'), 4);
      assert.equal(table.findName('x-on'), -1);
      assert.equal(table.findName('x-ones'), -1);
      assert.equal(table.valueEquals(2, 'text/plain'), true);
      assert.equal(table.valueEquals(2, 'text/plai'), false);
      assert.equal(table.valueEquals(2, 'text-plain'), false);
      assert.equal(table.valueEquals(4, ''), true);
    });

    it(`gives the raw lines, without gaps: ${where}`, () => {
      const raw = (from: number, to: number): string =>
        table.bytes.latin1Slice(table.lineStart(from), table.lineEnd(to));
      for (const [index, line] of LINES.entries()) assert.equal(raw(index, index), line);
      assert.equal(raw(0, 4), LINES.join(''));
      assert.equal(raw(1, 3), LINES.slice(1, 4).join(''));
    });
  }

  it('gives the raw lines wherever the head is split', () => {
    const length = 5 + `GET / HTTP/1.1\r\n${LINES.join('')}\r\n`.length;
    for (let cut = 6; cut < length; cut++) {
      const table = parse(LINES, 5, cut);
      assert.equal(table.bytes.latin1Slice(table.lineStart(0), table.lineEnd(4)), LINES.join(''), `cut at ${cut}`);
    }
  });

  it('forgets the last head, and lets go of its bytes when told to', () => {
    const parser = new RequestParser(DEFAULT_LIMITS);
    const read = (text: string): void => {
      const chunk = asBytes(Buffer.from(text));
      const at = parser.next(chunk, 0, chunk.length);
      parser.next(chunk, at, chunk.length);
    };
    read('GET / HTTP/1.1\r\nHost: a\r\nContent-Type: b\r\n\r\n');
    read('GET / HTTP/1.1\r\nHost: a\r\n\r\n');
    const { headers } = parser.head;
    assert.equal(headers.find(HeaderId.ContentType), -1);
    parser.release();
    assert.equal(headers.count, 0);
    assert.equal(headers.bytes.length, 0);
    assert.equal(headers.text(HeaderId.Host), null);
    read('GET / HTTP/1.1\r\nHost: c\r\n\r\n');
    assert.equal(headers.text(HeaderId.Host), 'c');

    const half = asBytes(Buffer.from('GET / HT'));
    parser.next(half, 0, half.length);
    assert.throws(() => parser.release(), /no request is being read/);
  });

  it('grows with the head, and is reused by the next', () => {
    const many = Array.from({ length: 100 }, (_, i) => `n${i}: v${i}\r\n`);
    const table = parse(['Host: a\r\n', ...many]);
    assert.equal(table.count, 101);
    for (let i = 0; i < 100; i++) assert.equal(table.value(i + 1), `v${i}`);

    const parser = new RequestParser(DEFAULT_LIMITS);
    const chunk = asBytes(Buffer.from('GET / HTTP/1.1\r\nHost: a\r\nB: c\r\n\r\nGET / HTTP/1.1\r\nHost: d\r\n\r\n'));
    let at = parser.next(chunk, 0, chunk.length);
    const { headers } = parser.head;
    assert.equal(headers.count, 2);
    at = parser.next(chunk, at, chunk.length);
    parser.next(chunk, at, chunk.length);
    assert.equal(parser.head.headers, headers);
    assert.equal(headers.count, 1);
    assert.equal(headers.value(0), 'd');
    assert.equal(headers.findName('b'), -1);
  });

  it('refuses an index outside of the head', () => {
    const table = parse(LINES);
    for (const index of [-1, 5, 1000]) {
      assert.throws(() => table.value(index), /header index within the head/);
      assert.throws(() => table.lineStart(index), /header index within the head/);
    }
  });

  it('knows which headers Connection names', () => {
    const table = parse([
      'Host: a\r\n',
      'Connection: close, X-Hop ,\r\n',
      'x-hop: 1\r\n',
      'x-end: 2\r\n',
      'connection: x-END\r\n',
    ]);
    assert.deepEqual(
      [0, 1, 2, 3, 4].map((i) => isNamedByConnection(table, i)),
      [false, false, true, true, false],
    );
  });
});
