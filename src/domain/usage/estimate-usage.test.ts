import assert from 'node:assert/strict';
import { it } from 'node:test';
import { estimateUsage } from './estimate-usage.ts';

it('estimates the prompt by its bytes and the output by the events relayed', () => {
  const none = { cacheReadTokens: 0, cacheWriteTokens: 0, reasoningTokens: 0 };
  assert.deepEqual(estimateUsage(401, 7, null), { inputTokens: 101, outputTokens: 7, ...none });
  assert.deepEqual(estimateUsage(0, 0, null), { inputTokens: 0, outputTokens: 0, ...none });
});

it('prefers what was reported: the prompt always, the output where it is more', () => {
  const known = { inputTokens: 12, outputTokens: 1, cacheReadTokens: 4, cacheWriteTokens: 3, reasoningTokens: 2 };
  assert.deepEqual(estimateUsage(4000, 30, known), { ...known, outputTokens: 30 });
  assert.deepEqual(estimateUsage(4000, 0, known), known);
  assert.equal(estimateUsage(4000, 0, { ...known, inputTokens: 0 }).inputTokens, 1000);
});
