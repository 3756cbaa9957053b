import { appendFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { linesOf, UsageEvents } from '../../../bench/usage-data.ts';
import { spentNano, type UsageEvent } from '../../../src/contract/usage-event.ts';
import { openStore } from '../../../src/control/store/open-store.ts';
import type { Store } from '../../../src/control/store/store.ts';
import type { PostgresServer } from '../../support/postgres-server.ts';
import { ChaosRun } from './chaos-run.ts';
import { ingestRest, killControl, PRICES } from './ingestion-run.ts';
import { readJournalDirectory } from './journal-lines.ts';
import type { ChaosContext, ScenarioReport } from './scenario.ts';

/** 25 a second for a day with the 60 seconds that are the default: 1.8 GB, what `journal.max_bytes` has room for. */
const EVENTS_PER_SECOND_OF_RUN = 36_000;
const SEGMENT_EVENTS = 80_000;
const WRITE_AT_ONCE = 10_000;
const QPS = 300;
const PATIENCE_MS = 900_000;
/** Of a sidecar that has ended. */
const WRITER = '0193a4c5-7a3f-7001-9abc-0000000000da-a-0.0';

type Sums = Map<string, { requests: number; nano: bigint }>;

/**
 * What a day without the database leaves behind, brought in under load: while it is being caught up with, the control plane
 * is killed, and PostgreSQL goes away once more. In the end each key has its requests and its spend, to the nano-dollar.
 *
 * @param server of PostgreSQL; null: SQLite.
 */
export async function runDayOfJournal(context: ChaosContext, server: PostgresServer | null): Promise<ScenarioReport> {
  server?.stop();
  const run = await ChaosRun.start(context, {
    models: ({ goodUrl }) => [{ name: 'priced', base: goodUrl, params: PRICES }],
    // What has been caught up with stays, so that it can be compared.
    slipstream: ['journal: { keep: 86400, max_bytes: 8000000000 }'],
    env: server === null ? {} : { DATABASE_URL: server.url },
  });
  const count = context.seconds * EVENTS_PER_SECOND_OF_RUN;
  const day = new DayOfJournal(join(run.gateway.dataDirectory, 'journal'));
  let tookMs = 0;
  await run.underLoad(
    { qps: QPS, clients: 32, plan: (number) => ({ model: 'priced', stream: number % 3 === 0 }) },
    async () => {
      await day.write(count);
      context.note(`${count} events of a day are in the journal`);
      const fromMs = performance.now();
      server?.start();
      await sleep(1000 + context.random() * 5000);
      await killControl(run);
      await sleep(1000 + context.random() * 5000);
      server?.stop();
      await sleep(server === null ? 0 : 1000);
      server?.start();
      await run.until(async () => (await requestsInDatabase(run)) >= count, 'the day is in the database', PATIENCE_MS);
      tookMs = performance.now() - fromMs;
    },
  );
  const failed = run.outcomes.filter(({ ending, status }) => ending !== 'complete' || status !== 200);
  run.expect(failed.length === 0, `${failed.length} requests noticed, the first: ${JSON.stringify(failed[0])}`);
  const lastMs = performance.now();
  await run.until(
    async () => (await requestsInDatabase(run)) >= count + run.outcomes.length,
    'so is what came meanwhile',
  );
  day.remove();
  const report = await run.finish({
    dayEvents: count,
    caughtUpSeconds: Math.round(tookMs / 1000),
    eventsPerSecond: Math.round((count / tookMs) * 1000),
    lastSeconds: Math.round((performance.now() - lastMs) / 1000),
  });
  run.expect(!run.gateway.output().includes('in the database already'), 'events were taken that were there already');
  const violations = await compareWithDatabase(run.gateway.dataDirectory, server, day.sums);
  return { facts: report.facts, violations: [...new Set([...report.violations, ...run.violations, ...violations])] };
}

class DayOfJournal {
  readonly sums: Sums = new Map();
  readonly #directory: string;
  readonly #paths = new Set<string>();

  constructor(directory: string) {
    this.#directory = directory;
  }

  async write(count: number): Promise<void> {
    const events = new UsageEvents(count, Date.now(), 1);
    for (let done = 0; done < count; done += WRITE_AT_ONCE) {
      const part = [...events.take(Math.min(WRITE_AT_ONCE, count - done))];
      for (const event of part) addTo(this.sums, event);
      const place = Math.floor(done / SEGMENT_EVENTS) + 1;
      const path = join(this.#directory, `${WRITER}-${String(place).padStart(6, '0')}.ndjson`);
      appendFileSync(path, linesOf(part));
      this.#paths.add(path);
      await sleep(0);
    }
  }

  remove(): void {
    for (const path of this.#paths) rmSync(path);
  }
}

function addTo(sums: Sums, event: UsageEvent): void {
  const sum = sums.get(event.key) ?? { requests: 0, nano: 0n };
  sum.requests += 1;
  sum.nano += BigInt(spentNano(event) ?? 0);
  sums.set(event.key, sum);
}

/** As the gateway says; 0 while it can't. */
async function requestsInDatabase(run: ChaosRun): Promise<number> {
  await sleep(500);
  const { status, text } = await run.admin('/global/activity');
  return status === 200 ? (JSON.parse(text) as { sum_api_requests: number }).sum_api_requests : 0;
}

/** @param day is added to: by what is in the journal now. @returns what is not as it must be. */
async function compareWithDatabase(directory: string, server: PostgresServer | null, day: Sums): Promise<string[]> {
  const { events } = readJournalDirectory(join(directory, 'journal'));
  for (const event of events) addTo(day, event);
  const store = await openStore({ dataDirectory: directory, databaseUrl: server?.url ?? null });
  try {
    await ingestRest(store, directory);
    return [
      ...differences('usage_events', day, await eventSums(store)),
      ...differences('usage_daily', day, await dailySums(store)),
    ];
  } finally {
    await store.close();
  }
}

interface KeySum {
  readonly key: string;
  readonly requests: Amount;
  readonly nano: Amount;
}

/** As the database's driver gives what a query has added up. */
type Amount = number | bigint | string;

async function eventSums({ db }: Store): Promise<KeySum[]> {
  return db
    .selectFrom('usage_events')
    .groupBy('api_key')
    .select(({ fn }) => [
      'api_key as key',
      fn.countAll<Amount>().as('requests'),
      fn.sum<Amount>('spend_nano').as('nano'),
    ])
    .execute();
}

async function dailySums({ db }: Store): Promise<KeySum[]> {
  return db
    .selectFrom('usage_daily')
    .where('kind', '=', 'key')
    .groupBy('name')
    .select(({ fn }) => [
      'name as key',
      fn.sum<Amount>('requests').as('requests'),
      fn.sum<Amount>('spend_nano').as('nano'),
    ])
    .execute();
}

function differences(table: string, expected: Sums, found: readonly KeySum[]): string[] {
  const wrong = found.filter(({ key, requests, nano }) => {
    const sum = expected.get(key);
    return sum === undefined || sum.requests !== Number(requests) || sum.nano !== BigInt(nano);
  });
  const violations = wrong.slice(0, 3).map(({ key, requests, nano }) => {
    const sum = expected.get(key);
    return `${table}: ${requests} requests, ${nano} of a key, expected ${sum?.requests ?? 0}, ${sum?.nano ?? 0n}`;
  });
  if (found.length !== expected.size) violations.push(`${table}: ${found.length} keys of ${expected.size}`);
  return violations;
}
