import assert from 'node:assert/strict';
import { isIP } from 'node:net';
import { describe, it } from 'node:test';
import { formatIpAddress, parseIpAddress } from './ip-address.ts';

describe('parseIpAddress and formatIpAddress', () => {
  const same: [string, string][] = [
    ['1.2.3.4', '1.2.3.4'],
    ['255.255.255.255', '255.255.255.255'],
    ['::ffff:1.2.3.4', '1.2.3.4'],
    ['::FFFF:102:304', '1.2.3.4'],
    ['::', '::'],
    ['::1', '::1'],
    ['1::', '1::'],
    ['2001:DB8:0:0:1:0:0:1', '2001:db8::1:0:0:1'],
    ['2001:db8:0:1:1:1:1:1', '2001:db8:0:1:1:1:1:1'],
    ['1:2:3:4:5:6:1.2.3.4', '1:2:3:4:5:6:102:304'],
  ];
  for (const [written, canonical] of same) {
    it(`${written} is ${canonical}`, () => {
      const bytes = parseIpAddress(written);
      assert.ok(bytes !== null);
      assert.equal(formatIpAddress(bytes), canonical);
      assert.deepEqual(parseIpAddress(canonical), bytes);
    });
  }

  const bad = ['', '1.2.3', '1.2.3.4.5', '01.2.3.4', '1.2.3.256', '1.2.3.-4', '1.2.3.4 ', ':', ':::', '1:2:3:4:5:6:7'];
  bad.push('1:2:3:4:5:6:7:8:9', '::1::', '12345::', 'g::', '1.2.3.4::', '::1.2.3', 'fe80::1%eth0', '1:2:3:4:5:6:7::8');
  for (const text of bad) it(`refuses ${JSON.stringify(text)}`, () => assert.equal(parseIpAddress(text), null));

  it('agrees with Node on texts made at random', () => {
    const parts = ['0', '1', 'ff', 'ffff', '255', '256', '01', ':', '::', '.', ':', '.', 'g'];
    let seed = 7;
    const next = (bound: number): number => {
      seed = (seed * 1_103_515_245 + 12_345) % 2_147_483_648;
      return Math.floor((seed / 2_147_483_648) * bound);
    };
    let valid = 0;
    for (let run = 0; run < 20_000; run += 1) {
      const text = Array.from({ length: 3 + next(14) }, () => parts[next(parts.length)]).join('');
      const isValid = isIP(text) !== 0;
      if (isValid) valid += 1;
      // RFC 5952 §4.2.2 calls `::` for a single group wrong, RFC 4291 allows it, as does Node.
      assert.equal(parseIpAddress(text) !== null, isValid, text);
    }
    assert.ok(valid > 20, String(valid));
  });
});
