import { readdirSync } from 'node:fs';
import { constants, setPriority } from 'node:os';

/**
 * The calling thread gives way to requests where CPUs are few: a batch of usage that is ingested for 30 ms must not hold up
 * an answer. Linux counts this per thread; threads made later inherit it.
 */
export function runBelowTraffic(): void {
  giveWay(0);
}

/** The same for all threads that a process has; what they make later inherits it. */
export function runProcessBelowTraffic(pid: number): void {
  for (const thread of threadsOf(pid)) giveWay(thread);
}

function giveWay(thread: number): void {
  try {
    setPriority(thread, constants.priority.PRIORITY_BELOW_NORMAL);
  } catch {
    // It has ended already, or the system forbids it: then it competes with requests, which is all that is lost.
  }
}

function threadsOf(pid: number): readonly number[] {
  try {
    return readdirSync(`/proc/${pid}/task`).map(Number);
  } catch {
    return [pid]; // no /proc, where priority is the process's
  }
}
