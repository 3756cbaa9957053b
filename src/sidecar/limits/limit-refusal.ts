import { gatewayError, type GatewayError } from '../../domain/errors/gateway-error.ts';
import type { LimitKind, SubjectLimits } from './subject-limits.ts';
import type { WorkerLimits } from './worker-limits.ts';

/** A place among requests at the same time is free when one of them ends: nobody knows when. */
const RETRY_PARALLEL_MS = 1_000;

/** The refusal by a limit of `subject`, with LiteLLM's sentence and headers. */
export function limitRefusal(
  limits: WorkerLimits,
  subject: SubjectLimits,
  kind: LimitKind | 'table_full',
  nowMs: number,
): GatewayError {
  limits.countRefusal(subject.subject, kind);
  if (kind === 'table_full') {
    const message = `the limits of ${subject.subject} ${subject.name} can not be counted: the limit table is full`;
    return { ...gatewayError('limit_table_full', message), retryAfterSeconds: 60 };
  }
  const waitMs = resetMs(limits, subject, kind, nowMs);
  const resetAt = `${new Date(Date.now() + waitMs).toISOString().slice(0, 19).replace('T', ' ')} UTC`;
  const limit = limitOf(subject, kind);
  const remaining = Math.max(0, limit - used(limits, subject, kind, nowMs));
  const message =
    `Rate limit exceeded for ${subject.subject}: ${subject.name}. Limit type: ${kind}. ` +
    `Current limit: ${limit}, Remaining: ${remaining}. Limit resets at: ${resetAt}`;
  return {
    ...gatewayError('rate_limited', message),
    retryAfterSeconds: wholeSeconds(waitMs),
    headerLines: `rate_limit_type: ${kind}\r\nreset_at: ${resetAt}\r\n${rateLimitLines(limits, subject, nowMs)}`,
  };
}

/** `x-ratelimit-{limit,remaining,reset}-{requests,tokens}` of `subject`, those that it has. */
export function rateLimitLines(limits: WorkerLimits, subject: SubjectLimits, nowMs: number): string {
  let lines = '';
  if (subject.rpm !== null) lines += linesOf(limits, subject, 'requests', nowMs);
  if (subject.tpm !== null) lines += linesOf(limits, subject, 'tokens', nowMs);
  return lines;
}

/** Until `kind` of `subject` may be used again, ms. */
export function resetMs(limits: WorkerLimits, subject: SubjectLimits, kind: LimitKind, nowMs: number): number {
  if (kind === 'max_parallel_requests') return RETRY_PARALLEL_MS;
  return limits.table.resetMs(kind === 'requests' ? subject.requestsCell : subject.tokensCell, nowMs);
}

/** At least 1: `retry-after: 0` would have the client back at once. */
function wholeSeconds(ms: number): number {
  return Math.max(1, Math.ceil(ms / 1000));
}

function linesOf(limits: WorkerLimits, subject: SubjectLimits, kind: 'requests' | 'tokens', nowMs: number): string {
  const limit = limitOf(subject, kind);
  const remaining = Math.max(0, limit - used(limits, subject, kind, nowMs));
  const seconds = Math.ceil(resetMs(limits, subject, kind, nowMs) / 1000);
  return kind === 'requests'
    ? `${limitText(REQUEST_LIMIT_TEXTS, kind, limit)}${remaining}\r\nx-ratelimit-reset-requests: ${seconds}s\r\n`
    : `${limitText(TOKEN_LIMIT_TEXTS, kind, limit)}${remaining}\r\nx-ratelimit-reset-tokens: ${seconds}s\r\n`;
}

/** Few different limits are in use: the text of each is made once, up to where the number of the remaining stands. */
const REQUEST_LIMIT_TEXTS = new Map<number, string>();
const TOKEN_LIMIT_TEXTS = new Map<number, string>();
const MAX_LIMIT_TEXTS = 1_000;

function limitText(texts: Map<number, string>, kind: 'requests' | 'tokens', limit: number): string {
  let text = texts.get(limit);
  if (text === undefined) {
    if (texts.size >= MAX_LIMIT_TEXTS) texts.clear();
    text = `x-ratelimit-limit-${kind}: ${limit}\r\nx-ratelimit-remaining-${kind}: `;
    texts.set(limit, text);
  }
  return text;
}

function limitOf(subject: SubjectLimits, kind: LimitKind): number {
  switch (kind) {
    case 'requests':
      return subject.rpm ?? Infinity;
    case 'tokens':
      return subject.tpm ?? Infinity;
    case 'max_parallel_requests':
      return subject.maxParallelRequests ?? Infinity;
    default:
      return kind satisfies never;
  }
}

function used({ table }: WorkerLimits, subject: SubjectLimits, kind: LimitKind, nowMs: number): number {
  switch (kind) {
    case 'requests':
      return table.used(subject.requestsCell, nowMs);
    case 'tokens':
      return table.used(subject.tokensCell, nowMs);
    case 'max_parallel_requests':
      return table.permits(subject.row);
    default:
      return kind satisfies never;
  }
}
