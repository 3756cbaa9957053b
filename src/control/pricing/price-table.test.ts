import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { UsageShape } from '../../domain/endpoints.ts';
import { compilePrice } from '../../domain/pricing/compile-price.ts';
import { costOfUsage, NO_AMOUNTS } from '../../domain/pricing/cost-of-usage.ts';
import { dollarText } from '../../domain/pricing/dollar-text.ts';
import { PRICE_KINDS, serviceTierOf } from '../../domain/pricing/price.ts';
import { PROVIDERS } from '../../domain/providers/catalogue.ts';
import { readTokenUsage, withServiceTier } from '../../domain/usage/token-usage.ts';
import { PRICE_TABLE, PRICED_PROVIDERS, priceOfEntry, readPriceFile } from './price-table.ts';

describe('the table', () => {
  for (const provider of PRICED_PROVIDERS) {
    it(`${provider}: every entry is a price in whole pico-dollars, from a named source`, () => {
      const file = readPriceFile(provider);
      assert.equal(file.provider, provider);
      assert.match(file.source, /^https:\/\//);
      assert.match(file.checked, /^20\d\d-(0\d|1[0-2])$/);
      assert.ok(PROVIDERS.has(provider));
      for (const name of Object.keys(file.models)) {
        const { prices, steps, tiers } = priceOfEntry(file, name);
        const ladders = [{ prices, steps }, ...Object.values(tiers)];
        for (const each of ladders.flatMap((ladder) => [ladder.prices, ...ladder.steps.map((step) => step.prices)])) {
          for (const [kind, pico] of Object.entries(each)) {
            assert.ok((PRICE_KINDS as readonly string[]).includes(kind));
            assert.ok(Number.isSafeInteger(pico) && pico >= 0, `${name} ${kind}`);
          }
        }
        // What is read from a cache is never dearer than what isn't, and a longer prompt never cheaper.
        const compiled = compilePrice({ prices, steps, tiers });
        assert.ok((prices.cacheRead ?? 0) <= (prices.input ?? 0), name);
        const base = compiled.standard.rates;
        for (const step of compiled.standard.steps) {
          assert.ok(
            step.rates.every((rate, index) => rate >= base[index]!),
            `${name} above ${step.above}`,
          );
        }
      }
    });
  }

  it('finds dated and fine-tuned models, and none that it does not know', () => {
    const input = (provider: string, model: string): number | undefined =>
      PRICE_TABLE.find(provider, model)?.price.prices.input;
    assert.equal(input('openai', 'gpt-5-2025-08-07'), 1_250_000);
    assert.equal(input('openai', 'gpt-4o-2024-05-13'), 5_000_000, 'a snapshot with a price of its own');
    assert.equal(input('anthropic', 'claude-sonnet-4-5-20250929'), 3_000_000);
    assert.equal(input('openai', 'ft:gpt-4o-mini-2024-07-18:acme::abc123'), 300_000);
    assert.equal(input('text-completion-openai', 'gpt-3.5-turbo-instruct'), 1_500_000);
    for (const [provider, model] of [
      ['openai', 'gpt-unheard-of'],
      ['openai', 'constructor'],
      ['groq', 'gpt-5'],
      ['nobody', 'gpt-5'],
    ] as const) {
      assert.equal(PRICE_TABLE.find(provider, model), null, `${provider}/${model}`);
    }
  });
});

/** Usage as the provider sends it, and what it comes to by its published prices, worked out by hand. */
interface Example {
  readonly provider: string;
  readonly model: string;
  readonly shape: UsageShape;
  readonly usage: unknown;
  /** `service_tier` of the reply. */
  readonly tier?: string;
  readonly usd: string;
}

const examples: Readonly<Record<string, Example>> = {
  'OpenAI: cached tokens are part of the prompt, reasoning of the completion': {
    provider: 'openai',
    model: 'gpt-5',
    shape: 'openai',
    usage: {
      prompt_tokens: 2006,
      completion_tokens: 300,
      total_tokens: 2306,
      prompt_tokens_details: { cached_tokens: 1920, audio_tokens: 0 },
      completion_tokens_details: { reasoning_tokens: 192, audio_tokens: 0 },
    },
    // 86 × 1.25 + 1920 × 0.125 + 300 × 10 = 107.5 + 240 + 3000 µ$
    usd: '0.003347500',
  },
  'OpenAI: flex is half of it': {
    provider: 'openai',
    model: 'gpt-5',
    shape: 'openai',
    usage: {
      prompt_tokens: 2006,
      completion_tokens: 300,
      prompt_tokens_details: { cached_tokens: 1920 },
    },
    tier: 'flex',
    // 1673.75 µ$
    usd: '0.001673750',
  },
  'OpenAI: priority': {
    provider: 'openai',
    model: 'gpt-4o',
    shape: 'openai',
    usage: { prompt_tokens: 1000, completion_tokens: 100, prompt_tokens_details: { cached_tokens: 400 } },
    tier: 'priority',
    // 600 × 4.25 + 400 × 2.125 + 100 × 17 = 2550 + 850 + 1700 µ$
    usd: '0.005100000',
  },
  'OpenAI: the tier called default is the standard one': {
    provider: 'openai',
    model: 'gpt-4o-mini',
    shape: 'openai',
    usage: { prompt_tokens: 19, completion_tokens: 10, total_tokens: 29 },
    tier: 'default',
    // 19 × 0.15 + 10 × 0.6 = 8.85 µ$
    usd: '0.000008850',
  },
  'OpenAI: a long prompt is dearer as a whole': {
    provider: 'openai',
    model: 'gpt-5.4-2026-03-05',
    shape: 'openai-responses',
    usage: {
      input_tokens: 272_001,
      output_tokens: 10,
      input_tokens_details: { cached_tokens: 200_000 },
      output_tokens_details: { reasoning_tokens: 0 },
    },
    // 72001 × 5 + 200000 × 0.5 + 10 × 22.5 = 360005 + 100000 + 225 µ$
    usd: '0.460230000',
  },
  'OpenAI: writes to the cache': {
    provider: 'openai',
    model: 'gpt-6-sol',
    shape: 'openai-responses',
    usage: {
      input_tokens: 3000,
      output_tokens: 50,
      input_tokens_details: { cached_tokens: 1000, cache_write_tokens: 1500 },
    },
    // 500 × 2 + 1000 × 0.2 + 1500 × 2.5 + 50 × 10 = 1000 + 200 + 3750 + 500 µ$
    usd: '0.005450000',
  },
  'OpenAI: sound in and out': {
    provider: 'openai',
    model: 'gpt-audio',
    shape: 'openai',
    usage: {
      prompt_tokens: 125,
      completion_tokens: 220,
      prompt_tokens_details: { audio_tokens: 100, text_tokens: 25 },
      completion_tokens_details: { audio_tokens: 180, text_tokens: 40 },
    },
    // 25 × 2.5 + 100 × 32 + 40 × 10 + 180 × 64 = 62.5 + 3200 + 400 + 11520 µ$
    usd: '0.015182500',
  },
  'OpenAI: an image': {
    provider: 'openai',
    model: 'gpt-image-1',
    shape: 'openai-responses',
    usage: {
      total_tokens: 4523,
      input_tokens: 363,
      output_tokens: 4160,
      input_tokens_details: { text_tokens: 40, image_tokens: 323 },
    },
    // 40 × 5 + 323 × 10 + 4160 × 40 = 200 + 3230 + 166400 µ$
    usd: '0.169830000',
  },
  'OpenAI: embeddings, finer than a nano-dollar by the token': {
    provider: 'openai',
    model: 'text-embedding-3-small',
    shape: 'openai',
    usage: { prompt_tokens: 8, total_tokens: 8 },
    usd: '0.000000160',
  },
  'Anthropic: cache reads and writes are beside the input': {
    provider: 'anthropic',
    model: 'claude-sonnet-4-6',
    shape: 'anthropic',
    usage: {
      input_tokens: 21,
      cache_creation_input_tokens: 188_086,
      cache_read_input_tokens: 0,
      cache_creation: { ephemeral_5m_input_tokens: 188_086, ephemeral_1h_input_tokens: 0 },
      output_tokens: 393,
      service_tier: 'standard',
    },
    // 21 × 3 + 188086 × 3.75 + 393 × 15 = 63 + 705322.5 + 5895 µ$
    usd: '0.711280500',
  },
  'Anthropic: writes for an hour, searches': {
    provider: 'anthropic',
    model: 'claude-opus-4-5-20251101',
    shape: 'anthropic',
    usage: {
      input_tokens: 2048,
      cache_read_input_tokens: 1800,
      cache_creation_input_tokens: 248,
      cache_creation: { ephemeral_5m_input_tokens: 148, ephemeral_1h_input_tokens: 100 },
      output_tokens: 503,
      server_tool_use: { web_search_requests: 2 },
    },
    // 2048 × 5 + 1800 × 0.5 + 148 × 6.25 + 100 × 10 + 503 × 25 = 25640 µ$; 2 × 10 m$
    usd: '0.045640000',
  },
  'Anthropic: above 200,000 tokens, cached ones counted': {
    provider: 'anthropic',
    model: 'claude-sonnet-4-20250514',
    shape: 'anthropic',
    usage: { input_tokens: 1000, cache_read_input_tokens: 199_001, output_tokens: 100 },
    // 1000 × 6 + 199001 × 0.6 + 100 × 22.5 = 6000 + 119400.6 + 2250 µ$
    usd: '0.127650600',
  },
  'Anthropic: a batch is half of everything but searches': {
    provider: 'anthropic',
    model: 'claude-haiku-4-5',
    shape: 'anthropic',
    usage: {
      input_tokens: 1000,
      output_tokens: 100,
      cache_read_input_tokens: 10,
      server_tool_use: { web_search_requests: 1 },
      service_tier: 'batch',
    },
    // (1000 × 1 + 10 × 0.1 + 100 × 5) / 2 = 750.5 µ$; 10 m$
    usd: '0.010750500',
  },
  'xAI: reasoning is beside the completion': {
    provider: 'xai',
    model: 'grok-3-mini',
    shape: 'openai',
    usage: {
      prompt_tokens: 32,
      completion_tokens: 9,
      total_tokens: 135,
      prompt_tokens_details: { text_tokens: 32, cached_tokens: 6 },
      completion_tokens_details: { reasoning_tokens: 94 },
    },
    // 26 × 0.3 + 6 × 0.075 + 103 × 0.5 = 7.8 + 0.45 + 51.5 µ$
    usd: '0.000059750',
  },
  'DeepSeek: hits and misses': {
    provider: 'deepseek',
    model: 'deepseek-chat',
    shape: 'openai',
    usage: {
      prompt_tokens: 1064,
      completion_tokens: 201,
      total_tokens: 1265,
      prompt_cache_hit_tokens: 1024,
      prompt_cache_miss_tokens: 40,
    },
    // 40 × 0.28 + 1024 × 0.028 + 201 × 0.42 = 11.2 + 28.672 + 84.42 µ$
    usd: '0.000124292',
  },
  Groq: {
    provider: 'groq',
    model: 'openai/gpt-oss-20b',
    shape: 'openai',
    usage: {
      queue_time: 0.03,
      prompt_tokens: 83,
      completion_tokens: 35,
      total_tokens: 118,
      prompt_tokens_details: { cached_tokens: 3 },
    },
    // 80 × 0.075 + 3 × 0.0375 + 35 × 0.3 = 6 + 0.1125 + 10.5 µ$, and half a nano-dollar up
    usd: '0.000016613',
  },
  Mistral: {
    provider: 'mistral',
    model: 'mistral-small-latest',
    shape: 'openai',
    usage: { prompt_tokens: 7, completion_tokens: 11, total_tokens: 18 },
    // 7 × 0.06 + 11 × 0.18 = 2.4 µ$
    usd: '0.000002400',
  },
  Cerebras: {
    provider: 'cerebras',
    model: 'llama-3.3-70b',
    shape: 'openai',
    usage: { prompt_tokens: 100, completion_tokens: 10, total_tokens: 110 },
    usd: '0.000097000',
  },
  'Perplexity: deep research charges what it read, thought and searched': {
    provider: 'perplexity',
    model: 'sonar-deep-research',
    shape: 'openai',
    usage: {
      prompt_tokens: 33,
      completion_tokens: 7163,
      total_tokens: 7196,
      citation_tokens: 20_016,
      num_search_queries: 23,
      reasoning_tokens: 73_423,
    },
    // 33 × 2 + 7163 × 8 + 20016 × 2 + 73423 × 3 µ$ = 0.317671; 23 × 0.005
    usd: '0.432671000',
  },
};

describe('worked examples', () => {
  for (const [name, { provider, model, shape, usage, tier, usd }] of Object.entries(examples)) {
    it(name, () => {
      const read = readTokenUsage(usage, shape);
      const served = serviceTierOf(tier);
      const found = PRICE_TABLE.find(provider, model);
      assert.ok(read !== null && found !== null);
      const counted = served === null ? read : withServiceTier(read, served);
      assert.equal(dollarText(costOfUsage(compilePrice(found.price), counted, NO_AMOUNTS)), usd);
    });
  }
});
