import { invariant } from '../../base/invariant.ts';
import type { SegmentName } from '../../contract/segment-name.ts';
import type { Logger } from '../../runtime/logger.ts';
import type { DeploymentPrices } from './apply-chunk.ts';
import { JournalListing, type WriterSegments } from './journal-files.ts';
import type { ChunkResult, SegmentState, UsageBackend } from './usage-backend.ts';
import { UsageFileError } from './usage-file-error.ts';

/** What a running gateway writes is ingested this often: few transactions, and each aggregate once in each. */
const POLL_MS = 1000;
/** About 12,000 events, which hold the writing connection for some 400 ms: what falls behind catches up with. */
const CHUNK_BYTES = 8 * 1024 * 1024;
/** With less than this to do it takes its time: what four seconds at 5,000 requests a second leave. */
const UNHURRIED_BYTES = 16 * 1024 * 1024;
/** And little at a time: the commit of a transaction is one piece of work, which requests on the same CPU wait for. */
const UNHURRIED_CHUNK_BYTES = 512 * 1024;
const FIRST_BACK_OFF_MS = 500;
const LONGEST_BACK_OFF_MS = 30_000;
/** Old events are deleted a few at a time: nobody waits for one step, and SQLite's log stays small. */
const DELETE_EVENTS = 1000;
const DELETE_PAUSE_MS = 100;
const DELETE_EVERY_MS = 3_600_000;
/** Positions outlive their files: a gateway that was stopped for long and goes on must find that it is too late. */
const FORGET_AFTER_MS = 30 * 86_400_000;

export interface IngesterSettings {
  /** Events older than this are deleted; null: never. Aggregates stay. */
  readonly keepEventsMs: number | null;
  /** How long a segment stays after it was ingested. */
  readonly keepSegmentsMs: number;
  /** For requests that only an open line is left of. */
  readonly prices: DeploymentPrices;
}

export interface IngesterOptions {
  readonly dataDirectory: string;
  /** @throws {StoreError} `unavailable` while the database is away. */
  readonly usage: () => UsageBackend;
  /** Of the configuration in force. */
  readonly settings: () => IngesterSettings;
  readonly logger: Logger;
  /** Whoever reads the journal too takes what it needs from the database; a rejection keeps the segment for now. */
  readonly beforeDelete?: () => Promise<void>;
  /** Default 1 s. */
  readonly pollMs?: number;
  readonly chunkBytes?: number;
}

/** How ingestion is doing, for `/slipstream/status`. */
export interface IngestionStatus {
  /** Since the start of this process. */
  readonly events: number;
  readonly invalidLines: number;
  readonly duplicates: number;
  /** Bytes of the journal that were not in the database at the last look. */
  readonly behindBytes: number;
  /** Why it does not go on at present; null: it does. */
  readonly fault: string | null;
}

/**
 * Brings the journal into the database, each event exactly once: the position in a segment is moved in the transaction
 * that writes what lies before it, and only from where it was expected to be. Whoever finds it elsewhere writes nothing.
 */
export class UsageIngester {
  readonly #options: IngesterOptions;
  readonly #known = new Map<string, SegmentState>();
  readonly #stop = new AbortController();
  #running: Promise<void> | null = null;
  #wake = (): void => undefined;
  #events = 0;
  #invalidLines = 0;
  #duplicates = 0;
  #behindBytes = 0;
  #fault: string | null = null;
  #backOffMs = FIRST_BACK_OFF_MS;
  #deleteAtMs = 0;

  constructor(options: IngesterOptions) {
    this.#options = options;
  }

  start(): void {
    invariant(this.#running === null, 'ingestion is started once');
    this.#running = this.#run();
  }

  /** Does not wait any longer before it tries again. */
  wake(): void {
    this.#wake();
  }

  /** Resolves when the transaction under way is over. */
  async stop(): Promise<void> {
    this.#stop.abort();
    this.#wake();
    await this.#running;
  }

  status(): IngestionStatus {
    return {
      events: this.#events,
      invalidLines: this.#invalidLines,
      duplicates: this.#duplicates,
      behindBytes: this.#behindBytes,
      fault: this.#fault,
    };
  }

  /**
   * Takes all there is. Called by the loop that `start` begins; by itself only where nothing else does.
   *
   * @throws what the backend rejects with.
   */
  async pass(): Promise<void> {
    const listing = new JournalListing(this.#options.dataDirectory);
    await this.#learnStates(listing);
    // Told before as well: after a day without the database this takes a while.
    this.#behindBytes = listing.segments.reduce((sum, segment) => sum + this.#behind(listing, segment), 0);
    let behindBytes = 0;
    const unfinished = new Set<string>();
    for (const group of listing.byWriter()) {
      const behind = await this.#takeWriter(listing, group);
      if (behind === null) continue;
      unfinished.add(group.writer);
      behindBytes += behind;
    }
    this.#behindBytes = behindBytes;
    await this.#endWriters(listing, unfinished);
  }

  async #run(): Promise<void> {
    const { pollMs = POLL_MS } = this.#options;
    while (!this.#stop.signal.aborted) {
      let waitMs = pollMs;
      try {
        await this.pass();
        if (await this.#deleteOldEvents(Date.now())) waitMs = Math.min(waitMs, DELETE_PAUSE_MS);
        this.#recovered();
      } catch (error) {
        waitMs = this.#failed(error);
      }
      await this.#pause(waitMs);
    }
  }

  async #pause(ms: number): Promise<void> {
    if (this.#stop.signal.aborted) return;
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#wake = resolve;
    const timer = setTimeout(resolve, ms);
    await promise;
    clearTimeout(timer);
  }

  async #learnStates({ segments }: JournalListing): Promise<void> {
    const names = new Set(segments.map(({ name }) => name));
    for (const name of this.#known.keys()) if (!names.has(name)) this.#known.delete(name);
    const unknown = [...names].filter((name) => !this.#known.has(name));
    if (unknown.length === 0) return;
    for (const state of await this.#options.usage().states(unknown)) this.#known.set(state.segment, state);
  }

  /** @returns null when all of its segments are finished; else the bytes that are still to be taken. */
  async #takeWriter(listing: JournalListing, { writer, segments }: WriterSegments): Promise<number | null> {
    for (const [place, segment] of segments.entries()) {
      if (this.#stop.signal.aborted) return 0;
      if (await this.#takeSegment(listing, writer, segment)) {
        // At once: a journal that is full while it is being caught up would go on losing events.
        await this.#deleteSegment(listing, segment);
        continue;
      }
      // In order: a request that is open here may end in the next one.
      return segments.slice(place).reduce((sum, other) => sum + this.#behind(listing, other), 0);
    }
    return null;
  }

  /** @returns true when it is finished. */
  async #takeSegment(listing: JournalListing, writer: string, segment: SegmentName): Promise<boolean> {
    const { chunkBytes = CHUNK_BYTES } = this.#options;
    const usage = this.#options.usage();
    const isFinal = listing.isFinal(segment);
    while (!this.#stop.signal.aborted) {
      const state = this.#known.get(segment.name) ?? { segment: segment.name, position: 0, finishedAtMs: null };
      if (state.finishedAtMs !== null) return true;
      if (!isFinal && listing.sizeOf(segment) <= state.position) return false;
      const nowMs = Date.now();
      const { directory } = listing;
      const { name } = segment;
      let result: ChunkResult;
      try {
        const { position } = state;
        const isUnhurried = this.#behindBytes < UNHURRIED_BYTES;
        result = await usage.ingestChunk({
          directory,
          segment: name,
          writer,
          position,
          isFinal,
          maxBytes: isUnhurried ? Math.min(chunkBytes, UNHURRIED_CHUNK_BYTES) : chunkBytes,
          isUnhurried,
          nowMs,
        });
      } catch (error) {
        return this.#unreadable(segment, error);
      }
      this.#count(name, result);
      if (result.outcome === 'stale') {
        this.#known.delete(name);
        const [now] = await usage.states([name]);
        if (now === undefined) return false; // somebody has finished and deleted it
        this.#known.set(name, now);
        continue;
      }
      const { position, isFinished, isAtEnd } = result;
      this.#known.set(name, { segment: name, position, finishedAtMs: isFinished ? nowMs : null });
      if (isFinished) return true;
      if (isAtEnd) return false;
    }
    return false;
  }

  #count(segment: string, { events, duplicates, invalidCount, invalid, outcome }: ChunkResult): void {
    if (outcome !== 'written') return;
    this.#events += events;
    this.#duplicates += duplicates;
    this.#invalidLines += invalidCount;
    const { logger } = this.#options;
    if (invalidCount > 0) {
      logger.error('lines of the journal are no usage events and are left out', { segment, invalidCount, invalid });
    }
    if (duplicates > 0) logger.error('usage events that are in the database already', { segment, duplicates });
  }

  /** Another gateway may have deleted it; else it is told, and the rest goes on. */
  #unreadable({ name }: SegmentName, error: unknown): boolean {
    if (!(error instanceof UsageFileError)) throw error;
    this.#known.delete(name);
    if (error.code !== 'ENOENT') {
      this.#options.logger.error('a journal segment can not be read', { segment: name, reason: error.message });
    }
    return false;
  }

  #behind(listing: JournalListing, segment: SegmentName): number {
    if ((this.#known.get(segment.name)?.finishedAtMs ?? null) !== null) return 0; // but for a torn tail
    return Math.max(0, listing.sizeOf(segment) - (this.#known.get(segment.name)?.position ?? 0));
  }

  async #endWriters(listing: JournalListing, unfinished: ReadonlySet<string>): Promise<void> {
    const { logger } = this.#options;
    const usage = this.#options.usage();
    for (const writer of await usage.openWriters()) {
      if (unfinished.has(writer) || !listing.isGone(writer)) continue;
      const events = await usage.endWriter(writer, this.#options.settings().prices);
      this.#events += events;
      if (events > 0) logger.warn('requests ended with their process; their usage is estimated', { writer, events });
    }
  }

  async #deleteSegment(listing: JournalListing, segment: SegmentName): Promise<void> {
    const { settings } = this.#options;
    const finishedAtMs = this.#known.get(segment.name)?.finishedAtMs ?? null;
    if (finishedAtMs === null || finishedAtMs > Date.now() - settings().keepSegmentsMs) return;
    if (!(await this.#options.usage().makeDurable())) return;
    await this.#options.beforeDelete?.();
    listing.delete(segment);
  }

  /** @returns true if there may be more. */
  async #deleteOldEvents(nowMs: number): Promise<boolean> {
    const { settings } = this.#options;
    const usage = this.#options.usage();
    if (nowMs < this.#deleteAtMs) return false;
    const { keepEventsMs } = settings();
    if (keepEventsMs !== null && (await usage.deleteEvents(nowMs - keepEventsMs, DELETE_EVENTS)) === DELETE_EVENTS) {
      return true;
    }
    await usage.forgetSegments(nowMs - Math.max(FORGET_AFTER_MS, 2 * settings().keepSegmentsMs));
    this.#deleteAtMs = nowMs + DELETE_EVERY_MS;
    return false;
  }

  #failed(error: unknown): number {
    const reason = error instanceof Error ? error.message : 'unknown';
    if (this.#fault === null) {
      this.#options.logger.error('usage can not be written to the database; it waits in the journal', { reason });
    }
    this.#fault = reason;
    // What was thought to be written may not be, and the other way round.
    this.#known.clear();
    const waitMs = this.#backOffMs;
    this.#backOffMs = Math.min(this.#backOffMs * 2, LONGEST_BACK_OFF_MS);
    return waitMs;
  }

  #recovered(): void {
    if (this.#fault !== null) this.#options.logger.info('usage is written to the database again');
    this.#fault = null;
    this.#backOffMs = FIRST_BACK_OFF_MS;
  }
}
