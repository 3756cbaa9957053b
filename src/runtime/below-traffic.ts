import { constants, setPriority } from 'node:os';

/**
 * The calling thread gives way to requests where CPUs are few: a batch of usage that is ingested for 30 ms must not hold up
 * an answer. Linux counts this per thread.
 */
export function runBelowTraffic(): void {
  try {
    setPriority(0, constants.priority.PRIORITY_BELOW_NORMAL);
  } catch {
    // The system forbids it: then it competes with requests, which is all that is lost.
  }
}
