import { join } from 'node:path';
import { performance } from 'node:perf_hooks';
import type { JournalSettings } from '../../contract/snapshot.ts';
import { NODE_DISK, type JournalDisk } from './journal-disk.ts';
import type { JournalSpace } from './journal-space.ts';
import { WritePace } from './write-pace.ts';

/** What waits for its line to be on disk before it sends the last byte of its answer. */
export interface JournalWaiter {
  /** `stored` is false if the disk refused the line; it is counted, and the answer goes out all the same. */
  onJournaled(stored: boolean): void;
}

export interface JournalOptions {
  readonly directory: string;
  /** Segment name before the sequence number: node UUID, process epoch, worker. */
  readonly prefix: string;
  readonly settings: JournalSettings;
  /** Shared by all workers. */
  readonly space: JournalSpace;
  readonly disk?: JournalDisk;
  /** Told how long each write took, in seconds, in place or in the pool. */
  readonly writeSeconds?: { observe(seconds: number): void };
  /** What writes are timed by, ms; it never goes back. */
  readonly now?: () => number;
}

/** What waits for a write that is under way, per worker. Beyond either of these new requests are refused. */
export const MAX_QUEUED_CHARS: number = 8 * 1024 * 1024;
/** With each line its answer waits, of which up to 64 KiB are held. */
export const MAX_QUEUED_LINES = 4096;

/** While the disk refuses lines, it is asked so often whether it takes some again. */
const PROBE_INTERVAL_MS = 1_000;
/** As much as a few lines. Empty lines mean nothing to a reader. */
const PROBE = Buffer.alloc(4096, '\n');
const NEWLINE = 0x0a;
/** For 100 lines: more than come in a turn of the loop, as a rule. */
const SCRATCH_BYTES = 256 * 1024;
/** Of one UTF-16 unit. */
const MAX_UTF8_BYTES = 3;

interface EndedSegment {
  readonly fd: number;
  readonly mustSync: boolean;
}

/** Lines that are written together, and how far that has got. */
interface Batch {
  readonly data: Uint8Array;
  readonly waiters: readonly JournalWaiter[];
  readonly startedMs: number;
  readonly isPooled: boolean;
  /** Bytes of whole lines that are on disk. */
  at: number;
  shortWrites: number;
  isOver: boolean;
}

/**
 * Appends usage events to segment files. All lines of one event-loop turn share one write(2) (0.5 µs a line instead of
 * 1.5–2.3), made before any of their answers is completed: a kill -9 can lose no answered request. While requests come one
 * at a time there is nothing to share, and the line is written without waiting for the end of the turn.
 *
 * One write is under way at a time. It is made in place, or in the thread pool while the disk is slow (write-pace.ts) or
 * an fsync is running, which makes writes to the same file wait. Lines that come meanwhile are queued; they, and the
 * answers that wait for them, keep their order.
 */
export class JournalWriter {
  lines = 0;
  bytes = 0;
  dropped = 0;
  syncFailures = 0;
  lastError: string | null = null;
  /** The last write was refused, wholly or in part. */
  isFailing = false;
  /** The segments take more than `maxBytes`: with `drop` lines are dropped, with `refuse` new requests are refused. */
  isFull = false;
  /** New requests whose event would stand here must not begin. */
  isRefusing = false;

  readonly #disk: JournalDisk;
  readonly #directory: string;
  readonly #prefix: string;
  readonly #space: JournalSpace;
  readonly #pace: WritePace = new WritePace();
  readonly #writeSeconds: { observe(seconds: number): void } | null;
  #settings: JournalSettings;
  #fd = -1;
  #sequence = 0;
  #segmentBytes = 0;
  /** Nothing more may be written to the segment: an fsync of it has failed. */
  #isSuspect = false;
  #unsynced = false;
  readonly #ended: EndedSegment[] = [];
  #isSyncing = false;
  #lastSyncMs = 0;
  #lastTryMs = 0;
  readonly #scratch: Buffer = Buffer.allocUnsafeSlow(SCRATCH_BYTES);
  #text = '';
  #waiters: JournalWaiter[] = [];
  #scheduled = false;
  #batch: Batch | null = null;
  #onClosed: (() => void) | null = null;
  readonly #flush: () => void;
  readonly #now: () => number;

  constructor(options: JournalOptions) {
    this.#disk = options.disk ?? NODE_DISK;
    this.#directory = options.directory;
    this.#prefix = options.prefix;
    this.#settings = options.settings;
    this.#space = options.space;
    this.#writeSeconds = options.writeSeconds ?? null;
    this.#now = options.now ?? (() => performance.now());
    this.#flush = () => {
      this.#scheduled = false;
      this.flush();
    };
    this.#disk.makeDirectory(options.directory);
  }

  configure(settings: JournalSettings): void {
    this.#settings = settings;
    this.#look();
  }

  /** Writes are made in the thread pool because the disk is slow. */
  get isPooled(): boolean {
    return this.#pace.isPooled;
  }

  /** Lines not on disk yet; one UTF-16 unit is nearly always one byte. */
  get queuedChars(): number {
    return this.#text.length + (this.#batch === null ? 0 : this.#batch.data.length);
  }

  /** For how long the write under way has been, ms. */
  waitedMs(nowMs: number): number {
    return this.#batch === null ? 0 : nowMs - this.#batch.startedMs;
  }

  /**
   * Queues `line` (ends in a newline); `waiter` hears of it after this turn's write, or at once if it is dropped.
   * `isAlone`: no other line is to be expected in this turn; it is written, and `waiter` hears of it, at once.
   */
  append(line: string, waiter: JournalWaiter, isAlone: boolean): void {
    if (this.isFull && this.#settings.onFull === 'drop') {
      this.dropped += 1;
      waiter.onJournaled(false);
      return;
    }
    this.#text += line;
    this.#waiters.push(waiter);
    if (this.#isBehind) this.isRefusing = true;
    if (this.#scheduled) return;
    if (isAlone) {
      this.flush();
      return;
    }
    this.#scheduled = true;
    setImmediate(this.#flush);
  }

  /** Begins to write what is queued, unless a write is under way: then that one's end does. */
  flush(): void {
    if (this.#batch !== null || this.#waiters.length === 0) return;
    const text = this.#text;
    const waiters = this.#waiters;
    this.#text = '';
    this.#waiters = [];
    this.#begin(this.#encode(text), waiters);
  }

  /** Called on each tick: fsync when its interval is over, limits, and a probe while the disk refuses lines. */
  tick(nowMs: number): void {
    this.#look();
    if (this.isFailing && this.#batch === null && nowMs - this.#lastTryMs >= PROBE_INTERVAL_MS) this.#begin(PROBE, []);
    const interval = this.#settings.fsyncIntervalMs;
    if (!this.#unsynced || this.#isSyncing || interval === null || nowMs - this.#lastSyncMs < interval) return;
    this.#lastSyncMs = nowMs;
    if (this.#fd === -1) return;
    this.#unsynced = false;
    this.#sync(this.#fd, false);
  }

  /** Writes what is queued, forces it to the disk, ends the segment. `done` is called when all that is over. */
  close(done: () => void = ignore): void {
    this.#onClosed = done;
    this.flush();
    if (this.#batch === null) this.#closeNow();
  }

  #look(): void {
    const { maxBytes, onFull } = this.#settings;
    this.isFull = maxBytes !== null && this.#space.totalBytes >= maxBytes;
    this.isRefusing = this.#isBehind || (onFull === 'refuse' && (this.isFull || this.isFailing));
  }

  get #isBehind(): boolean {
    return this.#text.length > MAX_QUEUED_CHARS || this.#waiters.length > MAX_QUEUED_LINES;
  }

  /** What is written in place is on disk, or dropped, when the write returns: one buffer serves all of it. */
  #encode(text: string): Uint8Array {
    if (this.#mustPool || text.length * MAX_UTF8_BYTES > this.#scratch.length) return Buffer.from(text, 'utf8');
    return this.#scratch.subarray(0, this.#scratch.write(text, 0, 'utf8'));
  }

  get #mustPool(): boolean {
    return this.#pace.isPooled || this.#isSyncing;
  }

  #begin(data: Uint8Array, waiters: readonly JournalWaiter[]): void {
    const startedMs = this.#now();
    const isPooled = this.#mustPool;
    const batch: Batch = { data, waiters, startedMs, isPooled, at: 0, shortWrites: 0, isOver: false };
    this.#batch = batch;
    this.#lastTryMs = startedMs;
    if (isPooled) this.#goOnPooled(batch);
    else this.#goInPlace(batch);
  }

  /** What is to be done next for the batch. */
  #next(batch: Batch): 'open' | 'write' | 'finish' {
    if (batch.isOver || batch.at === batch.data.length) return 'finish';
    if (this.#isSuspect || this.#segmentBytes >= this.#settings.maxSegmentBytes) this.#endSegment(this.#mustSync);
    return this.#fd === -1 ? 'open' : 'write';
  }

  #goInPlace(batch: Batch): void {
    try {
      for (let next = this.#next(batch); next !== 'finish'; next = this.#next(batch)) {
        if (next === 'open') this.#opened(this.#disk.openSync(this.#newSegmentPath()));
        else this.#wrote(batch, this.#disk.writeSync(this.#fd, rest(batch)));
      }
    } catch (error) {
      this.#failed(batch, error);
    }
    const nowMs = this.#now();
    this.#pace.noteInPlace(batch.startedMs, nowMs);
    this.#finish(batch, nowMs);
  }

  #goOnPooled(batch: Batch): void {
    switch (this.#next(batch)) {
      case 'open':
        this.#disk.open(this.#newSegmentPath(), (error, fd) => {
          if (error === null) this.#opened(fd);
          else this.#failed(batch, error);
          this.#goOnPooled(batch);
        });
        return;
      case 'write':
        this.#disk.write(this.#fd, rest(batch), (error, written) => {
          if (error === null) this.#wrote(batch, written);
          else this.#failed(batch, error);
          this.#goOnPooled(batch);
        });
        return;
      case 'finish': {
        const nowMs = this.#now();
        this.#pace.notePooled(batch.startedMs, nowMs);
        this.#finish(batch, nowMs);
        this.flush();
        if (this.#onClosed !== null && this.#batch === null) this.#closeNow();
      }
    }
  }

  #wrote(batch: Batch, written: number): void {
    this.#segmentBytes += written;
    this.bytes += written;
    this.#space.add(written);
    this.#unsynced = true;
    if (batch.at + written === batch.data.length) {
      batch.at = batch.data.length;
      return;
    }
    // A short write tears a line: nothing may follow it, so this segment ends here (its reader drops a last line
    // without newline), and what is not whole in it goes to a new one. No line is written twice.
    batch.at += batch.data.subarray(batch.at, batch.at + written).lastIndexOf(NEWLINE) + 1;
    batch.shortWrites += 1;
    this.#endSegment(this.#mustSync);
    if (batch.shortWrites < 2) return;
    batch.isOver = true;
    this.lastError = 'short write';
  }

  #failed(batch: Batch, error: unknown): void {
    batch.isOver = true;
    this.lastError = error instanceof Error ? error.message : String(error);
    const code = error instanceof Error && 'code' in error ? error.code : '';
    if (code === 'ENOENT') this.#makeDirectoryAgain();
    // On a full disk an empty segment waits for room: a new one for each try would use up the inodes too.
    const isFull = code === 'ENOSPC' || code === 'EDQUOT' || code === 'EFBIG';
    if (this.#segmentBytes > 0 || !isFull) this.#endSegment(this.#mustSync);
  }

  /** Someone has removed it. The next try finds it there. */
  #makeDirectoryAgain(): void {
    try {
      this.#disk.makeDirectory(this.#directory);
    } catch {
      // The error that brought us here says enough.
    }
  }

  #finish(batch: Batch, nowMs: number): void {
    const { data, waiters } = batch;
    const isWhole = batch.at === data.length;
    const stored = isWhole ? waiters.length : Math.min(lineCount(data.subarray(0, batch.at)), waiters.length);
    this.lines += stored;
    this.dropped += waiters.length - stored;
    this.isFailing = !isWhole;
    this.#batch = null;
    this.#writeSeconds?.observe((nowMs - batch.startedMs) / 1000);
    if (this.isFailing || this.isRefusing) this.#look();
    for (let index = 0; index < waiters.length; index += 1) waiters[index]!.onJournaled(index < stored);
  }

  get #mustSync(): boolean {
    return this.#unsynced && this.#settings.fsyncIntervalMs !== null;
  }

  #newSegmentPath(): string {
    this.#sequence += 1;
    return join(this.#directory, `${this.#prefix}-${String(this.#sequence).padStart(6, '0')}.ndjson`);
  }

  #opened(fd: number): void {
    this.#fd = fd;
    this.#segmentBytes = 0;
    this.#isSuspect = false;
    this.#unsynced = false;
  }

  /** Never in place: closing may wait for the disk as forcing to it does. */
  #endSegment(mustSync: boolean): void {
    if (this.#fd === -1) return;
    this.#ended.push({ fd: this.#fd, mustSync });
    this.#fd = -1;
    this.#closeEnded();
  }

  /** One after the other, and after the fsync that is running. */
  #closeEnded(): void {
    while (!this.#isSyncing) {
      const ended = this.#ended.shift();
      if (ended === undefined) {
        this.#tellClosed();
        return;
      }
      if (ended.mustSync) this.#sync(ended.fd, true);
      else this.#disk.close(ended.fd, ignore);
    }
  }

  /** In the thread pool: the loop must not wait for the disk. */
  #sync(fd: number, closes: boolean): void {
    this.#isSyncing = true;
    this.#disk.sync(fd, (error) => {
      this.#isSyncing = false;
      if (error !== null) {
        this.syncFailures += 1;
        this.lastError = error.message;
        // The kernel has given up on what it could not write: another fsync of this file would say that all is well.
        if (fd === this.#fd) this.#isSuspect = true;
      }
      if (closes) this.#disk.close(fd, ignore);
      this.#closeEnded();
    });
  }

  #closeNow(): void {
    this.#endSegment(true);
    this.#closeEnded();
  }

  #tellClosed(): void {
    const done = this.#onClosed;
    if (done === null || this.#fd !== -1 || this.#batch !== null) return;
    this.#onClosed = null;
    done();
  }
}

function rest(batch: Batch): Uint8Array {
  return batch.at === 0 ? batch.data : batch.data.subarray(batch.at);
}

/** Whole ones; a newline stands nowhere but at the end of a line, JSON escapes it. */
function lineCount(data: Uint8Array): number {
  let count = 0;
  for (let at = data.indexOf(NEWLINE); at !== -1; at = data.indexOf(NEWLINE, at + 1)) count += 1;
  return count;
}

/** What a close could fail with has been seen by the writes, or by fsync. */
function ignore(): void {
  // nothing to do
}
