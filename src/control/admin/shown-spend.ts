import { budgetOwner, budgetRowName } from '../../contract/budget-row.ts';
import type { BudgetSpec, BudgetSubject } from '../../contract/budget-spec.ts';
import { budgetWindow } from '../../domain/budgets/budget-window.ts';
import type { TotalKind } from '../ingest/usage-deltas.ts';
import { modelBudgetsOfRow } from '../keys/budget-of-row.ts';
import type { KeyRow } from '../store/tables/key-tables.ts';
import type { BudgetColumns } from '../store/tables/limit-columns.ts';
import type { TeamMemberRow, TeamRow, UserRow } from '../store/tables/owner-tables.ts';
import type { AdminServices } from './admin-services.ts';

/*
 * Rows as they are shown. The columns hold what was spent of all time; with a `budget_duration`, `spend` is that of the
 * budget's window which is open now, as the sidecars count it, and `budget_reset_at` the moment at which it ends.
 */

/** By model, nano-dollars in the window of the key's budget of it. */
export type ModelSpend = Readonly<Record<string, bigint>>;
export type ShownKey = KeyRow & { readonly modelSpend?: ModelSpend };

export async function shownKeys(rows: readonly KeyRow[], services: AdminServices): Promise<ShownKey[]> {
  const windows = new OpenWindows(services);
  const ofModels = rows.map((row) => {
    const budgets = Object.entries(modelBudgetsOfRow(row).modelBudgets ?? {});
    return budgets.map(
      ([model, { duration }]) => [model, windows.ask('model', `${row.hash}/${model}`, duration).name] as const,
    );
  });
  for (const row of rows) if (row.budget_duration !== null) windows.ask('key', row.hash, row.budget_duration);
  const spent = await windows.spent();
  return rows.map((row, place) => ({
    ...windows.inWindow(row, 'key', row.hash, spent),
    modelSpend: Object.fromEntries(ofModels[place]!.map(([model, name]) => [model, spent.get(name) ?? 0n])),
  }));
}

export async function shownTeams(rows: readonly TeamRow[], services: AdminServices): Promise<TeamRow[]> {
  return shown(rows, 'team', (row) => row.team_id, services);
}

export async function shownUsers(rows: readonly UserRow[], services: AdminServices): Promise<UserRow[]> {
  return shown(rows, 'user', (row) => row.user_id, services);
}

/** @param teams of which they are members, whose `budget_duration` is that of members without one of their own. */
export async function shownMembers(
  rows: readonly TeamMemberRow[],
  teams: readonly TeamRow[],
  services: AdminServices,
): Promise<TeamMemberRow[]> {
  const byId = new Map(teams.map((team) => [team.team_id, team]));
  const withDurations = rows.map((row) => {
    const team = byId.get(row.team_id);
    const hasBudget = (row.max_budget_nano ?? team?.team_member_budget_nano ?? null) !== null;
    return { ...row, budget_duration: hasBudget ? (row.budget_duration ?? team?.budget_duration ?? null) : null };
  });
  return shown(withDurations, 'member', (row) => `${row.team_id}/${row.user_id}`, services);
}

export async function shownKey(row: KeyRow, services: AdminServices): Promise<ShownKey> {
  return (await shownKeys([row], services))[0] ?? row;
}

export async function shownTeam(row: TeamRow, services: AdminServices): Promise<TeamRow> {
  return (await shownTeams([row], services))[0] ?? row;
}

export async function shownUser(row: UserRow, services: AdminServices): Promise<UserRow> {
  return (await shownUsers([row], services))[0] ?? row;
}

/** Of budgets that the configuration sets, which have no rows. */
export interface ShownBudget {
  readonly spendNano: bigint;
  /** Unix ms; null: never. */
  readonly resetAtMs: number | null;
}

/** @param budgets by id, all of one subject. */
export async function shownBudgets(
  subject: BudgetSubject,
  budgets: Readonly<Record<string, BudgetSpec>>,
  services: AdminServices,
): Promise<ReadonlyMap<string, ShownBudget>> {
  const windows = new OpenWindows(services);
  const asked = Object.entries(budgets).map(([id, { duration }]) => [id, windows.ask(subject, id, duration)] as const);
  const spent = await windows.spent();
  return new Map(
    asked.map(([id, { name, endMs }]) => [
      id,
      { spendNano: spent.get(name) ?? 0n, resetAtMs: endMs === Infinity ? null : endMs },
    ]),
  );
}

/** Of a row that the file declares, which no column counts: its spend of all time. */
export async function withTotal<Row extends Windowed>(
  row: Row,
  kind: TotalKind,
  name: string,
  services: AdminServices,
): Promise<Row> {
  return { ...row, spend_nano: await services.store().spend.totalOf(kind, name) };
}

type Windowed = Pick<BudgetColumns, 'spend_nano' | 'budget_duration' | 'budget_reset_at_ms'>;

async function shown<Row extends Windowed>(
  rows: readonly Row[],
  subject: BudgetSubject,
  idOf: (row: Row) => string,
  services: AdminServices,
): Promise<Row[]> {
  const windows = new OpenWindows(services);
  for (const row of rows) if (row.budget_duration !== null) windows.ask(subject, idOf(row), row.budget_duration);
  const spent = await windows.spent();
  return rows.map((row) => windows.inWindow(row, subject, idOf(row), spent));
}

interface OpenWindow {
  readonly name: string;
  /** Unix ms. */
  readonly endMs: number;
}

/** The windows that are open at one moment, and what was spent in those asked for. */
class OpenWindows {
  readonly #services: AdminServices;
  readonly #nowMs: number;
  readonly #timeZone: string;
  readonly #names = new Set<string>();

  constructor(services: AdminServices) {
    this.#services = services;
    this.#nowMs = services.now();
    this.#timeZone = services.state().budgets.timeZone;
  }

  ask(subject: BudgetSubject, id: string, duration: string | null): OpenWindow {
    const window = this.#window(subject, id, duration);
    this.#names.add(window.name);
    return window;
  }

  async spent(): Promise<ReadonlyMap<string, bigint>> {
    if (this.#names.size === 0) return new Map();
    return this.#services.store().budgets.spent([...this.#names]);
  }

  inWindow<Row extends Windowed>(
    row: Row,
    subject: BudgetSubject,
    id: string,
    spent: ReadonlyMap<string, bigint>,
  ): Row {
    if (row.budget_duration === null) return row;
    const { name, endMs } = this.#window(subject, id, row.budget_duration);
    return { ...row, spend_nano: spent.get(name) ?? 0n, budget_reset_at_ms: endMs === Infinity ? null : endMs };
  }

  #window(subject: BudgetSubject, id: string, duration: string | null): OpenWindow {
    const { startMs, endMs } = budgetWindow(duration, this.#nowMs, this.#timeZone);
    return { name: budgetRowName({ owner: budgetOwner(subject, id, duration), startMs, endMs }), endMs };
  }
}
