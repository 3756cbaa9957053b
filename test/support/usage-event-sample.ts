import type { OpenEvent, UsageEvent } from '../../src/contract/usage-event.ts';

/** One with every member, as a sidecar writes it. */
export const SAMPLE_EVENT: UsageEvent = {
  v: 1,
  id: '0193a4c5-7a3f-7001-9abc-123456700001',
  at: 1_763_800_000_000,
  durationMs: 12.345,
  firstByteMs: 10.1,
  overheadUs: 80,
  traceId: '0af7651916cd43dd8448eb211c80319c',
  spanId: 'b7ad6b7169203331',
  client: '192.0.2.1',
  key: 'a'.repeat(64),
  user: 'ü "1"',
  team: null,
  endpoint: 'chat_completions',
  model: 'fast',
  group: 'gpt',
  deployment: 'd-1',
  provider: 'openai',
  upstreamModel: 'gpt-x',
  stream: true,
  status: 200,
  error: null,
  aborted: null,
  attempts: [{ deployment: 'd-1', status: 200, error: null, durationMs: 11, usage: null, costNano: null }],
  usage: { inputTokens: 1, outputTokens: 2, cacheReadTokens: 0, cacheWriteTokens: 0, reasoningTokens: 0 },
  usageSource: 'reported',
  costNano: 1_250,
  requestBytes: 100,
  responseBytes: 200,
  tags: ['a'],
};

const {
  id,
  overheadUs: _us,
  error: _error,
  aborted: _aborted,
  attempts: _attempts,
  usageSource: _source,
  costNano: _cost,
  ...common
} = SAMPLE_EVENT;

/** The `open` line of the same request. */
export const SAMPLE_OPEN: OpenEvent = { ...common, open: id, streamEvents: 7, usage: null, costNano: 40 };
