import assert from 'node:assert/strict';
import { once } from 'node:events';
import { describe, it } from 'node:test';
import { Worker } from 'node:worker_threads';
import { SharedQuota } from './shared-quota.ts';

const MODULE = new URL('./shared-quota.ts', import.meta.url).href;

describe('an amount that workers share', () => {
  it('is given to its limit and not beyond', () => {
    const memory = SharedQuota.memoryFor(2);
    const [first, second] = [new SharedQuota(memory, 0), new SharedQuota(memory, 1)];
    assert.equal(first.tryTake(3, 5), true);
    assert.equal(second.tryTake(3, 5), false);
    assert.equal(second.tryTake(2, 5), true);
    assert.deepEqual([first.used, first.own, second.own], [5, 3, 2]);
    first.give(3);
    assert.equal(second.tryTake(3, 5), true);
    second.take(10);
    assert.equal(first.used, 15);
  });

  it('gets back what a worker had that has ended', () => {
    const memory = SharedQuota.memoryFor(2);
    const [first, second] = [new SharedQuota(memory, 0), new SharedQuota(memory, 1)];
    first.take(4);
    second.take(7);
    assert.equal(SharedQuota.giveBackAll(memory, 1), 7);
    assert.deepEqual([first.used, first.own, second.own], [4, 4, 0]);
    assert.equal(SharedQuota.giveBackAll(memory, 1), 0);
  });

  it('is never exceeded by threads that take at the same time, and nothing is lost when they are ended', async () => {
    const LIMIT = 10;
    const memory = SharedQuota.memoryFor(4);
    const most = new Int32Array(new SharedArrayBuffer(8));
    const code = `
      import { parentPort, workerData } from 'node:worker_threads';
      const { SharedQuota } = await import(workerData.module);
      const quota = new SharedQuota(workerData.memory, workerData.index);
      parentPort.postMessage('ready');
      for (;;) {
        if (!quota.tryTake(3, ${LIMIT})) continue;
        if (quota.used > ${LIMIT}) Atomics.add(workerData.most, 0, 1);
        Atomics.add(workerData.most, 1, 1);
        quota.give(3);
      }`;
    const threads = [1, 2, 3].map(
      (index) =>
        new Worker(new URL(`data:text/javascript,${encodeURIComponent(code)}`), {
          workerData: { module: MODULE, memory, most, index },
        }),
    );
    await Promise.all(threads.map((thread) => once(thread, 'message')));
    while (Atomics.load(most, 1) < 20_000) await new Promise((resolve) => setTimeout(resolve, 5));
    await Promise.all(threads.map((thread) => thread.terminate()));
    for (const index of [1, 2, 3]) SharedQuota.giveBackAll(memory, index);
    SharedQuota.forget(memory, SharedQuota.unowned(memory));
    const quota = new SharedQuota(memory, 0);
    assert.equal(quota.used, 0);
    assert.equal(Atomics.load(most, 0), 0, 'more was taken than the limit');
    assert.equal(quota.tryTake(LIMIT, LIMIT), true);
  });
});
