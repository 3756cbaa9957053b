import assert from 'node:assert/strict';
import { once } from 'node:events';
import { connect, createServer } from 'node:net';
import type { AddressInfo, Socket } from 'node:net';
import { describe, it } from 'node:test';
import { CoarseClock, CoarseTimer, TICK_MS } from './coarse-clock.ts';

/** A small generator with a fixed seed: the same run every time. */
function randomFrom(seed: number): () => number {
  let state = seed;
  return () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return state / 2 ** 32;
  };
}

describe('CoarseClock', () => {
  for (const delayMs of [0, 1, 99, 100, 101, 5_000, 102_300, 102_400, 600_000]) {
    for (const phaseMs of [0, 1, 50, 99]) {
      it(`fires ${delayMs} ms never early and at most one tick late, armed ${phaseMs} ms after a tick`, () => {
        const clock = new CoarseClock();
        const startMs = Math.ceil(clock.nowMs / TICK_MS) * TICK_MS;
        clock.advance(startMs);
        let firedAtMs: number | null = null;
        const timer = new CoarseTimer(clock, () => {
          firedAtMs = clock.nowMs;
        });
        timer.arm(delayMs, startMs + phaseMs);
        for (let nowMs = startMs; nowMs <= startMs + delayMs + 1000; nowMs += TICK_MS) clock.advance(nowMs);
        assert.ok(firedAtMs !== null, 'it never fired');
        const lateMs = firedAtMs - (startMs + phaseMs + delayMs);
        assert.ok(lateMs >= 0, `fired ${-lateMs} ms early`);
        assert.ok(lateMs <= TICK_MS, `fired ${lateMs} ms late`);
      });
    }
  }

  it('agrees with a naive model over random arming, disarming and closing', () => {
    const random = randomFrom(7);
    const clock = new CoarseClock();
    const expected = new Map<number, number>();
    const fired: { id: number; nowMs: number }[] = [];
    const timers = Array.from({ length: 200 }, (_, id) => {
      return new CoarseTimer(clock, () => fired.push({ id, nowMs: clock.nowMs }));
    });
    let nowMs = Math.ceil(clock.nowMs);
    for (let step = 0; step < 20_000; step++) {
      const id = Math.floor(random() * timers.length);
      const timer = timers[id];
      assert.ok(timer !== undefined);
      const action = random();
      if (action < 0.6) {
        const delayMs = Math.floor(random() ** 4 * 300_000);
        timer.arm(delayMs, nowMs);
        expected.set(id, nowMs + delayMs);
      } else if (action < 0.8) {
        if (action < 0.7) timer.disarm();
        else timer.close();
        expected.delete(id);
      } else {
        // Mostly a tick or so, at times a loop that was held up for long.
        nowMs += Math.floor(random() * (random() < 0.01 ? 200_000 : 150));
        fired.length = 0;
        clock.advance(nowMs);
        for (const event of fired) {
          const deadlineMs = expected.get(event.id);
          assert.ok(deadlineMs !== undefined, `timer ${event.id} fired unarmed`);
          assert.ok(deadlineMs <= nowMs, `timer ${event.id} fired early`);
          expected.delete(event.id);
        }
        for (const [id, deadlineMs] of expected) {
          assert.ok(nowMs - deadlineMs < TICK_MS, `timer ${id} is ${nowMs - deadlineMs} ms overdue`);
        }
      }
    }
  });

  for (const how of ['disarm', 'close'] as const) {
    it(`a callback that calls ${how}() on timers due in the same tick keeps them from firing`, () => {
      const clock = new CoarseClock();
      const fired: number[] = [];
      const timers: CoarseTimer[] = [];
      for (let id = 0; id < 3; id++) {
        const timer = new CoarseTimer(clock, () => {
          fired.push(id);
          for (const other of timers) other[how]();
        });
        timers.push(timer);
        timer.arm(100, clock.nowMs);
      }
      clock.advance(clock.nowMs + 3 * TICK_MS);
      assert.equal(fired.length, 1);
    });
  }

  it('a callback may arm itself and others again', () => {
    const clock = new CoarseClock();
    const fired: string[] = [];
    const second = new CoarseTimer(clock, () => fired.push('second'));
    const first = new CoarseTimer(clock, () => {
      fired.push('first');
      if (fired.length === 1) first.arm(0, clock.nowMs);
      else second.arm(500, clock.nowMs);
    });
    const startMs = clock.nowMs;
    first.arm(100, startMs);
    for (let i = 1; i < 12; i++) clock.advance(startMs + i * TICK_MS);
    assert.deepEqual(fired, ['first', 'first', 'second']);
  });

  it('putting a timer off again and again neither fires it nor moves it', () => {
    const clock = new CoarseClock();
    let fired = 0;
    const timer = new CoarseTimer(clock, () => fired++);
    let nowMs = clock.nowMs;
    for (let i = 0; i < 500; i++) {
      timer.arm(1000, nowMs);
      nowMs += 50;
      clock.advance(nowMs);
    }
    assert.equal(fired, 0);
    clock.advance(nowMs + 2000);
    assert.equal(fired, 1);
    clock.advance(nowMs + 200_000);
    assert.equal(fired, 1);
  });

  it('runs on a real interval, without keeping the process alive', async () => {
    const clock = new CoarseClock();
    clock.start();
    const startMs = performance.now();
    let firedAfterMs = 0;
    await new Promise<void>((resolve) => {
      const hold = setInterval(() => {}, 1000);
      new CoarseTimer(clock, () => {
        firedAfterMs = performance.now() - startMs;
        clearInterval(hold);
        resolve();
      }).arm(150, startMs);
    });
    clock.stop();
    assert.ok(firedAfterMs >= 150);
  });

  it('after the loop was held up, sockets have their turn before a timer fires', async () => {
    const clock = new CoarseClock();
    clock.start();
    const peers: Socket[] = [];
    const answering = createServer((peer) => peers.push(peer)).listen(0, '127.0.0.1');
    await once(answering, 'listening');
    const socket = connect((answering.address() as AddressInfo).port, '127.0.0.1');
    await once(socket, 'connect');
    while (peers.length === 0) await new Promise((resolve) => setTimeout(resolve, 5));
    let isAnswered = false;
    const wasAnswered: boolean[] = [];
    const timer = new CoarseTimer(clock, () => wasAnswered.push(isAnswered));
    socket.on('data', () => {
      isAnswered = true;
      timer.disarm();
    });
    timer.arm(200, performance.now());
    // The server's answer lies in the kernel while this thread is busy past the deadline.
    for (const peer of peers) peer.write('answer');
    const until = performance.now() + 500;
    while (performance.now() < until);
    await new Promise((resolve) => setTimeout(resolve, 300));
    socket.destroy();
    answering.close();
    clock.stop();
    assert.ok(isAnswered);
    assert.deepEqual(wasAnswered, [], 'it fired though the answer had come');
  });
});
