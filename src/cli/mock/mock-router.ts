import { anthropicCountReply, anthropicMessagesReply } from './anthropic-reply.ts';
import { BodyMemo } from './body-memo.ts';
import { MockSettingError, overrideSettings, settingsInModel, type ReplySettings } from './mock-options.ts';
import type { MockRequest } from './mock-request.ts';
import { openaiChatReply } from './openai-chat-reply.ts';
import { openaiCompletionsReply } from './openai-completions-reply.ts';
import {
  modelListReply,
  modelObject,
  openaiEmbeddingsReply,
  openaiImagesReply,
  openaiModerationsReply,
  openaiSpeechReply,
  rerankReply,
} from './openai-other-replies.ts';
import { openaiResponsesReply } from './openai-responses-reply.ts';
import type { ReplyContext } from './reply-context.ts';
import { errorReply, jsonReply, type ErrorEnvelope, type ReplyPlan } from './reply-plan.ts';
import { readRequestFields, type RequestFields } from './request-fields.ts';
import { ResponseStore } from './response-store.ts';

export interface Answer {
  readonly plan: ReplyPlan;
  readonly settings: ReplySettings;
  readonly nonce: string;
}

interface Route {
  readonly envelope: ErrorEnvelope;
  readonly reply: (context: ReplyContext) => ReplyPlan;
  readonly memo: BodyMemo<BodyInfo>;
}

/** What is known of one body on one route. The plan is the costly part and depends on nothing else but the settings. */
interface BodyInfo {
  readonly fields: RequestFields | null;
  /** With the model's suffix applied; a sentence when that is wrong. */
  readonly settings: ReplySettings | string;
  plan: ReplyPlan | null;
  planNonceLength: number;
}

const ROUTES: Readonly<Record<string, readonly [ErrorEnvelope, (context: ReplyContext) => ReplyPlan]>> = {
  '/chat/completions': ['openai', openaiChatReply],
  '/completions': ['openai', openaiCompletionsReply],
  '/embeddings': ['openai', openaiEmbeddingsReply],
  '/responses': ['openai', openaiResponsesReply],
  '/moderations': ['openai', openaiModerationsReply],
  '/images/generations': ['openai', openaiImagesReply],
  '/audio/speech': ['openai', openaiSpeechReply],
  '/rerank': ['openai', rerankReply],
  '/messages': ['anthropic', anthropicMessagesReply],
  '/messages/count_tokens': ['anthropic', anthropicCountReply],
};

/** OpenAI's moderations has a default model. */
const MODEL_OPTIONAL = ['/moderations'];

/** Turns a complete request into what is to be answered. */
export class MockRouter {
  readonly #base: ReplySettings;
  readonly #routes = new Map<string, Route>();
  readonly #responses = new ResponseStore();
  readonly #noncePrefix: string;
  #count = 0;

  /** @param noncePrefix starts the nonces of requests that bring none, so that ids differ between processes. */
  constructor(base: ReplySettings, noncePrefix: string) {
    this.#base = base;
    this.#noncePrefix = noncePrefix;
    for (const [path, [envelope, reply]] of Object.entries(ROUTES)) {
      const route: Route = { envelope, reply, memo: new BodyMemo() };
      this.#routes.set(path, route);
      this.#routes.set(`/v1${path}`, route);
    }
  }

  get requestCount(): number {
    return this.#count;
  }

  answer(request: MockRequest): Answer {
    this.#count++;
    const queryAt = request.target.indexOf('?');
    const path = queryAt < 0 ? request.target : request.target.slice(0, queryAt);
    const route = this.#routes.get(path);
    if (route !== undefined) {
      if (request.method === 'POST') return this.#answerPost(route, path, request);
      return this.#refuse(request, 405, `${path} needs POST`, route.envelope);
    }
    return this.#answerOther(request, path.startsWith('/v1/') ? path.slice(3) : path);
  }

  #answerPost(route: Route, path: string, request: MockRequest): Answer {
    const found = route.memo.find(request.body) ?? route.memo.remember(request.body, this.#readBody(request.body));
    const { info } = found;
    const nonce = request.nonce ?? found.nonce ?? this.#makeNonce();
    if (info.fields === null) return this.#refuse(request, 400, 'The body is not one JSON object.', route.envelope);
    if (info.fields.model === '' && !MODEL_OPTIONAL.some((optional) => path.endsWith(optional))) {
      return this.#refuse(request, 400, 'you must provide a model parameter', route.envelope);
    }
    if (typeof info.settings === 'string') return this.#refuse(request, 400, info.settings, route.envelope);
    let { settings } = info;
    if (request.hasOverrides) {
      const overridden = this.#override(settings, request);
      if (typeof overridden === 'string') return this.#refuse(request, 400, overridden, route.envelope);
      settings = overridden;
    }
    const failure = failureOf(settings);
    if (failure !== null) return { plan: errorReply(failure, route.envelope), settings, nonce };

    const context: ReplyContext = { fields: info.fields, settings, nonceLength: nonce.length };
    if (path.endsWith('/responses')) this.#responses.add(`resp_${nonce}`, context);
    if (settings !== info.settings) return { plan: route.reply(context), settings, nonce };
    if (info.plan === null || info.planNonceLength !== nonce.length) {
      info.plan = route.reply(context);
      info.planNonceLength = nonce.length;
    }
    return { plan: info.plan, settings, nonce };
  }

  #readBody(body: Buffer): BodyInfo {
    const fields = readRequestFields(body);
    let settings: ReplySettings | string = this.#base;
    try {
      if (fields !== null) settings = overrideSettings(this.#base, settingsInModel(fields.model));
    } catch (error) {
      if (!(error instanceof MockSettingError)) throw error;
      settings = `model suffix: ${error.message}`;
    }
    return { fields, settings, plan: null, planNonceLength: 0 };
  }

  #answerOther(request: MockRequest, path: string): Answer {
    const overridden = this.#override(this.#base, request);
    if (typeof overridden === 'string') return this.#refuse(request, 400, overridden, 'openai');
    const failure = failureOf(overridden);
    const plan = failure === null ? this.#otherPlan(request, path) : errorReply(failure, 'openai');
    return { plan, settings: overridden, nonce: request.nonce ?? this.#makeNonce() };
  }

  #otherPlan(request: MockRequest, path: string): ReplyPlan {
    if (request.method === 'GET') {
      if (path === '/models') return modelListReply();
      if (path.startsWith('/models/')) return jsonReply(modelObject(decodeURIComponent(path.slice('/models/'.length))));
      if (path === '/health') return jsonReply({ status: 'ok' });
      if (path === '/mock/stats') return jsonReply({ requests: this.#count });
    }
    const stored = this.#responses.answer(request.method, path);
    if (stored !== null) return stored;
    return errorReply({ status: 404, message: `Unknown request URL: ${request.method} ${path}.` }, 'openai');
  }

  #override(settings: ReplySettings, request: MockRequest): ReplySettings | string {
    if (!request.hasOverrides) return settings;
    const own = request
      .headers()
      .filter(([name]) => name.startsWith('x-mock-'))
      .map(([name, value]) => [name.slice('x-mock-'.length), value] as const);
    try {
      return overrideSettings(settings, own);
    } catch (error) {
      if (error instanceof MockSettingError) return `x-mock header: ${error.message}`;
      throw error;
    }
  }

  #refuse(request: MockRequest, status: number, message: string, envelope: ErrorEnvelope): Answer {
    const plan = errorReply({ status, message }, envelope);
    return { plan, settings: this.#base, nonce: request.nonce ?? this.#makeNonce() };
  }

  #makeNonce(): string {
    return this.#noncePrefix + String(this.#count).padStart(8, '0');
  }
}

function failureOf(settings: ReplySettings): { status: number; message: string; retryAfterSeconds: number } | null {
  const { status, failRate, retryAfterSeconds } = settings;
  if (status >= 400) return { status, message: `mock error ${status}`, retryAfterSeconds };
  if (failRate > 0 && Math.random() < failRate) return { status: 500, message: 'mock failure', retryAfterSeconds };
  return null;
}
