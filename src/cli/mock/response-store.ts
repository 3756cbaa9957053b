import { storedResponse } from './openai-responses-reply.ts';
import type { ReplyContext } from './reply-context.ts';
import { errorReply, jsonReply, type ReplyPlan } from './reply-plan.ts';

const MAX_STORED = 1_000;
const PATH = /^\/responses\/([^/]+)(\/cancel|\/input_items)?$/;

/** The last responses made, by id, for the routes that name one. */
export class ResponseStore {
  readonly #contexts = new Map<string, ReplyContext>();

  add(id: string, context: ReplyContext): void {
    if (context.fields.json.store === false) return;
    this.#contexts.set(id, context);
    if (this.#contexts.size <= MAX_STORED) return;
    for (const oldest of this.#contexts.keys()) {
      this.#contexts.delete(oldest);
      break;
    }
  }

  /** @returns null when the route is not one of these. */
  answer(method: string, path: string): ReplyPlan | null {
    const match = PATH.exec(path);
    if (match === null) return null;
    const id = match[1] ?? '';
    const action = match[2] ?? '';
    const context = this.#contexts.get(id);
    const route = `${method} ${action}`;
    if (!['GET ', 'DELETE ', 'POST /cancel', 'GET /input_items'].includes(route)) return null;
    if (context === undefined) {
      return errorReply({ status: 404, message: `Response with id '${id}' not found.` }, 'openai');
    }
    if (route === 'GET ') return jsonReply(storedResponse(context, id, 'completed'));
    if (route === 'POST /cancel') return jsonReply(storedResponse(context, id, 'cancelled'));
    if (route === 'GET /input_items') return jsonReply(inputItems(context, id));
    this.#contexts.delete(id);
    return jsonReply({ id, object: 'response', deleted: true });
  }
}

function inputItems(context: ReplyContext, id: string): object {
  const { input } = context.fields.json;
  const text = typeof input === 'string' ? input : JSON.stringify(input);
  const item = {
    id: `msg_in_${id}`,
    type: 'message',
    status: 'completed',
    role: 'user',
    content: [{ type: 'input_text', text }],
  };
  return { object: 'list', data: [item], first_id: item.id, last_id: item.id, has_more: false };
}
