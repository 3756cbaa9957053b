import { budgetOwner, budgetRowName } from '../../contract/budget-row.ts';
import type { BudgetSpec, BudgetSubject } from '../../contract/budget-spec.ts';
import { budgetWindow } from '../../domain/budgets/budget-window.ts';
import type { WorkerLimits } from '../limits/worker-limits.ts';

/** The table counts in 63 bits; a budget beyond them is one that nobody can use up. */
const MOST_NANO = 9_000_000_000_000_000_000n;

/** One budget as a worker sees it: its row in the limit table, and the window that this is in. */
export class Budget {
  readonly subject: BudgetSubject;
  readonly id: string;
  /** Nano-dollars; null = no limit. */
  readonly max: bigint | null;
  readonly soft: bigint | null;
  /** −1: the table was full, so every request is refused. */
  readonly row: number;
  /** Start of the window, Unix ms, as the table has it. */
  start = 0n;
  /** JSON of the row's name, for usage events. */
  nameText = '';
  readonly #limits: WorkerLimits;
  readonly #owner: string;
  readonly #duration: string | null;
  #endMs = 0;

  constructor(limits: WorkerLimits, subject: BudgetSubject, id: string, spec: BudgetSpec) {
    this.subject = subject;
    this.id = id;
    this.max = nano(spec.maxNano);
    this.soft = nano(spec.softNano);
    this.#limits = limits;
    this.#duration = spec.duration;
    this.#owner = budgetOwner(subject, id, spec.duration);
    this.row = limits.claimBudget(this.#owner);
  }

  /** To be called before the rest is looked at. @param nowMs Unix. */
  enter(nowMs: number): void {
    // Fast case: the window goes on.
    if (nowMs >= this.#endMs) this.#open(nowMs);
  }

  /** When the window ends, Unix ms; Infinity: never. */
  get endMs(): number {
    return this.#endMs;
  }

  #open(nowMs: number): void {
    const { startMs, endMs } = budgetWindow(this.#duration, nowMs, this.#limits.timeZone);
    const { table } = this.#limits;
    let start = startMs;
    // The table is ahead where the clock or the time zone was changed: its window counts.
    if (this.row !== -1 && !table.openSpendWindow(this.row, BigInt(startMs)))
      start = Number(table.spendWindow(this.row));
    this.start = BigInt(start);
    this.#endMs = endMs;
    this.nameText = JSON.stringify(budgetRowName({ owner: this.#owner, startMs: start, endMs }));
  }
}

function nano(amount: number | null): bigint | null {
  if (amount === null) return null;
  const exact = BigInt(Math.round(amount));
  return exact > MOST_NANO ? MOST_NANO : exact;
}
