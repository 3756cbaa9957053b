import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { resolvePlainScalar } from './yaml-scalars.ts';

/** What PyYAML 6.0.3 answers: `yaml.safe_load('k: ' + text)['k']`. Dates, which stay text here, are left out. */
const PYYAML: readonly (readonly [text: string, value: string | number | boolean | null])[] = [
  ...['y', 'n', 'Y', 'N', 'yEs', 'tRue', 'nUll', 'NaN', 'Infinity', '.Nan', '+', '.', 'e5', '--1'].map(
    (text) => [text, text] as const,
  ),
  ...['yes', 'Yes', 'YES', 'true', 'TRUE', 'on', 'On', 'ON'].map((text) => [text, true] as const),
  ...['no', 'No', 'NO', 'false', 'False', 'off', 'Off', 'OFF'].map((text) => [text, false] as const),
  ...['', '~', 'null', 'Null', 'NULL'].map((text) => [text, null] as const),
  ['0', 0],
  ['00', 0],
  ['007', 7],
  ['012', 10],
  ['-012', -10],
  ['0_7', 7],
  ['0777', 511],
  ['08', '08'],
  ['0o17', '0o17'],
  ['0x1F', 31],
  ['-0x1F', -31],
  ['0xg', '0xg'],
  ['0b101', 5],
  ['-0b11', -3],
  ['0b2', '0b2'],
  ['1_000', 1000],
  ['1__0', 10],
  ['_1', '_1'],
  ['+5', 5],
  ['-5', -5],
  ['1.5', 1.5],
  ['1.', 1],
  ['.5', 0.5],
  ['-.5', '-.5'],
  ['1_0.5_0', 10.5],
  ['1e3', '1e3'],
  ['1e-6', '1e-6'],
  ['3e-06', '3e-06'],
  ['12e03', '12e03'],
  ['1.0e-6', 1e-6],
  ['1.0e6', '1.0e6'],
  ['1.5E+3', 1500],
  ['1.e+3', 1000],
  ['1:30', 90],
  ['-1:30', -90],
  ['1:30:15', 5415],
  ['190:20:30.15', 685230.15],
  ['0:30', '0:30'],
  ['1:60', '1:60'],
  ['59:59', 3599],
  ['.inf', Number.POSITIVE_INFINITY],
  ['-.inf', Number.NEGATIVE_INFINITY],
  ['.INF', Number.POSITIVE_INFINITY],
  ['.nan', Number.NaN],
  ['1,000', '1,000'],
  ['0.1.2', '0.1.2'],
  ['sk-1234', 'sk-1234'],
];

describe('plain scalars', () => {
  for (const [text, value] of PYYAML) {
    it(`reads ${JSON.stringify(text)} as ${String(value)}`, () => {
      assert.ok(Object.is(resolvePlainScalar(text), value), `is ${String(resolvePlainScalar(text))}`);
    });
  }

  it('leaves a date as it is written', () => {
    assert.equal(resolvePlainScalar('2024-02-01'), '2024-02-01');
  });
});
