import { spentNano } from '../../contract/usage-event.ts';
import type { WorkerLimits } from '../limits/worker-limits.ts';
import type { Budget } from './budget.ts';

/** The budgets that one request is charged to, and what it has reserved of them until its cost is known. */
export class BudgetCharge {
  readonly #limits: WorkerLimits;
  readonly #reserved: bigint;
  readonly #nowMs: number;
  readonly #budgets: Budget[] = [];
  /** Window and name of each as they were when it was admitted; 0 reserved of those that were added later. */
  readonly #starts: bigint[] = [];
  readonly #amounts: bigint[] = [];
  readonly #names: string[] = [];

  /** @param reserved nano-dollars that the request may cost; 0 = nothing is reserved. @param nowMs Unix. */
  constructor(limits: WorkerLimits, reserved: bigint, nowMs: number) {
    this.#limits = limits;
    this.#reserved = reserved;
    this.#nowMs = nowMs;
  }

  /** Rows that it is charged to: JSON without brackets. */
  get names(): string {
    return this.#names.join(',');
  }

  /** @returns false if the budget is used up. */
  take(budget: Budget): boolean {
    const { row, max } = budget;
    if (row === -1) return false;
    budget.enter(this.#nowMs);
    const { table } = this.#limits;
    if (max === null) {
      this.#add(budget, 0n);
      return true;
    }
    if (this.#reserved === 0n) {
      if (table.spend(row) >= max) return false;
      this.#add(budget, 0n);
      return true;
    }
    if (!table.reserve(row, this.#reserved, max, budget.start)) return false;
    this.#add(budget, this.#reserved);
    return true;
  }

  /** Charges `budget` too, which has nothing to say to whether the request is served. */
  join(budget: Budget): void {
    if (budget.row === -1) return;
    budget.enter(this.#nowMs);
    this.#add(budget, 0n);
  }

  /** The request goes to another model: that of the one it leaves is not charged. */
  leaveModel(): void {
    const at = this.#budgets.findIndex(({ subject }) => subject === 'model');
    if (at === -1) return;
    const [budget] = this.#budgets.splice(at, 1);
    const [start] = this.#starts.splice(at, 1);
    const [reserved] = this.#amounts.splice(at, 1);
    if (reserved !== 0n) this.#limits.table.settleSpend(budget!.row, reserved!, 0n, start);
    this.#names.splice(at, 1);
  }

  /** The request is over and cost `spent` nano-dollars. @returns the rows charged, JSON without its brackets. */
  settle(spent: number): string {
    const { table } = this.#limits;
    const actual = BigInt(spent);
    for (const [index, budget] of this.#budgets.entries()) {
      const start = this.#starts[index]!;
      const reserved = this.#amounts[index]!;
      if (reserved !== 0n) table.settleSpend(budget.row, reserved, actual, start);
      else if (actual !== 0n) table.addSpend(budget.row, actual, start);
      const { soft } = budget;
      if (soft !== null && actual !== 0n && table.spend(budget.row) >= soft && table.takeNotice(budget.row, start)) {
        this.#limits.noteSoftBudget(budget.subject, budget.id, soft);
      }
    }
    this.#budgets.length = 0;
    return spent === 0 ? '' : this.names;
  }

  #add(budget: Budget, reserved: bigint): void {
    this.#budgets.push(budget);
    this.#starts.push(budget.start);
    this.#amounts.push(reserved);
    this.#names.push(budget.nameText);
  }
}

/** Nano-dollars of a request's answer and of its failed attempts; one that is not known counts nothing. */
export function chargeOf(event: Parameters<typeof spentNano>[0]): number {
  return spentNano(event) ?? 0;
}
