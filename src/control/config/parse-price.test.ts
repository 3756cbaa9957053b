import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { parsePrice } from './parse-price.ts';

describe('price', () => {
  const prices: readonly (readonly [text: string, picoUsd: number, isExact: boolean])[] = [
    ['0', 0, true],
    ['0.0', 0, true],
    ['0e-99', 0, true],
    ['1', 1_000_000_000_000, true],
    ['1.000', 1_000_000_000_000, true],
    ['3e-06', 3_000_000, true],
    ['3E-6', 3_000_000, true],
    ['0.000003', 3_000_000, true],
    ['2.5e-06', 2_500_000, true],
    ['1.25e-06', 1_250_000, true],
    ['.0000025', 2_500_000, true],
    ['30e-7', 3_000_000, true],
    ['+1.5e-7', 150_000, true],
    ['0.000_002_5', 2_500_000, true],
    ['1e-12', 1, true],
    // Binary fractions go wrong here: 1.1e-6 * 1e12 is 1099999.9999999998.
    ['1.1e-06', 1_100_000, true],
    ['7.5e-08', 75_000, true],
    ['5.6e-08', 56_000, true],
    ['1.4999999999999e-12', 1, false],
    ['1.5e-12', 2, false],
    ['4.9e-13', 0, false],
    ['5e-13', 1, false],
    ['9.9999e-13', 1, false],
    ['1e-30', 0, false],
  ];
  for (const [text, picoUsd, isExact] of prices) {
    it(`reads ${text} as ${picoUsd} pico-dollars`, () => assert.deepEqual(parsePrice(text), { picoUsd, isExact }));
  }

  it('has no trouble with any price that whole nano- or pico-dollars can be', () => {
    for (let pico = 1; pico < 2 ** 40; pico = pico * 3 + 1) {
      const text = `${pico}e-12`;
      assert.deepEqual(parsePrice(text), { picoUsd: pico, isExact: true }, text);
      assert.deepEqual(parsePrice(String(Number(text))), { picoUsd: pico, isExact: true }, String(Number(text)));
    }
  });

  for (const text of [
    '',
    '.',
    'e5',
    '-1',
    '-3e-06',
    'free',
    '1.2.3',
    '1,5',
    '2',
    '1e5',
    '1e400',
    'NaN',
    'Infinity',
    '0x10',
  ]) {
    it(`refuses ${JSON.stringify(text)}`, () => assert.equal(parsePrice(text), null));
  }
});
