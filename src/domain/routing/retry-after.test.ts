import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { MAX_RETRY_AFTER_MS, retryAfterMs, type RetryHints } from './retry-after.ts';

const NOW = Date.UTC(2026, 10, 22, 12, 0, 0);
const NONE: RetryHints = { retryAfterMs: null, retryAfter: null, limits: [] };

describe('when a 429 says to come back', () => {
  const cases: readonly (readonly [string, Partial<RetryHints>, number | null])[] = [
    ['nothing', {}, null],
    ['seconds', { retryAfter: '7' }, 7000],
    ['part of a second', { retryAfter: '0.25' }, 250],
    ['0', { retryAfter: '0' }, 0],
    ['a date', { retryAfter: 'Sun, 22 Nov 2026 12:00:20 GMT' }, 20_000],
    ['a date that has passed', { retryAfter: 'Sun, 22 Nov 2026 11:00:00 GMT' }, 0],
    ['nonsense', { retryAfter: 'soon' }, null],
    ['a negative number', { retryAfter: '-5' }, null],
    ['milliseconds before seconds', { retryAfterMs: '1500', retryAfter: '2' }, 1500],
    ['milliseconds that are none', { retryAfterMs: 'x', retryAfter: '2' }, 2000],
    ['too long', { retryAfter: '86400' }, MAX_RETRY_AFTER_MS],
    ['retry-after before resets', { retryAfter: '1', limits: [{ remaining: '0', reset: '9s' }] }, 1000],
    ['a reset of a limit that is used up', { limits: [{ remaining: '0', reset: '6m0s' }] }, 300_000],
    ['a duration', { limits: [{ remaining: '0', reset: '1m2.5s' }] }, 62_500],
    ['a short duration', { limits: [{ remaining: '0', reset: '20ms' }] }, 20],
    ['seconds and milliseconds', { limits: [{ remaining: '0', reset: '1s500ms' }] }, 1500],
    ['plain seconds', { limits: [{ remaining: '0', reset: '12' }] }, 12_000],
    ['Unix seconds', { limits: [{ remaining: '0', reset: String(NOW / 1000 + 30) }] }, 30_000],
    ['Unix milliseconds', { limits: [{ remaining: '0', reset: String(NOW + 40_000) }] }, 40_000],
    ['RFC 3339', { limits: [{ remaining: '0', reset: '2026-11-22T12:00:05Z' }] }, 5000],
    ['a limit that is not used up', { limits: [{ remaining: '3', reset: '9s' }] }, null],
    ['a reset without its rest', { limits: [{ remaining: null, reset: '9s' }] }, null],
    ['a reset that is none', { limits: [{ remaining: '0', reset: 'later' }] }, null],
    ['an empty reset', { limits: [{ remaining: '0', reset: '' }] }, null],
    [
      'the longest of those used up',
      {
        limits: [
          { remaining: '0', reset: '2s' },
          { remaining: '0', reset: '8s' },
          { remaining: '5', reset: '90s' },
        ],
      },
      8000,
    ],
  ];
  for (const [name, hints, expected] of cases) {
    it(name, () => {
      assert.equal(retryAfterMs({ ...NONE, ...hints }, NOW), expected);
    });
  }
});
