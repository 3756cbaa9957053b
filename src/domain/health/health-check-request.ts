import type { EndpointName, WireFamily } from '../endpoints.ts';

/** What is known of the deployment that is asked. */
export interface CheckedDeployment {
  readonly family: WireFamily;
  readonly provider: string;
  /** As the provider names it. */
  readonly model: string;
  /** LiteLLM's `mode`. */
  readonly mode: string;
  readonly maxTokens: number;
}

export interface HealthCheckRequest {
  readonly endpoint: EndpointName;
  readonly body: string;
}

/** The Responses API refuses less. */
const MIN_RESPONSES_TOKENS = 16;

/**
 * The smallest real call that shows whether a deployment works, or null where none is cheap: nobody wants an image made
 * every five minutes.
 */
export function healthCheckRequest(checked: CheckedDeployment, prompt: string): HealthCheckRequest | null {
  const { model, mode, maxTokens, family } = checked;
  if (model === '' || model.includes('*')) return null;
  const messages = [{ role: 'user', content: prompt }];
  if (family === 'anthropic') {
    if (mode !== 'chat') return null;
    return { endpoint: 'messages', body: JSON.stringify({ model, max_tokens: maxTokens, messages }) };
  }
  switch (mode) {
    case 'chat':
      return { endpoint: 'chat_completions', body: JSON.stringify({ model, messages, ...tokenLimit(checked) }) };
    case 'completion':
      return { endpoint: 'completions', body: JSON.stringify({ model, prompt, max_tokens: maxTokens }) };
    case 'responses': {
      const limit = Math.max(maxTokens, MIN_RESPONSES_TOKENS);
      return { endpoint: 'responses', body: JSON.stringify({ model, input: prompt, max_output_tokens: limit }) };
    }
    case 'embedding':
      return { endpoint: 'embeddings', body: JSON.stringify({ model, input: prompt }) };
    case 'moderation':
      return { endpoint: 'moderations', body: JSON.stringify({ model, input: prompt }) };
    case 'rerank':
      return { endpoint: 'rerank', body: JSON.stringify({ model, query: prompt, documents: [prompt] }) };
    default:
      return null;
  }
}

/** OpenAI's reasoning models refuse `max_tokens`, and other providers know no other name. */
function tokenLimit({ provider, model, maxTokens }: CheckedDeployment): Readonly<Record<string, number>> {
  const isNewName = provider === 'openai' || /^(?:o\d|gpt-5)/.test(model);
  return isNewName ? { max_completion_tokens: maxTokens } : { max_tokens: maxTokens };
}
