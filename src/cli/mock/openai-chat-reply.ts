import { inputPieces, paddedReply, streamTexts, type ReplyContext } from './reply-context.ts';
import {
  CREATED_SECONDS,
  dataFrame,
  errorValue,
  OPENAI_HEADERS,
  type ReplyPlan,
  type StreamReply,
} from './reply-plan.ts';
import { CLOCK, NONCE, ReplyTemplate } from './reply-template.ts';
import { isObject, structuredAnswer, type RequestFields } from './request-fields.ts';

export const STREAM_HEADERS = `content-type: text/event-stream; charset=utf-8\r\ncache-control: no-cache\r\n`;
export const DONE_FRAME: ReplyTemplate = new ReplyTemplate('data: [DONE]\n\n');
export const COMMENT_FRAME: ReplyTemplate = new ReplyTemplate(': keep-alive\n\n');
const OVERLOADED = { status: 503, message: 'The server is overloaded. Please try again later.' };
export const OPENAI_ERROR_FRAME: ReplyTemplate = dataFrame(errorValue(OVERLOADED, 'openai'));
const ID = `chatcmpl-${NONCE}`;
const CALL_ID = `call_${NONCE}`;

/** POST /chat/completions. */
export function openaiChatReply(context: ReplyContext): ReplyPlan {
  return context.fields.stream ? chatStream(context) : chatWhole(context);
}

function chatWhole(context: ReplyContext): ReplyPlan {
  const { fields, settings } = context;
  return paddedReply(context, 'openai', (text) => ({
    id: ID,
    object: 'chat.completion',
    created: CREATED_SECONDS,
    model: fields.model,
    choices: Array.from({ length: choiceCount(fields) }, (_, index) => ({
      index,
      message: message(fields, text),
      logprobs: null,
      finish_reason: fields.tool === null ? 'stop' : 'tool_calls',
    })),
    usage: chatUsage(fields.promptTokens, settings.tokens),
    service_tier: 'default',
    system_fingerprint: 'fp_mock',
  }));
}

function message(fields: RequestFields, text: string): object {
  if (fields.tool !== null) {
    const call = { name: fields.tool.name, arguments: JSON.stringify(fields.tool.input) };
    return {
      role: 'assistant',
      content: null,
      tool_calls: [{ id: CALL_ID, type: 'function', function: call }],
      refusal: null,
      annotations: [],
    };
  }
  const structured = structuredAnswer(fields.json);
  const content = structured === null ? text : JSON.stringify(structured);
  return { role: 'assistant', content, refusal: null, annotations: [] };
}

function chatStream(context: ReplyContext): StreamReply {
  const { fields, settings } = context;
  const wantsUsage = includesUsage(fields);
  const chunk = (choices: readonly object[], usage: object | null = null): ReplyTemplate =>
    dataFrame({
      id: ID,
      object: 'chat.completion.chunk',
      created: CREATED_SECONDS,
      model: fields.model,
      service_tier: 'default',
      system_fingerprint: 'fp_mock',
      choices,
      ...(wantsUsage ? { usage } : {}),
      t: CLOCK,
    });
  const choice = (delta: object, finishReason: string | null = null): object[] =>
    Array.from({ length: choiceCount(fields) }, (_, index) => ({
      index,
      delta,
      logprobs: null,
      finish_reason: finishReason,
    }));

  const opening = [chunk(choice(openingDelta(fields)))];
  const deltas = deltaPieces(context).map((delta) => chunk(choice(delta)));
  const closing = [chunk(choice({}, fields.tool === null ? 'stop' : 'tool_calls'))];
  if (wantsUsage) closing.push(chunk([], chatUsage(fields.promptTokens, settings.tokens)));
  closing.push(DONE_FRAME);
  return openaiStream(opening, deltas, closing);
}

function openingDelta(fields: RequestFields): object {
  if (fields.tool === null) return { role: 'assistant', content: '', refusal: null };
  const call = { index: 0, id: CALL_ID, type: 'function', function: { name: fields.tool.name, arguments: '' } };
  return { role: 'assistant', content: null, tool_calls: [call], refusal: null };
}

function deltaPieces(context: ReplyContext): object[] {
  const { fields, settings } = context;
  if (fields.tool !== null) {
    return inputPieces(fields.tool.input, settings.tokens).map((piece) => ({
      tool_calls: [{ index: 0, function: { arguments: piece } }],
    }));
  }
  const structured = structuredAnswer(fields.json);
  const texts = structured === null ? streamTexts(context) : inputPieces(structured, settings.tokens);
  return texts.map((content) => ({ content }));
}

/** A stream with OpenAI's headers and its way to say that something went wrong. */
export function openaiStream(
  opening: readonly ReplyTemplate[],
  deltas: readonly ReplyTemplate[],
  closing: readonly ReplyTemplate[],
): StreamReply {
  const headers = STREAM_HEADERS + OPENAI_HEADERS;
  return { kind: 'stream', headers, opening, deltas, closing, error: OPENAI_ERROR_FRAME, comment: COMMENT_FRAME };
}

export function includesUsage(fields: RequestFields): boolean {
  const options = fields.json.stream_options;
  return isObject(options) && options.include_usage === true;
}

export function chatUsage(promptTokens: number, completionTokens: number): object {
  return {
    prompt_tokens: promptTokens,
    completion_tokens: completionTokens,
    total_tokens: promptTokens + completionTokens,
    prompt_tokens_details: { cached_tokens: 0, audio_tokens: 0 },
    completion_tokens_details: {
      reasoning_tokens: 0,
      audio_tokens: 0,
      accepted_prediction_tokens: 0,
      rejected_prediction_tokens: 0,
    },
  };
}

/** Streams and replies with more than one choice repeat the first. */
export function choiceCount(fields: RequestFields): number {
  const { n } = fields.json;
  return typeof n === 'number' && Number.isInteger(n) && n >= 1 && n <= 128 ? n : 1;
}
