import { invariant } from '../../base/invariant.ts';

/*
 * The circuit breaker of one deployment. `time` has a meaning in each phase:
 *
 *             fails > tolerated                      time is over, one request takes the place
 *   closed ───────────────────────► open until time ─────────────────────────► probing until time
 *     ▲ fails counted until time       ▲                                              │   │
 *     │                                └───────── the probe failed, or gave up ───────┘   │
 *     └──────────────────────────────────────── the probe succeeded ──────────────────────┘
 *
 * The whole of it is one 64-bit word, so that threads can change it by one compare-exchange:
 *
 *   63               24 23           6 5      2 1     0
 *   │  time (ms, 40)    │ fails (18)   │ reason │ phase │      0 = closed and without a failure in the last minute
 */

export const BENCH_REASONS = [
  'none',
  /** 429 that says nothing of when. */
  'rate_limit',
  /** 429 with a time to wait. */
  'retry_after',
  'credential',
  'not_found',
  'timeout',
  'server',
  'connection',
  /** A health check failed. */
  'unhealthy',
] as const;
export type BenchReason = (typeof BENCH_REASONS)[number];

const PHASES = ['closed', 'open', 'probing'] as const;

export interface Breaker {
  readonly phase: (typeof PHASES)[number];
  readonly reason: BenchReason;
  /** Failures in the window that ends at `timeMs`; 0 unless closed. */
  readonly fails: number;
  /** On the clock that all threads share. */
  readonly timeMs: number;
}

export const CLOSED: Breaker = Object.freeze({ phase: 'closed', reason: 'none', fails: 0, timeMs: 0 });

/** Failures are counted per minute, from the first one on. */
export const FAILURE_WINDOW_MS = 60_000;

/** A probe that has not ended after this loses its place to another: its thread may be gone. */
export const PROBE_LEASE_MS = 30_000;

const MAX_FAILS = 2 ** 18 - 1;
const MAX_TIME_MS = 2 ** 40 - 1;

/** One failure of a deployment, as its breaker sees it. */
export interface BreakerFailure {
  readonly reason: BenchReason;
  readonly benchMs: number;
  /** So many failures in a minute are borne; the next one benches. */
  readonly tolerated: number;
  /** The only one of its group: only what is certain to fail again benches it. */
  readonly isAlone: boolean;
}

/** What a request may do with a deployment. */
export type Availability =
  | 'free'
  /** Its time is over: whoever takes the place tries it, alone. */
  | 'probe'
  /** Benched; tried all the same if the whole group is. */
  | 'soft'
  /** Benched, and sure to refuse: not tried. */
  | 'hard';

/** The provider itself said that it will refuse: trying all the same would only cost it and us. */
function isHard(reason: BenchReason): boolean {
  return reason === 'retry_after' || reason === 'credential';
}

export function packBreaker(breaker: Breaker): bigint {
  const { phase, reason, fails, timeMs } = breaker;
  invariant(timeMs >= 0 && timeMs <= MAX_TIME_MS, 'times fit 40 bits');
  const low = PHASES.indexOf(phase) | (BENCH_REASONS.indexOf(reason) << 2) | (Math.min(fails, MAX_FAILS) << 6);
  return BigInt.asIntN(64, (BigInt(Math.ceil(timeMs)) << 24n) | BigInt(low));
}

export function unpackBreaker(word: bigint): Breaker {
  if (word === 0n) return CLOSED;
  const low = Number(BigInt.asUintN(24, word));
  const phase = PHASES[low & 3];
  const reason = BENCH_REASONS[(low >> 2) & 15];
  invariant(phase !== undefined && reason !== undefined, 'a word of the breaker names its phase and reason');
  return { phase, reason, fails: low >> 6, timeMs: Number(BigInt.asUintN(64, word) >> 24n) };
}

export function availability(breaker: Breaker, nowMs: number): Availability {
  const { phase, reason, timeMs } = breaker;
  if (phase === 'closed') return 'free';
  if (timeMs <= nowMs) return 'probe';
  return isHard(reason) ? 'hard' : 'soft';
}

/** @param holdsTicket the failed request was the probe, or was sent although it was benched, and nothing changed since. */
export function afterBreakerFailure(
  breaker: Breaker,
  failure: BreakerFailure,
  nowMs: number,
  holdsTicket: boolean,
): Breaker {
  const { reason, benchMs, tolerated, isAlone } = failure;
  const isCertain = isHard(reason);
  const mayBench = isCertain || !isAlone;
  const open: Breaker = { phase: 'open', reason, fails: 0, timeMs: nowMs + benchMs };
  switch (breaker.phase) {
    case 'closed': {
      if (!mayBench) return breaker;
      const isOver = breaker.timeMs <= nowMs;
      const fails = isOver ? 1 : breaker.fails + 1;
      if (fails > tolerated) return open;
      return { phase: 'closed', reason: 'none', fails, timeMs: isOver ? nowMs + FAILURE_WINDOW_MS : breaker.timeMs };
    }
    case 'open':
    case 'probing':
      if (holdsTicket) return mayBench ? open : CLOSED;
      // A request that left before the bench: what it says counts only if it says more than is known.
      if (!isCertain) return breaker;
      if (breaker.phase === 'open' && isHard(breaker.reason) && breaker.timeMs >= open.timeMs) return breaker;
      return open;
    default:
      return breaker.phase satisfies never;
  }
}

/** The place of the probe is taken; null if it is not free. */
export function takeProbe(breaker: Breaker, nowMs: number): Breaker | null {
  if (availability(breaker, nowMs) !== 'probe') return null;
  return { phase: 'probing', reason: breaker.reason, fails: 0, timeMs: nowMs + PROBE_LEASE_MS };
}

/** The probe was given up without a result: the next request may be one. */
export function giveUpProbe(breaker: Breaker, nowMs: number): Breaker {
  if (breaker.phase !== 'probing') return breaker;
  return { phase: 'open', reason: breaker.reason, fails: 0, timeMs: nowMs };
}

/** @param untilMs until when the check is believed. */
export function afterFailedCheck(breaker: Breaker, untilMs: number): Breaker {
  if (breaker.phase !== 'closed' && breaker.timeMs >= untilMs) return breaker;
  if (breaker.phase !== 'closed' && isHard(breaker.reason)) return breaker;
  return { phase: 'open', reason: 'unhealthy', fails: 0, timeMs: untilMs };
}

/** A check that succeeded is as good as a probe, but it can't know of a limit on real requests. */
export function afterGoodCheck(breaker: Breaker): Breaker {
  return breaker.phase !== 'closed' && breaker.reason !== 'retry_after' ? CLOSED : breaker;
}
