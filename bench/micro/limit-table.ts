// Nanoseconds per operation of the limit table, and of what an admission with three limits does and undoes.
//   node bin/slipstream.js node -- bench/micro/limit-table.ts
import { LimitTable, newLimitMemory } from '../../src/contract/limit-table.ts';
import { createLogger } from '../../src/runtime/logger.ts';
import { MetricsRegistry } from '../../src/runtime/metrics-registry.ts';
import { rateLimitLines } from '../../src/sidecar/limits/limit-refusal.ts';
import { Reservation } from '../../src/sidecar/limits/reservation.ts';
import { subjectLimits } from '../../src/sidecar/limits/subject-limits.ts';
import { WorkerLimits } from '../../src/sidecar/limits/worker-limits.ts';
import { newSharedMemory } from '../../src/sidecar/worker/shared-memory.ts';
import { report } from './http1-median-time.ts';

const CAPACITY = 262_144;
const NO_LIMIT = 2 ** 31;
const table = new LimitTable(newLimitMemory(CAPACITY, 1, 60_000), 0);
// Rows all over the table, as hashes put them: most of them are not in the nearest cache.
const rows = Array.from({ length: 4096 }, (_, index) => table.claim(BigInt(index + 1) * 0x9e37_79b9n));
let turn = 0;
let taken = 0;

function nextRow(): number {
  turn = (turn + 1) & 4095;
  return rows[turn]!;
}

report('take of one request', () => {
  if (table.take(table.requestsCell(nextRow()), 1, NO_LIMIT, 1_000) > 0) taken += 1;
});
report('permit taken and returned', () => {
  const row = nextRow();
  if (table.takePermit(row, NO_LIMIT)) taken += 1;
  table.returnPermit(row);
});
report('admit with 3 limits: requests, tokens, permit; at the end settle, return', () => {
  const row = nextRow();
  if (table.take(table.requestsCell(row), 1, NO_LIMIT, 1_000) < 0) return;
  const opening = table.take(table.tokensCell(row), 100, NO_LIMIT, 1_000);
  if (opening < 0 || !table.takePermit(row, NO_LIMIT)) return;
  table.settle(table.tokensCell(row), opening, -1, 1_001);
  table.returnPermit(row);
  taken += 1;
});
report('reserve and settle of money', () => {
  const row = nextRow();
  if (table.reserve(row, 1_000n, 1n << 60n)) taken += 1;
  table.settleSpend(row, 1_000n, 900n);
});

const limits = new WorkerLimits(
  newSharedMemory(1, { windowMs: 60_000, maxSubjects: CAPACITY }),
  new MetricsRegistry({ publish: () => undefined }),
  createLogger({ level: 'error', format: 'json', name: 'bench', write: () => undefined }),
);
const spec = { rpmLimit: NO_LIMIT, tpmLimit: NO_LIMIT, maxParallelRequests: NO_LIMIT };
const key = subjectLimits(limits, 'api_key', 'a key', spec)!;
report('the same as a request does it, clock and reservation included', () => {
  const reservation = new Reservation(limits, 100);
  if (reservation.take(key, limits.nowMs())) taken += 1;
  reservation.finish(99, limits.nowMs());
});
report('x-ratelimit-* lines of its answer', () => {
  if (rateLimitLines(limits, key, limits.nowMs()) === '') taken = 0;
});
if (taken === 0) throw new RangeError('nothing was taken');
