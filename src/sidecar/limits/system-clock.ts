/** Monotonic ms, the same in all threads and processes of the machine; `performance.now()` is each thread's own. */
export function systemMs(): number {
  return Number(process.hrtime.bigint()) / 1e6;
}
