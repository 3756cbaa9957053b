import { readFileSync } from 'node:fs';

/**
 * How long the main thread of a process has been ready to run and was given no CPU, in ms since it began; null where the
 * system does not tell (proc(5), `/proc/<pid>/schedstat`, second number, ns) or the process is gone.
 */
export function runQueueWaitMs(pid: number): number | null {
  try {
    const waitedNs = Number(readFileSync(`/proc/${pid}/schedstat`, 'latin1').split(' ')[1]);
    return Number.isFinite(waitedNs) ? waitedNs / 1e6 : null;
  } catch {
    return null;
  }
}
