import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { CostMap } from './cost-map.ts';
import { mergePrice, PriceBook } from './find-price.ts';
import { readLitellmPrice } from './litellm-price.ts';

const MAP = new CostMap({
  sample_spec: { input_cost_per_token: 0.1, litellm_provider: 'one of https://…' },
  'gpt-x': {
    litellm_provider: 'openai',
    mode: 'chat',
    max_input_tokens: 272_000,
    input_cost_per_token: 1.25e-6,
    output_cost_per_token: 1e-5,
    cache_read_input_token_cost: 1.25e-7,
    cache_creation_input_token_cost: null,
    input_cost_per_token_above_272k_tokens: 2.5e-6,
    input_cost_per_token_flex: 6.25e-7,
    output_cost_per_token_batches: 5e-6,
    input_cost_per_token_above_272k_tokens_priority: 5e-6,
    cache_creation_input_token_cost_above_1hr: 6e-6,
    cache_creation_input_token_cost_above_1hr_above_200k_tokens: 1.2e-5,
    search_context_cost_per_query: { search_context_size_low: 0.01, search_context_size_medium: 0.0125 },
    supports_vision: true,
  },
  'openrouter/openai/gpt-x': { litellm_provider: 'openrouter', input_cost_per_token: '3e-06' },
  fine: { litellm_provider: 'openai', input_cost_per_token: 1.000_000_4e-9, output_cost_per_token: -1 },
  tts: {
    litellm_provider: 'openai',
    mode: 'audio_speech',
    input_cost_per_token: 1e-6,
    output_cost_per_second: 0.00025,
  },
  timed: { litellm_provider: 'openai', mode: 'chat', input_cost_per_second: 0.0001, output_cost_per_second: 0.0002 },
  'dall-e-2': { litellm_provider: 'openai', input_cost_per_pixel: 1.9e-8 },
});

describe("LiteLLM's map", () => {
  it('reads every kind of price, by length of the prompt and by tier', () => {
    assert.deepEqual(MAP.find('openai', 'gpt-x'), {
      price: {
        prices: {
          input: 1_250_000,
          output: 10_000_000,
          cacheRead: 125_000,
          cacheWrite1h: 6_000_000,
          search: 12_500_000_000,
        },
        steps: [
          { above: 200_000, prices: { cacheWrite1h: 12_000_000 } },
          { above: 272_000, prices: { input: 2_500_000 } },
        ],
        tiers: {
          batch: { prices: { output: 5_000_000 }, steps: [] },
          flex: { prices: { input: 625_000 }, steps: [] },
          priority: { prices: {}, steps: [{ above: 272_000, prices: { input: 5_000_000 } }] },
        },
      },
      faults: [],
    });
  });

  it('finds models under their provider only, as LiteLLM writes them', () => {
    assert.equal(MAP.find('openrouter', 'openai/gpt-x')?.price.prices.input, 3_000_000);
    assert.equal(MAP.find('groq', 'gpt-x'), null);
    assert.equal(MAP.find('openai', 'toString'), null);
    assert.deepEqual(MAP.models('openrouter'), ['openai/gpt-x']);
  });

  it('says what could not be taken as it is written', () => {
    assert.deepEqual(MAP.find('openai', 'fine'), {
      price: { prices: { input: 1000 }, steps: [], tiers: {} },
      faults: [
        { key: 'input_cost_per_token', fault: 'rounded' },
        { key: 'output_cost_per_token', fault: 'invalid' },
      ],
    });
  });

  it('does not take seconds of sound for seconds of a call, nor pixels for anything', () => {
    assert.deepEqual(MAP.find('openai', 'tts')?.price.prices, { input: 1_000_000 });
    assert.deepEqual(MAP.find('openai', 'timed')?.price.prices, { second: 300_000_000 });
    assert.equal(MAP.find('openai', 'dall-e-2'), null);
  });

  it('refuses what is no such map', () => {
    for (const map of [null, [], 'x', {}, { a: 1 }, { a: { input_cost_per_token: 1 } }]) {
      assert.throws(() => new CostMap(map), TypeError, JSON.stringify(map));
    }
  });
});

describe('which price counts', () => {
  const own = (fields: Record<string, string>) => readLitellmPrice(Object.entries(fields), () => {});
  const listed = MAP.find('openai', 'gpt-x')!.price;

  it('the map before the own table, which has what the map has not', () => {
    const book = new PriceBook(MAP);
    assert.deepEqual(book.find('openai', 'gpt-x')?.price, listed);
    assert.equal(book.find('openai', 'gpt-5')?.price.prices.input, 1_250_000);
    assert.equal(new PriceBook(null).find('openai', 'gpt-x'), null);
  });

  it('a wildcard has all it stands for', () => {
    const names = Object.keys(new PriceBook(MAP).findAll('openai', 'gpt-*'));
    assert.ok(names.includes('gpt-x') && names.includes('gpt-5-mini'));
    assert.ok(!names.includes('timed') && !names.includes('o3'));
  });

  it('one of its own for tokens takes the place of the listed one as a whole', () => {
    const price = mergePrice(own({ input_cost_per_token: '1e-6' }), listed);
    assert.deepEqual(price, { prices: { input: 1_000_000 }, steps: [], tiers: {} });
  });

  it('one for a part changes that part', () => {
    const price = mergePrice(own({ cache_read_input_token_cost: '0' }), listed);
    assert.deepEqual(price, { ...listed, prices: { ...listed.prices, cacheRead: 0 } });
  });

  it('none at all is none', () => {
    assert.equal(mergePrice(own({ model: 'x', rpm: '5' }), null), null);
    assert.equal(mergePrice(null, listed), listed);
  });
});
