// Wakes the load generator's loop shortly before each instant of its schedule. Node's own timers have steps of 1 ms;
// a futex's time limit has some µs. The generator must not poll instead: a process that never sleeps makes others on its
// CPU wait for their turn, 3 ms on Linux, and that would be measured as latency.
import { readlinkSync, writeFileSync } from 'node:fs';
import { parentPort, workerData } from 'node:worker_threads';
import type { TickOrder } from './load-ticker.ts';
import { nowNs } from './monotonic-clock.ts';

const generation = new Int32Array(workerData as SharedArrayBuffer);
tightenTimers();

parentPort?.on('message', (order: TickOrder) => {
  for (let i = 0; i < order.total; i++) {
    const waitNs = order.startNs + i * order.intervalNs - order.leadNs - nowNs();
    if (waitNs > 0) Atomics.wait(generation, 0, order.generation, waitNs / 1e6);
    if (Atomics.load(generation, 0) !== order.generation) return;
    // oxlint-disable-next-line unicorn/require-post-message-target-origin -- a worker thread, not a window
    parentPort?.postMessage(order.generation);
  }
});

/** The kernel may delay a wake-up by this thread's slack, 50 µs by default. A thread may set its own. */
function tightenTimers(): void {
  try {
    const threadId = readlinkSync('/proc/thread-self').split('/').at(-1) ?? '';
    writeFileSync(`/proc/${threadId}/timerslack_ns`, '1');
  } catch {
    // Not Linux, or not allowed: wake-ups come 50 µs later, as the lead allows for.
  }
}
