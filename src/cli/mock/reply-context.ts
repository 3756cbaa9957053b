import { fillerText, tokenTexts } from './filler-text.ts';
import type { ReplySettings } from './mock-options.ts';
import { jsonReply, type ErrorEnvelope, type WholeReply } from './reply-plan.ts';
import { NONCE } from './reply-template.ts';
import type { RequestFields } from './request-fields.ts';

/** All that a reply is made from. */
export interface ReplyContext {
  readonly fields: RequestFields;
  readonly settings: ReplySettings;
  /** Characters that the nonce will have: padding depends on it. */
  readonly nonceLength: number;
}

/** The text of a whole reply: the nonce, then filler. */
function replyText(context: ReplyContext): string {
  return `${NONCE} ${tokenTexts(context.settings.tokens, 0).join('')}`;
}

/** The text of a streamed reply in pieces, one per token, the nonce before the first. */
export function streamTexts(context: ReplyContext): string[] {
  const texts = tokenTexts(context.settings.tokens, context.settings.replyBytes);
  if (texts.length > 0) texts[0] = `${NONCE} ${texts[0]}`;
  return texts;
}

/** A JSON reply around `text`; with `replyBytes` its body has exactly that size, or the least that is possible. */
export function paddedReply(
  context: ReplyContext,
  envelope: ErrorEnvelope,
  replyWith: (text: string) => unknown,
): WholeReply {
  const { replyBytes } = context.settings;
  if (replyBytes === 0) return jsonReply(replyWith(replyText(context)), envelope);
  const least = jsonReply(replyWith(`${NONCE} `), envelope).body.byteLength('n'.repeat(context.nonceLength));
  return jsonReply(replyWith(`${NONCE} ${fillerText(replyBytes - least)}`), envelope);
}

/** Cuts the JSON of a tool's input as providers do: in pieces that are not JSON by themselves. */
export function inputPieces(input: unknown, pieces: number): string[] {
  const json = JSON.stringify(input);
  const size = Math.max(1, Math.ceil(json.length / Math.max(1, pieces)));
  const cut: string[] = [];
  for (let at = 0; at < json.length; at += size) cut.push(json.slice(at, at + size));
  return cut;
}
