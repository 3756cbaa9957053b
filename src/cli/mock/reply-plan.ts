import { asciiJson, ReplyTemplate } from './reply-template.ts';

export type ErrorEnvelope = 'openai' | 'anthropic';

/** What will be sent, independent of when and with which faults. */
export type ReplyPlan = WholeReply | BinaryReply | StreamReply;

export interface WholeReply {
  readonly kind: 'whole';
  readonly status: number;
  /** Header lines beyond framing and nonce, each ending in CRLF. */
  readonly headers: string;
  readonly body: ReplyTemplate;
}

export interface BinaryReply {
  readonly kind: 'binary';
  readonly status: number;
  readonly headers: string;
  readonly body: Buffer;
}

export interface StreamReply {
  readonly kind: 'stream';
  readonly headers: string;
  /** Sent with the first of `deltas`. */
  readonly opening: readonly ReplyTemplate[];
  /** One per token. */
  readonly deltas: readonly ReplyTemplate[];
  /** Sent with the last of `deltas`. */
  readonly closing: readonly ReplyTemplate[];
  /** Sent in place of what is left when the stream is to fail in the protocol's own way. */
  readonly error: ReplyTemplate;
  /** Says nothing: a comment, and a ping where the protocol has one. */
  readonly comment: ReplyTemplate;
}

const JSON_HEADERS = 'content-type: application/json\r\n';

/** Of the kind that providers add to every reply; fixed values, for their cost in parsing and copying. */
export const OPENAI_HEADERS =
  'openai-version: 2020-10-01\r\nopenai-processing-ms: 1\r\n' +
  'x-ratelimit-limit-requests: 10000\r\nx-ratelimit-remaining-requests: 9999\r\nx-ratelimit-reset-requests: 6ms\r\n';
export const ANTHROPIC_HEADERS =
  'anthropic-organization-id: 00000000-0000-4000-8000-000000000000\r\n' +
  'anthropic-ratelimit-requests-limit: 10000\r\nanthropic-ratelimit-requests-remaining: 9999\r\n';

function vendorHeaders(envelope: ErrorEnvelope): string {
  return envelope === 'openai' ? OPENAI_HEADERS : ANTHROPIC_HEADERS;
}

/** Fixed, so that replies have equal bytes in every run; 2026-01-01. */
export const CREATED_SECONDS = 1_767_225_600;

export function jsonReply(value: unknown, envelope: ErrorEnvelope = 'openai', status = 200): WholeReply {
  return {
    kind: 'whole',
    status,
    headers: JSON_HEADERS + vendorHeaders(envelope),
    body: new ReplyTemplate(asciiJson(value)),
  };
}

/** A stream's frame without an `event:` line, as OpenAI's chat has it. */
export function dataFrame(value: unknown): ReplyTemplate {
  return new ReplyTemplate(`data: ${asciiJson(value)}\n\n`);
}

/** A stream's frame named after its `type`. */
export function typedFrame(value: { readonly type: string }): ReplyTemplate {
  return new ReplyTemplate(`event: ${value.type}\ndata: ${asciiJson(value)}\n\n`);
}

export interface MockError {
  readonly status: number;
  readonly message: string;
  readonly retryAfterSeconds?: number;
  /** OpenAI's `code`; null when absent. */
  readonly code?: string | null;
}

export function errorReply(error: MockError, envelope: ErrorEnvelope): WholeReply {
  const wait = error.retryAfterSeconds ?? 0;
  return {
    kind: 'whole',
    status: error.status,
    headers: `${JSON_HEADERS}${vendorHeaders(envelope)}${wait > 0 ? `retry-after: ${wait}\r\n` : ''}`,
    body: new ReplyTemplate(asciiJson(errorValue(error, envelope))),
  };
}

export function errorValue(error: MockError, envelope: ErrorEnvelope): object {
  const { status, message } = error;
  switch (envelope) {
    case 'openai':
      return { error: { message, type: openaiErrorType(status), param: null, code: error.code ?? null } };
    case 'anthropic':
      return { type: 'error', error: { type: anthropicErrorType(status), message }, request_id: 'req_mock' };
    default:
      return envelope satisfies never;
  }
}

function openaiErrorType(status: number): string {
  if (status === 401) return 'authentication_error';
  if (status === 403) return 'permission_error';
  if (status === 429) return 'rate_limit_error';
  return status >= 500 ? 'server_error' : 'invalid_request_error';
}

function anthropicErrorType(status: number): string {
  switch (status) {
    case 401:
      return 'authentication_error';
    case 403:
      return 'permission_error';
    case 404:
      return 'not_found_error';
    case 413:
      return 'request_too_large';
    case 429:
      return 'rate_limit_error';
    case 529:
      return 'overloaded_error';
    default:
      return status >= 500 ? 'api_error' : 'invalid_request_error';
  }
}
