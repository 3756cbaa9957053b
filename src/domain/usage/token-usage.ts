import type { UsageShape } from '../endpoints.ts';
import { type ServiceTier, serviceTierOf } from '../pricing/price.ts';

/** Tokens of one request. Input includes cache reads and writes, output includes reasoning. */
export interface TokenUsage {
  readonly inputTokens: number;
  readonly outputTokens: number;
  /** Part of the input read from the provider's prompt cache. */
  readonly cacheReadTokens: number;
  /** Part of the input written to the provider's prompt cache. */
  readonly cacheWriteTokens: number;
  /** Part of the output spent on reasoning. */
  readonly reasoningTokens: number;
  /** Only where one of them is not nothing: nearly nowhere. */
  readonly details?: UsageDetails;
}

/** What few requests have and prices tell apart. */
export interface UsageDetails {
  /** Part of `cacheWriteTokens`, kept for an hour instead of five minutes. */
  readonly cacheWrite1hTokens: number;
  /** Parts of the input. */
  readonly audioInputTokens: number;
  readonly imageInputTokens: number;
  /** Parts of the output. */
  readonly audioOutputTokens: number;
  readonly imageOutputTokens: number;
  /** Beside the input: Perplexity's deep research counts what it read. */
  readonly citationTokens: number;
  /** Web searches that the provider made. */
  readonly searches: number;
  /** Other than the standard one. */
  readonly serviceTier: ServiceTier | null;
}

export const NO_DETAILS: UsageDetails = Object.freeze({
  cacheWrite1hTokens: 0,
  audioInputTokens: 0,
  imageInputTokens: 0,
  audioOutputTokens: 0,
  imageOutputTokens: 0,
  citationTokens: 0,
  searches: 0,
  serviceTier: null,
});

type Fields = Readonly<Record<string, unknown>>;

/** Any of these, and the object is a `usage` of that shape. */
const OPENAI_COUNTS = ['prompt_tokens', 'completion_tokens', 'total_tokens'] as const;
const RESPONSES_COUNTS = ['input_tokens', 'output_tokens'] as const;
const ANTHROPIC_COUNTS = [...RESPONSES_COUNTS, 'cache_read_input_tokens', 'cache_creation_input_tokens'] as const;
const PERPLEXITY_COUNTS = ['citation_tokens', 'num_search_queries'] as const;

/**
 * Reads a parsed `usage` object. Whatever a provider sends, this never throws: a count that isn't a number ≥ 0 is 0.
 *
 * @returns null if `usage` is no object or holds no count that the shape knows.
 */
export function readTokenUsage(usage: unknown, shape: UsageShape): TokenUsage | null {
  const fields = fieldsOf(usage);
  if (fields === null) return null;
  switch (shape) {
    case 'openai':
      return readOpenai(fields);
    case 'openai-responses':
      return readResponses(fields);
    case 'anthropic':
      return readAnthropic(fields);
    case 'none':
      return null;
    default:
      return shape satisfies never;
  }
}

/**
 * One `usage` object from two of the same stream (Anthropic: `message_start`, then every `message_delta`, which leaves out
 * or restates counts). Counts are cumulative, so of each the larger is the later.
 */
export function mergeUsageFields(earlier: unknown, later: unknown): unknown {
  const before = fieldsOf(earlier);
  const after = fieldsOf(later);
  if (before === null || after === null) return after ?? before;
  const merged: Record<string, unknown> = { ...before };
  for (const [name, value] of Object.entries(after)) {
    if (typeof value === 'number') merged[name] = Math.max(count(before, name), value);
    else if (value !== null) merged[name] = value;
  }
  return merged;
}

/**
 * Chat, completions, embeddings, and rerankers of that family: cached tokens are part of `prompt_tokens`, reasoning part of
 * `completion_tokens`. DeepSeek puts cache hits beside them; embedders and rerankers may send `total_tokens` alone.
 */
function readOpenai(fields: Fields): TokenUsage | null {
  if (!hasAny(fields, OPENAI_COUNTS)) return readResponsesCounts(fields);
  const prompt = fieldsOf(fields['prompt_tokens_details']);
  const completion = fieldsOf(fields['completion_tokens_details']);
  const reasoningTokens = count(completion, 'reasoning_tokens');
  const total = count(fields, 'total_tokens');
  let outputTokens = count(fields, 'completion_tokens');
  const inputTokens = 'prompt_tokens' in fields ? count(fields, 'prompt_tokens') : Math.max(total - outputTokens, 0);
  // xAI counts reasoning beside completion_tokens. Told from its own sum, so that nobody's is counted twice.
  if (total === inputTokens + outputTokens + reasoningTokens) outputTokens += reasoningTokens;
  const usage = {
    inputTokens,
    outputTokens,
    cacheReadTokens: count(prompt, 'cached_tokens') || count(fields, 'prompt_cache_hit_tokens'),
    cacheWriteTokens: count(prompt, 'cache_write_tokens'),
    reasoningTokens,
  };
  const isPerplexity = hasAny(fields, PERPLEXITY_COUNTS);
  // Nearly always: the details are there, and say that there was neither sound nor image.
  if (!isPerplexity && !hasMedia(prompt) && !hasMedia(completion)) return usage;
  return withDetails(isPerplexity ? withPerplexity(usage, fields) : usage, {
    ...mediaTokens(prompt, completion),
    citationTokens: count(fields, 'citation_tokens'),
    searches: count(fields, 'num_search_queries'),
  });
}

/** Its reasoning stands at the top of `usage`, and beside `completion_tokens`. */
function withPerplexity(usage: TokenUsage, fields: Fields): TokenUsage {
  const reasoningTokens = count(fields, 'reasoning_tokens');
  if (reasoningTokens === 0 || usage.reasoningTokens > 0) return usage;
  return { ...usage, outputTokens: usage.outputTokens + reasoningTokens, reasoningTokens };
}

function readResponses(fields: Fields): TokenUsage | null {
  return hasAny(fields, RESPONSES_COUNTS) ? readResponsesCounts(fields) : readOpenai(fields);
}

function readResponsesCounts(fields: Fields): TokenUsage | null {
  if (!hasAny(fields, RESPONSES_COUNTS)) return null;
  const input = fieldsOf(fields['input_tokens_details']);
  const output = fieldsOf(fields['output_tokens_details']);
  const usage = {
    inputTokens: count(fields, 'input_tokens'),
    outputTokens: count(fields, 'output_tokens'),
    cacheReadTokens: count(input, 'cached_tokens'),
    cacheWriteTokens: count(input, 'cache_write_tokens'),
    reasoningTokens: count(output, 'reasoning_tokens'),
  };
  if (!hasMedia(input) && !hasMedia(output)) return usage;
  return withDetails(usage, mediaTokens(input, output));
}

function hasMedia(details: Fields | null): boolean {
  return details !== null && (count(details, 'audio_tokens') > 0 || count(details, 'image_tokens') > 0);
}

function mediaTokens(input: Fields | null, output: Fields | null): Partial<UsageDetails> {
  return {
    audioInputTokens: count(input, 'audio_tokens'),
    imageInputTokens: count(input, 'image_tokens'),
    audioOutputTokens: count(output, 'audio_tokens'),
    imageOutputTokens: count(output, 'image_tokens'),
  };
}

/** Cache reads and writes are counted beside `input_tokens`. */
function readAnthropic(fields: Fields): TokenUsage | null {
  if (!hasAny(fields, ANTHROPIC_COUNTS)) return null;
  const cacheReadTokens = count(fields, 'cache_read_input_tokens');
  const split = fieldsOf(fields['cache_creation']);
  const cacheWriteTokens =
    count(fields, 'cache_creation_input_tokens') ||
    count(split, 'ephemeral_5m_input_tokens') + count(split, 'ephemeral_1h_input_tokens');
  const usage = {
    inputTokens: count(fields, 'input_tokens') + cacheReadTokens + cacheWriteTokens,
    outputTokens: count(fields, 'output_tokens'),
    cacheReadTokens,
    cacheWriteTokens,
    reasoningTokens: count(fieldsOf(fields['output_tokens_details']), 'thinking_tokens'),
  };
  return withDetails(usage, {
    cacheWrite1hTokens: count(split, 'ephemeral_1h_input_tokens'),
    searches: count(fieldsOf(fields['server_tool_use']), 'web_search_requests'),
    serviceTier: serviceTierOf(fields['service_tier']),
  });
}

/** The same with the tier that a reply names beside its `usage`, where that is not the standard one. */
export function withServiceTier(usage: TokenUsage, tier: ServiceTier): TokenUsage {
  return { ...usage, details: { ...(usage.details ?? NO_DETAILS), serviceTier: tier } };
}

function withDetails(usage: TokenUsage, details: Partial<UsageDetails>): TokenUsage {
  const isNothing = Object.values(details).every((value) => value === 0 || value === null);
  return isNothing ? usage : { ...usage, details: { ...NO_DETAILS, ...details } };
}

function fieldsOf(value: unknown): Fields | null {
  return typeof value === 'object' && value !== null && !Array.isArray(value) ? (value as Fields) : null;
}

function hasAny(fields: Fields, names: readonly string[]): boolean {
  for (let index = 0; index < names.length; index += 1) if (typeof fields[names[index]!] === 'number') return true;
  return false;
}

function count(fields: Fields | null, name: string): number {
  const value = fields === null ? 0 : fields[name];
  return typeof value === 'number' && value > 0 && value <= Number.MAX_SAFE_INTEGER ? Math.floor(value) : 0;
}
