import { parseJson } from './parse-json.ts';

/** Of an error's body at most this much is looked at. */
export const MAX_CLASSIFIED_BYTES = 64 * 1024;

export type ErrorBodyKind = 'context_window' | 'content_policy' | 'invalid_request' | 'other';

/**
 * What a provider's error body says, for the kinds of fallback that depend on it. Codes and types first, which are meant to
 * be read by programs; then the sentences of those providers that send nothing else.
 *
 * @param text the body, or its first part.
 */
export function classifyErrorBody(text: string): ErrorBodyKind {
  const words: string[] = [];
  const value = parseJson(text);
  if (value === undefined) words.push(text.slice(0, MAX_MESSAGE_CHARS));
  else collect(value, words, 0);
  const all = words.join('\n').toLowerCase();
  for (const mark of CONTENT_POLICY) if (all.includes(mark)) return 'content_policy';
  for (const mark of CONTEXT_WINDOW) if (all.includes(mark)) return 'context_window';
  return all.includes('invalid_request_error') ? 'invalid_request' : 'other';
}

const MAX_MESSAGE_CHARS = 4096;
const MAX_DEPTH = 5;
/** Where providers say what is wrong; other fields may quote the prompt, which must not decide. */
const TELLING = new Set(['code', 'type', 'message', 'status', 'reason', 'reasons', 'detail']);
const NESTED = new Set(['error', 'errors', 'innererror', 'inner_error', 'details', 'metadata', 'detail', 'response']);

function collect(value: unknown, words: string[], depth: number): void {
  if (depth > MAX_DEPTH || typeof value !== 'object' || value === null) return;
  if (Array.isArray(value)) {
    for (const item of value.slice(0, 8)) collect(item, words, depth + 1);
    return;
  }
  for (const [key, field] of Object.entries(value)) {
    const name = key.toLowerCase();
    if (typeof field === 'string') {
      if (TELLING.has(name) || name === 'error') words.push(field.slice(0, MAX_MESSAGE_CHARS));
    } else if (NESTED.has(name)) {
      collect(field, words, depth + 1);
    } else if (name === 'reasons' && Array.isArray(field)) {
      words.push(...field.filter((item) => typeof item === 'string'));
    }
  }
}

const CONTEXT_WINDOW: readonly string[] = [
  'context_length_exceeded', // OpenAI, Azure, Groq, xAI
  'maximum context length', // OpenAI, vLLM, DeepSeek, OpenRouter
  'prompt is too long', // Anthropic, Bedrock
  'exceed context limit', // Anthropic: input and max_tokens together
  'input is too long', // Bedrock
  'exceeds the maximum number of tokens', // Gemini
  'reduce the length of the messages', // Groq
  'exceeds the available context size', // llama.cpp
  'exceed_context_size_error', // llama.cpp
  'too large for model with', // Mistral
  'context window', // OpenAI's Responses, Databricks
];

const CONTENT_POLICY: readonly string[] = [
  'content_policy_violation', // OpenAI
  'content_filter', // Azure
  'responsibleaipolicyviolation', // Azure
  'content management policy', // Azure
  'moderation_blocked', // OpenAI's images
  'invalid_prompt', // OpenAI's reasoning models
  'content filtering policy', // Anthropic
  'input was flagged', // OpenRouter
  'rejected as a result of our safety system', // OpenAI's images
];
