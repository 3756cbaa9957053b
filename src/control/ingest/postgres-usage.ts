import { join } from 'node:path';
import type { Client } from 'pg';
import type { OpenEvent } from '../../contract/usage-event.ts';
import { NO_NODE } from '../store/tables/budget-tables.ts';
import { abortedRow, budgetsOf, type DeploymentPrices, isCorrection, nodeOf, openChanges } from './apply-chunk.ts';
import { arrayLiteral } from './array-literal.ts';
import { POSTGRES_STATEMENTS, type PostgresStatementName } from './postgres-usage-sql.ts';
import { Breather } from './breather.ts';
import { readSegmentChunk, type SegmentChunk } from './segment-chunk.ts';
import { AGGREGATES } from './usage-aggregates.ts';
import type { ChunkRequest, ChunkResult, SegmentState, UsageBackend } from './usage-backend.ts';
import { UsageDeltas } from './usage-deltas.ts';
import { USAGE_COLUMN_NAMES, USAGE_COLUMNS, type UsageRow } from './usage-row.ts';

type Value = string | number | bigint | null;
type Row = Readonly<Record<string, unknown>>;

/** Ingestion into PostgreSQL, over one connection that nobody else uses. Each method is one transaction. */
export class PostgresUsage implements UsageBackend {
  readonly #client: Client;

  constructor(client: Client) {
    this.#client = client;
  }

  async states(segments: readonly string[]): Promise<SegmentState[]> {
    const { rows } = await this.#run('states', [segments]);
    return rows.map((row) => ({
      segment: String(row['segment']),
      position: Number(row['position']),
      finishedAtMs: row['finished_at_ms'] === null ? null : Number(row['finished_at_ms']),
    }));
  }

  async ingestChunk(request: ChunkRequest): Promise<ChunkResult> {
    const { segment, writer, position, isFinal, nowMs } = request;
    // The row before the file: whoever deletes a segment deletes the file first, so that a position that is made anew
    // means a file that can't be opened any more.
    if (position === 0) await this.#run('begin-segment', [segment, writer]);
    const breather = new Breather(request.isUnhurried);
    const chunk = readSegmentChunk(join(request.directory, segment), position, request.maxBytes, breather);
    const { isAtEnd, invalid, invalidCount } = chunk;
    const isFinished = isFinal && isAtEnd;
    const result = { position: chunk.position, isAtEnd, isFinished, invalid, invalidCount };
    if (chunk.position === position && !isFinished) {
      return { ...result, outcome: 'nothing', events: 0, duplicates: 0 };
    }
    return this.#inTransaction(async () => {
      const moved = await this.#run('move', [chunk.position, isFinished ? nowMs : null, segment, position]);
      if (moved.count !== 1) return { ...result, outcome: 'stale', events: 0, duplicates: 0 };
      const duplicates = await this.#writeChunk(chunk, writer);
      return { ...result, outcome: 'written', events: chunk.rows.length - duplicates, duplicates };
    });
  }

  async openWriters(): Promise<string[]> {
    const { rows } = await this.#run('open-writers', []);
    return rows.map((row) => String(row['writer']));
  }

  async endWriter(writer: string, prices: DeploymentPrices): Promise<number> {
    return this.#inTransaction(async () => {
      const { rows } = await this.#run('end-writer', [writer]);
      await this.#writeRows(
        rows.map((row) => abortedRow(String(row['line']), prices)),
        writer,
      );
      return rows.length;
    });
  }

  async makeDurable(): Promise<boolean> {
    return true; // a commit is: synchronous_commit is on
  }

  async deleteEvents(beforeMs: number, limit: number): Promise<number> {
    return (await this.#run('delete-events', [beforeMs, limit])).count;
  }

  async forgetSegments(beforeMs: number): Promise<void> {
    await this.#run('forget-segments', [beforeMs]);
  }

  async #writeChunk({ rows, opens }: SegmentChunk, writer: string): Promise<number> {
    const known = new Set((await this.#run('open-ids', [writer])).rows.map((row) => String(row['id'])));
    const { ended, begun } = openChanges(rows, opens, known);
    const duplicates = await this.#writeRows(rows, writer);
    if (ended.length > 0) await this.#run('end-open', [ended]);
    if (begun.length > 0) await this.#begin(begun, writer);
    return duplicates;
  }

  async #begin(opens: readonly OpenEvent[], writer: string): Promise<void> {
    await this.#run('begin-open', [opens.map(({ open }) => open), writer, opens.map((open) => JSON.stringify(open))]);
  }

  /** @returns how many were there already. */
  async #writeRows(rows: readonly UsageRow[], writer: string): Promise<number> {
    if (rows.length === 0) return 0;
    const deltas = new UsageDeltas();
    // Nearly always all of them are new; a savepoint is what it costs to find out that they are not.
    await this.#client.query('savepoint before_rows');
    let fresh = rows;
    if ((await this.#insert(rows)) !== rows.length) {
      await this.#client.query('rollback to savepoint before_rows');
      fresh = await this.#replaceAborted(rows, deltas);
      await this.#insert(fresh);
    }
    for (const row of fresh) deltas.add(row);
    await this.#writeDeltas(deltas);
    await this.#writeBudgets(deltas, nodeOf(writer));
    return rows.length - fresh.length;
  }

  async #insert(rows: readonly UsageRow[]): Promise<number> {
    const columns = USAGE_COLUMN_NAMES.map((column) => arrayLiteral(rows.map((row) => row[column])));
    return (await this.#run('insert', columns)).count;
  }

  /** Takes out the aborted events that `rows` correct. @returns those of `rows` that are to be inserted. */
  async #replaceAborted(rows: readonly UsageRow[], deltas: UsageDeltas): Promise<UsageRow[]> {
    const byId = new Map(rows.map((row) => [row.id, row]));
    const replaced: string[] = [];
    for (const found of (await this.#run('events', [[...byId.keys()]])).rows) {
      const there = usageRowOf(found);
      const row = byId.get(there.id);
      if (row !== undefined && isCorrection(there, row)) {
        replaced.push(there.id);
        deltas.add({ ...there, ...budgetsOf(row) }, -1);
      } else {
        byId.delete(there.id);
      }
    }
    await this.#run('delete-event', [replaced]);
    return [...byId.values()];
  }

  async #writeDeltas(deltas: UsageDeltas): Promise<void> {
    const { usage_daily: daily, usage_detail: detail, usage_totals: total } = AGGREGATES;
    await this.#run('daily', columnsOf(deltas.daily(), [...daily.keys, ...daily.sums]));
    await this.#run('detail', columnsOf(deltas.detail(), [...detail.keys, ...detail.sums]));
    const totals = deltas.totals();
    await this.#run('total', columnsOf(totals, [...total.keys, ...total.sums, 'last_at_ms']));
    for (const kind of ['key', 'user', 'team'] as const) {
      const spent = totals.filter((delta) => delta.kind === kind && delta.spend_nano !== 0n);
      if (spent.length > 0) await this.#run(`spend-${kind}`, columnsOf(spent, ['name', 'spend_nano']));
    }
    const members = deltas.members();
    if (members.length > 0) {
      await this.#run('spend-member', columnsOf(members, ['team_id', 'user_id', 'spend_nano']));
    }
  }

  async #writeBudgets(deltas: UsageDeltas, node: string): Promise<void> {
    const budgets = deltas.budgets().map((delta) => ({ ...delta, node: delta.isOwn ? node : NO_NODE }));
    if (budgets.length === 0) return;
    const columns = ['name', 'node', 'end_ms', 'spend_nano'] as const;
    await this.#run('budget', [
      ...columns.map((column) => arrayLiteral(budgets.map((row) => row[column]))),
      Date.now(),
    ]);
  }

  async #inTransaction<T>(work: () => Promise<T>): Promise<T> {
    await this.#client.query('begin');
    try {
      const result = await work();
      await this.#client.query('commit');
      return result;
    } catch (error) {
      await this.#client.query('rollback').catch(() => undefined); // the connection is gone: so is the transaction
      throw error;
    }
  }

  async #run(name: PostgresStatementName, values: readonly unknown[]): Promise<{ rows: Row[]; count: number }> {
    const { rows, rowCount } = await this.#client.query<Row>({
      name: `usage-${name}`,
      text: POSTGRES_STATEMENTS[name],
      values: [...values],
    });
    return { rows, count: rowCount ?? 0 };
  }
}

function columnsOf<T extends object>(rows: readonly T[], columns: readonly (keyof T)[]): string[] {
  return columns.map((column) => arrayLiteral(rows.map((row) => row[column] as Value)));
}

/** `pg` gives integers of eight bytes as text. */
function usageRowOf(found: Row): UsageRow {
  return Object.fromEntries(
    USAGE_COLUMN_NAMES.map((column) => {
      const value = found[column];
      const isNumber = !USAGE_COLUMNS[column].startsWith('text');
      return [column, isNumber && value !== null ? Number(value) : value];
    }),
  ) as unknown as UsageRow;
}
