import { performance } from 'node:perf_hooks';
import { SharedQuota } from '../../contract/shared-quota.ts';
import type { SidecarSettings } from '../../contract/snapshot.ts';
import type { MetricsRegistry, GaugeCell, CounterCell } from '../../runtime/metrics-registry.ts';
import type { SharedMemory } from '../worker/shared-memory.ts';

/** A worker whose requests wait for permits that other workers hold looks so often whether one has come back. */
const LOOK_MS = 5;

/** A request as the queue sees it. */
export interface AdmissionWaiter {
  /** Monotonic ms at which it began to wait. */
  queuedMs: number;
}

/** What becomes of a request that had to wait. */
export interface AdmissionOutcome<Waiter> {
  /** It holds a permit now. */
  onAdmitted(waiter: Waiter): void;
  /** It has waited too long. */
  onWaitedTooLong(waiter: Waiter): void;
}

/**
 * At most `max_in_flight` requests are worked on by all workers together; a few more wait, first come first served;
 * the rest is refused at once.
 *
 * The queue is FIFO. Serving the newest first, or dropping by sojourn time, pays where a queue is long: there the oldest
 * have been given up by their clients. This one is short by design (as long as the limit, unless set otherwise, so a
 * place in it costs about one service time), and what does not fit is told so within a millisecond, while it can still
 * go elsewhere. FIFO then gives every admitted request the same, bounded wait.
 *
 * Permits are exact across workers; the queue is each worker's own, with its share of the places.
 */
export class Admission<Waiter extends AdmissionWaiter> {
  readonly #permits: SharedQuota;
  readonly #workerCount: number;
  readonly #outcome: AdmissionOutcome<Waiter>;
  /** Insertion order is the order of arrival; one that leaves is deleted in O(1). */
  readonly #queue = new Set<Waiter>();
  readonly #admitted: GaugeCell;
  readonly #waiting: GaugeCell;
  readonly #refused: CounterCell;
  readonly #waitedTooLong: CounterCell;
  #maxInFlight = Infinity;
  #maxQueue = 0;
  #queueWaitMs = Infinity;
  #look: NodeJS.Timeout | null = null;
  #isAdmitting = false;

  constructor(shared: SharedMemory, registry: MetricsRegistry, outcome: AdmissionOutcome<Waiter>) {
    this.#permits = new SharedQuota(shared.admission, shared.workerIndex);
    this.#workerCount = shared.workerCount;
    this.#outcome = outcome;
    this.#admitted = registry.gauge('slipstream_admitted_requests', 'Requests that hold a permit').cell();
    this.#waiting = registry.gauge('slipstream_queued_requests', 'Requests that wait for a permit').cell();
    const refused = registry.counter('slipstream_admission_refused_total', 'Requests shed, by reason', ['reason']);
    this.#refused = refused.cell('queue_full');
    this.#waitedTooLong = refused.cell('waited_too_long');
  }

  /** No limit is configured: nothing is counted. */
  get isOff(): boolean {
    return this.#maxInFlight === Infinity;
  }

  /** Neither a permit nor a place in the queue is left. */
  get isFull(): boolean {
    return this.#queue.size >= this.#maxQueue && this.#permits.used >= this.#maxInFlight;
  }

  configure({ limits, timeouts }: SidecarSettings): void {
    const { maxInFlight, maxQueue } = limits;
    this.#maxInFlight = maxInFlight ?? Infinity;
    this.#maxQueue = Math.ceil((maxQueue ?? maxInFlight ?? 0) / this.#workerCount);
    this.#queueWaitMs = timeouts.queueWaitMs;
    this.#admitWaiting();
  }

  /** `admitted`: it holds a permit, until `leave`. `queued`: the outcome is told later. */
  enter(waiter: Waiter): 'admitted' | 'queued' | 'refused' {
    if (this.#queue.size === 0 && this.#permits.tryTake(1, this.#maxInFlight)) {
      this.#admitted.add(1);
      return 'admitted';
    }
    if (this.#queue.size >= this.#maxQueue) {
      this.#refused.add(1);
      return 'refused';
    }
    waiter.queuedMs = performance.now();
    this.#queue.add(waiter);
    this.#waiting.add(1);
    if (this.#workerCount > 1) this.#lookLater();
    return 'queued';
  }

  /** A permit comes back. */
  leave(): void {
    this.#permits.give(1);
    this.#admitted.add(-1);
    if (this.#queue.size > 0) this.#admitWaiting();
  }

  /** Counts a request that was refused before it asked, because `isFull`. */
  countRefused(): void {
    this.#refused.add(1);
  }

  /** Its client has left, or the worker stops. */
  forget(waiter: Waiter): void {
    if (this.#queue.delete(waiter)) this.#waiting.add(-1);
  }

  /** The worker's tick: those that waited too long are refused, oldest first. */
  tick(nowMs: number): void {
    if (this.#queue.size === 0) return;
    for (const waiter of this.#queue) {
      if (nowMs - waiter.queuedMs < this.#queueWaitMs) break;
      this.forget(waiter);
      this.#waitedTooLong.add(1);
      this.#outcome.onWaitedTooLong(waiter);
    }
    this.#admitWaiting();
  }

  #admitWaiting(): void {
    if (this.#isAdmitting) return; // one that was admitted has ended at once: the loop below goes on with its permit
    this.#isAdmitting = true;
    for (const waiter of this.#queue) {
      if (!this.#permits.tryTake(1, this.#maxInFlight)) break;
      this.#admitted.add(1);
      this.forget(waiter);
      this.#outcome.onAdmitted(waiter);
    }
    this.#isAdmitting = false;
  }

  /** One timer per worker, and only while something waits: permits of other workers come back without a word. */
  #lookLater(): void {
    if (this.#look !== null) return;
    this.#look = setTimeout(() => {
      this.#look = null;
      this.#admitWaiting();
      if (this.#queue.size > 0) this.#lookLater();
    }, LOOK_MS);
  }
}
