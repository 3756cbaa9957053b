import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { sql } from 'kysely';
import { UsageError } from '../src/cli/command-line.ts';
import { processTree, readCpuSeconds } from '../src/cli/bench/process-stats.ts';
import type { Store } from '../src/control/store/store.ts';
import type { StoreEngine } from '../src/control/store/store-engine.ts';

/** `sqlite,postgres` */
export function engines(names: string): StoreEngine[] {
  return names.split(',').map((name) => {
    if (name !== 'sqlite' && name !== 'postgres')
      throw new UsageError('--engine is sqlite, postgres, or both with a comma');
    return name;
  });
}

export interface CpuUse {
  /** µs of this process, all threads. */
  readonly gatewayUs: number;
  /** µs of PostgreSQL, all its processes, in steps of 10 ms. */
  readonly serverUs: number;
}

/** @param serverPid of PostgreSQL; null without one. */
export function readCpu(serverPid: number | null): CpuUse {
  const { user, system } = process.cpuUsage();
  let serverUs = 0;
  if (serverPid !== null) {
    for (const { pid } of processTree(serverPid)) serverUs += (readCpuSeconds(pid) ?? 0) * 1e6;
  }
  return { gatewayUs: user + system, serverUs };
}

/** The process of a PostgreSQL server on this machine; null for SQLite. */
export async function serverPid({ engine, db }: Store): Promise<number | null> {
  if (engine === 'sqlite') return null;
  const { rows } = await sql<{ data_directory: string }>`show data_directory`.execute(db);
  return Number(readFileSync(join(rows[0]?.data_directory ?? '', 'postmaster.pid'), 'utf8').split('\n', 1)[0]);
}

export function print(text: string): void {
  process.stdout.write(`${text}\n`);
}
