// ns per request of counting its bytes: a body of 300 bytes taken from the budget and given back, alone and under load.
//     node bin/slipstream.js node -- bench/micro/memory-budget.ts
import { SharedQuota } from '../../src/contract/shared-quota.ts';
import { MemoryBudget } from '../../src/sidecar/overload/memory-budget.ts';
import { medianNanoseconds } from './http1-median-time.ts';

const budget = new MemoryBudget(SharedQuota.memoryFor(1), 0);
budget.take(1);

const cases: readonly (readonly [name: string, bytes: number])[] = [
  ['300 bytes', 300],
  ['64 KiB', 64 * 1024],
  ['1 MiB', 1024 * 1024],
];
for (const [name, bytes] of cases) {
  const nanoseconds = medianNanoseconds(() => {
    if (bytes > budget.leftBytes || !budget.tryTake(bytes)) throw new Error('the budget is used up');
    budget.give(bytes);
  });
  process.stdout.write(`${name.padEnd(12)}${nanoseconds.toFixed(1)} ns\n`);
}
