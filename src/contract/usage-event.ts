import type { EndpointName } from '../domain/endpoints.ts';
import type { ErrorName } from '../domain/errors/error-table.ts';
import type { TokenUsage } from '../domain/usage/token-usage.ts';

/** Raised when a field changes meaning. */
export const USAGE_EVENT_FORMAT = 1;

/** One attempt at a deployment. */
export interface AttemptEvent {
  readonly deployment: string;
  /** HTTP status of the provider, 0 if none came. */
  readonly status: number;
  readonly error: ErrorName | null;
  readonly durationMs: number;
  /** What a failed attempt cost, where its reply said; that of the attempt that served is `UsageEvent.usage`. */
  readonly usage: TokenUsage | null;
  /** Of that usage, nano-dollars; null where there is none, or no price. */
  readonly costNano: number | null;
}

/**
 * One authenticated request, one line of JSON in the journal, written before the last byte of its answer is sent.
 * Absent values are null, so that every line has the same keys.
 */
export interface UsageEvent {
  readonly v: typeof USAGE_EVENT_FORMAT;
  /** Unique, sorts by time; also `x-slipstream-call-id`. */
  readonly id: string;
  /** Unix ms at which the request head was complete. */
  readonly at: number;
  readonly durationMs: number;
  /** First byte of the answer sent, ms after `at`; null if none was. */
  readonly firstByteMs: number | null;
  /** Our own work only, µs. */
  readonly overheadUs: number;
  /** From a valid `traceparent`, else null: the trace, and the caller's span in it. */
  readonly traceId: string | null;
  readonly spanId: string | null;
  /** The client's address; null where it is not recorded, and for Unix sockets. */
  readonly client: string | null;
  /** Hex SHA-256 of the key; `master` for the master key. */
  readonly key: string;
  readonly user: string | null;
  readonly team: string | null;
  readonly endpoint: EndpointName | 'realtime' | 'responses_by_id';
  /** Model as the client named it. */
  readonly model: string | null;
  /** Group that served it (differs after an alias or a fallback). */
  readonly group: string | null;
  readonly deployment: string | null;
  readonly provider: string | null;
  readonly upstreamModel: string | null;
  readonly stream: boolean;
  /** Status the client got; 0 if it left before. */
  readonly status: number;
  readonly error: ErrorName | null;
  /** `client_gone`, `drain`, `upstream_interrupted` or null: why an answer was not completed. */
  readonly aborted: string | null;
  readonly attempts: readonly AttemptEvent[];
  readonly usage: TokenUsage | null;
  /** `reported` by the provider, `estimated` (a stream that was broken off before its usage came), or `none`. */
  readonly usageSource: 'reported' | 'estimated' | 'none';
  /**
   * What the answer cost, nano-dollars (10⁻⁹ USD), by the price in the snapshot that served it; the client was told the same.
   * null where nothing was used, or the price is not known. What failed attempts cost stands with them: `spentNano` is the
   * sum.
   */
  readonly costNano: number | null;
  readonly requestBytes: number;
  readonly responseBytes: number;
  readonly tags: readonly string[];
  /** Rows of budgets that it was charged to (budget-row.ts), `spentNano` of it to each. Left out where there are none. */
  readonly budgets?: readonly string[];
}

/**
 * A request that is still running `journal.open_after` (5 s) after it began: one line beside the event that follows when it ends. If the process
 * ends first, this is all there is, and `abortedEvent` (journal-reader.ts) makes the event of it.
 */
export interface OpenEvent extends Pick<
  UsageEvent,
  | 'v'
  | 'at'
  | 'traceId'
  | 'spanId'
  | 'client'
  | 'key'
  | 'user'
  | 'team'
  | 'endpoint'
  | 'model'
  | 'group'
  | 'deployment'
  | 'provider'
  | 'upstreamModel'
  | 'stream'
  | 'requestBytes'
  | 'responseBytes'
  | 'tags'
  | 'budgets'
> {
  /** `id` of the event to come. */
  readonly open: string;
  /** How long it had been running. */
  readonly durationMs: number;
  readonly firstByteMs: number | null;
  /** Status sent to the client, 0 if none was yet. */
  readonly status: number;
  /** Events of the stream relayed so far. */
  readonly streamEvents: number;
  /** What the provider had reported by then, or null. */
  readonly usage: TokenUsage | null;
  /** What `abortedEvent` would estimate as of this line, at the price in force: it is its event's cost if there is no other. */
  readonly costNano: number | null;
}

/** What a request cost altogether, nano-dollars; null where nothing of it has a cost. */
export function spentNano({ costNano, attempts }: Pick<UsageEvent, 'costNano' | 'attempts'>): number | null {
  let spent = costNano;
  for (const attempt of attempts) if (attempt.costNano !== null) spent = (spent ?? 0) + attempt.costNano;
  return spent;
}
