import { join } from 'node:path';
import { pipeline } from 'node:stream/promises';
import type { Client } from 'pg';
import { from as copyFrom } from 'pg-copy-streams';
import type { OpenEvent } from '../../contract/usage-event.ts';
import { isUniqueViolation } from '../store/postgres/postgres-errors.ts';
import { NO_NODE } from '../store/tables/budget-tables.ts';
import { abortedRow, budgetsOf, type DeploymentPrices, isCorrection, nodeOf, openChanges } from './apply-chunk.ts';
import { arrayLiteral } from './array-literal.ts';
import { Breather } from './breather.ts';
import { copyLine } from './copy-line.ts';
import { COPY_EVENTS, POSTGRES_STATEMENTS, type PostgresStatementName } from './postgres-usage-sql.ts';
import { ChunkLines, readSegmentChunk, type SegmentChunk } from './segment-chunk.ts';
import { AGGREGATES } from './usage-aggregates.ts';
import {
  type ChunkCounts,
  type ChunkRequest,
  type ChunkResult,
  NOTHING,
  type SegmentState,
  type UsageBackend,
} from './usage-backend.ts';
import { UsageDeltas } from './usage-deltas.ts';
import { USAGE_COLUMN_NAMES, USAGE_COLUMNS, type UsageRow } from './usage-row.ts';

type Value = string | number | bigint | null;
type Row = Readonly<Record<string, unknown>>;

/** Characters: some 100 rows, what a socket takes at once. */
const COPY_PIECE = 32_768;

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
    const chunk = readSegmentChunk(join(request.directory, segment), position, request.maxBytes);
    const { end, isAtEnd } = chunk;
    const isFinished = isFinal && isAtEnd;
    const result = { position: end, isAtEnd, isFinished, ...NOTHING };
    if (end === position && !isFinished) return { ...result, outcome: 'nothing' };
    return this.#inTransaction(async () => {
      const moved = await this.#run('move', [end, isFinished ? nowMs : null, segment, position]);
      if (moved.count !== 1) return { ...result, outcome: 'stale' };
      return { ...result, outcome: 'written', ...(await this.#writeChunk(chunk, request)) };
    });
  }

  async openWriters(): Promise<string[]> {
    const { rows } = await this.#run('open-writers', []);
    return rows.map((row) => String(row['writer']));
  }

  async endWriter(writer: string, prices: DeploymentPrices): Promise<number> {
    return this.#inTransaction(async () => {
      const { rows } = await this.#run('end-writer', [writer]);
      const aborted = rows.map((row) => abortedRow(String(row['line']), prices));
      await this.#writeRows(() => aborted, writer);
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

  async #writeChunk(chunk: SegmentChunk, { writer, isUnhurried }: ChunkRequest): Promise<ChunkCounts> {
    const known = new Set((await this.#run('open-ids', [writer])).rows.map((row) => String(row['id'])));
    const breather = new Breather(isUnhurried);
    let lines = new ChunkLines(chunk, breather);
    const duplicates = await this.#writeRows(() => {
      lines = new ChunkLines(chunk, breather);
      return lines.rows();
    }, writer);
    const { ended, begun } = openChanges(lines, known);
    if (ended.length > 0) await this.#run('end-open', [ended]);
    if (begun.length > 0) await this.#begin(begun, writer);
    const { ids, invalid, invalidCount } = lines;
    return { events: ids.length - duplicates, duplicates, invalid, invalidCount };
  }

  async #begin(opens: readonly OpenEvent[], writer: string): Promise<void> {
    await this.#run('begin-open', [opens.map(({ open }) => open), writer, opens.map((open) => JSON.stringify(open))]);
  }

  /**
   * @param rows gives the first of them again with each call.
   * @returns how many were there already.
   */
  async #writeRows(rows: () => Iterable<UsageRow>, writer: string): Promise<number> {
    let deltas = new UsageDeltas();
    let duplicates = 0;
    // Nearly always all of them are new; a savepoint is what it costs to find out that they are not.
    await this.#client.query('savepoint before_rows');
    try {
      await this.#copy(rows(), deltas);
    } catch (error) {
      if (!isUniqueViolation(error)) throw error;
      await this.#client.query('rollback to savepoint before_rows');
      deltas = new UsageDeltas();
      const all = [...rows()];
      const fresh = await this.#replaceAborted(all, deltas);
      await this.#copy(fresh, deltas);
      duplicates = all.length - fresh.length;
    }
    await this.#writeDeltas(deltas);
    await this.#writeBudgets(deltas, nodeOf(writer));
    return duplicates;
  }

  /** The server takes rows in while the next ones are being read. */
  async #copy(rows: Iterable<UsageRow>, deltas: UsageDeltas): Promise<void> {
    await pipeline(copyTexts(rows, deltas), this.#client.query(copyFrom(COPY_EVENTS)));
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

/** Pieces of what is copied, and `deltas` of the rows in them. */
function* copyTexts(rows: Iterable<UsageRow>, deltas: UsageDeltas): Generator<string, void> {
  let text = '';
  for (const row of rows) {
    deltas.add(row);
    text += copyLine(row);
    if (text.length < COPY_PIECE) continue;
    yield text;
    text = '';
  }
  if (text !== '') yield text;
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
