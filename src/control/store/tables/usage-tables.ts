import type { DailyKind, TotalKind } from '../../ingest/usage-deltas.ts';
import type { UsageRow } from '../../ingest/usage-row.ts';

/** How far a segment of the journal has been ingested. */
export interface UsageSegmentTable {
  segment: string;
  /** Process, worker and start: what its segments have in common. */
  writer: string;
  position: number;
  finished_at_ms: number | null;
}

/** Requests that had not ended when their line was written. */
export interface UsageOpenTable {
  id: string;
  writer: string;
  /** An `OpenEvent` as JSON, as text. */
  line: string;
}

/** As `UsageRow`; money is read as `bigint`. */
export type UsageEventTable = { -readonly [Name in keyof Omit<UsageRow, 'spend_nano' | 'budgets'>]: UsageRow[Name] } & {
  spend_nano: bigint;
};

export interface UsageSumColumns {
  requests: number;
  successes: number;
  prompt_tokens: number;
  completion_tokens: number;
  cache_read_tokens: number;
  cache_write_tokens: number;
  /** Requests that used tokens for which no price is known. */
  unpriced: number;
  spend_nano: bigint;
}

/** What each key, user, team, model, … used on a day. */
export interface UsageDailyTable extends UsageSumColumns {
  kind: DailyKind;
  /** Days since 1970-01-01, UTC. */
  day: number;
  /** Empty for the total. */
  name: string;
}

/** The same by all of them at once; an empty text where there is none. */
export interface UsageDetailTable extends UsageSumColumns {
  day: number;
  api_key: string;
  user_id: string;
  team_id: string;
  model: string;
  model_group: string;
  provider: string;
}

/** What each key, user and team used of all time. */
export interface UsageTotalTable {
  kind: TotalKind;
  name: string;
  requests: number;
  tokens: number;
  spend_nano: bigint;
  last_at_ms: number;
}
