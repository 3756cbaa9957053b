import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { UsageShape } from '../endpoints.ts';
import { mergeUsageFields, NO_DETAILS, readTokenUsage, type UsageDetails } from './token-usage.ts';

/** Input, output, cache read, cache write, reasoning. */
type Counts = readonly [number, number, number, number, number];

const cases: Record<string, { shape: UsageShape; usage: unknown; counts: Counts | null }> = {
  'OpenAI: details are parts of the base counts': {
    shape: 'openai',
    usage: {
      prompt_tokens: 100,
      completion_tokens: 50,
      total_tokens: 150,
      prompt_tokens_details: { cached_tokens: 40, cache_write_tokens: 10, audio_tokens: 3 },
      completion_tokens_details: { reasoning_tokens: 30, audio_tokens: 1 },
    },
    counts: [100, 50, 40, 10, 30],
  },
  'OpenAI: details null': {
    shape: 'openai',
    usage: { prompt_tokens: 1, completion_tokens: 2, prompt_tokens_details: null, completion_tokens_details: null },
    counts: [1, 2, 0, 0, 0],
  },
  'xAI: reasoning is beside completion_tokens': {
    shape: 'openai',
    usage: {
      prompt_tokens: 32,
      completion_tokens: 9,
      total_tokens: 135,
      completion_tokens_details: { reasoning_tokens: 94 },
    },
    counts: [32, 103, 0, 0, 94],
  },
  'Groq: times beside the counts': {
    shape: 'openai',
    usage: { queue_time: 0.01, prompt_tokens: 18, prompt_time: 0.0002, completion_tokens: 556, total_tokens: 574 },
    counts: [18, 556, 0, 0, 0],
  },
  'DeepSeek: cache hits beside the counts, part of the prompt': {
    shape: 'openai',
    usage: { prompt_tokens: 20, completion_tokens: 5, prompt_cache_hit_tokens: 16, prompt_cache_miss_tokens: 4 },
    counts: [20, 5, 16, 0, 0],
  },
  embeddings: { shape: 'openai', usage: { prompt_tokens: 8, total_tokens: 8 }, counts: [8, 0, 0, 0, 0] },
  'rerank and embedders that send a total alone': {
    shape: 'openai',
    usage: { total_tokens: 38 },
    counts: [38, 0, 0, 0, 0],
  },
  'OpenAI shape with the names of the other': {
    shape: 'openai',
    usage: { input_tokens: 4, output_tokens: 5 },
    counts: [4, 5, 0, 0, 0],
  },
  Responses: {
    shape: 'openai-responses',
    usage: {
      input_tokens: 36,
      input_tokens_details: { cached_tokens: 5, cache_write_tokens: 2 },
      output_tokens: 87,
      output_tokens_details: { reasoning_tokens: 64 },
      total_tokens: 123,
    },
    counts: [36, 87, 5, 2, 64],
  },
  images: {
    shape: 'openai-responses',
    usage: { total_tokens: 100, input_tokens: 50, output_tokens: 50, input_tokens_details: { text_tokens: 10 } },
    counts: [50, 50, 0, 0, 0],
  },
  'Responses shape with the names of the other': {
    shape: 'openai-responses',
    usage: { prompt_tokens: 4, completion_tokens: 5 },
    counts: [4, 5, 0, 0, 0],
  },
  'Anthropic: cache counts are beside input_tokens': {
    shape: 'anthropic',
    usage: {
      input_tokens: 12,
      cache_creation_input_tokens: 100,
      cache_read_input_tokens: 2000,
      output_tokens: 15,
      output_tokens_details: { thinking_tokens: 7 },
    },
    counts: [2112, 15, 2000, 100, 7],
  },
  'Anthropic: writes by time to live alone': {
    shape: 'anthropic',
    usage: {
      input_tokens: 1,
      output_tokens: 1,
      cache_creation: { ephemeral_5m_input_tokens: 10, ephemeral_1h_input_tokens: 20 },
    },
    counts: [31, 1, 0, 30, 0],
  },
  'Anthropic: null counts': {
    shape: 'anthropic',
    usage: { input_tokens: 3, cache_creation_input_tokens: null, cache_read_input_tokens: null, output_tokens: 4 },
    counts: [3, 4, 0, 0, 0],
  },
  'counts of the wrong type are 0': {
    shape: 'openai',
    usage: { prompt_tokens: '12', completion_tokens: -1, total_tokens: 1.5, prompt_tokens_details: [1] },
    counts: [0, 0, 0, 0, 0],
  },
  'counts beyond what a number holds are 0': {
    shape: 'anthropic',
    usage: { input_tokens: 1e300, output_tokens: 2.9 },
    counts: [0, 2, 0, 0, 0],
  },
  'no count at all': { shape: 'openai', usage: { cost: 1 }, counts: null },
  null: { shape: 'openai', usage: null, counts: null },
  'a list': { shape: 'anthropic', usage: [1], counts: null },
  'a number': { shape: 'openai-responses', usage: 5, counts: null },
  'undefined, from text that is not JSON': { shape: 'openai', usage: undefined, counts: null },
  'no shape': { shape: 'none', usage: { prompt_tokens: 1 }, counts: null },
};

for (const [name, { shape, usage, counts }] of Object.entries(cases)) {
  test(name, () => {
    const read = readTokenUsage(usage, shape);
    const { details: _details, ...sums } = read ?? {};
    assert.deepEqual(read === null ? null : Object.values(sums), counts);
  });
}

const details: Record<string, { shape: UsageShape; usage: unknown; details: Partial<UsageDetails> | undefined }> = {
  'OpenAI: sound': {
    shape: 'openai',
    usage: {
      prompt_tokens: 100,
      completion_tokens: 50,
      prompt_tokens_details: { cached_tokens: 40, audio_tokens: 3 },
      completion_tokens_details: { reasoning_tokens: 30, audio_tokens: 1 },
    },
    details: { audioInputTokens: 3, audioOutputTokens: 1 },
  },
  'OpenAI: nothing of it, though it is named': {
    shape: 'openai',
    usage: { prompt_tokens: 1, completion_tokens: 2, prompt_tokens_details: { audio_tokens: 0, image_tokens: null } },
    details: undefined,
  },
  images: {
    shape: 'openai-responses',
    usage: {
      input_tokens: 50,
      output_tokens: 70,
      input_tokens_details: { text_tokens: 10, image_tokens: 40 },
      output_tokens_details: { image_tokens: 60, text_tokens: 10 },
    },
    details: { imageInputTokens: 40, imageOutputTokens: 60 },
  },
  'Anthropic: writes for an hour, searches, a tier': {
    shape: 'anthropic',
    usage: {
      input_tokens: 1,
      output_tokens: 1,
      cache_creation_input_tokens: 30,
      cache_creation: { ephemeral_5m_input_tokens: 10, ephemeral_1h_input_tokens: 20 },
      server_tool_use: { web_search_requests: 2 },
      service_tier: 'batch',
    },
    details: { cacheWrite1hTokens: 20, searches: 2, serviceTier: 'batch' },
  },
  'Anthropic: the standard tier': {
    shape: 'anthropic',
    usage: { input_tokens: 1, output_tokens: 1, service_tier: 'standard' },
    details: undefined,
  },
  'Perplexity: beside the counts': {
    shape: 'openai',
    usage: { prompt_tokens: 1, completion_tokens: 2, citation_tokens: 5, num_search_queries: 3, reasoning_tokens: 4 },
    details: { citationTokens: 5, searches: 3 },
  },
};

for (const [name, { shape, usage, details: expected }] of Object.entries(details)) {
  test(`details: ${name}`, () => {
    assert.deepEqual(readTokenUsage(usage, shape)?.details, expected && { ...NO_DETAILS, ...expected });
  });
}

test('merged fields: the larger count, nothing lost', () => {
  const start = { input_tokens: 10, cache_read_input_tokens: 5, output_tokens: 1, service_tier: 'standard' };
  const delta = { input_tokens: null, cache_read_input_tokens: 0, output_tokens: 9, server_tool_use: { n: 1 } };
  assert.deepEqual(mergeUsageFields(start, delta), {
    input_tokens: 10,
    cache_read_input_tokens: 5,
    output_tokens: 9,
    service_tier: 'standard',
    server_tool_use: { n: 1 },
  });
  assert.deepEqual(mergeUsageFields(null, delta), delta);
  assert.deepEqual(mergeUsageFields(start, 'x'), start);
  assert.equal(mergeUsageFields(null, undefined), null);
});
