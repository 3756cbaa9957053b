import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { addDuration, parseDuration } from './duration.ts';

describe('duration', () => {
  it('is read in LiteLLM’s units', () => {
    for (const [text, ms] of [
      ['30s', 30_000],
      ['15m', 900_000],
      ['24h', 86_400_000],
      ['30d', 2_592_000_000],
      ['1w', 604_800_000],
    ] as const) {
      const duration = parseDuration(text);
      assert.ok(duration !== null, text);
      assert.equal(addDuration(5, duration), 5 + ms, text);
    }
  });

  it('is refused when it is none', () => {
    for (const text of ['', '30', 's', '-1d', '1.5h', '0s', '1y', '1 d', '1mo2d', '1001mo', '9999999s']) {
      assert.equal(parseDuration(text), null, text);
    }
  });

  it('counts months on the calendar', () => {
    const after = (start: string, text: string): string =>
      new Date(addDuration(Date.parse(start), parseDuration(text)!)).toISOString();
    assert.equal(after('2026-01-31T10:20:30.400Z', '1mo'), '2026-02-28T10:20:30.400Z');
    assert.equal(after('2027-12-31T00:00:00.000Z', '2mo'), '2028-02-29T00:00:00.000Z');
    assert.equal(after('2026-11-05T01:00:00.000Z', '2mo'), '2027-01-05T01:00:00.000Z');
  });
});
