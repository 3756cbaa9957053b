import type { BudgetSpec, BudgetSubject } from '../../contract/budget-spec.ts';
import type { KeyRecord } from '../../contract/key-record.ts';
import type { WorkerLimits } from '../limits/worker-limits.ts';
import { Budget } from './budget.ts';

/** All budgets that a key is under, their rows found. */
export interface ResolvedBudgets {
  /** The key's own; its answers tell of it. */
  readonly own: Budget | null;
  /** The key's, then its user's or its team's and its member's: what of them there is. */
  readonly all: readonly Budget[];
  /** By model or group name; null = none. */
  readonly byModel: ReadonlyMap<string, Budget> | null;
}

/** @returns null for a key under no budget: that null is all that its requests look at. */
export function resolveBudgets(record: KeyRecord, limits: WorkerLimits): ResolvedBudgets | null {
  const { budgets, hash, userId, teamId } = record;
  if (budgets === undefined) return null;
  const budget = (subject: BudgetSubject, id: string | null, spec: BudgetSpec | null): Budget | null =>
    id === null || spec === null ? null : new Budget(limits, subject, id, spec);
  const own = budget('key', hash, budgets.key);
  const owners =
    teamId === null
      ? [budget('user', userId, budgets.user)]
      : [
          budget('team', teamId, budgets.team),
          budget('member', userId === null ? null : `${teamId}/${userId}`, budgets.member),
        ];
  const all = [own, ...owners].filter((found) => found !== null);
  const models = Object.entries(budgets.models).map(
    ([model, spec]) => [model, new Budget(limits, 'model', `${hash}/${model}`, spec)] as const,
  );
  if (all.length === 0 && models.length === 0) return null;
  return { own, all, byModel: models.length === 0 ? null : new Map(models) };
}
