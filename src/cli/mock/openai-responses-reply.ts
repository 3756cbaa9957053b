import { COMMENT_FRAME, STREAM_HEADERS } from './openai-chat-reply.ts';
import { inputPieces, paddedReply, streamTexts, type ReplyContext } from './reply-context.ts';
import { CREATED_SECONDS, OPENAI_HEADERS, typedFrame, type ReplyPlan, type StreamReply } from './reply-plan.ts';
import { CLOCK, NONCE, type ReplyTemplate } from './reply-template.ts';
import { structuredAnswer, type RequestFields } from './request-fields.ts';

type Status = 'in_progress' | 'completed' | 'cancelled';

const ID = `resp_${NONCE}`;

/** POST /responses. */
export function openaiResponsesReply(context: ReplyContext): ReplyPlan {
  const { fields } = context;
  if (fields.stream) return responsesStream(context);
  return paddedReply(context, 'openai', (text) =>
    responseObject(context, 'completed', [outputItem(fields, answerText(fields, text), 'completed')]),
  );
}

/** GET /responses/{id} and POST /responses/{id}/cancel answer with the whole object again. */
export function storedResponse(context: ReplyContext, id: string, status: Status): object {
  const { fields } = context;
  return { ...responseObject(context, status, [outputItem(fields, answerText(fields, 'stored'), 'completed')]), id };
}

function answerText(fields: RequestFields, text: string): string {
  const structured = structuredAnswer(fields.json);
  return structured === null ? text : JSON.stringify(structured);
}

function responseObject(context: ReplyContext, status: Status, output: readonly object[]): object {
  const { json, model, promptTokens } = context.fields;
  const { tokens } = context.settings;
  return {
    id: ID,
    object: 'response',
    created_at: CREATED_SECONDS,
    status,
    background: json.background === true,
    error: null,
    incomplete_details: null,
    instructions: json.instructions ?? null,
    max_output_tokens: json.max_output_tokens ?? null,
    model,
    output,
    parallel_tool_calls: json.parallel_tool_calls ?? true,
    previous_response_id: json.previous_response_id ?? null,
    reasoning: { effort: null, summary: null },
    service_tier: 'default',
    store: json.store ?? true,
    temperature: json.temperature ?? 1,
    text: json.text ?? { format: { type: 'text' } },
    tool_choice: json.tool_choice ?? 'auto',
    tools: json.tools ?? [],
    top_p: json.top_p ?? 1,
    truncation: 'disabled',
    usage: status === 'completed' ? responsesUsage(promptTokens, tokens) : null,
    user: null,
    metadata: json.metadata ?? {},
  };
}

function responsesUsage(inputTokens: number, outputTokens: number): object {
  return {
    input_tokens: inputTokens,
    input_tokens_details: { cached_tokens: 0 },
    output_tokens: outputTokens,
    output_tokens_details: { reasoning_tokens: 0 },
    total_tokens: inputTokens + outputTokens,
  };
}

function outputItem(fields: RequestFields, text: string, status: Status): object {
  if (fields.tool !== null) {
    return functionCall(fields.tool.name, status === 'completed' ? JSON.stringify(fields.tool.input) : '', status);
  }
  return {
    id: `msg_${NONCE}`,
    type: 'message',
    status,
    role: 'assistant',
    content: status === 'completed' ? [textPart(text)] : [],
  };
}

function functionCall(name: string, inputJson: string, status: Status): object {
  return { id: `fc_${NONCE}`, type: 'function_call', status, call_id: `call_${NONCE}`, name, arguments: inputJson };
}

function textPart(text: string): object {
  return { type: 'output_text', annotations: [], logprobs: [], text };
}

function responsesStream(context: ReplyContext): StreamReply {
  const { fields } = context;
  let sequence = 0;
  const event = (type: string, rest: object): ReplyTemplate =>
    typedFrame({ type, sequence_number: sequence++, ...rest, t: CLOCK } as { type: string });
  const whole = (status: Status, output: readonly object[]): object => ({
    response: responseObject(context, status, output),
  });

  const opening = [
    event('response.created', whole('in_progress', [])),
    event('response.in_progress', whole('in_progress', [])),
    event('response.output_item.added', { output_index: 0, item: outputItem(fields, '', 'in_progress') }),
  ];
  const { deltas, closing, item } =
    fields.tool === null ? textEvents(context, opening, event) : callEvents(context, event);
  closing.push(event('response.output_item.done', { output_index: 0, item }));
  closing.push(event('response.completed', whole('completed', [item])));
  const error = typedFrame({
    type: 'error',
    sequence_number: sequence,
    code: 'server_error',
    message: 'The server had an error while processing your request.',
    param: null,
  } as { type: string });
  return {
    kind: 'stream',
    headers: STREAM_HEADERS + OPENAI_HEADERS,
    opening,
    deltas,
    closing,
    error,
    comment: COMMENT_FRAME,
  };
}

type MakeEvent = (type: string, rest: object) => ReplyTemplate;
interface ItemEvents {
  readonly deltas: ReplyTemplate[];
  readonly closing: ReplyTemplate[];
  readonly item: object;
}

function textEvents(context: ReplyContext, opening: ReplyTemplate[], event: MakeEvent): ItemEvents {
  const structured = structuredAnswer(context.fields.json);
  const texts = structured === null ? streamTexts(context) : inputPieces(structured, context.settings.tokens);
  const text = texts.join('');
  const place = { item_id: `msg_${NONCE}`, output_index: 0, content_index: 0 };
  opening.push(event('response.content_part.added', { ...place, part: textPart('') }));
  return {
    deltas: texts.map((delta) => event('response.output_text.delta', { ...place, delta, logprobs: [] })),
    closing: [
      event('response.output_text.done', { ...place, text, logprobs: [] }),
      event('response.content_part.done', { ...place, part: textPart(text) }),
    ],
    item: outputItem(context.fields, text, 'completed'),
  };
}

function callEvents(context: ReplyContext, event: MakeEvent): ItemEvents {
  const { tool } = context.fields;
  const inputJson = JSON.stringify(tool?.input ?? {});
  const place = { item_id: `fc_${NONCE}`, output_index: 0 };
  return {
    deltas: inputPieces(tool?.input ?? {}, context.settings.tokens).map((delta) =>
      event('response.function_call_arguments.delta', { ...place, delta }),
    ),
    closing: [
      event('response.function_call_arguments.done', { ...place, name: tool?.name ?? '', arguments: inputJson }),
    ],
    item: functionCall(tool?.name ?? '', inputJson, 'completed'),
  };
}
