import type { BudgetSpec } from '../../contract/budget-spec.ts';
import { isBudgetDuration } from '../../domain/budgets/budget-window.ts';
import type { BudgetColumns, JsonObject } from '../store/tables/limit-columns.ts';
import type { TeamMemberRow, TeamRow } from '../store/tables/owner-tables.ts';
import type { KeyGrant, OwnerGrant } from './fold-key.ts';

const NANO_PER_USD = 1e9;

/** Left out where there is none. One with a duration alone bounds nothing; its windows are counted, for they are shown. */
export function budgetOfRow(row: BudgetColumns): Pick<KeyGrant & OwnerGrant, 'budget'> {
  if (row.max_budget_nano === null && row.soft_budget_nano === null && row.budget_duration === null) return {};
  return {
    budget: {
      maxNano: toNumber(row.max_budget_nano),
      softNano: toNumber(row.soft_budget_nano),
      duration: row.budget_duration,
    },
  };
}

export function modelBudgetsOfRow(row: BudgetColumns): Pick<KeyGrant, 'modelBudgets'> {
  const budgets: Record<string, BudgetSpec> = {};
  for (const [model, stated] of Object.entries(row.model_max_budget)) {
    const budget = modelBudget(stated);
    if (budget !== null) Object.defineProperty(budgets, model, { value: budget, enumerable: true });
  }
  return Object.keys(budgets).length === 0 ? {} : { modelBudgets: budgets };
}

/** What each member of a team may spend in it: the team's for all, and those that have one of their own. */
export function memberBudgetsOfRows(
  team: TeamRow,
  members: readonly TeamMemberRow[],
): Pick<OwnerGrant, 'memberBudget' | 'memberBudgets'> {
  const budgetOf = (nano: bigint | null, duration: string | null): BudgetSpec | null =>
    nano === null ? null : { maxNano: toNumber(nano), softNano: null, duration };
  const ofAll = budgetOf(team.team_member_budget_nano, team.budget_duration);
  const own = members.flatMap((member): [string, BudgetSpec][] => {
    const budget = budgetOf(member.max_budget_nano, member.budget_duration ?? team.budget_duration);
    return budget === null ? [] : [[member.user_id, budget]];
  });
  return {
    ...(ofAll === null ? {} : { memberBudget: ofAll }),
    ...(own.length === 0 ? {} : { memberBudgets: new Map(own) }),
  };
}

/** US dollars, or LiteLLM's `{budget_limit, time_period}`, also written `{max_budget, budget_duration}`. */
function modelBudget(stated: unknown): BudgetSpec | null {
  if (typeof stated === 'number') return { maxNano: Math.round(stated * NANO_PER_USD), softNano: null, duration: null };
  if (typeof stated !== 'object' || stated === null) return null;
  const fields = stated as JsonObject;
  const usd = Number(fields['budget_limit'] ?? fields['max_budget'] ?? Number.NaN);
  const duration = fields['time_period'] ?? fields['budget_duration'];
  if (!Number.isFinite(usd) || usd < 0) return null;
  return {
    maxNano: Math.round(usd * NANO_PER_USD),
    softNano: null,
    duration: typeof duration === 'string' && isBudgetDuration(duration) ? duration : null,
  };
}

/** The management API takes none that is too large for it. */
function toNumber(nano: bigint | null): number | null {
  return nano === null ? null : Math.min(Number(nano), Number.MAX_SAFE_INTEGER);
}
