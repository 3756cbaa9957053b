import assert from 'node:assert/strict';
import { once } from 'node:events';
import { test } from 'node:test';
import { Worker } from 'node:worker_threads';
import { rowId, SharedRows } from './shared-rows.ts';

const ROW_BYTES = 16;

function idOf(n: number): bigint {
  return rowId((n + 1).toString(16).padStart(16, '0').repeat(4));
}

test('a name has one row, other names have others, until all rows are taken', () => {
  const rows = new SharedRows(SharedRows.memoryFor(8, ROW_BYTES), ROW_BYTES);
  const claimed = Array.from({ length: 8 }, (_, n) => rows.claim(idOf(n * 8)));
  assert.deepEqual(new Set(claimed), new Set([0, 1, 2, 3, 4, 5, 6, 7]));
  assert.deepEqual(
    Array.from({ length: 8 }, (_, n) => rows.claim(idOf(n * 8))),
    claimed,
  );
  assert.equal(rows.claim(idOf(999)), -1);
  assert.equal(rows.idAt(claimed[3]!), idOf(24));
});

test('a hash of zeros is a name like any other', () => {
  assert.notEqual(rowId('0'.repeat(64)), 0n);
});

test('threads that claim the same names at once agree on every row', async () => {
  const capacity = 4096;
  const names = 3000;
  const memory = SharedRows.memoryFor(capacity, ROW_BYTES);
  const gate = new Int32Array(new SharedArrayBuffer(4));
  const source = `
    import { parentPort, workerData } from 'node:worker_threads';
    const { SharedRows, rowId } = await import(workerData.module);
    const rows = new SharedRows(workerData.memory, ${ROW_BYTES});
    parentPort.postMessage('ready');
    Atomics.wait(workerData.gate, 0, 0);
    const out = [];
    for (let n = 0; n < ${names}; n += 1) {
      const k = (n * workerData.step) % ${names};
      out[k] = rows.claim(rowId((k + 1).toString(16).padStart(16, '0').repeat(4)));
    }
    parentPort.postMessage(out);
  `;
  const module = new URL('shared-rows.ts', import.meta.url).href;
  const threads = [1, 7, 11, 13].map((step) => {
    const url = new URL(`data:text/javascript,${encodeURIComponent(source)}`);
    return new Worker(url, { workerData: { memory, gate, step, module } });
  });
  await Promise.all(threads.map((thread) => once(thread, 'message')));
  const answers = threads.map((thread) => once(thread, 'message'));
  Atomics.store(gate, 0, 1);
  Atomics.notify(gate, 0);
  const [first, ...others] = (await Promise.all(answers)).map(([rows]) => rows as number[]);
  assert.equal(new Set(first).size, names);
  assert.ok(!first!.includes(-1));
  for (const other of others) assert.deepEqual(other, first);
});
