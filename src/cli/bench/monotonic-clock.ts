/**
 * CLOCK_MONOTONIC in nanoseconds, as a double: the clock that the mock writes into its frames, the same for every
 * process of a machine. Reading it through `performance.now` makes no BigInt per call. A double holds whole
 * nanoseconds for the first 104 days after boot, and every second one for the 104 after.
 */
const OFFSET_NS = measureOffset();

export function nowNs(): number {
  return OFFSET_NS + performance.now() * 1e6;
}

/** The smallest of several: a pause between the two readings can only make the difference larger. */
function measureOffset(): number {
  let least = Number.POSITIVE_INFINITY;
  for (let i = 0; i < 50; i++) {
    const relative = performance.now() * 1e6;
    least = Math.min(least, Number(process.hrtime.bigint()) - relative);
  }
  return least;
}
