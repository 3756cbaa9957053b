import assert from 'node:assert/strict';
import { totalmem } from 'node:os';
import { describe, it } from 'node:test';
import { SharedQuota } from '../../contract/shared-quota.ts';
import { defaultBudgetBytes, MemoryBudget } from './memory-budget.ts';

const KIB = 1024;
const MIB = 1024 * KIB;

function twoWorkers(maxBytes: number): [MemoryBudget, MemoryBudget, SharedArrayBuffer] {
  const memory = SharedQuota.memoryFor(2);
  const budgets = [new MemoryBudget(memory, 0), new MemoryBudget(memory, 1)] as const;
  for (const budget of budgets) budget.configure(maxBytes);
  return [...budgets, memory];
}

describe('the budget of bytes in flight', () => {
  it('is one for all workers', () => {
    const [first, second] = twoWorkers(4 * MIB);
    assert.equal(first.tryTake(3 * MIB), true);
    assert.equal(second.tryTake(2 * MIB), false);
    assert.equal(second.tryTake(MIB), true);
    assert.equal(second.isUsedUp, true);
    assert.equal(first.leftBytes, 0);
    first.give(3 * MIB);
    first.tick();
    assert.equal(second.tryTake(3 * MIB), true);
  });

  it('counts every byte, whatever the amounts', () => {
    const [budget, other] = twoWorkers(4 * MIB);
    let held = 0;
    const taken: number[] = [];
    for (let n = 0; n < 5_000; n += 1) {
      const bytes = (n * 7919) % 200_000;
      if (taken.length > 0 && n % 3 === 0) {
        const back = taken.splice((n * 31) % taken.length, 1)[0]!;
        budget.give(back);
        held -= back;
      } else if (budget.tryTake(bytes)) {
        taken.push(bytes);
        held += bytes;
      }
      assert.equal(budget.ownBytes, held);
      assert.ok(held <= 4 * MIB);
    }
    for (const bytes of taken) budget.give(bytes);
    budget.tick();
    assert.equal(budget.ownBytes, 0);
    assert.equal(other.tryTake(4 * MIB), true, 'nothing is kept back');
  });

  it('counts what exists anyway even beyond its limit, and then gives nothing', () => {
    const [budget] = twoWorkers(MIB);
    budget.take(3 * MIB);
    assert.equal(budget.ownBytes, 3 * MIB);
    assert.equal(budget.isUsedUp, true);
    assert.equal(budget.tryTake(1), false);
    budget.give(3 * MIB);
    budget.tick();
    assert.equal(budget.isUsedUp, false);
  });

  it('is a quarter of the memory there is unless set', () => {
    const bytes = defaultBudgetBytes();
    assert.ok(bytes > 0 && bytes <= totalmem() / 4);
  });
});
