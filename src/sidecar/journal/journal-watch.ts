import type { Logger } from '../../runtime/logger.ts';
import type { JournalMetrics } from './journal-metrics.ts';
import type { JournalSpace } from './journal-space.ts';
import type { JournalWriter } from './journal-writer.ts';

/** A write that is under way for so long is an alarm: answers wait for it. */
const STALLED_MS = 5_000;

/**
 * Looks at a worker's journal on each tick: one line in the log when a state begins and one when it is over, and what
 * /metrics shows of it.
 */
export class JournalWatch {
  readonly #journal: JournalWriter;
  readonly #space: JournalSpace;
  readonly #metrics: JournalMetrics;
  readonly #logger: Logger;
  /** Bytes of all workers are shown by one of them. */
  readonly #showsTotal: boolean;
  #isDropping = false;
  #isFull = false;
  #isPooled = false;
  #isStalled = false;
  #isRefusing = false;
  #droppedSeen = 0;
  #syncFailuresSeen = 0;

  constructor(journal: JournalWriter, space: JournalSpace, metrics: JournalMetrics, logger: Logger, index: number) {
    this.#journal = journal;
    this.#space = space;
    this.#metrics = metrics;
    this.#logger = logger;
    this.#showsTotal = index === 0;
  }

  onTick(nowMs: number): void {
    const { dropped, isFailing, isFull, isPooled, isRefusing, lastError, syncFailures } = this.#journal;
    const mayHaveDropped = dropped > this.#droppedSeen;
    this.#droppedSeen = dropped;
    if (isFull !== this.#isFull) this.#tellFull(isFull);
    if (mayHaveDropped && !isFull && !this.#isDropping) {
      this.#isDropping = true;
      this.#logger.error('the journal can not be written: usage events are dropped', { lastError });
    }
    if (this.#isDropping && !isFailing) {
      this.#isDropping = false;
      this.#logger.info('the journal is written again', { dropped });
    }
    if (isPooled !== this.#isPooled) this.#tellPooled(isPooled);
    this.#watchStall(nowMs);
    if (isRefusing !== this.#isRefusing) {
      this.#isRefusing = isRefusing;
      if (isRefusing) this.#logger.error('new requests are refused: their usage could not be recorded', { lastError });
      else this.#logger.info('requests are taken again: their usage can be recorded');
    }
    if (syncFailures > this.#syncFailuresSeen) {
      this.#metrics.syncFailures.add(syncFailures - this.#syncFailuresSeen);
      this.#syncFailuresSeen = syncFailures;
      this.#logger.error('a journal segment could not be forced to the disk', { lastError });
    }
    this.#show();
  }

  #tellFull(isFull: boolean): void {
    this.#isFull = isFull;
    const bytes = this.#space.totalBytes;
    if (isFull) this.#logger.error('the journal has reached max_bytes', { bytes });
    else this.#logger.info('the journal is below max_bytes again', { bytes, dropped: this.#droppedSeen });
  }

  #tellPooled(isPooled: boolean): void {
    this.#isPooled = isPooled;
    if (isPooled) this.#logger.warn("the journal's disk is slow: it is written beside the event loop, answers wait");
    else this.#logger.info("the journal's disk is fast again");
  }

  #watchStall(nowMs: number): void {
    const waitedMs = this.#journal.waitedMs(nowMs);
    const isStalled = waitedMs > STALLED_MS;
    if (isStalled === this.#isStalled) return;
    this.#isStalled = isStalled;
    const fields = { waitedMs: Math.round(waitedMs), queuedBytes: this.#journal.queuedChars };
    if (isStalled) this.#logger.error("the journal's disk does not answer; answers wait for it", fields);
    else this.#logger.info("the journal's disk answers again");
  }

  #show(): void {
    const metrics = this.#metrics;
    metrics.failing.set(this.#journal.isFailing || this.#journal.isFull ? 1 : 0);
    metrics.slow.set(this.#isPooled ? 1 : 0);
    metrics.queuedBytes.set(this.#journal.queuedChars);
    if (this.#showsTotal) metrics.bytes.set(this.#space.totalBytes);
  }
}
