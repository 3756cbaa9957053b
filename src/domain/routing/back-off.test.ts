import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { backOffMs } from './back-off.ts';

const SETTINGS = { initialMs: 250, maxMs: 8000, floorMs: 0 };

describe('back-off', () => {
  it('doubles up to its maximum', () => {
    const waits = [1, 2, 3, 4, 5, 6, 7, 99].map((repeat) => backOffMs(repeat, SETTINGS, 0));
    assert.deepEqual(waits, [250, 500, 1000, 2000, 4000, 8000, 8000, 8000]);
  });

  it('takes a random half off', () => {
    assert.equal(backOffMs(1, SETTINGS, 0.5), 187.5);
    assert.ok(backOffMs(1, SETTINGS, 0.999) > 125);
  });

  it('is never less than retry_after says', () => {
    assert.equal(backOffMs(1, { ...SETTINGS, floorMs: 3000 }, 0.9), 3000);
    assert.equal(backOffMs(6, { ...SETTINGS, floorMs: 3000 }, 0), 8000);
  });
});
