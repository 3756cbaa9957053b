import { hash } from 'node:crypto';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { BUDGET_BASE_FORMAT, type BudgetBase } from '../../contract/budget-base.ts';
import { parseBudgetRow } from '../../contract/budget-row.ts';
import { LimitTable } from '../../contract/limit-table.ts';
import { DATA_FILES } from '../../contract/persisted-state.ts';
import { parseSegmentName } from '../../contract/segment-name.ts';
import { rowId } from '../../contract/shared-rows.ts';
import type { Logger } from '../../runtime/logger.ts';
import type { SharedMemory } from '../worker/shared-memory.ts';
import { addBudgetEvents, type RowSums } from './budget-events.ts';
import { budgetRowText } from './budget-row-text.ts';

export interface BudgetFeedOptions {
  readonly dataDirectory: string;
  /** Its own segments are not read: what they hold was counted when it was spent. */
  readonly processName: string;
  readonly logger: Logger;
}

/**
 * What was spent before this sidecar began, and what others spend: in the sidecar's main thread.
 *
 * At start it is the base that the control plane left, plus the events that lie behind it in the journal: so an exhausted
 * budget stays so whatever was killed, with or without a control plane. From then on only what others spent is told.
 */
export class BudgetFeed {
  readonly #options: BudgetFeedOptions;
  readonly #positions = new Map<string, number>();
  /** What is counted of others, by row. */
  readonly #others = new Map<string, bigint>();
  /** Told before the start. */
  readonly #early: Readonly<Record<string, string>>[] = [];
  #table: LimitTable | null = null;

  constructor(options: BudgetFeedOptions) {
    this.#options = options;
  }

  /** Before the first request. */
  load(shared: SharedMemory): void {
    this.#table = new LimitTable(shared.limits, shared.workerIndex);
    const base = this.#readBase();
    const sums: RowSums = new Map();
    if (base !== null) {
      for (const [segment, position] of Object.entries(base.positions)) this.#positions.set(segment, position);
      for (const [row, { own, others }] of Object.entries(base.rows)) {
        this.#others.set(row, BigInt(others));
        sums.set(row, BigInt(own) + BigInt(others));
      }
    }
    this.#addJournal(sums);
    this.#addAll(sums);
    for (const rows of this.#early.splice(0)) this.takeOthers(rows);
  }

  /** What another process of this node has written since: it has ended, and this one has taken its place. */
  catchUp(): void {
    const sums: RowSums = new Map();
    this.#addJournal(sums);
    this.#addAll(sums);
  }

  /** @param rows what others have spent altogether in each row, nano-dollars: what is counted already counts once. */
  takeOthers(rows: Readonly<Record<string, string>>): void {
    if (this.#table === null) {
      this.#early.push(rows);
      return;
    }
    const sums: RowSums = new Map();
    for (const [row, text] of Object.entries(rows)) {
      const spent = BigInt(text);
      sums.set(row, spent - (this.#others.get(row) ?? 0n));
      this.#others.set(row, spent);
    }
    this.#addAll(sums);
    this.#forgetEnded();
  }

  #readBase(): BudgetBase | null {
    const path = join(this.#options.dataDirectory, DATA_FILES.budgets);
    try {
      if (!existsSync(path)) return null;
      const base = JSON.parse(readFileSync(path, 'utf8')) as BudgetBase;
      return base.format === BUDGET_BASE_FORMAT ? base : null;
    } catch (error) {
      this.#options.logger.error('the base of budgets can not be read; the whole journal is', { error: String(error) });
      return null;
    }
  }

  #addJournal(sums: RowSums): void {
    const directory = join(this.#options.dataDirectory, DATA_FILES.journal);
    if (!existsSync(directory)) return;
    for (const name of readdirSync(directory)) {
      const segment = parseSegmentName(name);
      if (segment === null || segment.process === this.#options.processName) continue;
      try {
        this.#positions.set(name, addBudgetEvents(join(directory, name), this.#positions.get(name) ?? 0, sums));
      } catch (error) {
        this.#options.logger.error('a journal segment can not be read: budgets count too little', {
          segment: name,
          error: String(error),
        });
      }
    }
  }

  #addAll(sums: RowSums): void {
    const nowMs = Date.now();
    for (const [name, spent] of sums) if (spent !== 0n) this.#add(name, spent, nowMs);
  }

  #add(name: string, spent: bigint, nowMs: number): void {
    const row = parseBudgetRow(name);
    if (this.#table === null || row === null || row.endMs <= nowMs) return;
    const place = this.#table.claim(rowId(hash('sha256', budgetRowText(row.owner))));
    if (place === -1) return; // its requests are refused
    const start = BigInt(row.startMs);
    this.#table.openSpendWindow(place, start);
    this.#table.addSpend(place, spent, start);
  }

  #forgetEnded(): void {
    const nowMs = Date.now();
    for (const name of this.#others.keys()) if ((parseBudgetRow(name)?.endMs ?? 0) <= nowMs) this.#others.delete(name);
  }
}
