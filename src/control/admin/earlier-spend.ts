import { budgetOwner, budgetRowName } from '../../contract/budget-row.ts';
import { budgetWindow, ENDLESS_WINDOW } from '../../domain/budgets/budget-window.ts';
import type { ChangeScope } from '../store/change-log.ts';
import type { KeyRow } from '../store/tables/key-tables.ts';
import type { BudgetColumns } from '../store/tables/limit-columns.ts';
import type { TeamMemberRow, TeamRow, UserRow } from '../store/tables/owner-tables.ts';
import type { AdminServices } from './admin-services.ts';

/*
 * Requests are charged to the budgets that there were at the time. A budget without a `budget_duration` is one of all time, so
 * when it is made it begins with what was spent before: else a key that has spent 5 dollars could spend another 3 when it
 * is given a `max_budget` of 3, while its `spend` says 8. Each is a part of the change that makes the budget.
 */

type Budgeted = Pick<BudgetColumns, 'max_budget_nano' | 'soft_budget_nano' | 'budget_duration'>;

/** @param before null: it has just been made. */
export async function countEarlierOfKey(
  before: KeyRow | null,
  after: KeyRow,
  services: AdminServices,
  scope: ChangeScope,
): Promise<void> {
  if (before === null) await setStated(after, services, scope);
  else if (isNewEndless(before, after))
    await setEndless(budgetOwner('key', after.hash, null), after.spend_nano, services, scope);
}

export async function countEarlierOfUser(
  before: UserRow,
  after: UserRow,
  services: AdminServices,
  scope: ChangeScope,
): Promise<void> {
  if (!isNewEndless(before, after)) return;
  // What its teams have paid is no part of it.
  const spent = await services.store().spend.ownOfUser(after.user_id);
  await setEndless(budgetOwner('user', after.user_id, null), spent, services, scope);
}

export async function countEarlierOfTeam(
  before: TeamRow,
  after: TeamRow,
  services: AdminServices,
  scope: ChangeScope,
): Promise<void> {
  if (isNewEndless(before, after))
    await setEndless(budgetOwner('team', after.team_id, null), after.spend_nano, services, scope);
  const members = await services.store().teams.members(after.team_id, scope);
  for (const member of members) await countEarlierOfMember([before, member], [after, member], services, scope);
}

/** A member and its team, before and after a change of either. */
export async function countEarlierOfMember(
  before: readonly [TeamRow, TeamMemberRow],
  after: readonly [TeamRow, TeamMemberRow],
  services: AdminServices,
  scope: ChangeScope,
): Promise<void> {
  const [, { team_id: teamId, user_id: userId, spend_nano: spent }] = after;
  if (!isNewEndless(memberBudget(...before), memberBudget(...after))) return;
  await setEndless(budgetOwner('member', `${teamId}/${userId}`, null), spent, services, scope);
}

/** `spend` of /key/generate; a key that had the same text once has left its own. */
async function setStated(row: KeyRow, services: AdminServices, scope: ChangeScope): Promise<void> {
  if (!hasBudget(row)) return;
  const { budget_duration: duration, hash } = row;
  const window = budgetWindow(duration, scope.nowMs, services.state().budgets.timeZone);
  const name = budgetRowName({ owner: budgetOwner('key', hash, duration), ...window });
  const { budgets } = services.store();
  if (row.spend_nano === 0n && !(await budgets.spent([name])).has(name)) return;
  await budgets.setSpend(name, row.spend_nano, scope.nowMs, scope);
}

/** @param owner as `budgetOwner` makes it. */
async function setEndless(owner: string, nano: bigint, services: AdminServices, scope: ChangeScope): Promise<void> {
  await services.store().budgets.setSpend(budgetRowName({ owner, ...ENDLESS_WINDOW }), nano, scope.nowMs, scope);
}

function isNewEndless(before: Budgeted, after: Budgeted): boolean {
  return isEndless(after) && !isEndless(before);
}

function isEndless(row: Budgeted): boolean {
  return row.budget_duration === null && hasBudget(row);
}

function hasBudget({ max_budget_nano: max, soft_budget_nano: soft, budget_duration: duration }: Budgeted): boolean {
  return (max ?? soft ?? duration) !== null;
}

function memberBudget(team: TeamRow, member: TeamMemberRow): Budgeted {
  return {
    max_budget_nano: member.max_budget_nano ?? team.team_member_budget_nano,
    soft_budget_nano: null,
    budget_duration: member.budget_duration ?? team.budget_duration,
  };
}
