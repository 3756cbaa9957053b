import assert from 'node:assert/strict';
import { it } from 'node:test';
import { LimitTable } from '../../contract/limit-table.ts';
import { newSharedMemory, type SharedMemory } from '../worker/shared-memory.ts';
import { exportShared, importShared } from '../worker/shared-state.ts';
import { systemMs } from './system-clock.ts';
import { exportWindows, importWindows } from './window-handover.ts';

const WINDOW_MS = 60_000;

function sidecar(windowMs = WINDOW_MS): { shared: SharedMemory; table: LimitTable; nowMs: () => number } {
  const shared = newSharedMemory(1, { windowMs, maxSubjects: 64 });
  return { shared, table: new LimitTable(shared.limits, 0), nowMs: () => systemMs() - shared.startedSystemMs };
}

it('open windows go from one sidecar to the next: what is used stays used, until the same moment', () => {
  const old = sidecar();
  const one = old.table.claim(77n);
  const other = old.table.claim(78n);
  old.table.take(old.table.requestsCell(one), 3, 5, old.nowMs() - 20_000);
  old.table.take(old.table.tokensCell(one), 1_000, 5_000, old.nowMs() - 10_000);
  old.table.take(old.table.requestsCell(other), 1, 5, old.nowMs() - WINDOW_MS - 1);
  old.table.takePermit(one, 5);
  const fresh = sidecar();
  const meanwhile = fresh.table.claim(77n);
  fresh.table.take(fresh.table.requestsCell(meanwhile), 1, 5, fresh.nowMs());
  importShared(fresh.shared, JSON.parse(JSON.stringify(exportShared(old.shared))) as ReturnType<typeof exportShared>);
  const row = fresh.table.claim(77n);
  assert.equal(fresh.table.used(fresh.table.requestsCell(row), fresh.nowMs()), 4);
  assert.equal(fresh.table.used(fresh.table.tokensCell(row), fresh.nowMs()), 1_000);
  const resetMs = fresh.table.resetMs(fresh.table.requestsCell(row), fresh.nowMs());
  assert.ok(resetMs <= 40_002 && resetMs > 30_000, `${resetMs}`);
  assert.equal(fresh.table.permits(row), 0);
  assert.equal(fresh.table.used(fresh.table.requestsCell(fresh.table.claim(78n)), fresh.nowMs()), 0);
});

it('bytes that are no windows, or windows of another length, change nothing', () => {
  const old = sidecar();
  old.table.take(old.table.requestsCell(old.table.claim(77n)), 3, 5, old.nowMs());
  const bytes = exportWindows(old.shared);
  const otherFormat = bytes.slice();
  otherFormat[0] = 9;
  const future = bytes.slice();
  new DataView(future.buffer).setFloat64(8, systemMs() + 1e6, true);
  const cases = [new Uint8Array(0), bytes.subarray(0, 15), otherFormat, future];
  for (const [index, faulty] of cases.entries()) {
    const fresh = sidecar();
    importWindows(fresh.shared, faulty);
    assert.deepEqual([...fresh.table.openWindows(fresh.nowMs())], [], `case ${index}`);
  }
  const another = sidecar(30_000);
  importWindows(another.shared, bytes);
  assert.deepEqual([...another.table.openWindows(another.nowMs())], []);
  const cut = sidecar();
  importWindows(cut.shared, bytes.subarray(0, bytes.length - 1));
  assert.deepEqual([...cut.table.openWindows(cut.nowMs())], []);
});
