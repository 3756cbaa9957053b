import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { BenchChild } from '../../../src/cli/bench/child-process.ts';
import { abortedEvent } from '../../../src/contract/journal-reader.ts';
import { spentNano, type UsageEvent } from '../../../src/contract/usage-event.ts';
import { UsageIngester } from '../../../src/control/ingest/usage-ingester.ts';
import { openStore } from '../../../src/control/store/open-store.ts';
import type { Store } from '../../../src/control/store/store.ts';
import { createLogger } from '../../../src/runtime/logger.ts';
import { childNamed } from '../../support/child-processes.ts';
import { ChaosRun } from './chaos-run.ts';
import { readJournalDirectory } from './journal-lines.ts';
import type { ChaosContext, ScenarioReport } from './scenario.ts';

const SECOND_INGESTER = fileURLToPath(new URL('./ingester-process.ts', import.meta.url));
const QPS = 2000;
const KILLS = 4;
/** Shorter than what the supervisor takes for a hang: the same process goes on. */
const STOP_MS = 700;
const START_TIMEOUT_MS = 20_000;
/** Of no round sum, so that a rounding shows. */
export const PRICES = 'input_cost_per_token: 1.2345e-6, output_cost_per_token: 9.87654e-6';

/**
 * Load, while the control plane is killed and stopped at random moments and a second ingester, stopped and resumed at
 * others, works on the same journal and database. In the end rows are events, one each, and what they cost is exact.
 *
 * @param databaseUrl null: SQLite.
 */
export async function runIngestion(context: ChaosContext, databaseUrl: string | null): Promise<ScenarioReport> {
  const env: Record<string, string> = databaseUrl === null ? {} : { DATABASE_URL: databaseUrl };
  const run = await ChaosRun.start(context, {
    models: ({ goodUrl }) => [{ name: 'priced', base: goodUrl, params: PRICES }],
    // Many segments, many of them finished.
    slipstream: ['journal: { max_segment_bytes: 100000, keep: 86400, open_after: 0.005 }'],
    env,
  });
  const second = new BenchChild('second ingester', [process.execPath, SECOND_INGESTER, run.gateway.dataDirectory], {
    cpus: null,
    ipc: true,
    env,
  });
  context.cleanup.add(() => second.stop());
  await second.waitUntil(() => second.output.includes('ingesting'), START_TIMEOUT_MS);
  let kills = 0;
  await run.underLoad(
    { qps: QPS, clients: 64, plan: (number) => ({ model: 'priced', stream: number % 3 === 0 }) },
    async () => {
      for (let i = 0; i < KILLS; i += 1) {
        process.kill(second.pid, 'SIGSTOP');
        await run.pause((context.seconds * 400) / KILLS);
        await killControl(run);
        kills += 1;
        process.kill(second.pid, 'SIGCONT');
        await run.pause((context.seconds * 400) / KILLS);
        const control = run.childPid('control');
        process.kill(control, 'SIGSTOP');
        await sleep(STOP_MS);
        process.kill(control, 'SIGCONT');
      }
      await run.wait(0.2);
    },
  );
  const report = await run.finish({ kills });
  await second.stop();
  const [, tookBySecond = '0', twice = '?'] = /took (\d+) events, (\d+) twice/.exec(second.output) ?? [];
  run.expect(twice === '0', `the second ingester took ${twice} events that were there already`);
  // The key of the table would keep them out; the position must have done so before.
  run.expect(!run.gateway.output().includes('in the database already'), 'events were taken that were there already');
  const verdict = await compareDatabase(run.gateway.dataDirectory, databaseUrl);
  return {
    facts: { ...report.facts, ...verdict.facts, tookBySecond: Number(tookBySecond) },
    violations: [...new Set([...report.violations, ...run.violations, ...verdict.violations])],
  };
}

export async function killControl(run: ChaosRun): Promise<void> {
  const control = run.childPid('control');
  process.kill(control, 'SIGKILL');
  await run.until(() => {
    const now = childNamed(run.supervisorPid(), 'control');
    return now !== null && now !== control;
  }, 'there is a new control plane');
}

/** Everything has ended: what is left is ingested, and then all of it is compared with the journal. */
export async function compareDatabase(
  dataDirectory: string,
  databaseUrl: string | null,
): Promise<{ facts: ScenarioReport['facts']; violations: string[] }> {
  const store = await openStore({ dataDirectory, databaseUrl });
  try {
    const duplicates = await ingestRest(store, dataDirectory);
    return await compareRows(store, eventsOf(join(dataDirectory, 'journal')), duplicates);
  } finally {
    await store.close();
  }
}

/** What the gateway had not come to when it ended. @returns how many events were there already. */
export async function ingestRest(store: Store, dataDirectory: string): Promise<number> {
  const ingester = new UsageIngester({
    dataDirectory,
    usage: () => store.usage,
    settings: () => ({ keepEventsMs: null, keepSegmentsMs: 86_400_000, prices: {} }),
    logger: createLogger({ level: 'warn', format: 'json', name: 'chaos' }),
  });
  await ingester.pass();
  return ingester.status().duplicates;
}

function eventsOf(journal: string): Map<string, UsageEvent> {
  const { events, opens } = readJournalDirectory(journal);
  const byId = new Map(opens.map((open) => [open.open, abortedEvent(open)]));
  for (const event of events) byId.set(event.id, event);
  return byId;
}

async function compareRows(
  store: Store,
  events: ReadonlyMap<string, UsageEvent>,
  duplicates: number,
): Promise<{ facts: ScenarioReport['facts']; violations: string[] }> {
  const violations: string[] = [];
  const rows = await store.db.selectFrom('usage_events').select(['id', 'spend_nano']).execute();
  const wrong = rows.filter(({ id, spend_nano: nano }) => {
    const event = events.get(id);
    return event === undefined || BigInt(spentNano(event) ?? 0) !== nano;
  });
  const spend = [...events.values()].reduce((sum, event) => sum + BigInt(spentNano(event) ?? 0), 0n);
  const say = (isTrue: boolean, text: string): void => {
    if (!isTrue) violations.push(text);
  };
  say(rows.length === events.size, `${rows.length} rows of ${events.size} events`);
  say(wrong.length === 0, `${wrong.length} rows are not what their event says`);
  say(spend > 0n, 'nothing was spent');
  say(duplicates === 0, `${duplicates} events came twice`);
  for (const [name, requests, nano] of await sums(store)) {
    say(requests === events.size, `${requests} requests in ${name}, ${events.size} in the journal`);
    say(nano === spend, `${nano} nano-dollars in ${name}, ${spend} in the journal`);
  }
  const open = await store.db.selectFrom('usage_open').select('id').execute();
  say(open.length === 0, `${open.length} requests are still open`);
  return { facts: { rows: rows.length, spendNano: String(spend) }, violations };
}

async function sums(store: Store): Promise<(readonly [string, number, bigint])[]> {
  const { db } = store;
  const found: (readonly [string, number, bigint])[] = [];
  for (const [name, query] of [
    ['the days', db.selectFrom('usage_daily').where('kind', '=', 'total')],
    ['the keys of the days', db.selectFrom('usage_daily').where('kind', '=', 'key')],
    ['the models of the days', db.selectFrom('usage_daily').where('kind', '=', 'model')],
    ['the details', db.selectFrom('usage_detail')],
    ['the totals', db.selectFrom('usage_totals').where('kind', '=', 'key')],
  ] as const) {
    const rows = await (query as typeof query & ReturnType<typeof db.selectFrom<'usage_detail'>>)
      .select(['requests', 'spend_nano'])
      .execute();
    found.push([
      name,
      rows.reduce((sum, row) => sum + row.requests, 0),
      rows.reduce((sum, row) => sum + row.spend_nano, 0n),
    ]);
  }
  return found;
}
