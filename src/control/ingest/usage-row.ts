import { spentNano, type UsageEvent } from '../../contract/usage-event.ts';

/**
 * A row of `usage_events`; its members are the columns. Everything is text, a whole number or null, so that the same
 * values go to SQLite and PostgreSQL: times in Unix milliseconds, durations in microseconds, money in nano-dollars.
 */
export interface UsageRow {
  readonly id: string;
  readonly at_ms: number;
  readonly duration_us: number;
  readonly first_byte_us: number | null;
  readonly overhead_us: number;
  /** Hex SHA-256, or `master`. */
  readonly api_key: string;
  readonly user_id: string | null;
  readonly team_id: string | null;
  readonly endpoint: string;
  /** As the client named it. */
  readonly model: string | null;
  /** Public name of the group that served it. */
  readonly model_group: string | null;
  readonly upstream_model: string | null;
  readonly deployment: string | null;
  readonly provider: string | null;
  readonly stream: 0 | 1;
  /** 0: the client left before it got one. */
  readonly status: number;
  readonly error: string | null;
  readonly aborted: string | null;
  readonly attempts: number;
  readonly prompt_tokens: number;
  readonly completion_tokens: number;
  readonly cache_read_tokens: number;
  readonly cache_write_tokens: number;
  readonly reasoning_tokens: number;
  readonly usage_source: string;
  readonly spend_nano: number;
  /** 0: something was used for which no price is known, so `spend_nano` says too little. */
  readonly priced: 0 | 1;
  readonly request_bytes: number;
  readonly response_bytes: number;
  readonly trace_id: string | null;
  readonly client: string | null;
  /** JSON: a list of strings; null for none. */
  readonly tags: string | null;
  /** JSON: the attempts, where there was more than one or the only one failed. */
  readonly details: string | null;
  /** No column: rows of budgets that it was charged to. */
  readonly budgets?: readonly string[];
}

export type UsageColumn = Exclude<keyof UsageRow, 'budgets'>;
export type SqlType = 'text' | 'integer' | 'bigint';

/** In the order in which they are inserted. `?` marks those that may be null. */
export const USAGE_COLUMNS = {
  id: 'text',
  at_ms: 'bigint',
  duration_us: 'bigint',
  first_byte_us: 'bigint?',
  overhead_us: 'bigint',
  api_key: 'text',
  user_id: 'text?',
  team_id: 'text?',
  endpoint: 'text',
  model: 'text?',
  model_group: 'text?',
  upstream_model: 'text?',
  deployment: 'text?',
  provider: 'text?',
  stream: 'integer',
  status: 'integer',
  error: 'text?',
  aborted: 'text?',
  attempts: 'integer',
  prompt_tokens: 'bigint',
  completion_tokens: 'bigint',
  cache_read_tokens: 'bigint',
  cache_write_tokens: 'bigint',
  reasoning_tokens: 'bigint',
  usage_source: 'text',
  spend_nano: 'bigint',
  priced: 'integer',
  request_bytes: 'bigint',
  response_bytes: 'bigint',
  trace_id: 'text?',
  client: 'text?',
  tags: 'text?',
  details: 'text?',
} as const satisfies Readonly<Record<UsageColumn, SqlType | `${SqlType}?`>>;

export const USAGE_COLUMN_NAMES = Object.keys(USAGE_COLUMNS) as readonly UsageColumn[];

/**
 * Longest names, in bytes of UTF-8. All parts of the widest index (`usage_detail`) together stay below the 2,704 bytes
 * that PostgreSQL can index: a longer one would stop ingestion for good.
 */
const MAX_OWNER_BYTES = 512;
const MAX_NAME_BYTES = 384;
const MAX_PROVIDER_BYTES = 128;
const MAX_TEXT_BYTES = 4096;
/** Tokens beyond this are nonsense; 8,192 events of it still add up below 2^53. */
const MAX_COUNT = 1e12;
const REPLACEMENT = '\uFFFD';

/** Pure: what is kept of an event. Never fails for an event that `usageEventProblem` accepts. */
export function usageRow(event: UsageEvent): UsageRow {
  const { usage, attempts, tags } = event;
  const spent = spentNano(event);
  const isUnpriced = [event, ...attempts].some((part) => part.usage !== null && part.costNano === null);
  const isTelling = attempts.length > 1 || attempts.some(({ error }) => error !== null);
  return {
    id: event.id,
    at_ms: event.at,
    duration_us: microseconds(event.durationMs),
    first_byte_us: event.firstByteMs === null ? null : microseconds(event.firstByteMs),
    overhead_us: Math.round(Math.min(event.overheadUs, MAX_COUNT)),
    api_key: event.key,
    user_id: clip(event.user, MAX_OWNER_BYTES),
    team_id: clip(event.team, MAX_OWNER_BYTES),
    endpoint: event.endpoint,
    model: clip(event.model, MAX_NAME_BYTES),
    model_group: clip(event.group, MAX_NAME_BYTES),
    upstream_model: clip(event.upstreamModel, MAX_NAME_BYTES),
    deployment: clip(event.deployment, MAX_NAME_BYTES),
    provider: clip(event.provider, MAX_PROVIDER_BYTES),
    stream: event.stream ? 1 : 0,
    status: event.status,
    error: event.error,
    aborted: clip(event.aborted, MAX_NAME_BYTES),
    attempts: attempts.length,
    prompt_tokens: count(usage?.inputTokens),
    completion_tokens: count(usage?.outputTokens),
    cache_read_tokens: count(usage?.cacheReadTokens),
    cache_write_tokens: count(usage?.cacheWriteTokens),
    reasoning_tokens: count(usage?.reasoningTokens),
    usage_source: event.usageSource,
    spend_nano: Math.min(spent ?? 0, Number.MAX_SAFE_INTEGER),
    priced: isUnpriced ? 0 : 1,
    request_bytes: event.requestBytes,
    response_bytes: event.responseBytes,
    trace_id: event.traceId,
    client: clip(event.client, MAX_NAME_BYTES),
    tags: tags.length === 0 ? null : JSON.stringify(tags.map((tag) => clip(tag, MAX_NAME_BYTES))),
    details: isTelling ? clip(JSON.stringify(attempts), MAX_TEXT_BYTES) : null,
    ...(event.budgets === undefined ? {} : { budgets: event.budgets }),
  };
}

/** Answered with success and not broken off: what LiteLLM counts as a successful request. */
export function isSuccess(row: Pick<UsageRow, 'status' | 'error' | 'aborted'>): boolean {
  return row.error === null && row.aborted === null && row.status >= 100 && row.status < 400;
}

function microseconds(ms: number): number {
  return Math.round(Math.min(ms * 1000, MAX_COUNT * 1000));
}

function count(tokens: number | undefined): number {
  return tokens === undefined ? 0 : Math.min(tokens, MAX_COUNT);
}

/** PostgreSQL takes no NUL in a text. What is cut ends with an ellipsis. */
function clip<T extends string | null>(text: T, maxBytes: number): T {
  if (text === null) return text;
  const clean = text.includes('\0') ? text.replaceAll('\0', REPLACEMENT) : text;
  // One UTF-16 unit is at most three bytes.
  if (clean.length * 3 <= maxBytes || Buffer.byteLength(clean) <= maxBytes) return clean as T;
  return `${clean.slice(0, Math.floor(maxBytes / 3) - 1)}…` as T;
}
