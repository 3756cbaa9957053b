import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { ReadSlab } from './read-slab.ts';

describe('ReadSlab', () => {
  it('hands out copies that later reads never touch, at every size', () => {
    const slab = new ReadSlab();
    const taken: { chunk: Uint8Array; fill: number }[] = [];
    let total = 0;
    for (let i = 0; total < 4 << 20; i++) {
      const length = [1, 8, 9, 600, 16_383, 16_384, 65_536][i % 7] ?? 1;
      const fill = i & 0xff;
      slab.readBuffer.fill(fill, 0, length);
      const chunk = slab.take(length);
      assert.equal(chunk.length, length);
      taken.push({ chunk, fill });
      total += length;
    }
    for (const { chunk, fill } of taken) assert.ok(chunk.every((byte) => byte === fill));
  });

  it('fills a block to its last byte', () => {
    const slab = new ReadSlab();
    const chunks = Array.from({ length: 9 }, () => slab.take(8192));
    assert.equal(new Set(chunks.slice(0, 8).map(({ buffer }) => buffer)).size, 1);
    assert.notEqual(chunks[8]?.buffer, chunks[7]?.buffer);
  });

  it('gives large chunks memory of their own', () => {
    const slab = new ReadSlab();
    assert.equal(slab.take(16_384).buffer.byteLength, 16_384);
    assert.equal(slab.take(65_536).buffer.byteLength, 65_536);
  });
});
