// npm run bench:ingest [-- --engine sqlite,postgres --rows 1000000 --events 200000 --directory DIR]
// How fast the journal is brought into tables that hold --rows events already, with all their indexes, and what CPU that
// takes. Each line is one segment of 20,000 events; the verdict is of them all.
import { parseArgs } from 'node:util';
import type { Cleanup } from '../src/cli/bench/cleanup.ts';
import type { StoreEngine } from '../src/control/store/store-engine.ts';
import { runScript } from './bench-script.ts';
import { engines, print, readCpu, serverPid } from './usage-bench.ts';
import { UsageDatabase, UsageEvents } from './usage-data.ts';

const SEGMENT = 20_000;

await runScript('bench:ingest', ingest);

async function ingest(argv: readonly string[], cleanup: Cleanup): Promise<number> {
  const { values } = parseArgs({
    args: [...argv],
    options: {
      engine: { type: 'string', default: 'sqlite,postgres' },
      rows: { type: 'string', default: '1000000' },
      events: { type: 'string', default: '200000' },
      directory: { type: 'string' },
    },
  });
  for (const engine of engines(values.engine)) {
    const database = await UsageDatabase.open(engine, values.directory ?? null, cleanup);
    await measure(database, engine, Number(values.rows), Number(values.events));
  }
  return 0;
}

async function measure(database: UsageDatabase, engine: StoreEngine, rows: number, count: number): Promise<void> {
  const nowMs = Date.now();
  const events = new UsageEvents(rows, nowMs);
  await database.preload(events, rows, (done) => {
    if (done % 500_000 === 0) print(`${engine}: ${done} rows`);
  });
  const pid = await serverPid(database.store);
  let wallMs = 0;
  const cpu = { gateway: 0, server: 0 };
  for (let done = 0; done < count; done += SEGMENT) {
    database.write(events.take(SEGMENT));
    const before = readCpu(pid);
    const startedMs = performance.now();
    await database.ingest();
    const tookMs = performance.now() - startedMs;
    const after = readCpu(pid);
    wallMs += tookMs;
    cpu.gateway += after.gatewayUs - before.gatewayUs;
    cpu.server += after.serverUs - before.serverUs;
    print(`${engine}: ${Math.round((SEGMENT / tookMs) * 1000)} events/s`);
  }
  const each = (us: number): string => `${(us / count).toFixed(1)} µs`;
  print(
    `${engine}: ${Math.round((count / wallMs) * 1000)} events/s into ${rows} rows; CPU per event: ${each(cpu.gateway)}` +
      (engine === 'postgres' ? `, of the server ${each(cpu.server)}` : ''),
  );
}
