const RUNS = 9;
const MIN_RUN_NANOSECONDS = 60_000_000n;

/** Nanoseconds per call: the median of several runs, each long enough for the clock and after a warm-up. */
export function medianNanoseconds(operation: () => void): number {
  let count = 1000;
  while (runNanoseconds(operation, count) < MIN_RUN_NANOSECONDS) count *= 2;
  const runs = Array.from({ length: RUNS }, () => Number(runNanoseconds(operation, count)) / count);
  return runs.sort((a, b) => a - b)[RUNS >> 1] ?? Number.NaN;
}

function runNanoseconds(operation: () => void, count: number): bigint {
  const startedAt = process.hrtime.bigint();
  for (let i = 0; i < count; i++) operation();
  return process.hrtime.bigint() - startedAt;
}

export function report(name: string, operation: () => void): void {
  console.log(`${name.padEnd(62)} ${medianNanoseconds(operation).toFixed(0).padStart(6)} ns`);
}
