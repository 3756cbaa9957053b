import { LimitTable, type WindowState } from '../../contract/limit-table.ts';
import type { SharedMemory } from '../worker/shared-memory.ts';
import { systemMs } from './system-clock.ts';

/*
 * Windows as one sidecar hands them to the next on the same machine, all numbers little-endian:
 *
 *     format u32 │ window ms u32 │ exported at (f64, monotonic ms of the machine) │ rows …
 *     row: id i64 │ requests: age ms u32, used u32 │ tokens: age ms u32, used u32
 *
 * Permits stay behind: requests in progress end in the old process, which counts them until then, so that for the time
 * of an upgrade each of the two admits up to the limit of parallel requests. What these requests turn out to have used
 * beyond their reservation is charged there, too, and not here.
 */
const FORMAT = 1;
const HEADER_BYTES = 16;
const ROW_BYTES = 24;

/** Every window that is open. */
export function exportWindows(shared: SharedMemory): Uint8Array {
  const table = new LimitTable(shared.limits, shared.workerIndex);
  const nowMs = systemMs();
  const rows = [...table.openWindows(nowMs - shared.startedSystemMs)];
  const view = new DataView(new ArrayBuffer(HEADER_BYTES + rows.length * ROW_BYTES));
  view.setUint32(0, FORMAT, true);
  view.setUint32(4, table.windowMs, true);
  view.setFloat64(8, nowMs, true);
  for (const [index, { id, requests, tokens }] of rows.entries()) {
    const at = HEADER_BYTES + index * ROW_BYTES;
    view.setBigInt64(at, id, true);
    writeWindow(view, at + 8, requests);
    writeWindow(view, at + 16, tokens);
  }
  return new Uint8Array(view.buffer);
}

/**
 * Goes on with the windows that another sidecar of this machine had open; what was counted here already is added. Bytes
 * of another format, or for windows of another length, are ignored: those windows begin anew.
 */
export function importWindows(shared: SharedMemory, bytes: Uint8Array): void {
  if (bytes.length < HEADER_BYTES) return;
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const table = new LimitTable(shared.limits, shared.workerIndex);
  if (view.getUint32(0, true) !== FORMAT || view.getUint32(4, true) !== table.windowMs) return;
  const systemNowMs = systemMs();
  const sinceMs = systemNowMs - view.getFloat64(8, true);
  // Another machine's clock, or one from before it was started again.
  if (!(sinceMs >= 0)) return;
  const nowMs = systemNowMs - shared.startedSystemMs;
  for (let at = HEADER_BYTES; at + ROW_BYTES <= bytes.length; at += ROW_BYTES) {
    const id = view.getBigInt64(at, true);
    const row = id === 0n ? -1 : table.claim(id);
    if (row === -1) continue;
    table.adopt(table.requestsCell(row), readWindow(view, at + 8, sinceMs), nowMs);
    table.adopt(table.tokensCell(row), readWindow(view, at + 16, sinceMs), nowMs);
  }
}

function writeWindow(view: DataView, at: number, { ageMs, used }: WindowState): void {
  view.setUint32(at, ageMs, true);
  view.setUint32(at + 4, used, true);
}

function readWindow(view: DataView, at: number, sinceMs: number): WindowState {
  return { ageMs: Math.floor(view.getUint32(at, true) + sinceMs), used: view.getUint32(at + 4, true) };
}
