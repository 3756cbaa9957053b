import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import {
  afterBreakerFailure,
  afterFailedCheck,
  afterGoodCheck,
  availability,
  BENCH_REASONS,
  CLOSED,
  FAILURE_WINDOW_MS,
  giveUpProbe,
  packBreaker,
  PROBE_LEASE_MS,
  takeProbe,
  unpackBreaker,
  type Breaker,
  type BreakerFailure,
} from './breaker.ts';

const NOW = 1_000_000;
const failure = (rest: Partial<BreakerFailure> = {}): BreakerFailure => ({
  reason: 'server',
  benchMs: 5000,
  tolerated: 0,
  isAlone: false,
  ...rest,
});
const open = (rest: Partial<Breaker> = {}): Breaker => ({
  phase: 'open',
  reason: 'server',
  fails: 0,
  timeMs: NOW + 3000,
  ...rest,
});
const probing = (rest: Partial<Breaker> = {}): Breaker => open({ phase: 'probing', ...rest });

describe('the breaker as one word', () => {
  it('comes back as it was, 0 for one without a failure', () => {
    assert.equal(packBreaker(CLOSED), 0n);
    assert.equal(unpackBreaker(0n), CLOSED);
    for (const reason of BENCH_REASONS) {
      for (const phase of ['closed', 'open', 'probing'] as const) {
        for (const [fails, timeMs] of [
          [0, 1],
          [3, NOW],
          [262_143, 2 ** 40 - 1],
        ] as const) {
          const breaker: Breaker = { phase, reason, fails, timeMs };
          const word = packBreaker(breaker);
          assert.deepEqual(unpackBreaker(word), breaker);
          assert.equal(BigInt.asIntN(64, word), word, 'fits a signed cell');
        }
      }
    }
  });

  it('counts no further than it can hold', () => {
    assert.equal(unpackBreaker(packBreaker({ ...CLOSED, fails: 1e9, timeMs: 1 })).fails, 262_143);
  });
});

describe('closed', () => {
  it('tolerates N failures in a minute; the next one benches', () => {
    let breaker = CLOSED;
    for (let count = 1; count <= 3; count += 1) {
      breaker = afterBreakerFailure(breaker, failure({ tolerated: 3 }), NOW + count, false);
      assert.deepEqual(breaker, { phase: 'closed', reason: 'none', fails: count, timeMs: NOW + 1 + FAILURE_WINDOW_MS });
      assert.equal(availability(breaker, NOW + count), 'free');
    }
    breaker = afterBreakerFailure(breaker, failure({ tolerated: 3, reason: 'timeout' }), NOW + 4, false);
    assert.deepEqual(breaker, { phase: 'open', reason: 'timeout', fails: 0, timeMs: NOW + 5004 });
  });

  it('forgets them after the minute', () => {
    const first = afterBreakerFailure(CLOSED, failure({ tolerated: 1 }), NOW, false);
    const second = afterBreakerFailure(first, failure({ tolerated: 1 }), NOW + FAILURE_WINDOW_MS, false);
    assert.deepEqual([second.phase, second.fails, second.timeMs], ['closed', 1, NOW + 2 * FAILURE_WINDOW_MS]);
    const within = afterBreakerFailure(first, failure({ tolerated: 1 }), NOW + FAILURE_WINDOW_MS - 1, false);
    assert.equal(within.phase, 'open');
  });

  it('the only one of a group is benched only by what is certain to fail again', () => {
    for (const reason of ['server', 'timeout', 'connection', 'rate_limit', 'not_found'] as const) {
      assert.equal(afterBreakerFailure(CLOSED, failure({ reason, isAlone: true }), NOW, false), CLOSED, reason);
    }
    for (const reason of ['retry_after', 'credential'] as const) {
      assert.equal(afterBreakerFailure(CLOSED, failure({ reason, isAlone: true }), NOW, false).phase, 'open', reason);
    }
  });
});

describe('open', () => {
  it('is soft or hard until its time, then waits for a probe', () => {
    for (const [reason, expected] of [
      ['server', 'soft'],
      ['timeout', 'soft'],
      ['connection', 'soft'],
      ['rate_limit', 'soft'],
      ['not_found', 'soft'],
      ['unhealthy', 'soft'],
      ['retry_after', 'hard'],
      ['credential', 'hard'],
    ] as const) {
      assert.equal(availability(open({ reason }), NOW + 2999), expected);
      assert.equal(availability(open({ reason }), NOW + 3000), 'probe');
      assert.equal(availability(probing({ reason }), NOW), expected, 'while another one probes');
    }
  });

  it('late failures of requests that left before change nothing, unless they say more', () => {
    const breaker = open();
    assert.equal(afterBreakerFailure(breaker, failure({ reason: 'timeout' }), NOW, false), breaker);
    assert.equal(afterBreakerFailure(breaker, failure({ reason: 'rate_limit' }), NOW, false), breaker);
    const limited = afterBreakerFailure(breaker, failure({ reason: 'retry_after', benchMs: 60_000 }), NOW, false);
    assert.deepEqual(limited, { phase: 'open', reason: 'retry_after', fails: 0, timeMs: NOW + 60_000 });
    assert.equal(
      afterBreakerFailure(limited, failure({ reason: 'retry_after', benchMs: 1000 }), NOW, false),
      limited,
      'a shorter one does not shorten it',
    );
  });

  it('one that was tried all the same, and failed, is benched anew: another is the least bad now', () => {
    assert.equal(afterBreakerFailure(open(), failure(), NOW + 10, true).timeMs, NOW + 5010);
  });
});

describe('probing', () => {
  it('one takes the place, when the time is over', () => {
    assert.equal(takeProbe(CLOSED, NOW), null);
    assert.equal(takeProbe(open(), NOW + 2999), null);
    const taken = takeProbe(open(), NOW + 3000);
    assert.deepEqual(taken, { phase: 'probing', reason: 'server', fails: 0, timeMs: NOW + 3000 + PROBE_LEASE_MS });
    assert.equal(takeProbe(taken, NOW + 3001), null);
    assert.notEqual(takeProbe(taken, NOW + 3000 + PROBE_LEASE_MS), null, 'the place of one that never ends is free');
  });

  it('its failure benches again, whatever is tolerated', () => {
    const after = afterBreakerFailure(probing(), failure({ tolerated: 100, reason: 'timeout' }), NOW, true);
    assert.deepEqual(after, { phase: 'open', reason: 'timeout', fails: 0, timeMs: NOW + 5000 });
    assert.equal(afterBreakerFailure(probing(), failure({ isAlone: true }), NOW, true), CLOSED);
  });

  it('late failures of others leave it its place, unless they are certain', () => {
    const breaker = probing();
    assert.equal(afterBreakerFailure(breaker, failure(), NOW, false), breaker);
    assert.equal(afterBreakerFailure(breaker, failure({ reason: 'credential' }), NOW, false).phase, 'open');
  });

  it('given up, the next request may be one', () => {
    const after = giveUpProbe(probing(), NOW);
    assert.equal(availability(after, NOW), 'probe');
    assert.deepEqual(giveUpProbe(open(), NOW), open());
    assert.equal(giveUpProbe(CLOSED, NOW), CLOSED);
  });
});

describe('health checks', () => {
  it('bench until they are stale, but never shorten what the provider said', () => {
    assert.deepEqual(afterFailedCheck(CLOSED, NOW + 600), open({ reason: 'unhealthy', timeMs: NOW + 600 }));
    const limited = open({ reason: 'retry_after', timeMs: NOW + 100 });
    assert.equal(afterFailedCheck(limited, NOW + 600), limited);
  });

  it('that succeed un-bench, but a limit on real requests stays', () => {
    assert.equal(afterGoodCheck(open()), CLOSED);
    assert.equal(afterGoodCheck(open({ reason: 'credential' })), CLOSED);
    const limited = open({ reason: 'retry_after' });
    assert.equal(afterGoodCheck(limited), limited);
    const counting: Breaker = { phase: 'closed', reason: 'none', fails: 2, timeMs: NOW };
    assert.equal(afterGoodCheck(counting), counting);
  });
});
