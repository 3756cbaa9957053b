// npm run bench:ingest [-- --engine sqlite,postgres --rows 1000000 --events 400000 --append N --directory DIR]
// How fast the journal is brought into tables that hold --rows events already, with all their indexes, and what CPU that
// takes. Each line is one segment of 50,000 events, 40 MB; the verdict is of them all. With --append: of N events at a time
// in one segment that goes on, which is what N requests a second leave; then ingestion takes its time.
import { parseArgs } from 'node:util';
import type { Cleanup } from '../src/cli/bench/cleanup.ts';
import type { StoreEngine } from '../src/control/store/store-engine.ts';
import { runScript } from './bench-script.ts';
import { engines, print, readCpu, serverPid } from './usage-bench.ts';
import { UsageDatabase, UsageEvents } from './usage-data.ts';

const SEGMENT = 50_000;

await runScript('bench:ingest', ingest);

async function ingest(argv: readonly string[], cleanup: Cleanup): Promise<number> {
  const { values } = parseArgs({
    args: [...argv],
    options: {
      engine: { type: 'string', default: 'sqlite,postgres' },
      rows: { type: 'string', default: '1000000' },
      events: { type: 'string', default: '400000' },
      append: { type: 'string', default: '0' },
      directory: { type: 'string' },
    },
  });
  for (const engine of engines(values.engine)) {
    const database = await UsageDatabase.open(engine, values.directory ?? null, cleanup);
    const amounts = { rows: Number(values.rows), count: Number(values.events), append: Number(values.append) };
    await measure(database, engine, amounts);
  }
  return 0;
}

interface Amounts {
  readonly rows: number;
  readonly count: number;
  /** 0: whole segments. */
  readonly append: number;
}

async function measure(database: UsageDatabase, engine: StoreEngine, { rows, count, append }: Amounts): Promise<void> {
  const nowMs = Date.now();
  const events = new UsageEvents(rows, nowMs);
  await database.preload(events, rows, (done) => {
    if (done % 500_000 === 0) print(`${engine}: ${done} rows`);
  });
  const pid = await serverPid(database.store);
  let wallMs = 0;
  const cpu = { gateway: 0, server: 0 };
  const batch = append > 0 ? append : SEGMENT;
  for (let done = 0; done < count; done += batch) {
    if (append > 0) database.append(events.take(batch));
    else database.write(events.take(batch));
    const before = readCpu(pid);
    const startedMs = performance.now();
    await database.ingest();
    const tookMs = performance.now() - startedMs;
    const after = readCpu(pid);
    wallMs += tookMs;
    cpu.gateway += after.gatewayUs - before.gatewayUs;
    cpu.server += after.serverUs - before.serverUs;
    if (append === 0) print(`${engine}: ${Math.round((batch / tookMs) * 1000)} events/s`);
  }
  const each = (us: number): string => `${(us / count).toFixed(1)} µs`;
  print(
    `${engine}: ${Math.round((count / wallMs) * 1000)} events/s into ${rows} rows; CPU per event: ${each(cpu.gateway)}` +
      (engine === 'postgres' ? `, of the server ${each(cpu.server)}` : ''),
  );
}
