import { hash } from 'node:crypto';
import { rowId, SharedRows } from '../../contract/shared-rows.ts';
import { OTHER_LABEL, type GaugeCell } from '../../runtime/metrics-registry.ts';
import type { SidecarMetrics } from '../worker/sidecar-metrics.ts';
import type { SharedMemory } from '../worker/shared-memory.ts';

/*
 * What is known of each deployment's load, in memory that all threads see:
 *
 *     ids       row r │ id                                                          SharedRows, found at snapshot build
 *     averages  row r │ first event │ at │ duration │ output tokens │ at            one for all threads
 *     counts    worker w, row r │ in flight │ minute │ requests │ tokens            one region per worker, written by it alone
 *
 * Counts are exact: a reader sums the regions. Two threads that move an average at the same time may lose one of the two
 * samples, which an average bears; a lock it would not bear, since a thread may end at any instruction.
 */

/** Rows are never freed: so many different deployments over the life of the process. Those beyond share the last row. */
const ROWS = 8192;
const SHARED_ROW = ROWS;
/** Of `SharedRows`: an id and a spare word. */
const ID_ROW_BYTES = 16;

const AVERAGES = 5;
const FIRST_EVENT = 0;
const FIRST_EVENT_AT = 1;
const DURATION = 2;
const OUTPUT_TOKENS = 3;
const DURATION_AT = 4;

const COUNTS = 4;
const IN_FLIGHT = 0;
const MINUTE = 1;
const REQUESTS = 2;
const TOKENS = 3;
const REGION = COUNTS * (ROWS + 1);

/** Weight of the newest sample: the last ten make nine tenths of the average, like LiteLLM's mean of ten. */
const NEWEST = 0.2;

/** A failed attempt counts as one that took at least this long, so that failing fast never looks like being fast. */
const FAILED_MS = 10_000;

const MINUTE_MS = 60_000;

/** Counts are 32-bit; what a provider reports may be any number. */
const MAX_TOKENS = 2 ** 31 - 1;

export interface DeploymentLoadMemory {
  readonly ids: SharedArrayBuffer;
  readonly averages: SharedArrayBuffer;
  readonly counts: SharedArrayBuffer;
}

export function newDeploymentLoadMemory(workerCount: number): DeploymentLoadMemory {
  return {
    ids: SharedRows.memoryFor(ROWS, ID_ROW_BYTES),
    averages: new SharedArrayBuffer((ROWS + 1) * AVERAGES * Float64Array.BYTES_PER_ELEMENT),
    counts: new SharedArrayBuffer(workerCount * REGION * Int32Array.BYTES_PER_ELEMENT),
  };
}

/** What a dead worker had in flight is over. By the main thread, before another worker takes its place. */
export function clearInFlight({ counts }: DeploymentLoadMemory, workerIndex: number): void {
  const region = new Int32Array(counts, workerIndex * REGION * Int32Array.BYTES_PER_ELEMENT, REGION);
  for (let at = IN_FLIGHT; at < REGION; at += COUNTS) region[at] = 0;
}

/** Where a deployment is counted; found by its id at snapshot build. */
export interface LoadPlace {
  readonly loadRow: number;
  /** Of this worker, for /metrics. */
  readonly inFlightGauge: GaugeCell;
}

/** What of a deployment decides how it is counted; compiled deployments satisfy it. */
export interface LoadedDeployment extends LoadPlace {
  /** How long a latency counts, ms; 0 = this group's strategy does not ask for latencies. */
  readonly latencyTtlMs: number;
  /** This group's strategy asks for the tokens and requests of the minute. */
  readonly tracksUsage: boolean;
}

/** The load of all deployments as one worker writes and sees it. */
export class DeploymentLoad {
  /** Unix ms, as of the worker's last tick. */
  #nowMs = 0;
  #minute = 0;
  readonly #rows: SharedRows;
  readonly #averages: Float64Array;
  readonly #counts: Int32Array;
  readonly #regionCount: number;
  /** First cell of this worker's own region. */
  readonly #own: number;
  readonly #metrics: SidecarMetrics;
  readonly #known = new Map<string, LoadPlace>();

  constructor(shared: SharedMemory, metrics: SidecarMetrics, unixMs: number) {
    const { ids, averages, counts } = shared.deploymentLoad;
    this.#rows = new SharedRows(ids, ID_ROW_BYTES);
    this.#averages = new Float64Array(averages);
    this.#counts = new Int32Array(counts);
    this.#regionCount = shared.workerCount;
    this.#own = shared.workerIndex * REGION;
    this.#metrics = metrics;
    this.tick(unixMs);
  }

  tick(unixMs: number): void {
    this.#nowMs = unixMs;
    this.#minute = Math.floor(unixMs / MINUTE_MS);
  }

  /** Where a deployment is counted: the same place for each worker and every snapshot. */
  placeOf(deploymentId: string): LoadPlace {
    const known = this.#known.get(deploymentId);
    if (known !== undefined) return known;
    const claimed = this.#rows.claim(rowId(hash('sha256', `deployment:${deploymentId}`, 'hex')));
    const isShared = claimed === -1;
    const place = Object.freeze({
      loadRow: isShared ? SHARED_ROW : claimed,
      inFlightGauge: this.#metrics.deploymentInFlight(isShared ? OTHER_LABEL : deploymentId),
    });
    this.#known.set(deploymentId, place);
    return place;
  }

  /** An attempt begins. Every call is followed by exactly one of `ended`. */
  started({ loadRow, inFlightGauge, tracksUsage }: LoadedDeployment): void {
    const at = this.#own + loadRow * COUNTS;
    this.#counts[at + IN_FLIGHT]! += 1;
    inFlightGauge.add(1);
    if (!tracksUsage) return;
    this.#openMinute(at);
    this.#counts[at + REQUESTS]! += 1;
  }

  /** An attempt is over, whatever its end. */
  ended({ loadRow, inFlightGauge }: LoadPlace): void {
    this.#counts[this.#own + loadRow * COUNTS + IN_FLIGHT]! -= 1;
    inFlightGauge.add(-1);
  }

  /** The first event of a stream has come, so many ms after its attempt began. */
  firstEvent({ loadRow, latencyTtlMs }: LoadedDeployment, ms: number): void {
    if (latencyTtlMs === 0) return;
    const at = loadRow * AVERAGES;
    this.#move(at + FIRST_EVENT, ms, this.#isStale(at + FIRST_EVENT_AT, latencyTtlMs));
    this.#averages[at + FIRST_EVENT_AT] = this.#nowMs;
  }

  /** A reply that was no error is complete. */
  completed({ loadRow, latencyTtlMs }: LoadedDeployment, ms: number, outputTokens: number): void {
    if (latencyTtlMs === 0) return;
    // Averages of both, divided when read: one answer of two tokens must not count like one of two thousand.
    const at = loadRow * AVERAGES;
    const isStale = this.#isStale(at + DURATION_AT, latencyTtlMs);
    this.#move(at + DURATION, ms, isStale);
    this.#move(at + OUTPUT_TOKENS, outputTokens, isStale);
    this.#averages[at + DURATION_AT] = this.#nowMs;
  }

  /**
   * The deployment is at fault for an attempt that took so long. A timeout may be the client's own, and shorter than what
   * is usual here: then it says nothing.
   */
  failed(deployment: LoadedDeployment, isStream: boolean, ms: number, isTimeout: boolean): void {
    const { loadRow, latencyTtlMs } = deployment;
    if (latencyTtlMs === 0) return;
    const at = loadRow * AVERAGES;
    const stamp = at + (isStream ? FIRST_EVENT_AT : DURATION_AT);
    const value = at + (isStream ? FIRST_EVENT : DURATION);
    const isStale = this.#isStale(stamp, latencyTtlMs);
    if (isTimeout && !isStale && ms < this.#averages[value]!) return;
    this.#move(value, isTimeout ? ms : Math.max(ms, FAILED_MS), isStale);
    if (isStale && !isStream) this.#averages[at + OUTPUT_TOKENS] = 0;
    this.#averages[stamp] = this.#nowMs;
  }

  /** Tokens, in and out, that an attempt turned out to use. */
  used({ loadRow, tracksUsage }: LoadedDeployment, tokens: number): void {
    if (!tracksUsage) return;
    const at = this.#own + loadRow * COUNTS;
    this.#openMinute(at);
    this.#counts[at + TOKENS] = Math.min(this.#counts[at + TOKENS]! + tokens, MAX_TOKENS);
  }

  /** Attempts in progress, of all workers. */
  inFlight(row: number): number {
    let sum = 0;
    const counts = this.#counts;
    for (let region = 0, at = row * COUNTS; region < this.#regionCount; region += 1, at += REGION) sum += counts[at]!;
    return sum;
  }

  /** Requests that began in this minute, of all workers. */
  requestsThisMinute(row: number): number {
    return this.#sumOfMinute(row, REQUESTS);
  }

  /** Tokens of replies that ended in this minute, of all workers. */
  tokensThisMinute(row: number): number {
    return this.#sumOfMinute(row, TOKENS);
  }

  /**
   * Streams: ms to the first event. Other requests: ms per output token, or per request where no tokens are reported.
   *
   * @returns 0 if nothing is known, or nothing from within the time to live.
   */
  latency({ loadRow, latencyTtlMs }: LoadedDeployment, isStream: boolean): number {
    const at = loadRow * AVERAGES;
    const averages = this.#averages;
    if (this.#isStale(at + (isStream ? FIRST_EVENT_AT : DURATION_AT), latencyTtlMs)) return 0;
    if (isStream) return averages[at + FIRST_EVENT]!;
    return averages[at + DURATION]! / Math.max(1, averages[at + OUTPUT_TOKENS]!);
  }

  /** Ms since the last sample of `latency`; meaningless where that is 0. */
  latencyAgeMs({ loadRow }: LoadedDeployment, isStream: boolean): number {
    const sampledMs = this.#averages[loadRow * AVERAGES + (isStream ? FIRST_EVENT_AT : DURATION_AT)]!;
    return Math.max(0, this.#nowMs - sampledMs);
  }

  #move(at: number, sample: number, isFirst: boolean): void {
    const before = this.#averages[at]!;
    this.#averages[at] = isFirst ? sample : before + (sample - before) * NEWEST;
  }

  #isStale(at: number, ttlMs: number): boolean {
    const sampledMs = this.#averages[at]!;
    return sampledMs === 0 || this.#nowMs - sampledMs > ttlMs;
  }

  /** Cells of a minute that is over begin anew. */
  #openMinute(at: number): void {
    const counts = this.#counts;
    if (counts[at + MINUTE] === this.#minute) return;
    counts[at + REQUESTS] = 0;
    counts[at + TOKENS] = 0;
    counts[at + MINUTE] = this.#minute;
  }

  #sumOfMinute(row: number, cell: number): number {
    let sum = 0;
    const counts = this.#counts;
    for (let region = 0, at = row * COUNTS; region < this.#regionCount; region += 1, at += REGION) {
      if (counts[at + MINUTE] === this.#minute) sum += counts[at + cell]!;
    }
    return sum;
  }
}
