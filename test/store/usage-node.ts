import assert from 'node:assert/strict';
import { appendFileSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import type { OpenEvent, UsageEvent } from '../../src/contract/usage-event.ts';
import { type IngesterSettings, UsageIngester } from '../../src/control/ingest/usage-ingester.ts';
import type { StoreOptions } from '../../src/control/store/open-store.ts';
import type { Store } from '../../src/control/store/store.ts';
import { takeProcessLock } from '../../src/runtime/process-lock.ts';
import { SAMPLE_EVENT, SAMPLE_OPEN } from '../support/usage-event-sample.ts';
import { openTestStore, testStoreOptions } from './test-store.ts';

export const NODE = '0193a4c5-7a3f-7001-9abc-000000000001';
export const DAY_MS = 86_400_000;
const SILENT = { debug() {}, info() {}, warn() {}, error() {}, child: () => SILENT };

/** A data directory with a journal, and a database beside it. */
export class UsageNode {
  readonly store: Store;
  readonly directory: string;
  readonly journal: string;
  readonly settings: { -readonly [Name in keyof IngesterSettings]: IngesterSettings[Name] } = {
    keepEventsMs: null,
    keepSegmentsMs: 0,
    prices: {},
  };
  #count = 0;

  private constructor(store: Store, directory: string) {
    this.store = store;
    this.directory = directory;
    this.journal = join(directory, 'journal');
    mkdirSync(this.journal);
    mkdirSync(join(directory, 'writers'));
    writeFileSync(join(directory, 'node-id'), NODE);
  }

  static async start(t: TestContext, given?: StoreOptions): Promise<UsageNode> {
    const options = given ?? (await testStoreOptions(t));
    const directory = mkdtempSync(join(tmpdir(), 'slipstream-ingest-'));
    t.after(() => rmSync(directory, { recursive: true, force: true }));
    return new UsageNode(await openTestStore(t, options), directory);
  }

  ingester(chunkBytes?: number): UsageIngester {
    return new UsageIngester({
      dataDirectory: this.directory,
      usage: () => this.store.usage,
      settings: () => this.settings,
      logger: SILENT,
      pollMs: 5,
      ...(chunkBytes === undefined ? {} : { chunkBytes }),
    });
  }

  /** A process that lives until the function returned is called. */
  live(t: TestContext, epoch: string): () => void {
    const lock = takeProcessLock(join(this.directory, 'writers', `${NODE}-${epoch}.lock`));
    assert.ok(lock !== null);
    t.after(() => lock.release());
    return () => lock.release();
  }

  segment(epoch: string, sequence = 1, start = 0): string {
    return `${NODE}-${epoch}-0.${start}-${String(sequence).padStart(6, '0')}.ndjson`;
  }

  append(segment: string, ...lines: readonly (UsageEvent | OpenEvent | string)[]): void {
    const text = lines.map((line) => (typeof line === 'string' ? line : `${JSON.stringify(line)}\n`)).join('');
    appendFileSync(join(this.journal, segment), text);
  }

  event(rest: Partial<UsageEvent> = {}): UsageEvent {
    this.#count += 1;
    const id = `0193a4c5-7a3f-7001-9abc-${String(this.#count).padStart(12, '0')}`;
    return { ...SAMPLE_EVENT, costNano: 7, ...rest, id: rest.id ?? id };
  }

  open(event: UsageEvent): OpenEvent {
    return { ...SAMPLE_OPEN, open: event.id, key: event.key, streamEvents: 3 };
  }

  async rows(): Promise<readonly { id: string; aborted: string | null; spend_nano: bigint }[]> {
    return this.store.db.selectFrom('usage_events').select(['id', 'aborted', 'spend_nano']).orderBy('id').execute();
  }

  /** What every aggregate must be by the rows, and is. */
  async check(): Promise<{ requests: number; spend_nano: bigint }> {
    const { db } = this.store;
    const rows = await db.selectFrom('usage_events').selectAll().execute();
    const spend = rows.reduce((sum, row) => sum + row.spend_nano, 0n);
    const daily = await db.selectFrom('usage_daily').selectAll().execute();
    const detail = await db.selectFrom('usage_detail').selectAll().execute();
    const totals = await db.selectFrom('usage_totals').selectAll().execute();
    for (const [name, list] of [
      ['total', daily.filter(({ kind }) => kind === 'total')],
      ['key', daily.filter(({ kind }) => kind === 'key')],
      ['detail', detail],
      ['totals by key', totals.filter(({ kind }) => kind === 'key')],
    ] as const) {
      assert.equal(
        list.reduce((sum, row) => sum + row.requests, 0),
        rows.length,
        `requests of ${name}`,
      );
      assert.equal(
        list.reduce((sum, row) => sum + row.spend_nano, 0n),
        spend,
        `spend of ${name}`,
      );
    }
    return { requests: rows.length, spend_nano: spend };
  }
}
