import { createHash } from 'node:crypto';
import { performance } from 'node:perf_hooks';
import { rowId, SharedRows } from '../../contract/shared-rows.ts';
import {
  afterBreakerFailure,
  afterFailedCheck,
  afterGoodCheck,
  availability,
  CLOSED,
  giveUpProbe,
  packBreaker,
  takeProbe,
  unpackBreaker,
  type Availability,
  type BenchReason,
  type Breaker,
  type BreakerFailure,
} from '../../domain/routing/breaker.ts';
import { RetryBudget } from '../../domain/routing/retry-budget.ts';
import { sharedMs } from '../worker/shared-clock.ts';

/*
 * One row per deployment, seen by all threads:
 *
 *     │ id (u64) │ breaker (one word, breaker.ts) │ time of the last health check (i64, Unix ms) │ result, ms (i32, i32) │
 */
const ROW_BYTES = 32;
const WORDS_PER_ROW = ROW_BYTES / 8;
const HALVES_PER_ROW = ROW_BYTES / 4;
const BREAKER_WORD = 1;
/** The low half of the breaker's word: phase and reason are in it (all platforms of Node are little-endian). */
const BREAKER_HALF = 2;
const CHECKED_WORD = 2;
const RESULT_HALF = 6;
const DURATION_HALF = 7;
const PHASE_MASK = 3;
/** 16,384 deployments in the life of a process, renamed ones included; those beyond have no breaker. */
const CAPACITY = 16_384;
const NO_ROW = -1;
/** Two threads that change one word at once: the loser looks again. */
const MAX_TRIES = 16;

/** What a request holds that is the probe, or was sent although its deployment is benched: the breaker as it was then. */
export type Ticket = bigint;
export const NO_TICKET: Ticket = 0n;

export function newHealthMemory(): SharedArrayBuffer {
  return SharedRows.memoryFor(CAPACITY, ROW_BYTES);
}

/** A deployment's state in this worker: where its row is, and its own retry budget. Outlives snapshots. */
export class HealthRecord {
  readonly id: string;
  readonly row: number;
  readonly budget: RetryBudget = new RetryBudget();

  constructor(id: string, row: number) {
    this.id = id;
    this.row = row;
  }
}

/** The last health check of a deployment. */
export interface CheckResult {
  readonly atUnixMs: number;
  /** HTTP status; 0: none came in time, −1: no connection. */
  readonly status: number;
  readonly durationMs: number;
}

/** Told of each bench and un-bench by the thread that made the change. */
export interface HealthListener {
  onBenched(id: string, reason: BenchReason, forMs: number): void;
  onBack(id: string, reason: BenchReason): void;
}

/** Which deployments are fit for requests, known to all threads alike. */
export class DeploymentHealth {
  readonly #rows: SharedRows;
  readonly #words: BigInt64Array;
  readonly #halves: Int32Array;
  readonly #listener: HealthListener;
  readonly #records = new Map<string, HealthRecord>();

  constructor(memory: SharedArrayBuffer, listener: HealthListener) {
    this.#rows = new SharedRows(memory, ROW_BYTES);
    this.#words = new BigInt64Array(memory);
    this.#halves = new Int32Array(memory);
    this.#listener = listener;
  }

  /** The record of a deployment, the same one in every snapshot. */
  record(id: string): HealthRecord {
    let record = this.#records.get(id);
    if (record === undefined) {
      record = new HealthRecord(id, this.#rows.claim(rowId(createHash('sha256').update(id).digest('hex'))));
      this.#records.set(id, record);
    }
    return record;
  }

  /** Not benched, nor to be probed: the fast case, one load. */
  isFree(record: HealthRecord): boolean {
    if (record.row === NO_ROW) return true;
    return (Atomics.load(this.#halves, record.row * HALVES_PER_ROW + BREAKER_HALF) & PHASE_MASK) === 0;
  }

  availability(record: HealthRecord, nowMs: number): Availability {
    return availability(this.breaker(record), sharedMs(nowMs));
  }

  breaker(record: HealthRecord): Breaker {
    return record.row === NO_ROW ? CLOSED : unpackBreaker(this.#load(record));
  }

  /** For comparison alone: the shared ms until which it is benched; 0 if it is not. */
  benchedUntilMs(record: HealthRecord): number {
    const { phase, timeMs } = this.breaker(record);
    return phase === 'closed' ? 0 : timeMs;
  }

  /** How long the deployment is still benched, ms; 0 if it is not. */
  benchedForMs(record: HealthRecord, nowMs: number): number {
    const breaker = this.breaker(record);
    return breaker.phase === 'closed' ? 0 : Math.max(0, breaker.timeMs - sharedMs(nowMs));
  }

  /**
   * Before a request is sent: the place of the probe if there is one, the word as it is if the deployment is benched and
   * tried all the same, else none.
   *
   * @returns null if another request has taken the place of the probe.
   */
  takeTicket(record: HealthRecord, mayForce: boolean): Ticket | null {
    if (this.isFree(record)) return NO_TICKET;
    const word = this.#load(record);
    const breaker = unpackBreaker(word);
    if (breaker.phase === 'closed') return NO_TICKET;
    const probe = takeProbe(breaker, sharedMs(performance.now()));
    if (probe === null) return mayForce ? word : null;
    const taken = packBreaker(probe);
    return this.#replace(record, word, taken) ? taken : null;
  }

  /** A request that held a ticket went well: the deployment is back, unless something else has been learnt meanwhile. */
  onSuccess(record: HealthRecord, ticket: Ticket): void {
    if (ticket === NO_TICKET || !this.#replace(record, ticket, 0n)) return;
    this.#listener.onBack(record.id, unpackBreaker(ticket).reason);
  }

  /** It ended without a result. */
  onGivenUp(record: HealthRecord, ticket: Ticket): void {
    if (ticket === NO_TICKET) return;
    const breaker = unpackBreaker(ticket);
    const after = giveUpProbe(breaker, sharedMs(performance.now()));
    if (after !== breaker) this.#replace(record, ticket, packBreaker(after));
  }

  onFailure(record: HealthRecord, ticket: Ticket, failure: BreakerFailure): void {
    const nowMs = sharedMs(performance.now());
    this.#change(record, (breaker, word) => afterBreakerFailure(breaker, failure, nowMs, word === ticket));
  }

  /** @param benchedForMs 0: the result is only noted; else routing follows it. */
  onChecked(record: HealthRecord, result: CheckResult, isHealthy: boolean, benchedForMs: number): void {
    if (record.row === NO_ROW) return;
    const half = record.row * HALVES_PER_ROW;
    Atomics.store(this.#halves, half + RESULT_HALF, result.status);
    Atomics.store(this.#halves, half + DURATION_HALF, Math.round(result.durationMs));
    Atomics.store(this.#words, record.row * WORDS_PER_ROW + CHECKED_WORD, BigInt(Math.round(result.atUnixMs)));
    if (benchedForMs === 0) return;
    const untilMs = sharedMs(performance.now()) + benchedForMs;
    this.#change(record, (breaker) => (isHealthy ? afterGoodCheck(breaker) : afterFailedCheck(breaker, untilMs)));
  }

  /** Null: never checked. */
  lastCheck(record: HealthRecord): CheckResult | null {
    if (record.row === NO_ROW) return null;
    const atUnixMs = Number(Atomics.load(this.#words, record.row * WORDS_PER_ROW + CHECKED_WORD));
    if (atUnixMs === 0) return null;
    const half = record.row * HALVES_PER_ROW;
    return {
      atUnixMs,
      status: Atomics.load(this.#halves, half + RESULT_HALF),
      durationMs: Atomics.load(this.#halves, half + DURATION_HALF),
    };
  }

  #load(record: HealthRecord): bigint {
    return Atomics.load(this.#words, record.row * WORDS_PER_ROW + BREAKER_WORD);
  }

  #replace(record: HealthRecord, before: bigint, after: bigint): boolean {
    const at = record.row * WORDS_PER_ROW + BREAKER_WORD;
    return Atomics.compareExchange(this.#words, at, before, after) === before;
  }

  #change(record: HealthRecord, next: (breaker: Breaker, word: bigint) => Breaker): void {
    if (record.row === NO_ROW) return;
    for (let tries = 0; tries < MAX_TRIES; tries += 1) {
      const word = this.#load(record);
      const before = unpackBreaker(word);
      const after = next(before, word);
      if (after === before) return;
      if (!this.#replace(record, word, packBreaker(after))) continue;
      this.#tell(record, before, after);
      return;
    }
  }

  /** One line when it is benched and one when it is back: not one for each probe that failed. */
  #tell({ id }: HealthRecord, before: Breaker, after: Breaker): void {
    if (before.phase === 'closed' && after.phase === 'open') {
      this.#listener.onBenched(id, after.reason, after.timeMs - sharedMs(performance.now()));
    } else if (before.phase !== 'closed' && after.phase === 'closed') {
      this.#listener.onBack(id, before.reason);
    }
  }
}
