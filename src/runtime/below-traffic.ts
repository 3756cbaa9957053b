import { constants, setPriority } from 'node:os';

/**
 * What runs here, or in process `pid`, gives way to requests where CPUs are few: a batch of usage that is ingested for 30 ms
 * must not hold up an answer. Linux counts this per thread; threads made later inherit it.
 *
 * @param pid a process that has just been spawned; left out: the calling thread.
 */
export function runBelowTraffic(pid = 0): void {
  try {
    setPriority(pid, constants.priority.PRIORITY_BELOW_NORMAL);
  } catch {
    // It has ended already, or the system forbids it: then it competes with requests, which is all that is lost.
  }
}
