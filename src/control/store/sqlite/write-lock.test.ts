import assert from 'node:assert/strict';
import { test } from 'node:test';
import { WriteLock } from './write-lock.ts';

test('the lock goes to those who wait, first come, first served', async () => {
  const lock = new WriteLock();
  const order: number[] = [];
  const take = async (number: number): Promise<void> => {
    await lock.acquire();
    order.push(number);
    await Promise.resolve();
    lock.release();
  };
  await lock.acquire();
  const taking = [1, 2, 3].map(take);
  await Promise.resolve();
  assert.deepEqual(order, []);
  lock.release();
  await Promise.all([...taking, take(4)]);
  assert.deepEqual(order, [1, 2, 3, 4]);
});

test('who waits for too long is refused, and the lock passes over it', async (t) => {
  t.mock.timers.enable({ apis: ['setTimeout'] });
  const lock = new WriteLock();
  await lock.acquire();
  const first = assert.rejects(lock.acquire(), /busy with one transaction/);
  t.mock.timers.tick(20_000);
  let hasSecond = false;
  const second = lock.acquire().then(() => (hasSecond = true));
  t.mock.timers.tick(10_000);
  await first;
  assert.equal(hasSecond, false);
  lock.release();
  await second;
  lock.release();
  await lock.acquire(); // free again
});
