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

  it('never blames a process that is starved; what it missed before counts', () => {
    const monitor = new HeartbeatMonitor(0);
    for (let i = 1; i <= 9; i++) assert.equal(monitor.tick(i * 1000), false);
    for (let i = 10; i <= 100; i++) assert.equal(monitor.tick(i * 1000, true), false);
    assert.equal(monitor.tick(101_000), true);
  });

  it('a suspended machine costs nothing: the late tick does not count', () => {
    const monitor = new HeartbeatMonitor(0);
    for (let i = 1; i <= 9; i++) assert.equal(monitor.tick(i * 1000), false);
    assert.equal(monitor.tick(3_600_000), false);
    monitor.beat();
    assert.equal(ticksUntilHung(monitor, 3_600_000, 1000), 10);
  });
});
