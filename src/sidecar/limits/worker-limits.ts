import { hash } from 'node:crypto';
import { performance } from 'node:perf_hooks';
import { LimitTable } from '../../contract/limit-table.ts';
import { rowId } from '../../contract/shared-rows.ts';
import type { Logger } from '../../runtime/logger.ts';
import type { CellFamily, CounterCell, MetricsRegistry } from '../../runtime/metrics-registry.ts';
import type { SharedMemory } from '../worker/shared-memory.ts';
import type { LimitKind, LimitSubject } from './subject-limits.ts';
import { systemMs } from './system-clock.ts';

/** The limit table as one worker sees it, with the clock that all workers share. */
export class WorkerLimits {
  readonly table: LimitTable;
  readonly #logger: Logger;
  readonly #refusals: CellFamily<CounterCell>;
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
  }

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
    const row = this.table.claim(rowId(hash('sha256', text)));
    if (isConfigured && row !== -1) this.#configured.set(text, row);
    if (row === -1 && !this.#hasToldFull) {
      this.#hasToldFull = true;
      this.#logger.error('the limit table is full: requests of further limited keys, users and so on are refused', {
        remedy: 'raise slipstream.rate_limits.max_subjects and restart',
      });
    }
    return row;
  }

  countRefusal(subject: LimitSubject, limit: LimitKind | 'table_full'): void {
    this.#refusals.cell(subject, limit).add(1);
  }
}
