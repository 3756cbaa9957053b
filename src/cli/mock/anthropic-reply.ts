import { inputPieces, paddedReply, streamTexts, type ReplyContext } from './reply-context.ts';
import {
  ANTHROPIC_HEADERS,
  errorValue,
  jsonReply,
  typedFrame,
  type ReplyPlan,
  type StreamReply,
} from './reply-plan.ts';
import { CLOCK, NONCE, ReplyTemplate } from './reply-template.ts';
import type { RequestFields } from './request-fields.ts';

const STREAM_HEADERS = `content-type: text/event-stream; charset=utf-8\r\ncache-control: no-cache\r\n`;
const PING_FRAME = typedFrame({ type: 'ping' });
const COMMENT_AND_PING = new ReplyTemplate(`: keep-alive\n\n${PING_FRAME.render('')}`);
const OVERLOADED = { status: 529, message: 'Overloaded' };
const ERROR_FRAME = new ReplyTemplate(`event: error\ndata: ${JSON.stringify(errorValue(OVERLOADED, 'anthropic'))}\n\n`);

/** POST /v1/messages. */
export function anthropicMessagesReply(context: ReplyContext): ReplyPlan {
  const { fields, settings } = context;
  if (fields.stream) return messagesStream(context);
  return paddedReply(context, 'anthropic', (text) => ({
    ...messageHead(fields),
    content: [
      fields.tool === null
        ? { type: 'text', text }
        : { type: 'tool_use', id: `toolu_${NONCE}`, name: fields.tool.name, input: fields.tool.input },
    ],
    stop_reason: stopReason(fields),
    stop_sequence: null,
    usage: usage(fields.promptTokens, settings.tokens),
  }));
}

/** POST /v1/messages/count_tokens. */
export function anthropicCountReply(context: ReplyContext): ReplyPlan {
  return jsonReply({ input_tokens: context.fields.promptTokens }, 'anthropic');
}

function messageHead(fields: RequestFields): object {
  return { id: `msg_${NONCE}`, type: 'message', role: 'assistant', model: fields.model };
}

function stopReason(fields: RequestFields): string {
  return fields.tool === null ? 'end_turn' : 'tool_use';
}

function usage(inputTokens: number, outputTokens: number): object {
  return {
    input_tokens: inputTokens,
    cache_creation_input_tokens: 0,
    cache_read_input_tokens: 0,
    cache_creation: { ephemeral_5m_input_tokens: 0, ephemeral_1h_input_tokens: 0 },
    output_tokens: outputTokens,
    service_tier: 'standard',
  };
}

function messagesStream(context: ReplyContext): StreamReply {
  const { fields, settings } = context;
  const { tool } = fields;
  const event = (type: string, rest: object): ReplyTemplate =>
    typedFrame({ type, ...rest, t: CLOCK } as { type: string });
  const message = {
    ...messageHead(fields),
    content: [],
    stop_reason: null,
    stop_sequence: null,
    usage: usage(fields.promptTokens, 1),
  };
  const block =
    tool === null ? { type: 'text', text: '' } : { type: 'tool_use', id: `toolu_${NONCE}`, name: tool.name, input: {} };
  const deltas =
    tool === null
      ? streamTexts(context).map((text) => ({ type: 'text_delta', text }))
      : inputPieces(tool.input, settings.tokens).map((json) => ({ type: 'input_json_delta', partial_json: json }));
  return {
    kind: 'stream',
    headers: STREAM_HEADERS + ANTHROPIC_HEADERS,
    opening: [
      event('message_start', { message }),
      event('content_block_start', { index: 0, content_block: block }),
      PING_FRAME,
    ],
    deltas: deltas.map((delta) => event('content_block_delta', { index: 0, delta })),
    closing: [
      event('content_block_stop', { index: 0 }),
      event('message_delta', {
        delta: { stop_reason: stopReason(fields), stop_sequence: null },
        usage: { output_tokens: settings.tokens },
      }),
      event('message_stop', {}),
    ],
    error: ERROR_FRAME,
    comment: COMMENT_AND_PING,
  };
}
