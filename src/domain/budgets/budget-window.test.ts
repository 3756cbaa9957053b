import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { budgetWindow, ENDLESS_WINDOW } from './budget-window.ts';
import { isTimeZone } from './zoned-days.ts';

const at = (text: string): number => Date.parse(text);
const shown = (duration: string, now: string, zone: string): string[] => {
  const { startMs, endMs } = budgetWindow(duration, at(now), zone);
  return [startMs, endMs].map((ms) => new Date(ms).toISOString().replace('.000', ''));
};

const ZONES = [
  'UTC',
  'Europe/Berlin',
  'America/New_York',
  'Asia/Kolkata',
  'America/Santiago',
  'Africa/Cairo',
  'Pacific/Apia',
];
const DURATIONS = ['30s', '30m', '7h', '24h', '30h', '1d', '7d', '1w', '14d', '30d', '1mo', '3mo'];

void describe('budget windows', () => {
  const cases: readonly (readonly [string, string, string, string, string])[] = [
    ['30s', '2026-03-04T10:20:44Z', 'UTC', '2026-03-04T10:20:30Z', '2026-03-04T10:21:00Z'],
    ['30m', '2026-03-04T10:20:44Z', 'Asia/Kolkata', '2026-03-04T10:00:00Z', '2026-03-04T10:30:00Z'],
    ['24h', '2026-03-04T23:30:00Z', 'Europe/Berlin', '2026-03-04T23:00:00Z', '2026-03-05T23:00:00Z'],
    ['1d', '2026-03-04T10:20:44Z', 'UTC', '2026-03-04T00:00:00Z', '2026-03-05T00:00:00Z'],
    ['7d', '2026-03-04T10:20:44Z', 'UTC', '2026-03-02T00:00:00Z', '2026-03-09T00:00:00Z'],
    ['1w', '2026-03-01T10:20:44Z', 'UTC', '2026-02-23T00:00:00Z', '2026-03-02T00:00:00Z'],
    ['30d', '2026-02-14T10:20:44Z', 'UTC', '2026-02-01T00:00:00Z', '2026-03-01T00:00:00Z'],
    ['1mo', '2026-12-31T23:59:59Z', 'UTC', '2026-12-01T00:00:00Z', '2027-01-01T00:00:00Z'],
    ['3mo', '2026-12-31T23:59:59Z', 'UTC', '2026-10-01T00:00:00Z', '2027-01-01T00:00:00Z'],
    ['7h', '2026-03-04T22:00:00Z', 'UTC', '2026-03-04T21:00:00Z', '2026-03-05T00:00:00Z'],
    // 23 and 25 hours: clocks are changed.
    ['1d', '2026-03-29T10:00:00Z', 'Europe/Berlin', '2026-03-28T23:00:00Z', '2026-03-29T22:00:00Z'],
    ['1d', '2026-10-25T10:00:00Z', 'Europe/Berlin', '2026-10-24T22:00:00Z', '2026-10-25T23:00:00Z'],
    // There is no midnight: the day begins at one.
    ['1d', '2026-09-06T10:00:00Z', 'America/Santiago', '2026-09-06T04:00:00Z', '2026-09-07T03:00:00Z'],
  ];
  for (const [duration, now, zone, start, end] of cases) {
    it(`${duration} at ${now} in ${zone}`, () => assert.deepEqual(shown(duration, now, zone), [start, end]));
  }

  it('hold the moment they were asked for, and follow each other without a gap', () => {
    const anyTime = fc.integer({ min: at('2000-01-01T00:00:00Z'), max: at('2040-01-01T00:00:00Z') });
    fc.assert(
      fc.property(fc.constantFrom(...DURATIONS), fc.constantFrom(...ZONES), anyTime, (duration, zone, nowMs) => {
        const window = budgetWindow(duration, nowMs, zone);
        assert.ok(window.startMs <= nowMs && nowMs < window.endMs);
        assert.deepEqual(budgetWindow(duration, window.startMs, zone), window);
        assert.deepEqual(budgetWindow(duration, window.endMs - 1, zone), window);
        assert.equal(budgetWindow(duration, window.endMs, zone).startMs, window.endMs);
        assert.equal(budgetWindow(duration, window.startMs - 1, zone).endMs, window.startMs);
      }),
      { numRuns: 300 },
    );
  });

  it('never end without a duration', () => {
    assert.equal(budgetWindow(null, 5, 'UTC'), ENDLESS_WINDOW);
  });

  it('are of zones that there are', () => {
    assert.ok(isTimeZone('Europe/Berlin') && isTimeZone('UTC'));
    assert.equal(isTimeZone('Middle/Earth'), false);
  });
});
