import { appendFileSync, mkdirSync, mkdtempSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Cleanup } from '../src/cli/bench/cleanup.ts';
import type { UsageEvent } from '../src/contract/usage-event.ts';
import { UsageIngester } from '../src/control/ingest/usage-ingester.ts';
import { openStore } from '../src/control/store/open-store.ts';
import type { Store } from '../src/control/store/store.ts';
import type { StoreEngine } from '../src/control/store/store-engine.ts';
import { takeProcessLock } from '../src/runtime/process-lock.ts';
import { createLogger } from '../src/runtime/logger.ts';
import { startPostgres } from '../test/support/postgres-server.ts';
import { fillUsage } from './usage-rows.ts';

export const DAYS = 90;
export const KEYS = 1000;
const MODELS = 20;
const USERS = 300;
const TEAMS = 30;
const TAGS = 12;
const DAY_MS = 86_400_000;
const NODE = '0193a4c5-7a3f-7001-9abc-000000000001';
const LIVING = `${NODE}-b`;
const SEGMENT_EVENTS = 50_000;

/** A database of one engine, with a journal that is ingested into it by the product's own code. */
export class UsageDatabase {
  readonly store: Store;
  readonly engine: StoreEngine;
  readonly #directory: string;
  readonly #ingester: UsageIngester;
  #segments = 0;

  private constructor(store: Store, directory: string) {
    this.store = store;
    this.engine = store.engine;
    this.#directory = directory;
    this.#ingester = new UsageIngester({
      dataDirectory: directory,
      usage: () => store.usage,
      settings: () => ({ keepEventsMs: null, keepSegmentsMs: 0, prices: {} }),
      logger: createLogger({ level: 'warn', format: 'pretty', name: 'bench' }),
    });
  }

  /** @param parent of SQLite's file and the journal; PostgreSQL is a server of this run's own, with default durability. */
  static async open(engine: StoreEngine, parent: string | null, cleanup: Cleanup): Promise<UsageDatabase> {
    const directory = mkdtempSync(join(parent ?? tmpdir(), 'slipstream-bench-'));
    const { rmSync } = await import('node:fs');
    cleanup.add(() => rmSync(directory, { recursive: true, force: true }));
    for (const name of ['journal', 'writers']) mkdirSync(join(directory, name));
    let databaseUrl: string | null = null;
    if (engine === 'postgres') {
      const server = startPostgres();
      cleanup.add(() => server.remove());
      databaseUrl = server.url;
    }
    const store = await openStore({ dataDirectory: directory, databaseUrl });
    cleanup.add(() => store.close());
    return new UsageDatabase(store, directory);
  }

  /** Writes a segment whose writer is gone. */
  write(events: Iterable<UsageEvent>): void {
    this.#segments += 1;
    const name = `${NODE}-a-0.0-${String(this.#segments).padStart(6, '0')}.ndjson`;
    writeFileSync(join(this.#directory, 'journal', name), linesOf(events));
  }

  /** Adds to the one segment of a writer that goes on. */
  append(events: Iterable<UsageEvent>): void {
    takeProcessLock(join(this.#directory, 'writers', `${LIVING}.lock`)); // once; it is held until the end
    appendFileSync(join(this.#directory, 'journal', `${LIVING}-0.0-000001.ndjson`), linesOf(events));
  }

  /** Takes what `write` has left. */
  async ingest(): Promise<void> {
    await this.#ingester.pass();
  }

  /** Fills the tables with the events of 90 days. */
  async preload(events: UsageEvents, rows: number, progress: (rows: number) => void): Promise<void> {
    for (let done = 0; done < rows; done += SEGMENT_EVENTS) {
      this.write(events.take(Math.min(SEGMENT_EVENTS, rows - done)));
      await this.ingest();
      progress(Math.min(rows, done + SEGMENT_EVENTS));
    }
    await this.#vacuum();
  }

  /** The same in the database itself, of which only what is added later has been ingested. */
  async fill(rows: number, untilMs: number, progress: (rows: number) => void): Promise<void> {
    const owners = Array.from({ length: KEYS }, (_none, rank) => [keyHash(rank), ...ownersOf(rank)] as const);
    await fillUsage(this.store, { rows, days: DAYS, untilMs, owners }, progress);
    await this.#vacuum();
  }

  /** As autovacuum would have done some minutes later. */
  async #vacuum(): Promise<void> {
    if (this.engine !== 'postgres') return;
    const { sql } = await import('kysely');
    for (const table of ['usage_events', 'usage_daily', 'usage_detail', 'usage_totals']) {
      await sql`vacuum analyze ${sql.table(`slipstream.${table}`)}`.execute(this.store.db);
    }
  }
}

/** Events of 1,000 keys by Zipf and 20 models; the same for the same seed. */
export class UsageEvents {
  readonly #shares: Float64Array;
  #stepMs: number;
  #state = 42;
  #count = 0;
  #atMs: number;

  /** @param count so many events are spread over `days`, up to `untilMs`. */
  constructor(count: number, untilMs: number, days = DAYS) {
    this.#stepMs = (days * DAY_MS) / Math.max(count, 1);
    this.#atMs = untilMs - days * DAY_MS;
    this.#shares = new Float64Array(KEYS);
    let sum = 0;
    for (let rank = 0; rank < KEYS; rank += 1) this.#shares[rank] = sum += 1 / (rank + 1);
    for (let rank = 0; rank < KEYS; rank += 1) this.#shares[rank]! /= sum;
  }

  *take(count: number): Generator<UsageEvent> {
    for (let left = count; left > 0; left -= 1) yield this.#next();
  }

  /** @param nowMs from here on events are of now. */
  jumpTo(nowMs: number): void {
    this.#atMs = nowMs;
    this.#stepMs = 1;
  }

  #next(): UsageEvent {
    this.#count += 1;
    this.#atMs += this.#stepMs;
    const at = Math.floor(this.#atMs);
    const key = this.#key();
    const [user, team] = ownersOf(key);
    const model = this.#integer(MODELS);
    const [inputTokens, outputTokens] = [this.#integer(8000), this.#integer(1000)];
    const upstreamModel = `provider-model-${model}`;
    const usage = { inputTokens, outputTokens, cacheReadTokens: 0, cacheWriteTokens: 0, reasoningTokens: 0 };
    const deployment = `deployment-${model}-0123456789`;
    const event = {
      v: 1,
      id: eventId(at, this.#count),
      at,
      durationMs: 100 + this.#integer(20_000),
      firstByteMs: 99,
      overheadUs: 60 + this.#integer(100),
      traceId: null,
      spanId: null,
      client: '192.0.2.1',
      key: keyHash(key),
      user,
      team,
      endpoint: 'chat_completions',
      model: `model-${model}`,
      group: `model-${model}`,
      deployment,
      provider: `provider-${model % 4}`,
      upstreamModel,
      stream: model % 2 === 0,
      status: this.#integer(50) === 0 ? 500 : 200,
      error: null,
      aborted: null,
      attempts: [{ deployment, status: 200, error: null, durationMs: 99, usage: null, costNano: null }],
      usage,
      usageSource: 'reported',
      costNano: inputTokens * 150 + outputTokens * 600,
      requestBytes: inputTokens * 4,
      responseBytes: outputTokens * 5,
      tags: this.#integer(3) === 0 ? [`tag-${this.#integer(TAGS)}`] : [],
    };
    return event as UsageEvent;
  }

  #key(): number {
    const wanted = this.#integer(1 << 30) / (1 << 30);
    let [low, high] = [0, KEYS - 1];
    while (low < high) {
      const middle = (low + high) >> 1;
      if (this.#shares[middle]! < wanted) low = middle + 1;
      else high = middle;
    }
    return low;
  }

  #integer(below: number): number {
    this.#state = (this.#state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(this.#state ^ (this.#state >>> 15), 1 | this.#state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) % below;
  }
}

/** As in a segment. */
export function linesOf(events: Iterable<UsageEvent>): string {
  let text = '';
  for (const event of events) text += `${JSON.stringify(event)}\n`;
  return text;
}

function ownersOf(rank: number): readonly [user: string, team: string] {
  return [`user-${rank % USERS}`, `team-${rank % TEAMS}`];
}

/** Of the key with this rank; 0 is used most. */
export function keyHash(rank: number): string {
  return (
    (Math.imul(rank + 1, 0x9e3779b1) >>> 0).toString(16).padStart(8, '0') + rank.toString(16).padStart(8, '0')
  ).repeat(4);
}

function eventId(at: number, count: number): string {
  const hex = at.toString(16).padStart(12, '0');
  const digits = (count + 0x1_0000_0000).toString(16).slice(1);
  return `${hex.slice(0, 8)}-${hex.slice(8)}-7${digits.slice(0, 3)}-8abc-1234567${digits.slice(3)}`;
}
