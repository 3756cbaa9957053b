import { performance } from 'node:perf_hooks';

/** `performance.now()` begins with each thread; the kernel's monotonic clock is one for all of them. */
const OFFSET_MS = Number(process.hrtime.bigint()) / 1e6 - performance.now();

/** Monotonic ms that mean the same in every thread of the process. Add it to a `performance.now()` of this thread. */
export function sharedMs(threadMs: number): number {
  return threadMs + OFFSET_MS;
}
