import { COMMENT_FRAME, OPENAI_ERROR_FRAME, STREAM_HEADERS } from './openai-chat-reply.ts';
import type { ReplyContext } from './reply-context.ts';
import { CREATED_SECONDS, jsonReply, OPENAI_HEADERS, typedFrame, type ReplyPlan } from './reply-plan.ts';
import { CLOCK, NONCE } from './reply-template.ts';
import { isObject } from './request-fields.ts';

/** As OpenAI's small embedding model has. */
const DEFAULT_DIMENSIONS = 1536;
const MAX_DIMENSIONS = 4096;
const DEFAULT_SPEECH_BYTES = 4096;
/** One transparent pixel. */
const PNG_BASE64 = 'iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNkYPhfDwAChwGA60e6kgAAAABJRU5ErkJggg==';
const MODERATION_CATEGORIES = ['harassment', 'hate', 'illicit', 'self-harm', 'sexual', 'violence'];

/** POST /embeddings: a unit vector per input, as numbers or, as the official SDKs ask for, base64. */
export function openaiEmbeddingsReply({ fields }: ReplyContext): ReplyPlan {
  const { input, dimensions, encoding_format: format } = fields.json;
  const isDimension = typeof dimensions === 'number' && Number.isInteger(dimensions) && dimensions >= 1;
  const size = isDimension ? Math.min(dimensions, MAX_DIMENSIONS) : DEFAULT_DIMENSIONS;
  // An array of numbers is one input, given as tokens.
  const count = Array.isArray(input) && typeof input[0] !== 'number' ? input.length : 1;
  const vector = new Float32Array(size).fill(1 / Math.sqrt(size));
  const embedding = format === 'base64' ? Buffer.from(vector.buffer).toString('base64') : [...vector];
  return jsonReply({
    object: 'list',
    data: Array.from({ length: count }, (_, index) => ({ object: 'embedding', index, embedding })),
    model: fields.model,
    usage: { prompt_tokens: fields.promptTokens, total_tokens: fields.promptTokens },
  });
}

/** POST /moderations: nothing is ever flagged. */
export function openaiModerationsReply({ fields }: ReplyContext): ReplyPlan {
  const { input } = fields.json;
  const each = <T>(value: T): Record<string, T> =>
    Object.fromEntries(MODERATION_CATEGORIES.map((name) => [name, value]));
  const result = {
    flagged: false,
    categories: each(false),
    category_scores: each(0.0001),
    category_applied_input_types: each(['text']),
  };
  const count = Array.isArray(input) && typeof input[0] === 'string' ? input.length : 1;
  return jsonReply({ id: `modr-${NONCE}`, model: fields.model, results: Array.from({ length: count }, () => result) });
}

/** POST /images/generations, whole or as a stream of one partial image and the final one. */
export function openaiImagesReply({ fields }: ReplyContext): ReplyPlan {
  const { n, response_format: format } = fields.json;
  const inputTokens = fields.promptTokens;
  const usage = {
    total_tokens: inputTokens + 272,
    input_tokens: inputTokens,
    output_tokens: 272,
    input_tokens_details: { text_tokens: inputTokens, image_tokens: 0 },
  };
  if (fields.stream) {
    const image = {
      b64_json: PNG_BASE64,
      created_at: CREATED_SECONDS,
      size: '1024x1024',
      quality: 'low',
      background: 'opaque',
      output_format: 'png',
    };
    const partial = { type: 'image_generation.partial_image', ...image, partial_image_index: 0, t: CLOCK };
    return {
      kind: 'stream',
      headers: STREAM_HEADERS + OPENAI_HEADERS,
      opening: [],
      deltas: [typedFrame(partial)],
      closing: [typedFrame({ type: 'image_generation.completed', ...image, usage, t: CLOCK } as { type: string })],
      error: OPENAI_ERROR_FRAME,
      comment: COMMENT_FRAME,
    };
  }
  const image = format === 'url' ? { url: `https://example.invalid/${NONCE}.png` } : { b64_json: PNG_BASE64 };
  const count = typeof n === 'number' && n >= 1 && n <= 10 ? Math.floor(n) : 1;
  return jsonReply({ created: CREATED_SECONDS, data: Array.from({ length: count }, () => image), usage });
}

/** POST /audio/speech: every byte value occurs, so that a proxy which takes audio for text shows itself. */
export function openaiSpeechReply({ settings }: ReplyContext): ReplyPlan {
  const body = Buffer.alloc(settings.replyBytes || DEFAULT_SPEECH_BYTES);
  for (let i = 0; i < body.length; i++) body[i] = (i * 131 + (i >> 8)) & 0xff;
  return { kind: 'binary', status: 200, headers: `content-type: audio/mpeg\r\n${OPENAI_HEADERS}`, body };
}

/** POST /rerank, in Cohere's shape: the documents in their order, with falling scores. */
export function rerankReply({ fields }: ReplyContext): ReplyPlan {
  const { documents, top_n: top, return_documents: withDocuments } = fields.json;
  const list = Array.isArray(documents) ? documents : [];
  const count = typeof top === 'number' ? Math.min(list.length, Math.max(0, Math.floor(top))) : list.length;
  const results = list.slice(0, count).map((document: unknown, index) => ({
    index,
    relevance_score: 1 / (index + 1),
    ...(withDocuments === true ? { document: isObject(document) ? document : { text: document } } : {}),
  }));
  return jsonReply({
    id: `rerank-${NONCE}`,
    results,
    meta: { api_version: { version: '2' }, billed_units: { search_units: 1 } },
  });
}

/** GET /models and /models/{id}. */
export function modelObject(id: string): object {
  return { id, object: 'model', created: CREATED_SECONDS, owned_by: 'mock' };
}

export function modelListReply(): ReplyPlan {
  return jsonReply({ object: 'list', data: ['mock-small', 'mock-large', 'mock-upstream'].map(modelObject) });
}
