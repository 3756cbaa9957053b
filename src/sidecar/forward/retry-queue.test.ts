import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { eventually } from '../../../test/support/raw-client.ts';
import { RetryQueue } from './retry-queue.ts';

const timers = (): number => process.getActiveResourcesInfo().filter((name) => name === 'Timeout').length;

/** Waits of these lengths in a new queue; what woke, in its order. */
function waiting(queue: RetryQueue, waitsMs: readonly number[]): { woken: number[]; lateMs: number[] } {
  const woken: number[] = [];
  const lateMs: number[] = [];
  const fromMs = performance.now();
  for (const [index, waitMs] of waitsMs.entries()) {
    const dueMs = fromMs + waitMs;
    queue.add({
      dueMs,
      wake: () => {
        woken.push(index);
        lateMs.push(performance.now() - dueMs);
      },
    });
  }
  return { woken, lateMs };
}

describe('the queue of waiting retries', () => {
  it('has one timer for a thousand waits, and none when nothing waits', async () => {
    const queue = new RetryQueue();
    const before = timers();
    const { woken, lateMs } = waiting(
      queue,
      Array.from({ length: 1000 }, (_, n) => 20 + (n % 7) * 5),
    );
    assert.equal(timers(), before + 1);
    assert.equal(queue.size, 1000);
    await eventually(() => woken.length === 1000, 'all wake');
    assert.ok(Math.min(...lateMs) >= 0, 'none is early');
    assert.equal(queue.size, 0);
    assert.equal(timers(), before);
  });

  it('wakes in the order of time, also what is added later and is due earlier', async () => {
    const queue = new RetryQueue();
    const { woken } = waiting(queue, [90, 60, 30]);
    await eventually(() => woken.length === 3, 'all wake');
    assert.deepEqual(woken, [2, 1, 0]);
  });

  it('keeps that order where the loop was held up and all are due at once', async () => {
    const queue = new RetryQueue();
    const { woken } = waiting(queue, [15, 10, 5]);
    for (const fromMs = performance.now(); performance.now() < fromMs + 30;);
    await eventually(() => woken.length === 3, 'all wake');
    assert.deepEqual(woken, [2, 1, 0]);
  });

  it('forgets what is removed; a wake may add another', async () => {
    const queue = new RetryQueue();
    const before = timers();
    let wakes = 0;
    const again = { dueMs: 0, wake: () => (wakes += 1) };
    const first = {
      dueMs: performance.now() + 10,
      wake: () => {
        again.dueMs = performance.now() + 10;
        queue.add(again);
      },
    };
    const gone = { dueMs: performance.now() + 5, wake: () => assert.fail('it was removed') };
    queue.add(gone);
    queue.add(first);
    queue.remove(gone);
    await eventually(() => wakes === 1, 'the one that was added wakes');
    assert.equal(timers(), before);
  });
});
