import { chatUsage, choiceCount, DONE_FRAME, includesUsage, openaiStream } from './openai-chat-reply.ts';
import { paddedReply, streamTexts, type ReplyContext } from './reply-context.ts';
import { CREATED_SECONDS, dataFrame, type ReplyPlan } from './reply-plan.ts';
import { CLOCK, NONCE, type ReplyTemplate } from './reply-template.ts';

/** POST /completions. */
export function openaiCompletionsReply(context: ReplyContext): ReplyPlan {
  const { fields, settings } = context;
  const usage = chatUsage(fields.promptTokens, settings.tokens);
  const choices = (text: string, finishReason: string | null): object[] =>
    Array.from({ length: choiceCount(fields) }, (_, index) => ({
      text,
      index,
      logprobs: null,
      finish_reason: finishReason,
    }));
  const common = {
    id: `cmpl-${NONCE}`,
    object: 'text_completion',
    created: CREATED_SECONDS,
    model: fields.model,
    system_fingerprint: 'fp_mock',
  };
  if (!fields.stream) {
    return paddedReply(context, 'openai', (text) => ({ ...common, choices: choices(text, 'stop'), usage }));
  }
  const wantsUsage = includesUsage(fields);
  const chunk = (list: object[], chunkUsage: object | null): ReplyTemplate =>
    dataFrame({ ...common, choices: list, ...(wantsUsage ? { usage: chunkUsage } : {}), t: CLOCK });
  const closing = [chunk(choices('', 'stop'), null)];
  if (wantsUsage) closing.push(chunk([], usage));
  closing.push(DONE_FRAME);
  return openaiStream(
    [],
    streamTexts(context).map((text) => chunk(choices(text, null), null)),
    closing,
  );
}
