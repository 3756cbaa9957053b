import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { WholeNumbers } from './whole-numbers.ts';

test('whole numbers are read exactly, whatever their size', () => {
  fc.assert(
    fc.property(fc.array(fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n }), { minLength: 1 }), (values) => {
      const numbers = new WholeNumbers(values.join(','));
      const read: bigint[] = [];
      while (numbers.hasMore) read.push(BigInt(numbers.next()));
      assert.deepEqual(read, values);
    }),
  );
});

test('what a number holds exactly is one, the rest are bigints', () => {
  const numbers = new WholeNumbers('0,-7,9007199254740991,9007199254740992,-9007199254740993');
  const read = Array.from({ length: 5 }, () => numbers.next());
  assert.deepEqual(read, [0, -7, Number.MAX_SAFE_INTEGER, 9007199254740992n, -9007199254740993n]);
  assert.ok(!numbers.hasMore);
  assert.equal(numbers.next(), 0);
});
