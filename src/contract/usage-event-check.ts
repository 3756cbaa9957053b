import { ENDPOINT_NAMES } from '../domain/endpoints.ts';
import { ERROR_TABLE } from '../domain/errors/error-table.ts';
import { SERVICE_TIERS } from '../domain/pricing/price.ts';
import type { TokenUsage, UsageDetails } from '../domain/usage/token-usage.ts';
import { USAGE_EVENT_FORMAT, type AttemptEvent, type OpenEvent, type UsageEvent } from './usage-event.ts';

type Check = (value: unknown) => boolean;
/** In their order, taken apart once: a line has some fifty members. */
type CheckList = readonly (readonly [name: string, check: Check, isOptional: boolean])[];
type Checks<T> = { readonly [Name in keyof Required<T>]: Check };

const isText: Check = (value) => typeof value === 'string';
const isFlag: Check = (value) => typeof value === 'boolean';
const isCount: Check = (value) => Number.isSafeInteger(value) && (value as number) >= 0;
const isAmount: Check = (value) => typeof value === 'number' && Number.isFinite(value) && value >= 0;
const isId: Check = (value) => typeof value === 'string' && /^[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}$/.test(value);
const isKey: Check = (value) => value === 'master' || (typeof value === 'string' && /^[0-9a-f]{64}$/.test(value));
const isStatus: Check = (value) =>
  value === 0 || (isCount(value) && (value as number) >= 100 && (value as number) < 600);
const isError: Check = (value) => typeof value === 'string' && Object.hasOwn(ERROR_TABLE, value);
const endpoints: ReadonlySet<unknown> = new Set([...ENDPOINT_NAMES, 'realtime', 'responses_by_id']);

const orNull =
  (check: Check): Check =>
  (value) =>
    value === null || check(value);
const listOf =
  (check: Check): Check =>
  (value) =>
    Array.isArray(value) && value.every(check);
const hex = (length: number): Check => {
  const pattern = new RegExp(`^[0-9a-f]{${length}}$`);
  return (value) => typeof value === 'string' && pattern.test(value);
};

const tiers: ReadonlySet<unknown> = new Set(SERVICE_TIERS);

/** Members that a line need not have. */
const OPTIONAL: ReadonlySet<string> = new Set(['details', 'budgets'] satisfies (keyof TokenUsage | keyof UsageEvent)[]);

const DETAILS = listed<UsageDetails>({
  cacheWrite1hTokens: isCount,
  audioInputTokens: isCount,
  imageInputTokens: isCount,
  audioOutputTokens: isCount,
  imageOutputTokens: isCount,
  citationTokens: isCount,
  searches: isCount,
  serviceTier: orNull((value) => tiers.has(value)),
});

const USAGE = listed<TokenUsage>({
  inputTokens: isCount,
  outputTokens: isCount,
  cacheReadTokens: isCount,
  cacheWriteTokens: isCount,
  reasoningTokens: isCount,
  details: (value) => problemIn(value, DETAILS) === null,
});

const ATTEMPT = listed<AttemptEvent>({
  deployment: isText,
  status: isStatus,
  error: orNull(isError),
  durationMs: isAmount,
  usage: orNull((value) => problemIn(value, USAGE) === null),
  costNano: orNull(isCount),
});

/** What an event and an `open` line have in common. */
const COMMON = {
  v: (value: unknown) => value === USAGE_EVENT_FORMAT,
  at: isCount,
  durationMs: isAmount,
  firstByteMs: orNull(isAmount),
  traceId: orNull(hex(32)),
  spanId: orNull(hex(16)),
  client: orNull(isText),
  key: isKey,
  user: orNull(isText),
  team: orNull(isText),
  endpoint: (value: unknown) => endpoints.has(value),
  model: orNull(isText),
  group: orNull(isText),
  deployment: orNull(isText),
  provider: orNull(isText),
  upstreamModel: orNull(isText),
  stream: isFlag,
  status: isStatus,
  usage: orNull((value) => problemIn(value, USAGE) === null),
  requestBytes: isCount,
  responseBytes: isCount,
  tags: listOf(isText),
  budgets: listOf(isText),
};

const EVENT = listed<UsageEvent>({
  ...COMMON,
  id: isId,
  overheadUs: isAmount,
  error: orNull(isError),
  aborted: orNull(isText),
  attempts: listOf((value) => problemIn(value, ATTEMPT) === null),
  usageSource: (value) => value === 'reported' || value === 'estimated' || value === 'none',
  costNano: orNull(isCount),
});

const OPEN = listed<OpenEvent>({ ...COMMON, open: isId, streamEvents: isCount, costNano: orNull(isCount) });

/** @returns what is wrong with it as a `UsageEvent`, or null. Members that this version does not know are no problem. */
export function usageEventProblem(value: unknown): string | null {
  return problemIn(value, EVENT);
}

/** The same for an `OpenEvent`. */
export function openEventProblem(value: unknown): string | null {
  return problemIn(value, OPEN);
}

function listed<T>(checks: Checks<T>): CheckList {
  return Object.entries<Check>(checks).map(([name, check]) => [name, check, OPTIONAL.has(name)] as const);
}

/** Says which member, never its value: lines hold names of users. */
function problemIn(value: unknown, checks: CheckList): string | null {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return 'not an object';
  for (let place = 0; place < checks.length; place += 1) {
    const [name, check, isOptional] = checks[place]!;
    const member = (value as Record<string, unknown>)[name];
    // Nothing is undefined in JSON, and no member is called as anything that every object has.
    if (member === undefined) {
      if (isOptional) continue;
      return `${name} is missing`;
    }
    if (!check(member)) return `${name} is not valid`;
  }
  return null;
}
