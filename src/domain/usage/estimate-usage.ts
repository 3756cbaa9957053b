import type { TokenUsage } from './token-usage.ts';

/** English prose has about four bytes to a token. Of a request this counts the JSON around the prompt as well. */
const BYTES_PER_TOKEN = 4;

/** Tokens of a prompt that nobody has counted yet, by the bytes of its request. */
export function estimatePromptTokens(requestBytes: number): number {
  return Math.ceil(requestBytes / BYTES_PER_TOKEN);
}

/**
 * Tokens of an answer whose own count never came: the prompt by its bytes, the output as one token per event that was
 * relayed, which is how providers stream. What the provider did report counts where it is more.
 *
 * @param known counts reported before the answer broke off, or null.
 */
export function estimateUsage(requestBytes: number, streamEvents: number, known: TokenUsage | null): TokenUsage {
  const inputTokens = estimatePromptTokens(requestBytes);
  if (known === null) {
    return { inputTokens, outputTokens: streamEvents, cacheReadTokens: 0, cacheWriteTokens: 0, reasoningTokens: 0 };
  }
  return {
    ...known,
    // A count of the prompt is no estimate: it is sent once, at the begin (Anthropic's message_start).
    inputTokens: known.inputTokens > 0 ? known.inputTokens : inputTokens,
    outputTokens: Math.max(known.outputTokens, streamEvents),
  };
}
