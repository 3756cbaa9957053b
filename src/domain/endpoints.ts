/** Wire families that a deployment can speak. Translation between them is a later capability. */
export const WIRE_FAMILIES = ['openai', 'anthropic'] as const;
export type WireFamily = (typeof WIRE_FAMILIES)[number];

/** How usage is read from a reply. */
export type UsageShape = 'openai' | 'openai-responses' | 'anthropic' | 'none';

export interface EndpointSpec {
  /** Stable name, used in events and metrics. */
  readonly name: EndpointName;
  readonly family: WireFamily;
  readonly method: 'POST';
  /** Path after the optional `/v1`; starts with a slash. */
  readonly path: string;
  /** Path appended to a deployment's base URL. */
  readonly upstreamPath: string;
  readonly usage: UsageShape;
  /** The client may ask for `text/event-stream` with a top-level `stream: true`. */
  readonly streams: boolean;
  /** The gateway may add `stream_options.include_usage`. */
  readonly injectsUsage: boolean;
  /** `metadata` belongs to the protocol and goes upstream: never, always, or if all its values are strings. */
  readonly metadata: 'never' | 'always' | 'if-strings';
}

export const ENDPOINT_NAMES = [
  'chat_completions',
  'completions',
  'embeddings',
  'responses',
  'moderations',
  'images_generations',
  'audio_speech',
  'rerank',
  'messages',
  'count_tokens',
] as const;
export type EndpointName = (typeof ENDPOINT_NAMES)[number];

function openai(name: EndpointName, path: string, rest: Partial<EndpointSpec> = {}): EndpointSpec {
  return Object.freeze({
    name,
    family: 'openai',
    method: 'POST',
    path,
    upstreamPath: path,
    usage: 'openai',
    streams: false,
    injectsUsage: false,
    metadata: 'never',
    ...rest,
  } satisfies EndpointSpec);
}

function anthropic(name: EndpointName, path: string, rest: Partial<EndpointSpec> = {}): EndpointSpec {
  return Object.freeze({
    name,
    family: 'anthropic',
    method: 'POST',
    path,
    upstreamPath: `/v1${path}`,
    usage: 'anthropic',
    streams: false,
    injectsUsage: false,
    metadata: 'always',
    ...rest,
  } satisfies EndpointSpec);
}

/** Every endpoint that is forwarded with a model in its JSON body. */
export const ENDPOINTS: Readonly<Record<EndpointName, EndpointSpec>> = Object.freeze({
  chat_completions: openai('chat_completions', '/chat/completions', {
    streams: true,
    injectsUsage: true,
    metadata: 'if-strings',
  }),
  completions: openai('completions', '/completions', { streams: true, injectsUsage: true }),
  embeddings: openai('embeddings', '/embeddings'),
  responses: openai('responses', '/responses', { streams: true, usage: 'openai-responses', metadata: 'if-strings' }),
  moderations: openai('moderations', '/moderations', { usage: 'none' }),
  images_generations: openai('images_generations', '/images/generations', { streams: true, usage: 'openai-responses' }),
  audio_speech: openai('audio_speech', '/audio/speech', { usage: 'none' }),
  rerank: openai('rerank', '/rerank', { usage: 'none' }),
  messages: anthropic('messages', '/messages', { streams: true }),
  count_tokens: anthropic('count_tokens', '/messages/count_tokens', { usage: 'none' }),
});
