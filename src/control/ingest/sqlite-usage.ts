import { join } from 'node:path';
import type { DatabaseSync, SQLInputValue, StatementSync } from 'node:sqlite';
import type { OpenEvent } from '../../contract/usage-event.ts';
import { NO_NODE } from '../store/tables/budget-tables.ts';
import { Breather } from './breather.ts';
import { abortedRow, budgetsOf, type DeploymentPrices, isCorrection, nodeOf, openChanges } from './apply-chunk.ts';
import { ChunkLines, readSegmentChunk, type SegmentChunk } from './segment-chunk.ts';
import { type ChunkCounts, type ChunkRequest, type ChunkResult, NOTHING, type SegmentState } from './usage-backend.ts';
import { SUM_COLUMNS, UsageDeltas, type UsageSums } from './usage-deltas.ts';
import { USAGE_COLUMN_NAMES, type UsageRow } from './usage-row.ts';
import { SQLITE_STATEMENTS, type SqliteStatementName } from './sqlite-usage-sql.ts';

/**
 * Ingestion into SQLite, synchronous: it runs in the thread that has the database, on its writer, and between the
 * transactions of others. Each method is one transaction.
 */
export class SqliteUsage {
  readonly #db: DatabaseSync;
  readonly #prepared = new Map<SqliteStatementName, StatementSync>();

  constructor(writer: DatabaseSync) {
    this.#db = writer;
  }

  states(segments: readonly string[]): SegmentState[] {
    const found: SegmentState[] = [];
    for (const segment of segments) {
      const row = this.#statement('state').get(segment);
      if (row === undefined) continue;
      const finished = row['finished_at_ms'];
      found.push({
        segment,
        position: Number(row['position']),
        finishedAtMs: typeof finished === 'number' || typeof finished === 'bigint' ? Number(finished) : null,
      });
    }
    return found;
  }

  ingestChunk(request: ChunkRequest): ChunkResult {
    const { segment, position, isFinal, nowMs } = request;
    // The row before the file: whoever deletes a segment deletes the file first, so that a position that is made anew
    // means a file that can't be opened any more.
    if (position === 0) this.#statement('begin-segment').run(segment, request.writer);
    const chunk = readSegmentChunk(join(request.directory, segment), position, request.maxBytes);
    const { end, isAtEnd } = chunk;
    const isFinished = isFinal && isAtEnd;
    const result = { position: end, isAtEnd, isFinished, ...NOTHING };
    if (end === position && !isFinished) return { ...result, outcome: 'nothing' };
    return this.#inTransaction(() => {
      const moved = this.#statement('move').run(end, isFinished ? nowMs : null, segment, position);
      if (Number(moved.changes) !== 1) return { ...result, outcome: 'stale' };
      return { ...result, outcome: 'written', ...this.#writeChunk(chunk, request) };
    });
  }

  openWriters(): string[] {
    return this.#statement('open-writers')
      .all()
      .map((row) => String(row['writer']));
  }

  endWriter(writer: string, prices: DeploymentPrices): number {
    return this.#inTransaction(() => {
      const lines = this.#statement('end-writer').all(writer);
      this.#writeRows(
        lines.map((row) => abortedRow(String(row['line']), prices)),
        writer,
        new Breather(false),
      );
      return lines.length;
    });
  }

  makeDurable(): boolean {
    // With synchronous=NORMAL a commit is on the disk once a checkpoint has taken it, not before.
    const row = this.#db.prepare('PRAGMA wal_checkpoint(PASSIVE)').get();
    return row !== undefined && Number(row['busy']) === 0 && row['log'] === row['checkpointed'];
  }

  deleteEvents(beforeMs: number, limit: number): number {
    return Number(this.#statement('delete-events').run(beforeMs, limit).changes);
  }

  forgetSegments(beforeMs: number): void {
    this.#statement('forget-segments').run(beforeMs);
  }

  #writeChunk(chunk: SegmentChunk, { writer, isUnhurried }: ChunkRequest): ChunkCounts {
    const known = new Set(
      this.#statement('open-ids')
        .all(writer)
        .map((row) => String(row['id'])),
    );
    const breather = new Breather(isUnhurried);
    const lines = new ChunkLines(chunk, breather);
    const duplicates = this.#writeRows(lines.rows(), writer, breather);
    const { ended, begun } = openChanges(lines, known);
    for (const id of ended) this.#statement('end-open').run(id);
    for (const open of begun) this.#begin(open, writer);
    const { ids, invalid, invalidCount } = lines;
    return { events: ids.length - duplicates, duplicates, invalid, invalidCount };
  }

  #begin(open: OpenEvent, writer: string): void {
    this.#statement('begin-open').run(open.open, writer, JSON.stringify(open), open.open);
  }

  /** @returns how many were there already. */
  #writeRows(rows: Iterable<UsageRow>, writer: string, breather: Breather): number {
    const insert = this.#statement('insert');
    const deltas = new UsageDeltas();
    const values: SQLInputValue[] = Array.from({ length: USAGE_COLUMN_NAMES.length });
    let duplicates = 0;
    for (const row of rows) {
      for (let place = 0; place < values.length; place += 1) values[place] = row[USAGE_COLUMN_NAMES[place]!];
      if (Number(insert.run(...values).changes) === 1 || this.#replace(row, values, deltas)) deltas.add(row);
      else duplicates += 1;
      breather.step();
    }
    this.#writeDeltas(deltas, breather);
    this.#writeBudgets(deltas, nodeOf(writer));
    return duplicates;
  }

  /** @returns false: what is there stays. */
  #replace(row: UsageRow, values: readonly SQLInputValue[], deltas: UsageDeltas): boolean {
    const there = this.#statement('event').get(row.id) as unknown as UsageRow;
    if (!isCorrection(there, row)) return false;
    this.#statement('delete-event').run(row.id);
    deltas.add({ ...there, ...budgetsOf(row) }, -1);
    this.#statement('insert').run(...values);
    return true;
  }

  #writeBudgets(deltas: UsageDeltas, node: string): void {
    const nowMs = Date.now();
    for (const { name, isOwn, end_ms: endMs, spend_nano: spend } of deltas.budgets()) {
      this.#statement('budget').run(name, isOwn ? node : NO_NODE, endMs, spend, nowMs);
    }
  }

  #writeDeltas(deltas: UsageDeltas, breather: Breather): void {
    const daily = this.#statement('daily');
    for (const d of deltas.daily()) {
      daily.run(d.day, d.kind, d.name, ...sums(d));
      breather.step();
    }
    const detail = this.#statement('detail');
    for (const d of deltas.detail()) {
      detail.run(d.day, d.api_key, d.user_id, d.team_id, d.model, d.model_group, d.provider, ...sums(d));
      breather.step();
    }
    const total = this.#statement('total');
    for (const d of deltas.totals()) {
      total.run(d.kind, d.name, d.requests, d.tokens, d.spend_nano, d.last_at_ms);
      breather.step();
      if (d.spend_nano !== 0n) this.#statement(`spend-${d.kind}`).run(d.spend_nano, d.name);
    }
    for (const d of deltas.members()) this.#statement('spend-member').run(d.spend_nano, d.team_id, d.user_id);
  }

  #inTransaction<T>(work: () => T): T {
    this.#db.exec('BEGIN IMMEDIATE');
    try {
      const result = work();
      this.#db.exec('COMMIT');
      return result;
    } catch (error) {
      if (this.#db.isTransaction) this.#db.exec('ROLLBACK');
      throw error;
    }
  }

  #statement(name: SqliteStatementName): StatementSync {
    let statement = this.#prepared.get(name);
    if (statement === undefined) {
      statement = this.#db.prepare(SQLITE_STATEMENTS[name]);
      this.#prepared.set(name, statement);
    }
    return statement;
  }
}

function sums(delta: UsageSums): SQLInputValue[] {
  return SUM_COLUMNS.map((column) => delta[column]);
}
