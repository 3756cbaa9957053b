import assert from 'node:assert/strict';
import { it } from 'node:test';
import type { Price } from '../domain/pricing/price.ts';
import { SAMPLE_EVENT } from '../../test/support/usage-event-sample.ts';
import { deployment } from '../../test/support/sidecar-harness.ts';
import { priceLookup, withCost } from './priced-event.ts';

const PRICE: Price = { prices: { input: 2_000_000, output: 5_000_000 }, steps: [], tiers: {} };
const LOOKUP = priceLookup([
  deployment('g', 1, { id: 'd-1', price: PRICE }),
  deployment('h', 1, { id: 'any', modelPrices: { 'gpt-x': PRICE } }),
  deployment('i', 1, { id: 'unpriced' }),
]);

it('prices an event that has a usage and no cost', () => {
  const event = { ...SAMPLE_EVENT, costNano: null };
  assert.deepEqual(withCost(event, LOOKUP), { ...event, costNano: 12_000 });
  assert.equal(withCost({ ...event, deployment: 'any' }, LOOKUP).costNano, 12_000);
});

it('leaves every other as it is', () => {
  const event = { ...SAMPLE_EVENT, costNano: null };
  for (const each of [
    SAMPLE_EVENT,
    { ...event, usage: null },
    { ...event, deployment: null },
    { ...event, deployment: 'gone' },
    { ...event, deployment: 'unpriced' },
    { ...event, deployment: 'any', upstreamModel: 'other' },
    { ...event, deployment: 'any', upstreamModel: 'constructor' },
    { ...event, deployment: 'any', upstreamModel: null },
  ]) {
    assert.equal(withCost(each, LOOKUP), each);
  }
});
