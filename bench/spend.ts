// npm run bench:spend [-- --engine sqlite,postgres --rows 5000000 --runs 50 --rate 1000 --directory DIR]
// How long each endpoint about spend takes with --rows events of 90 days in the tables while --rate events a second are
// being ingested: from the call to the text of its reply, without HTTP.
import { parseArgs } from 'node:util';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Cleanup } from '../src/cli/bench/cleanup.ts';
import { quantile } from '../src/cli/bench/statistics.ts';
import type { AdminServices } from '../src/control/admin/admin-services.ts';
import { SPEND_ENDPOINTS } from '../src/control/admin/spend/spend-endpoints.ts';
import { DEFAULT_BUDGET_SETTINGS } from '../src/contract/snapshot.ts';
import { runScript } from './bench-script.ts';
import { engines, print } from './usage-bench.ts';
import { DAYS, keyHash, UsageDatabase, UsageEvents } from './usage-data.ts';

const DAY_MS = 86_400_000;
const WARM_UP = 3;
/** Of the p95 of each. */
const LIMIT_MS = 200;
const INGEST_EVERY_MS = 500;

await runScript('bench:spend', spend);

async function spend(argv: readonly string[], cleanup: Cleanup): Promise<number> {
  const { values } = parseArgs({
    args: [...argv],
    options: {
      engine: { type: 'string', default: 'sqlite,postgres' },
      rows: { type: 'string', default: '5000000' },
      runs: { type: 'string', default: '50' },
      rate: { type: 'string', default: '1000' },
      directory: { type: 'string' },
    },
  });
  const rows = Number(values.rows);
  let isFast = true;
  for (const engine of engines(values.engine)) {
    const database = await UsageDatabase.open(engine, values.directory ?? null, cleanup);
    const nowMs = Date.now();
    const events = new UsageEvents(rows, nowMs);
    const startedMs = performance.now();
    let told = 0;
    await database.fill(rows, nowMs, (done) => {
      if (done < told + 500_000) return;
      told = done;
      print(`${engine}: ${done} rows`);
    });
    print(`${engine}: ${rows} rows made in ${Math.round((performance.now() - startedMs) / 1000)} s`);
    const stop = new AbortController();
    const ingesting = keepIngesting(database, events, Number(values.rate), stop.signal);
    print(`${engine}, ${rows} rows, ${values.rate} events/s: ms over ${values.runs} runs`);
    print(`${'p50'.padStart(9)}${'p95'.padStart(9)}${'KB'.padStart(9)}  request`);
    let slowestMs = 0;
    const measuredMs = performance.now();
    for (const url of requests(nowMs))
      slowestMs = Math.max(slowestMs, await measure(database, url, Number(values.runs)));
    const seconds = (performance.now() - measuredMs) / 1000;
    stop.abort();
    const perSecond = Math.round((await ingesting) / seconds);
    isFast &&= slowestMs < LIMIT_MS;
    print(
      `${engine}: slowest p95 ${slowestMs.toFixed(1)} ms (limit ${LIMIT_MS}); ${perSecond} events/s came in meanwhile`,
    );
  }
  return isFast ? 0 : 1;
}

/** Over 30 days, as LiteLLM's page has it by default, and over all of them. */
function requests(nowMs: number): string[] {
  const day = (ago: number): string => new Date(nowMs - ago * DAY_MS).toISOString().slice(0, 10);
  const month = `start_date=${day(30)}&end_date=${day(0)}`;
  const all = `start_date=${day(DAYS)}&end_date=${day(0)}`;
  const [most, least] = [keyHash(0), keyHash(800)];
  return [
    '/spend/logs',
    `/spend/logs?api_key=${most}`,
    `/spend/logs?api_key=${least}`,
    '/spend/logs?user_id=user-7',
    `/spend/logs?${month}`,
    `/spend/logs?${all}`,
    `/spend/logs?${all}&api_key=${most}`,
    `/spend/logs?${month}&summarize=false&page_size=1000`,
    '/global/spend',
    '/global/spend/logs',
    `/global/spend/logs?${all}&api_key=${most}`,
    '/global/spend/keys',
    `/global/spend/keys?${all}&limit=1000`,
    '/global/spend/teams',
    `/global/spend/teams?${all}`,
    '/global/spend/models',
    `/global/spend/models?${all}`,
    '/global/spend/provider',
    '/global/spend/tags',
    '/global/spend/all_tag_names',
    '/spend/tags',
    '/global/activity',
    '/global/activity/model',
    `/user/daily/activity?${month}`,
    `/user/daily/activity?${month}&page_size=1000`,
    `/user/daily/activity?${all}&page_size=1000&page=100`,
    `/user/daily/activity?${all}&page_size=1000&api_key=${most}`,
    `/user/daily/activity?${month}&page_size=1000&user_id=user-7`,
  ];
}

/** @returns p95, ms. */
async function measure({ store }: UsageDatabase, url: string, runs: number): Promise<number> {
  const { pathname, searchParams } = new URL(url, 'http://gateway');
  const found = SPEND_ENDPOINTS.find(({ paths }) => paths.includes(pathname));
  if (found === undefined) throw new Error(`no endpoint ${pathname}`);
  const state = { declared: { keys: [] }, budgets: DEFAULT_BUDGET_SETTINGS };
  const services = { now: () => Date.now(), store: () => store, state: () => state };
  const query = found.query?.parse(Object.fromEntries(searchParams)) ?? {};
  const call = { caller: { role: 'admin' }, params: {}, query, body: {}, changedBy: null };
  const took: number[] = [];
  let bytes = 0;
  for (let run = -WARM_UP; run < runs; run += 1) {
    const startedMs = performance.now();
    const reply = await found.handle(
      call as unknown as Parameters<typeof found.handle>[0],
      services as unknown as AdminServices,
    );
    bytes = JSON.stringify(found.reply.parse(reply)).length;
    if (run >= 0) took.push(performance.now() - startedMs);
  }
  const p95 = quantile(took, 0.95);
  const shown = [quantile(took, 0.5), p95, bytes / 1000].map((value) => value.toFixed(1).padStart(9));
  print(`${shown.join('')}  ${url.replaceAll(/[0-9a-f]{64}/g, (hash) => `${hash.slice(0, 8)}…`)}`);
  return p95;
}

/** @returns how many came in. */
async function keepIngesting(
  database: UsageDatabase,
  events: UsageEvents,
  rate: number,
  signal: AbortSignal,
): Promise<number> {
  let ingested = 0;
  while (!signal.aborted) {
    const startedMs = performance.now();
    events.jumpTo(Date.now());
    const count = Math.round((rate * INGEST_EVERY_MS) / 1000);
    database.write(events.take(count));
    await database.ingest();
    ingested += count;
    await sleep(Math.max(0, INGEST_EVERY_MS - (performance.now() - startedMs)));
  }
  return ingested;
}
