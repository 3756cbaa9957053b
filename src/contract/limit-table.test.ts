import assert from 'node:assert/strict';
import { once } from 'node:events';
import { describe, it } from 'node:test';
import { Worker } from 'node:worker_threads';
import { LimitTable, newLimitMemory, REFUSED, type LimitMemory } from './limit-table.ts';

const WINDOW_MS = 1_000;
const THREADS = 4;

function tableOf(capacity = 64): LimitTable {
  return new LimitTable(newLimitMemory(capacity, 1, WINDOW_MS), 0);
}

/** Threads that run `body` with `table`, `shared` (i32 cells), `index` and `report(result)`, all let go at once. */
async function threadsOf(memory: LimitMemory, shared: Int32Array, body: string): Promise<readonly Worker[]> {
  const source = `
    import { parentPort, workerData } from 'node:worker_threads';
    const { LimitTable, REFUSED } = await import(workerData.module);
    const { memory, shared, index } = workerData;
    const table = new LimitTable(memory, index);
    const report = (result) => parentPort.postMessage(result);
    report('ready');
    Atomics.wait(shared, 0, 0);
    ${body}
  `;
  const module = new URL('limit-table.ts', import.meta.url).href;
  const url = new URL(`data:text/javascript,${encodeURIComponent(source)}`);
  const threads = Array.from({ length: THREADS }, (_, index) => {
    return new Worker(url, { workerData: { memory, shared, index, module } });
  });
  await Promise.all(threads.map((thread) => once(thread, 'message')));
  return threads;
}

function letGo(shared: Int32Array): void {
  Atomics.store(shared, 0, 1);
  Atomics.notify(shared, 0);
}

async function runThreads<T>(memory: LimitMemory, shared: Int32Array, body: string): Promise<readonly T[]> {
  const threads = await threadsOf(memory, shared, body);
  const answers = threads.map((thread) => once(thread, 'message'));
  letGo(shared);
  return (await Promise.all(answers)).map(([result]) => result as T);
}

describe('a window', () => {
  it('admits its limit, then nothing until it is over, counted from its first request', () => {
    const table = tableOf();
    const cell = table.requestsCell(table.claim(7n));
    const opening = table.take(cell, 1, 3, 500);
    assert.notEqual(opening, REFUSED);
    assert.equal(table.take(cell, 1, 3, 500), opening);
    assert.equal(table.take(cell, 1, 3, 1_400), opening);
    assert.equal(table.take(cell, 1, 3, 1_499), REFUSED);
    assert.equal(table.resetMs(cell, 1_499), 1);
    assert.equal(table.used(cell, 1_499), 3);
    assert.equal(table.used(cell, 1_500), 0);
    assert.equal(table.resetMs(cell, 1_500), 0);
    assert.notEqual(table.take(cell, 1, 3, 1_500), opening);
    assert.equal(table.resetMs(cell, 1_500), WINDOW_MS);
  });

  it('of tokens admits what still fits, and nothing at all once it is used up', () => {
    const table = tableOf();
    const cell = table.tokensCell(table.claim(7n));
    assert.notEqual(table.take(cell, 60, 100, 0), REFUSED);
    assert.equal(table.take(cell, 41, 100, 0), REFUSED);
    assert.notEqual(table.take(cell, 40, 100, 0), REFUSED);
    assert.equal(table.take(cell, 0, 100, 0), REFUSED);
    assert.equal(table.take(table.tokensCell(table.claim(8n)), 0, 0, 0), REFUSED);
  });

  it('gets back what was taken, unless another window has come', () => {
    const table = tableOf();
    const cell = table.requestsCell(table.claim(7n));
    const first = table.take(cell, 2, 2, 0);
    table.giveBack(cell, first, 1);
    assert.equal(table.used(cell, 0), 1);
    const second = table.take(cell, 1, 2, WINDOW_MS);
    table.giveBack(cell, first, 1);
    assert.equal(table.used(cell, WINDOW_MS), 1);
    table.giveBack(cell, second, 5);
    assert.equal(table.used(cell, WINDOW_MS), 0);
  });

  it('is settled: less only while it is open, more also later, in the window open then', () => {
    const table = tableOf();
    const cell = table.tokensCell(table.claim(7n));
    const first = table.take(cell, 50, 100, 0);
    table.settle(cell, first, -20, 10);
    assert.equal(table.used(cell, 10), 30);
    table.settle(cell, first, 200, 10);
    assert.equal(table.used(cell, 10), 230);
    table.settle(cell, first, -30, WINDOW_MS); // over, though nobody opened another
    assert.equal(table.used(cell, WINDOW_MS - 1), 230);
    table.settle(cell, first, 7, WINDOW_MS + 5);
    assert.equal(table.used(cell, WINDOW_MS + 5), 7);
    assert.equal(table.resetMs(cell, WINDOW_MS + 5), WINDOW_MS);
    table.settle(cell, first, -3, WINDOW_MS + 6);
    table.settle(cell, first, 3, WINDOW_MS + 6);
    assert.equal(table.used(cell, WINDOW_MS + 6), 10);
    table.settle(cell, first, 2 ** 33, WINDOW_MS + 6);
    assert.equal(table.used(cell, WINDOW_MS + 6), 2 ** 32 - 1);
  });

  it('is open to a thread that looked at the clock before it opened', () => {
    const table = tableOf();
    const cell = table.requestsCell(table.claim(7n));
    const opening = table.take(cell, 1, 2, 50_000);
    assert.equal(table.take(cell, 1, 2, 49_000), opening);
    assert.equal(table.take(cell, 1, 2, 48_000), REFUSED);
  });

  it('ends as it should when the 32-bit clock begins again', () => {
    const table = tableOf();
    const cell = table.requestsCell(table.claim(7n));
    const nearEnd = 2 ** 32 - 300;
    const opening = table.take(cell, 1, 2, nearEnd);
    assert.equal(table.take(cell, 1, 2, nearEnd + 999), opening);
    assert.equal(table.take(cell, 1, 2, nearEnd + 999), REFUSED);
    assert.equal(table.resetMs(cell, nearEnd + 999), 1);
    assert.notEqual(table.take(cell, 1, 2, nearEnd + 1_000), REFUSED);
  });

  it('is taken over by another table at its age', () => {
    const old = tableOf();
    const fresh = new LimitTable(newLimitMemory(64, 1, WINDOW_MS), 0);
    const cell = old.requestsCell(old.claim(7n));
    old.take(cell, 4, 5, 100_000);
    old.claim(8n);
    const windows = [...old.openWindows(100_400)];
    assert.deepEqual(windows, [{ id: 7n, requests: { ageMs: 400, used: 4 }, tokens: { ageMs: 0, used: 0 } }]);
    const freshCell = fresh.requestsCell(fresh.claim(7n));
    fresh.take(freshCell, 1, 9, 20);
    fresh.adopt(freshCell, windows[0]!.requests, 30);
    assert.equal(fresh.used(freshCell, 30), 5);
    assert.equal(fresh.resetMs(freshCell, 30), 600);
    fresh.adopt(freshCell, { ageMs: WINDOW_MS, used: 3 }, 30);
    assert.equal(fresh.used(freshCell, 30), 5);
  });
});

it('a full table has no row for another subject, and still those that it has', () => {
  const table = tableOf(8);
  const rows = Array.from({ length: 8 }, (_, n) => table.claim(BigInt(n + 1)));
  assert.equal(new Set(rows).size, 8);
  assert.equal(table.claim(99n), -1);
  assert.equal(table.claim(3n), rows[2]);
});

describe('four threads', () => {
  it('admit exactly the limit in each of 300 windows', async () => {
    const limit = 50;
    const memory = newLimitMemory(64, THREADS, 600);
    const cell = new LimitTable(memory, 0).requestsCell(3);
    // The clock goes on by one with each look at it, so that a busy machine can't starve a window of requests.
    const shared = new Int32Array(new SharedArrayBuffer(12));
    const counts = await runThreads<Map<number, number>>(
      memory,
      shared,
      `
      const counts = new Map();
      for (let calls = 1; ; calls += 1) {
        const now = Atomics.add(shared, 1, 1);
        // Goes on until all have been at work for a while, however late the scheduler let them begin.
        if (calls === 20000) Atomics.add(shared, 2, 1);
        if (now > 310 * 600 && Atomics.load(shared, 2) === ${THREADS}) break;
        const opening = table.take(${cell}, 1, ${limit}, now);
        if (opening !== REFUSED) counts.set(opening, (counts.get(opening) ?? 0) + 1);
      }
      report(counts);`,
    );
    const windows = new Map<number, number>();
    for (const count of counts) {
      for (const [opening, admitted] of count) windows.set(opening, (windows.get(opening) ?? 0) + admitted);
    }
    const inOrder = [...windows].sort(([a], [b]) => a - b).slice(0, -1);
    assert.ok(inOrder.length >= 300, `${inOrder.length} windows`);
    for (const [opening, admitted] of inOrder) assert.equal(admitted, limit, `window ${opening}`);
    for (const [index, [opening]] of inOrder.entries()) {
      if (index > 0) assert.ok(opening - inOrder[index - 1]![0] >= 600, 'windows do not overlap');
    }
    assert.ok(counts.filter((count) => count.size > 0).length > 1, 'several threads were at work');
  });

  it('take and give back, settle and return: nothing is lost or doubled', async () => {
    const memory = newLimitMemory(64, THREADS, 3_600_000);
    const table = new LimitTable(memory, 0);
    const shared = new Int32Array(new SharedArrayBuffer(8));
    const [requests, tokens] = [table.requestsCell(5), table.tokensCell(5)];
    const nets = await runThreads<readonly [number, number, number]>(
      memory,
      shared,
      `
      let net = 0, tokens = 0, most = 0;
      for (let n = 0; n < 30000; n += 1) {
        const opening = table.take(${requests}, 3, 1000000000, n);
        const estimate = table.take(${tokens}, 100, 4000000000, n);
        net += 3;
        if (n % 3 !== 0) { table.giveBack(${requests}, opening, 2); net -= 2; }
        table.settle(${tokens}, estimate, n % 200 - 100, n);
        tokens += n % 200;
        if (table.takePermit(5, 3)) {
          most = Math.max(most, table.permits(5));
          table.returnPermit(5);
        }
      }
      report([net, tokens, most]);`,
    );
    assert.equal(
      table.used(requests, 40_000),
      nets.reduce((sum, [net]) => sum + net, 0),
    );
    assert.equal(
      table.used(tokens, 40_000),
      nets.reduce((sum, [, count]) => sum + count, 0),
    );
    assert.ok(Math.max(...nets.map(([, , most]) => most)) <= 3);
    assert.equal(table.permits(5), 0);
  });

  it('reserve, settle and add money to the nano-dollar, beyond the limit only by one reservation that is alone', async () => {
    const memory = newLimitMemory(64, THREADS, WINDOW_MS);
    const table = new LimitTable(memory, 0);
    const shared = new Int32Array(new SharedArrayBuffer(8));
    const base = 2n ** 53n;
    table.addSpend(9, base);
    const limit = base + 30_000_000n;
    const spent = await runThreads<bigint>(
      memory,
      shared,
      `
      let spent = 0n;
      for (let n = 0; n < 20000; n += 1) {
        if (n % 100 === 0) table.addSpend(10, 7n);
        if (!table.reserve(9, 1000n, ${limit}n)) continue;
        if (table.spend(9) > ${limit + 1000n}n) throw new RangeError('beyond the limit');
        const actual = BigInt(n % 1001);
        table.settleSpend(9, 1000n, actual);
        spent += actual;
      }
      report(spent);`,
    );
    assert.equal(
      table.spend(9),
      spent.reduce((sum, amount) => sum + amount, base),
    );
    assert.ok(table.spend(9) <= limit + 1000n);
    assert.ok(table.spend(9) > limit - 5_000n, 'the limit was reached');
    assert.equal(table.spend(10), BigInt(THREADS * 200 * 7));
    assert.equal(table.reserve(9, 5_000n, table.spend(9)), false, 'nothing is left');
    assert.equal(table.reserve(9, 5_000n, table.spend(9) + 1n), true, 'alone');
    assert.equal(table.reserve(9, 5_000n, table.spend(9) + 1n), false, 'not alone');
  });

  it("count money by window: a later one begins at 0, and what comes late for an earlier one is nobody's", () => {
    const table = new LimitTable(newLimitMemory(64, 1, WINDOW_MS), 0);
    assert.equal(table.openSpendWindow(3, 1_000n), true);
    table.addSpend(3, 7n, 1_000n);
    assert.equal(table.reserve(3, 5n, 100n), true);
    assert.equal(table.takeNotice(3, 1_000n), true);
    assert.equal(table.takeNotice(3, 1_000n), false, 'told once');
    assert.equal(table.openSpendWindow(3, 2_000n), true);
    assert.equal(table.spend(3), 0n);
    table.addSpend(3, 9n, 1_000n);
    table.settleSpend(3, 5n, 4n, 1_000n);
    assert.equal(table.spend(3), 0n);
    assert.equal(table.openSpendWindow(3, 1_000n), false, 'it stays in the later one');
    table.addSpend(3, 2n, 2_000n);
    assert.equal(table.openSpendWindow(3, 2_000n), true);
    assert.equal(table.spend(3), 2n);
    assert.equal(table.takeNotice(3, 2_000n), true);
  });

  it('that reserve while one window follows another leave nothing reserved, and no window without its limit', async () => {
    const memory = newLimitMemory(64, THREADS, WINDOW_MS);
    const table = new LimitTable(memory, 0);
    const shared = new Int32Array(new SharedArrayBuffer(12));
    await runThreads<number>(
      memory,
      shared,
      `
      const held = [];
      for (let n = 0; n < 40000; n += 1) {
        const start = BigInt(Math.floor(Atomics.add(shared, 1, 1) / 8));
        table.openSpendWindow(11, start);
        if (table.reserve(11, 5n, 1000000000n, start)) held.push(start);
        if (held.length > 3) table.settleSpend(11, 5n, 0n, held.shift());
      }
      for (const start of held) table.settleSpend(11, 5n, 0n, start);
      report(0);`,
    );
    const start = table.spendWindow(11) + 1n;
    assert.equal(table.openSpendWindow(11, start), true);
    const limit = table.spend(11) + 1n;
    assert.equal(table.reserve(11, 5n, limit, start), true, 'alone: nobody has anything reserved');
    table.settleSpend(11, 5n, 0n, start);
    assert.equal(table.reserve(11, 1n, limit + 1n, start), true);
    assert.equal(table.reserve(11, 5n, limit + 1n, start), false, 'not alone');
  });

  it('what a worker that ends had reserved is returned to the window that it was of, and to no later one', () => {
    const memory = newLimitMemory(64, 2, WINDOW_MS);
    const [table, other] = [new LimitTable(memory, 0), new LimitTable(memory, 1)];
    table.openSpendWindow(4, 1_000n);
    assert.equal(table.reserve(4, 700n, 10_000n, 1_000n), true);
    table.openSpendWindow(4, 2_000n);
    other.addSpend(4, 900n, 2_000n);
    table.returnHeld(0);
    assert.equal(table.spend(4), 900n, 'with nothing reserved since');
    assert.equal(table.reserve(4, 300n, 10_000n, 2_000n), true);
    table.openSpendWindow(4, 3_000n);
    assert.equal(table.reserve(4, 20n, 10_000n, 3_000n), true);
    other.addSpend(4, 1n, 3_000n);
    table.returnHeld(0);
    assert.equal(table.spend(4), 1n, 'with something of both');
    assert.equal(other.reserve(4, 50n, 2n, 3_000n), true, 'nobody has anything reserved');
  });

  it('that are terminated while they hold permits and reservations leave none behind', async () => {
    for (let round = 0; round < 3; round += 1) {
      const memory = newLimitMemory(64, THREADS, WINDOW_MS);
      const table = new LimitTable(memory, 0);
      const shared = new Int32Array(new SharedArrayBuffer(8));
      const threads = await threadsOf(
        memory,
        shared,
        `
        for (let n = 0; ; n = (n + 7) % 64) {
          if (table.takePermit(n, 1000000)) Atomics.add(shared, 1, 1);
          table.reserve(n, 5n, 1000000000000n);
          if (n % 2 === 0) { table.returnPermit(n); table.settleSpend(n, 5n, 0n); }
        }`,
      );
      letGo(shared);
      for (const [index, thread] of threads.entries()) {
        const before = Atomics.load(shared, 1);
        while (Atomics.load(shared, 1) < before + 2_000) await new Promise((resolve) => setTimeout(resolve, 1));
        await thread.terminate();
        table.returnHeld(index);
      }
      for (let row = 0; row < 64; row += 1) {
        assert.equal(table.permits(row), 0, `row ${row}`);
        assert.equal(table.spend(row), 0n, `row ${row}`);
      }
    }
  });
});
