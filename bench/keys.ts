// npm run bench:keys [-- --keys 100000,1000000 --resident 100000 --cold 500]
// Keys of the store: what memory they take in the sidecar, idle and after --cold of them were used, and how long the
// first use of a key takes that the sidecar does not hold. Rows are written straight into SQLite.
import { createHash } from 'node:crypto';
import { readFileSync, writeFileSync } from 'node:fs';
import { Agent, request } from 'node:http';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { GatewayInstallation } from '../src/cli/bench/bench-processes.ts';
import { BenchError } from '../src/cli/bench/child-process.ts';
import type { Cleanup } from '../src/cli/bench/cleanup.ts';
import { processTree, readMemory } from '../src/cli/bench/process-stats.ts';
import { quantile } from '../src/cli/bench/statistics.ts';
import { openStore } from '../src/control/store/open-store.ts';
import { runScript, takeNumbers } from './bench-script.ts';

const ROWS_PER_INSERT = 1000;
const SETTLE_MS = 3000;
const START_TIMEOUT_MS = 120_000;
/** Nobody is asked: models are listed by the gateway itself. */
const MOCK_PORT = 9;
/** Those with the lowest hashes are resident. */
const COLD_FROM = 'f0';
const MEGABYTE = 1024 * 1024;

await runScript('bench:keys', keys);

async function keys(argv: readonly string[], cleanup: Cleanup): Promise<number> {
  const { numbers: counts, rest } = takeNumbers(argv, '--keys', [100_000, 1_000_000]);
  const { numbers: resident, rest: others } = takeNumbers(rest, '--resident', [100_000]);
  const { numbers: cold } = takeNumbers(others, '--cold', [500]);
  process.stdout.write('     keys   sidecar MB idle   after cold keys   cold p50 ms   p95 ms   again p50 ms\n');
  for (const count of counts) await measure(count, resident[0] ?? 0, cold[0] ?? 0, cleanup);
  return 0;
}

async function measure(count: number, resident: number, cold: number, cleanup: Cleanup): Promise<void> {
  const options = { mockPort: MOCK_PORT, isTls: false, threads: 1, withSidecar: true, cpus: null, keyCount: 1 };
  const installation = await GatewayInstallation.create(options, cleanup);
  const configPath = join(installation.directory, 'config.yaml');
  const setting = `slipstream:\n  max_resident_keys: ${resident}\n`;
  writeFileSync(configPath, readFileSync(configPath, 'utf8').replace('slipstream:\n', setting));
  await writeKeys(join(installation.directory, 'data'), count);
  const { child, port } = await installation.start(cleanup);
  const used = coldKeys(count, cold);
  const agent = new Agent({ keepAlive: true, maxSockets: 1 });
  const startedAtMs = performance.now();
  // Until the keys have been read: one that is not measured, until it is known.
  const first = used.pop() ?? '';
  while ((await listModels(port, first, agent)).status !== 200) {
    if (performance.now() - startedAtMs > START_TIMEOUT_MS) throw new BenchError('the keys are not there');
    await sleep(100);
  }
  await sleep(SETTLE_MS);
  const idleMb = sidecarMb(child.pid);
  const firstMs: number[] = [];
  const againMs: number[] = [];
  for (const times of [firstMs, againMs]) {
    for (const key of used) {
      const { status, tookMs } = await listModels(port, key, agent);
      if (status !== 200) throw new BenchError(`a key was answered ${status}`);
      times.push(tookMs);
    }
  }
  const usedMb = sidecarMb(child.pid);
  agent.destroy();
  await child.stop();
  const columns = [idleMb, usedMb, quantile(firstMs, 0.5), quantile(firstMs, 0.95), quantile(againMs, 0.5)];
  const widths = [18, 18, 14, 9, 15];
  const texts = columns.map((value, index) => value.toFixed(2).padStart(widths[index] ?? 0));
  process.stdout.write(`${String(count).padStart(9)}${texts.join('')}\n`);
}

function keyOf(index: number): string {
  return `sk-bench-${String(index).padStart(10, '0')}`;
}

function hashOf(key: string): string {
  return createHash('sha256').update(key).digest('hex');
}

function coldKeys(count: number, wanted: number): string[] {
  const found: string[] = [];
  for (let index = 0; index < count && found.length <= wanted; index += 1) {
    if (hashOf(keyOf(index)) >= COLD_FROM) found.push(keyOf(index));
  }
  return found;
}

async function writeKeys(dataDirectory: string, count: number): Promise<void> {
  const store = await openStore({ dataDirectory, databaseUrl: null });
  const nowMs = Date.now();
  for (let start = 0; start < count; start += ROWS_PER_INSERT) {
    const size = Math.min(ROWS_PER_INSERT, count - start);
    const rows = Array.from({ length: size }, (_, offset) => ({
      hash: hashOf(keyOf(start + offset)),
      key_alias: `key-${start + offset}`,
      rpm_limit: 1000,
      created_at_ms: nowMs,
      updated_at_ms: nowMs,
    }));
    // What is left out has a default in the table.
    const columns = rows as unknown as Parameters<ReturnType<typeof store.db.insertInto<'keys'>>['values']>[0];
    await store.db.insertInto('keys').values(columns).execute();
  }
  await store.close();
}

function sidecarMb(pid: number): number {
  const found = processTree(pid).find(({ command }) => / sidecar /.test(`${command} `));
  return (found === undefined ? 0 : (readMemory(found.pid)?.rssBytes ?? 0)) / MEGABYTE;
}

function listModels(port: number, key: string, agent: Agent): Promise<{ status: number; tookMs: number }> {
  const { promise, resolve, reject } = Promise.withResolvers<{ status: number; tookMs: number }>();
  const startedAtMs = performance.now();
  const headers = { authorization: `Bearer ${key}` };
  const outgoing = request({ port, host: '127.0.0.1', path: '/v1/models', headers, agent }, (answer) => {
    answer.resume();
    answer.on('end', () => resolve({ status: answer.statusCode ?? 0, tookMs: performance.now() - startedAtMs }));
  });
  outgoing.on('error', reject);
  outgoing.end();
  return promise;
}
