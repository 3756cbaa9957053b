import { readFileSync } from 'node:fs';

/**
 * For how long the first thread of a process, where its event loop turns, could have run in its life and others had the
 * CPUs, ms. 0 where the system does not tell (no Linux), or the process is gone.
 */
export function cpuWaitMs(pid: number): number {
  try {
    // Nanoseconds: on a CPU, waiting for one; then how often (Documentation/scheduler/sched-stats.rst).
    const [, waitedNs] = readFileSync(`/proc/${pid}/schedstat`, 'latin1').split(' ');
    return Number(waitedNs) / 1e6 || 0;
  } catch {
    return 0;
  }
}
