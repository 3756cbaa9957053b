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

type NamedKind = Exclude<DailyKind, 'total'>;
const NAMED_KINDS: readonly NamedKind[] = DAILY_KINDS.filter((kind) => kind !== 'total');

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
export class UsageSums {
  requests = 0;
  successes = 0;
  prompt_tokens = 0;
  completion_tokens = 0;
  cache_read_tokens = 0;
  cache_write_tokens = 0;
  /** Requests that used tokens for which no price is known. */
  unpriced = 0;
  readonly #spend = new ExactSum();

  /** BigInt: the sum of a batch may exceed 2^53. */
  get spend_nano(): bigint {
    return this.#spend.total;
  }

  add(row: UsageRow, sign: 1 | -1, successes: number): void {
    this.requests += sign;
    this.successes += successes;
    this.prompt_tokens += sign * row.prompt_tokens;
    this.completion_tokens += sign * row.completion_tokens;
    this.cache_read_tokens += sign * row.cache_read_tokens;
    this.cache_write_tokens += sign * row.cache_write_tokens;
    if (row.priced === 0) this.unpriced += sign;
    this.#spend.add(sign * row.spend_nano);
  }
}

/** Adds up whole numbers: as such while they are small, which is nearly always and costs no BigInt each. */
class ExactSum {
  #small = 0;
  #large = 0n;

  get total(): bigint {
    return this.#large + BigInt(this.#small);
  }

  add(amount: number): void {
    const sum = this.#small + amount;
    if (Number.isSafeInteger(sum)) {
      this.#small = sum;
      return;
    }
    this.#large += BigInt(this.#small) + BigInt(amount);
    this.#small = 0;
  }
}

export class DailyDelta extends UsageSums {
  readonly day: number;
  readonly kind: DailyKind;
  readonly name: string;

  constructor(day: number, kind: DailyKind, name: string) {
    super();
    this.day = day;
    this.kind = kind;
    this.name = name;
  }
}

/** `''` where a request has none. */
export class DetailDelta extends UsageSums {
  readonly day: number;
  readonly api_key: string;
  readonly user_id: string;
  readonly team_id: string;
  readonly model: string;
  readonly model_group: string;
  readonly provider: string;

  constructor(day: number, model: string, row: UsageRow) {
    super();
    this.day = day;
    this.api_key = row.api_key;
    this.user_id = row.user_id ?? '';
    this.team_id = row.team_id ?? '';
    this.model = model;
    this.model_group = row.model_group ?? '';
    this.provider = row.provider ?? '';
  }
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

export class TotalDelta {
  readonly kind: TotalKind;
  readonly name: string;
  requests = 0;
  tokens = 0;
  last_at_ms = 0;
  readonly #spend = new ExactSum();

  constructor(kind: TotalKind, name: string) {
    this.kind = kind;
    this.name = name;
  }

  get spend_nano(): bigint {
    return this.#spend.total;
  }

  add(row: UsageRow, sign: 1 | -1): void {
    this.requests += sign;
    this.tokens += sign * (row.prompt_tokens + row.completion_tokens);
    this.last_at_ms = Math.max(this.last_at_ms, row.at_ms);
    this.#spend.add(sign * row.spend_nano);
  }
}

const SEPARATOR = '\0';
/** UTF-16 units, of three bytes at most: PostgreSQL indexes 2,704 bytes. */
const MAX_BUDGET_NAME = 850;

/** The aggregates of one day: looked up by name alone, so that no event makes texts to find them by. */
class DayDeltas {
  readonly total: DailyDelta;
  readonly byKind: Readonly<Record<NamedKind, Map<string, DailyDelta>>> = {
    key: new Map(),
    user: new Map(),
    team: new Map(),
    model: new Map(),
    model_group: new Map(),
    provider: new Map(),
    tag: new Map(),
  };
  readonly detail = new Map<string, DetailDelta>();
  readonly #day: number;

  constructor(day: number) {
    this.#day = day;
    this.total = new DailyDelta(day, 'total', '');
  }

  named(kind: NamedKind, name: string): DailyDelta {
    const deltas = this.byKind[kind];
    let delta = deltas.get(name);
    if (delta === undefined) deltas.set(name, (delta = new DailyDelta(this.#day, kind, name)));
    return delta;
  }

  detailOf(model: string, row: UsageRow): DetailDelta {
    const { api_key, user_id, team_id, model_group, provider } = row;
    const id = `${api_key}\0${user_id ?? ''}\0${team_id ?? ''}\0${model}\0${model_group ?? ''}\0${provider ?? ''}`;
    let delta = this.detail.get(id);
    if (delta === undefined) this.detail.set(id, (delta = new DetailDelta(this.#day, model, row)));
    return delta;
  }
}

/** Adds up what a batch of rows adds to each aggregate, so that each is written once per batch. Pure. */
export class UsageDeltas {
  readonly #days = new Map<number, DayDeltas>();
  readonly #totals = {
    key: new Map<string, TotalDelta>(),
    team: new Map<string, TotalDelta>(),
    user: new Map<string, TotalDelta>(),
  } as const satisfies Readonly<Record<TotalKind, Map<string, TotalDelta>>>;
  readonly #members = new Map<string, MemberDelta>();
  readonly #budgets = new Map<string, BudgetDelta>();

  /** @param sign -1 takes a row out again that has been replaced. */
  add(row: UsageRow, sign: 1 | -1 = 1): void {
    const { user_id: user, team_id: team, model_group: group, provider } = row;
    const model = modelOf(row);
    const successes = isSuccess(row) ? sign : 0;
    const day = this.#dayOf(row);
    day.total.add(row, sign, successes);
    day.named('key', row.api_key).add(row, sign, successes);
    if (user !== null) day.named('user', user).add(row, sign, successes);
    if (team !== null) day.named('team', team).add(row, sign, successes);
    if (model !== '') day.named('model', model).add(row, sign, successes);
    if (group !== null) day.named('model_group', group).add(row, sign, successes);
    if (provider !== null) day.named('provider', provider).add(row, sign, successes);
    if (row.tags !== null) {
      for (const tag of new Set(JSON.parse(row.tags) as string[])) day.named('tag', tag).add(row, sign, successes);
    }
    day.detailOf(model, row).add(row, sign, successes);
    this.#total('key', row.api_key).add(row, sign);
    if (user !== null) this.#total('user', user).add(row, sign);
    if (team !== null) this.#total('team', team).add(row, sign);
    if (team !== null && user !== null) this.#addMember(team, user, row, sign);
    if (row.budgets !== undefined) for (const name of row.budgets) this.#addBudget(name, row, sign);
  }

  /**
   * Always in the same order, a day's total first: of two gateways that ingest into one database, the second waits there
   * for the first, and so never in a circle.
   */
  daily(): DailyDelta[] {
    return this.#inOrderOfDays().flatMap(({ total, byKind }) => [
      total,
      ...NAMED_KINDS.flatMap((kind) => inOrder(byKind[kind])),
    ]);
  }

  detail(): DetailDelta[] {
    return this.#inOrderOfDays().flatMap(({ detail }) => inOrder(detail));
  }

  totals(): TotalDelta[] {
    return TOTAL_KINDS.flatMap((kind) => inOrder(this.#totals[kind]));
  }

  members(): MemberDelta[] {
    return inOrder(this.#members);
  }

  budgets(): BudgetDelta[] {
    return inOrder(this.#budgets);
  }

  #inOrderOfDays(): DayDeltas[] {
    return [...this.#days].sort(([a], [b]) => a - b).map(([, deltas]) => deltas);
  }

  #dayOf({ at_ms: atMs }: UsageRow): DayDeltas {
    const day = dayOf(atMs);
    let deltas = this.#days.get(day);
    if (deltas === undefined) this.#days.set(day, (deltas = new DayDeltas(day)));
    return deltas;
  }

  #total(kind: TotalKind, name: string): TotalDelta {
    const deltas = this.#totals[kind];
    let delta = deltas.get(name);
    if (delta === undefined) deltas.set(name, (delta = new TotalDelta(kind, name)));
    return delta;
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

function inOrder<T>(deltas: ReadonlyMap<string, T>): T[] {
  return Array.from(deltas.keys())
    .sort()
    .map((id) => deltas.get(id)!);
}
