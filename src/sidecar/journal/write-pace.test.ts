import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { FIRST_HOLD_MS, WINDOW_MS, WRITE_BUDGET_MS, WritePace } from './write-pace.ts';

/** Fast writes in the pool, 100 ms apart, until the pace returns. @returns when it did. */
function returnsAfter(pace: WritePace, fromMs: number): number {
  for (let at = fromMs; at < fromMs + 1_000_000; at += 100) {
    pace.notePooled(at, at + 0.1);
    if (!pace.isPooled) return at - fromMs;
  }
  return Infinity;
}

describe('where writes are made', () => {
  it('in place, as long as the loop does not notice', () => {
    const pace = new WritePace();
    for (let at = 0; at < 10_000; at += 10) pace.noteInPlace(at, at + 2);
    assert.equal(pace.isPooled, false);
    for (let at = 20_000; at < 20_200; at += 0.05) pace.noteInPlace(at, at + 0.04);
    assert.equal(pace.isPooled, false, 'however many there are');
  });

  it('in the pool after one long write, or many that add up within a window', () => {
    const long = new WritePace();
    long.noteInPlace(0, WRITE_BUDGET_MS);
    assert.equal(long.isPooled, true);
    const many = new WritePace();
    for (let at = 0; at < WINDOW_MS; at += 10) many.noteInPlace(at, at + 3);
    assert.equal(many.isPooled, true);
  });

  it('in place again when the disk has been fast for the whole hold, with enough writes to tell', () => {
    const pace = new WritePace();
    pace.noteInPlace(0, 50);
    assert.ok(returnsAfter(pace, 50) >= FIRST_HOLD_MS);
    const idle = new WritePace();
    idle.noteInPlace(0, 50);
    idle.notePooled(100_000, 100_000.1);
    assert.equal(idle.isPooled, true, 'one write tells nothing');
  });

  it('a slow write in the pool begins the hold anew', () => {
    const pace = new WritePace();
    pace.noteInPlace(0, 50);
    pace.notePooled(9_000, 9_050);
    assert.ok(returnsAfter(pace, 9_050) >= FIRST_HOLD_MS);
  });

  it('each relapse doubles the hold, up to five minutes; a long good time forgets it', () => {
    const pace = new WritePace();
    let now = 0;
    const holds: number[] = [];
    for (let turn = 0; turn < 8; turn += 1) {
      pace.noteInPlace(now, now + 30);
      const hold = returnsAfter(pace, now + 30);
      holds.push(Math.round(hold / 1000));
      now += 30 + hold + 1000;
    }
    assert.deepEqual(holds, [10, 20, 40, 80, 160, 300, 300, 300]);
    now += 4_000_000;
    pace.noteInPlace(now, now + 30);
    assert.equal(Math.round(returnsAfter(pace, now + 30) / 1000), 10);
  });

  it('what the pool did for other reasons is no evidence', () => {
    const pace = new WritePace();
    pace.notePooled(0, 500);
    assert.equal(pace.isPooled, false);
  });
});
