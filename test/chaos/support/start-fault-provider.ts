import { closeSync, mkdtempSync, openSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { BenchChild } from '../../../src/cli/bench/child-process.ts';
import type { Cleanup } from '../../../src/cli/bench/cleanup.ts';
import type { FaultName } from './faults.ts';

const PROCESS = fileURLToPath(new URL('./fault-provider-process.ts', import.meta.url));
const START_TIMEOUT_MS = 20_000;

export interface FaultProvider {
  /** One JSON line for each request, with its nonce. */
  readonly logPath: string;
  readonly pid: number;
  /** `api_base` of a provider that does just this. */
  url(fault: FaultName): string;
}

export async function startFaultProvider(cleanup: Cleanup): Promise<FaultProvider> {
  const directory = mkdtempSync(join(tmpdir(), 'slipstream-faults-'));
  cleanup.add(() => rmSync(directory, { recursive: true, force: true }));
  const logPath = join(directory, 'faults.ndjson');
  closeSync(openSync(logPath, 'a'));
  const child = new BenchChild('fault provider', [process.execPath, PROCESS, logPath], { cpus: null, ipc: true });
  cleanup.add(() => child.stop());
  let port = 0;
  await child.waitUntil(() => {
    port = Number(/listening on http:\/\/[^\s]*:(\d+)$/m.exec(child.output)?.[1] ?? 0);
    return port > 0;
  }, START_TIMEOUT_MS);
  return { logPath, pid: child.pid, url: (fault) => `http://127.0.0.1:${port}/${fault}/v1` };
}
