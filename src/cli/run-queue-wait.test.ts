import assert from 'node:assert/strict';
import { it } from 'node:test';
import { runQueueWaitMs } from './run-queue-wait.ts';

it(
  'tells how long a process waited for a CPU, which only grows',
  { skip: process.platform === 'linux' ? false : 'only Linux tells' },
  () => {
    const before = runQueueWaitMs(process.pid);
    for (let i = 0, sum = 0; i < 1e6; i += 1) sum += i;
    const after = runQueueWaitMs(process.pid);
    assert.ok(before !== null && after !== null && before >= 0 && after >= before);
  },
);

it('is null for a process that is gone', () => {
  assert.equal(runQueueWaitMs(2 ** 22 + 1), null);
});
