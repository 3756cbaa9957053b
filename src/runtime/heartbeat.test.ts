import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { HeartbeatMonitor } from './heartbeat.ts';

/** Ticks until the monitor reports a hang; gives up after 1,000. */
function ticksUntilHung(monitor: HeartbeatMonitor, startMs: number, stepMs: number, beatEvery = 0): number | null {
  for (let i = 1; i <= 1000; i++) {
    if (beatEvery > 0 && i % beatEvery === 0) monitor.beat();
    if (monitor.tick(startMs + i * stepMs)) return i;
  }
  return null;
}

describe('HeartbeatMonitor', () => {
  it('reports a hang after ten ticks without a beat', () => {
    assert.equal(ticksUntilHung(new HeartbeatMonitor(0), 0, 1000), 10);
  });

  it('is content with a beat now and then', () => {
    assert.equal(ticksUntilHung(new HeartbeatMonitor(0), 0, 1000, 9), null);
  });

  it('never blames the process while the watcher itself is late', () => {
    assert.equal(ticksUntilHung(new HeartbeatMonitor(0), 0, 1600), null);
  });

  it('a suspended machine costs nothing: the late tick does not count', () => {
    const monitor = new HeartbeatMonitor(0);
    for (let i = 1; i <= 9; i++) assert.equal(monitor.tick(i * 1000), false);
    assert.equal(monitor.tick(3_600_000), false);
    monitor.beat();
    assert.equal(ticksUntilHung(monitor, 3_600_000, 1000), 10);
  });

  it('gives a process that gets no CPU ten times as long, and one that is stopped no longer', () => {
    const monitor = new HeartbeatMonitor(0);
    let ticks = 1;
    // It waits all the time; the kernel says so now and then.
    for (; ticks < 1000 && !monitor.tick(ticks * 1000, Math.floor(ticks / 3) * 3000); ticks += 1);
    assert.ok(ticks >= 70 && ticks <= 105, `${ticks} ticks`);
    monitor.beat();
    let more = 1;
    for (; more < 1000 && !monitor.tick((ticks + more) * 1000, ticks * 1000); more += 1);
    assert.ok(more >= 10 && more <= 12, `${more} ticks`);
  });

  it('what it waited before its last beat is of no use to it', () => {
    const monitor = new HeartbeatMonitor(0);
    monitor.tick(1000, 60_000);
    monitor.beat();
    let ticks = 1;
    for (; ticks < 1000 && !monitor.tick(1000 + ticks * 1000, 60_000); ticks += 1);
    assert.equal(ticks, 10);
  });
});
