import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { asBytes } from '../base/bytes.ts';
import {
  CHUNK_END,
  chunkHeadLength,
  isHeaderName,
  isHeaderValue,
  LAST_CHUNK,
  statusLine,
  writeChunkHead,
} from './serializer.ts';

describe('serializer', () => {
  it('writes a status line for every code, with a reason where there is one', () => {
    assert.equal(statusLine(200), 'HTTP/1.1 200 OK\r\n');
    assert.equal(statusLine(429), 'HTTP/1.1 429 Too Many Requests\r\n');
    assert.equal(statusLine(529), 'HTTP/1.1 529 Overloaded\r\n');
    assert.equal(statusLine(299), 'HTTP/1.1 299 \r\n');
    for (let status = 100; status <= 599; status++) assert.match(statusLine(status), /^HTTP\/1\.1 \d{3} [\w '-]*\r\n$/);
    for (const status of [0, 99, 600, 200.5, Number.NaN]) assert.throws(() => statusLine(status), /a status is/);
  });

  it('writes chunk heads of any size', () => {
    const sizes = [
      1,
      9,
      10,
      15,
      16,
      17,
      255,
      256,
      4095,
      4096,
      65_535,
      65_536,
      2 ** 31,
      2 ** 32 + 5,
      Number.MAX_SAFE_INTEGER,
    ];
    for (const size of sizes) {
      const target = asBytes(Buffer.alloc(40, 0x2e));
      const end = writeChunkHead(target, 3, size);
      assert.equal(target.latin1Slice(0, end + 1), `...${size.toString(16)}\r\n.`);
      assert.equal(end - 3, chunkHeadLength(size));
    }
    assert.throws(() => writeChunkHead(asBytes(Buffer.alloc(9)), 0, 0), /a chunk has data/);
    assert.equal(CHUNK_END, '\r\n');
    assert.equal(LAST_CHUNK, '0\r\n\r\n');
  });

  it('accepts only tokens as header names', () => {
    for (const name of ['a', 'X-Api-Key', "!#$%&'*+-.^_`|~09"]) assert.equal(isHeaderName(name), true, name);
    for (const name of ['', 'a b', 'a:', 'a\r', 'a\n', 'a\0', 'é', '\u0161', '(a)', 'a\u0141']) {
      assert.equal(isHeaderName(name), false, name);
    }
  });

  it('accepts no control character, and nothing beyond latin1, in header values', () => {
    for (const value of ['', 'a', 'a b\tc', 'é\xff', '"{}"']) assert.equal(isHeaderValue(value), true, value);
    for (const value of ['a\r\nb', '\r', '\n', '\0', '\x7f', '\x1f', '\u0100', 'a\u010d\u010a', '😀']) {
      assert.equal(isHeaderValue(value), false, value);
    }
  });
});
