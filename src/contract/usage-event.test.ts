import assert from 'node:assert/strict';
import { it } from 'node:test';
import { type AttemptEvent, spentNano } from './usage-event.ts';

it('what a request cost is its answer and every attempt that was charged', () => {
  const attempt = (costNano: number | null): AttemptEvent => {
    return { deployment: 'd', status: 500, error: null, durationMs: 1, usage: null, costNano };
  };
  assert.equal(spentNano({ costNano: 5, attempts: [attempt(null), attempt(7), attempt(null)] }), 12);
  assert.equal(spentNano({ costNano: null, attempts: [attempt(7)] }), 7);
  assert.equal(spentNano({ costNano: 0, attempts: [attempt(null)] }), 0);
  assert.equal(spentNano({ costNano: null, attempts: [attempt(null)] }), null);
  assert.equal(spentNano({ costNano: 3, attempts: [] }), 3);
});
