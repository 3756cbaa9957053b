import { dayOf } from '../spend/days.ts';
import { parseBudgetRow } from '../../contract/budget-row.ts';
import { isFromOpen } from './apply-chunk.ts';
import { isSuccess, type UsageRow } from './usage-row.ts';

/** What `usage_daily` adds up by. `total` has one row a day, with an empty name. */
export const DAILY_KINDS = ['total', 'key', 'user', 'team', 'model', 'model_group', 'provider', 'tag'] as const;
export type DailyKind = (typeof DAILY_KINDS)[number];

/** Whose spend of all time `usage_totals` has. */
export const TOTAL_KINDS = ['key', 'user', 'team'] as const;
export type TotalKind = (typeof TOTAL_KINDS)[number];

/** In the order in which they are written. */
export const SUM_COLUMNS = [
  'requests',
  'successes',
  'prompt_tokens',
  'completion_tokens',
  'cache_read_tokens',
  'cache_write_tokens',
  'unpriced',
  'spend_nano',
] as const satisfies readonly (keyof UsageSums)[];

/** What a batch adds to one aggregate. */
export interface UsageSums {
  requests: number;
  successes: number;
  prompt_tokens: number;
  completion_tokens: number;
  cache_read_tokens: number;
  cache_write_tokens: number;
  /** Requests that used tokens for which no price is known. */
  unpriced: number;
  /** BigInt: the sum of a batch may exceed 2^53. */
  spend_nano: bigint;
}

export interface DailyDelta extends UsageSums {
  readonly day: number;
  readonly kind: DailyKind;
  readonly name: string;
}

/** `''` where a request has none. */
export interface DetailDelta extends UsageSums {
  readonly day: number;
  readonly api_key: string;
  readonly user_id: string;
  readonly team_id: string;
  readonly model: string;
  readonly model_group: string;
  readonly provider: string;
}

/** Spend of a member of a team. */
export interface MemberDelta {
  readonly team_id: string;
  readonly user_id: string;
  spend_nano: bigint;
}

/** Spend in a window of a budget. */
export interface BudgetDelta {
  /** Of the row (contract/budget-row.ts). */
  readonly name: string;
  /** Of events in the journal; else of requests that ended with their process. */
  readonly isOwn: boolean;
  /** Unix ms; null = never. */
  readonly end_ms: number | null;
  spend_nano: bigint;
}

export interface TotalDelta {
  readonly kind: TotalKind;
  readonly name: string;
  requests: number;
  tokens: number;
  spend_nano: bigint;
  last_at_ms: number;
}

const SEPARATOR = '\0';
/** UTF-16 units, of three bytes at most: PostgreSQL indexes 2,704 bytes. */
const MAX_BUDGET_NAME = 850;

/** Adds up what a batch of rows adds to each aggregate, so that each is written once per batch. Pure. */
export class UsageDeltas {
  readonly #daily = new Map<string, DailyDelta>();
  readonly #detail = new Map<string, DetailDelta>();
  readonly #totals = new Map<string, TotalDelta>();
  readonly #members = new Map<string, MemberDelta>();
  readonly #budgets = new Map<string, BudgetDelta>();

  /** @param sign -1 takes a row out again that has been replaced. */
  add(row: UsageRow, sign: 1 | -1 = 1): void {
    const model = modelOf(row);
    this.#addDaily('total', '', row, sign);
    this.#addDaily('key', row.api_key, row, sign);
    if (row.user_id !== null) this.#addDaily('user', row.user_id, row, sign);
    if (row.team_id !== null) this.#addDaily('team', row.team_id, row, sign);
    if (model !== '') this.#addDaily('model', model, row, sign);
    if (row.model_group !== null) this.#addDaily('model_group', row.model_group, row, sign);
    if (row.provider !== null) this.#addDaily('provider', row.provider, row, sign);
    if (row.tags !== null) {
      for (const tag of new Set(JSON.parse(row.tags) as string[])) this.#addDaily('tag', tag, row, sign);
    }
    this.#addDetail(model, row, sign);
    this.#addTotal('key', row.api_key, row, sign);
    if (row.user_id !== null) this.#addTotal('user', row.user_id, row, sign);
    if (row.team_id !== null) this.#addTotal('team', row.team_id, row, sign);
    if (row.team_id !== null && row.user_id !== null) this.#addMember(row.team_id, row.user_id, row, sign);
    if (row.budgets !== undefined) for (const name of row.budgets) this.#addBudget(name, row, sign);
  }

  /**
   * Always in the same order, a day's total first: of two gateways that ingest into one database, the second waits there
   * for the first, and so never in a circle.
   */
  daily(): DailyDelta[] {
    return inOrder(this.#daily);
  }

  detail(): DetailDelta[] {
    return inOrder(this.#detail);
  }

  totals(): TotalDelta[] {
    return inOrder(this.#totals);
  }

  members(): MemberDelta[] {
    return inOrder(this.#members);
  }

  budgets(): BudgetDelta[] {
    return inOrder(this.#budgets);
  }

  /** What is no name of a row is passed over, and so is one that no index takes. */
  #addBudget(name: string, row: UsageRow, sign: 1 | -1): void {
    const window = name.length > MAX_BUDGET_NAME || name.includes(SEPARATOR) ? null : parseBudgetRow(name);
    if (window === null || row.spend_nano === 0) return;
    const isOwn = !isFromOpen(row);
    const id = `${name}${SEPARATOR}${isOwn}`;
    let delta = this.#budgets.get(id);
    if (delta === undefined) {
      const end = window.endMs === Infinity ? null : window.endMs;
      this.#budgets.set(id, (delta = { name, isOwn, end_ms: end, spend_nano: 0n }));
    }
    delta.spend_nano += BigInt(sign * row.spend_nano);
  }

  #addDaily(kind: DailyKind, name: string, row: UsageRow, sign: 1 | -1): void {
    const day = dayOf(row.at_ms);
    const id = `${day}${SEPARATOR}${kind === 'total' ? '' : kind}${SEPARATOR}${name}`;
    let delta = this.#daily.get(id);
    if (delta === undefined) this.#daily.set(id, (delta = { day, kind, name, ...noSums() }));
    addSums(delta, row, sign);
  }

  #addDetail(model: string, row: UsageRow, sign: 1 | -1): void {
    const day = dayOf(row.at_ms);
    const { api_key, user_id, team_id, model_group, provider } = row;
    const id = [day, api_key, user_id, team_id, model, model_group, provider].join(SEPARATOR);
    let delta = this.#detail.get(id);
    if (delta === undefined) {
      delta = {
        day,
        api_key,
        user_id: user_id ?? '',
        team_id: team_id ?? '',
        model,
        model_group: model_group ?? '',
        provider: provider ?? '',
        ...noSums(),
      };
      this.#detail.set(id, delta);
    }
    addSums(delta, row, sign);
  }

  #addTotal(kind: TotalKind, name: string, row: UsageRow, sign: 1 | -1): void {
    const id = `${kind}${SEPARATOR}${name}`;
    let delta = this.#totals.get(id);
    if (delta === undefined) {
      this.#totals.set(id, (delta = { kind, name, requests: 0, tokens: 0, spend_nano: 0n, last_at_ms: 0 }));
    }
    delta.requests += sign;
    delta.tokens += sign * (row.prompt_tokens + row.completion_tokens);
    delta.spend_nano += BigInt(sign * row.spend_nano);
    delta.last_at_ms = Math.max(delta.last_at_ms, row.at_ms);
  }

  #addMember(team_id: string, user_id: string, row: UsageRow, sign: 1 | -1): void {
    if (row.spend_nano === 0) return;
    const id = `${team_id}${SEPARATOR}${user_id}`;
    let delta = this.#members.get(id);
    if (delta === undefined) this.#members.set(id, (delta = { team_id, user_id, spend_nano: 0n }));
    delta.spend_nano += BigInt(sign * row.spend_nano);
  }
}

/**
 * The model of an aggregate. What a client made up must not become a row of its own: a name that only a wildcard
 * accepted counts once it has been served, and a name that nothing accepted never does.
 */
function modelOf(row: UsageRow): string {
  const { upstream_model: upstream, model_group: group } = row;
  if (upstream === null) return group ?? '';
  return group === null || !group.includes('*') || isSuccess(row) ? upstream : group;
}

function noSums(): UsageSums {
  return {
    requests: 0,
    successes: 0,
    prompt_tokens: 0,
    completion_tokens: 0,
    cache_read_tokens: 0,
    cache_write_tokens: 0,
    unpriced: 0,
    spend_nano: 0n,
  };
}

function addSums(sums: UsageSums, row: UsageRow, sign: 1 | -1): void {
  sums.requests += sign;
  if (isSuccess(row)) sums.successes += sign;
  sums.prompt_tokens += sign * row.prompt_tokens;
  sums.completion_tokens += sign * row.completion_tokens;
  sums.cache_read_tokens += sign * row.cache_read_tokens;
  sums.cache_write_tokens += sign * row.cache_write_tokens;
  if (row.priced === 0) sums.unpriced += sign;
  if (row.spend_nano !== 0) sums.spend_nano += BigInt(sign * row.spend_nano);
}

function inOrder<T>(deltas: ReadonlyMap<string, T>): T[] {
  return Array.from(deltas.keys())
    .sort()
    .map((id) => deltas.get(id)!);
}
