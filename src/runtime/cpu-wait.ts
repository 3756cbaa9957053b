import { readFileSync } from 'node:fs';

/** What the kernel has counted for the main thread of a process, in ms. */
interface Counted {
  readonly ranMs: number;
  readonly waitedMs: number;
  /** It runs or waits for a CPU; false: it waits for something else, or is stopped. */
  readonly isRunnable: boolean;
}

/**
 * How much of the time a process had what CPU it wanted. One that waits for a CPU does not hang, however long it says
 * nothing: it has not been there. Linux; elsewhere the answer is always 1.
 */
export class CpuWait {
  readonly #pid: number;
  #last: Counted | null;
  #lastMs: number;

  constructor(pid: number, nowMs: number) {
    this.#pid = pid;
    this.#last = read(pid);
    this.#lastMs = nowMs;
  }

  /** @returns share of the time since the last call that it did not wait for a CPU, 0 to 1. */
  shareNotWaiting(nowMs: number): number {
    const now = read(this.#pid);
    const last = this.#last;
    const elapsedMs = nowMs - this.#lastMs;
    this.#last = now;
    this.#lastMs = nowMs;
    if (now === null || last === null || elapsedMs <= 0) return 1;
    // The kernel counts a wait when it is over. One that goes on is what a runnable thread did not run.
    const goingOnMs = now.isRunnable ? elapsedMs - (now.ranMs - last.ranMs) : 0;
    const waitedMs = Math.max(now.waitedMs - last.waitedMs, goingOnMs);
    return Math.min(1, Math.max(0, 1 - waitedMs / elapsedMs));
  }
}

/** /proc/PID/schedstat: ns on a CPU, ns waiting for one, number of slices. /proc/PID/stat: `PID (name) STATE …`. */
function read(pid: number): Counted | null {
  try {
    const [ranNs, waitedNs] = readFileSync(`/proc/${pid}/schedstat`, 'latin1').split(' ').map(Number);
    const stat = readFileSync(`/proc/${pid}/stat`, 'latin1');
    if (ranNs === undefined || waitedNs === undefined) return null;
    const isRunnable = stat.charAt(stat.lastIndexOf(')') + 2) === 'R';
    return { ranMs: ranNs / 1e6, waitedMs: waitedNs / 1e6, isRunnable };
  } catch {
    return null; // it has ended, or there is no such file here
  }
}
