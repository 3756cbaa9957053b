import { hash } from 'node:crypto';
import { performance } from 'node:perf_hooks';
import { LimitTable } from '../../contract/limit-table.ts';
import { rowId } from '../../contract/shared-rows.ts';
import type { BudgetSubject } from '../../contract/budget-spec.ts';
import { dollarText } from '../../domain/pricing/dollar-text.ts';
import type { Logger } from '../../runtime/logger.ts';
import type { CellFamily, CounterCell, MetricsRegistry } from '../../runtime/metrics-registry.ts';
import { budgetRowText } from '../budgets/budget-row-text.ts';
import type { SharedMemory } from '../worker/shared-memory.ts';
import type { LimitKind, LimitSubject } from './subject-limits.ts';
import { systemMs } from './system-clock.ts';

/** The limit table as one worker sees it, with the clock that all workers share. */
export class WorkerLimits {
  readonly table: LimitTable;
  readonly #logger: Logger;
  readonly #refusals: CellFamily<CounterCell>;
  readonly #budgetRefusals: CellFamily<CounterCell>;
  readonly #softBudgets: CellFamily<CounterCell>;
  /** `performance.now()` counts from the start of each thread; the table needs one clock for all. */
  readonly #offsetMs: number;
  #hasToldFull = false;
  /** Rows of what the configuration limits, looked for again in every snapshot. */
  readonly #configured = new Map<string, number>();

  constructor(shared: SharedMemory, registry: MetricsRegistry, logger: Logger) {
    this.table = new LimitTable(shared.limits, shared.workerIndex);
    this.#logger = logger;
    this.#offsetMs = systemMs() - performance.now() - shared.startedSystemMs;
    this.#refusals = registry.counter(
      'slipstream_limit_refusals_total',
      'Requests, and fallbacks of requests, refused by a limit, by whose it is and what it counts; table_full: no row was left',
      ['subject', 'limit'],
    );
    this.#budgetRefusals = registry.counter(
      'slipstream_budget_refusals_total',
      'Requests refused by a budget, by whose it is',
      ['subject'],
    );
    this.#softBudgets = registry.counter(
      'slipstream_soft_budgets_exceeded_total',
      'Soft budgets that were used up, each counted once per window, by whose they are',
      ['subject'],
    );
  }

  /** In which days of budgets begin; of the snapshot in force. */
  timeZone = 'UTC';

  /** Table time, ms. */
  nowMs(): number {
    return performance.now() + this.#offsetMs;
  }

  /** Table time of what `performance.now()` answered `monotonicMs` to. */
  tableMs(monotonicMs: number): number {
    return monotonicMs + this.#offsetMs;
  }

  /** The row of a subject; −1 when the table is full. */
  claim(subject: LimitSubject, name: string): number {
    const isConfigured = subject === 'deployment' || subject === 'model_group';
    const text = `${subject}:${name}`;
    const known = isConfigured ? this.#configured.get(text) : undefined;
    if (known !== undefined) return known;
    const row = this.#claim(text);
    if (isConfigured && row !== -1) this.#configured.set(text, row);
    return row;
  }

  /** The row in which a budget's money is counted; −1 when the table is full. @param owner `budgetOwner`. */
  claimBudget(owner: string): number {
    return this.#claim(budgetRowText(owner));
  }

  #claim(text: string): number {
    const row = this.table.claim(rowId(hash('sha256', text)));
    if (row === -1 && !this.#hasToldFull) {
      this.#hasToldFull = true;
      this.#logger.error('the limit table is full: requests of further limited keys, users and so on are refused', {
        remedy: 'raise slipstream.rate_limits.max_subjects and restart',
      });
    }
    return row;
  }

  countBudgetRefusal(subject: BudgetSubject): void {
    this.#budgetRefusals.cell(subject).add(1);
  }

  /** Once per window and budget. */
  noteSoftBudget(subject: BudgetSubject, id: string, softNano: bigint): void {
    this.#softBudgets.cell(subject).add(1);
    this.#logger.warn('a soft budget is used up', { subject, id, softBudget: dollarText(Number(softNano)) });
  }

  countRefusal(subject: LimitSubject, limit: LimitKind | 'table_full'): void {
    this.#refusals.cell(subject, limit).add(1);
  }
}
