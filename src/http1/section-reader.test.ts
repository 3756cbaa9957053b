import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { asBytes, type Bytes } from '../base/bytes.ts';
import { FieldSectionParser } from './field-section-parser.ts';
import { ScanResult, SectionReader } from './section-reader.ts';

/** The real scanner, counting the bytes it was given. */
class CountingParser extends FieldSectionParser {
  scannedBytes: number = 0;

  override scan(bytes: Bytes, at: number, end: number): number {
    this.scannedBytes += end - at;
    return super.scan(bytes, at, end);
  }
}

const MAX_BYTES = 32 * 1024;
const LONG_LINE = `a: ${'x'.repeat(20_000)}\r\n`;
const SHORT_LINES = 'b: c\r\n'.repeat(100);

describe('section reader', () => {
  for (const [name, text] of [
    ['one long line', LONG_LINE],
    ['many short lines', SHORT_LINES],
    ['both', SHORT_LINES + LONG_LINE],
  ] as const) {
    it(`scans no line more than twice, however small the pieces: ${name}`, () => {
      const scanner = new CountingParser(200);
      const reader = new SectionReader(scanner, MAX_BYTES);
      const bytes = asBytes(Buffer.from(`${text}\r\n`));
      reader.begin();
      scanner.begin();
      for (let i = 0; i < bytes.length - 1; i++) {
        assert.equal(reader.read(bytes, i, i + 1), ScanResult.Incomplete);
      }
      assert.equal(reader.read(bytes, bytes.length - 1, bytes.length), bytes.length);
      assert.ok(scanner.scannedBytes <= 2 * bytes.length, `${scanner.scannedBytes} bytes for ${bytes.length}`);
      assert.equal(scanner.table.count, text.split('\n').length - 1);
    });
  }

  it('leaves what the last section referred to alone', () => {
    const scanner = new FieldSectionParser(10);
    const reader = new SectionReader(scanner, MAX_BYTES);
    const read = (text: string): void => {
      const bytes = asBytes(Buffer.from(text));
      reader.begin();
      scanner.begin();
      reader.read(bytes, 0, 2);
      reader.read(bytes, 2, bytes.length);
    };
    read('a: first\r\n\r\n');
    const { bytes: firstBytes } = scanner.table;
    const start = scanner.table.valueStart(0);
    read('a: other\r\n\r\n');
    assert.equal(firstBytes.latin1Slice(start, start + 5), 'first');
    assert.equal(scanner.table.value(0), 'other');
  });
});
