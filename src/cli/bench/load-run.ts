import { appendFileSync } from 'node:fs';
import { FrameReader } from './frame-reader.ts';
import { LatencyRecorder } from './latency-recorder.ts';
import { LoadConnection, type LoadConnectionOwner } from './load-connection.ts';
import type { LoadResult, LoadSpec } from './load-spec.ts';
import { LoadTicker } from './load-ticker.ts';
import { nowNs } from './monotonic-clock.ts';
import { readCpuSeconds, readMachineCpu } from './process-stats.ts';
import { ReplyReader } from './reply-reader.ts';

/** A request written this long after its instant, though a connection was free, was held up by this process. */
const LATE_NS = 1e6;
/** A wake-up may come this long before its instant; until then the loop polls. */
const LONGEST_POLL_NS = 300_000;
/** The same where wake-ups aim at the instant itself: what a clock's rounding can make of it. */
const LONGEST_CATCH_NS = 20_000;
const WATCH_INTERVAL_MS = 50;
const CONNECT_TIMEOUT_MS = 10_000;
const MAX_NOTES = 5;
/** Requests of one run have nonces below this; the run's own number stands before. */
const NONCES_PER_RUN = 1e6;
const RUNS = 1e4;

/**
 * Sends one load and measures it. Open loop: the instants of all requests are fixed beforehand, and a latency counts
 * from the instant, so waiting for a free connection or for a late wake-up is part of it (no coordinated omission).
 */
export class LoadRun implements LoadConnectionOwner {
  readonly #spec: LoadSpec;
  readonly #ticker: LoadTicker;
  readonly #connections: LoadConnection[] = [];
  readonly #idle: LoadConnection[] = [];
  readonly #latency = new LatencyRecorder();
  readonly #refusal = new LatencyRecorder();
  readonly #firstFrame = new LatencyRecorder();
  readonly #frame = new LatencyRecorder();
  readonly #failures = new Map<string, number>();
  readonly #notes: string[] = [];
  /** Null: nobody wants to know which. */
  readonly #answers: string[] | null;
  readonly #nonceBase = (1 + Math.floor(Math.random() * (RUNS - 1))) * NONCES_PER_RUN;
  #nonceCount = 0;
  /** Of the part that runs: requests that exist, came due, were written, ended well or not. */
  #total = 0;
  #due = 0;
  #sent = 0;
  #ended = 0;
  #late = 0;
  #startNs = 0;
  #intervalNs = 0;
  /** Closed loop: nothing is sent from here on. */
  #endNs = 0;
  #lastReplyNs = 0;
  #isRunning = false;
  #isPolling = false;
  #isCounted = false;
  #finish: () => void = () => {};
  readonly #tick = (): void => this.#sendDue();

  constructor(spec: LoadSpec, ticker: LoadTicker) {
    this.#spec = spec;
    this.#ticker = ticker;
    this.#answers = spec.answersPath === undefined ? null : [];
    for (let i = 0; i < spec.connections; i++) {
      const frames = spec.isStream ? new FrameReader((ns) => this.#isCounted && this.#frame.record(ns)) : null;
      this.#connections.push(new LoadConnection(spec, this, new ReplyReader(frames, this.#answers !== null)));
    }
  }

  /** @throws when the address can't be connected to at all. */
  async run(): Promise<LoadResult> {
    await this.#connect();
    const { warmUpSeconds, seconds, cpuUsers } = this.#spec;
    if (warmUpSeconds > 0) await this.#runPart(warmUpSeconds);
    const cpuBefore = cpuUsers.map(readCpuSeconds);
    const ownBefore = process.cpuUsage();
    const machineBefore = readMachineCpu();
    this.#isCounted = true;
    await this.#runPart(seconds);
    this.#isCounted = false;
    const machine = readMachineCpu();
    const own = process.cpuUsage(ownBefore);
    const ownSeconds = (own.user + own.system) / 1e6;
    const cpuSeconds: Record<string, number> = {};
    let busySeconds = machine.busySeconds - machineBefore.busySeconds - ownSeconds;
    for (const [i, user] of cpuUsers.entries()) {
      const used = (readCpuSeconds(user) ?? 0) - (cpuBefore[i] ?? 0);
      cpuSeconds[user] = used;
      if (typeof user === 'number') busySeconds -= used; // a thread's is in its process's
    }
    for (const connection of this.#connections) connection.close();
    if (this.#answers !== null) appendFileSync(this.#spec.answersPath ?? '', this.#answers.join(''));
    const othersShare = Math.max(0, busySeconds / (machine.allSeconds - machineBefore.allSeconds));
    return this.#result(cpuSeconds, ownSeconds, Number.isFinite(othersShare) ? othersShare : 0);
  }

  onIdle(connection: LoadConnection): void {
    if (!this.#isRunning) {
      this.#idle.push(connection);
    } else if (this.#spec.qps === 0) {
      if (nowNs() < this.#endNs) this.#send(connection, nowNs());
      else this.#idle.push(connection);
    } else if (this.#sent < this.#due) {
      this.#send(connection, this.#startNs + this.#sent * this.#intervalNs);
    } else {
      this.#idle.push(connection);
    }
  }

  onLost(connection: LoadConnection): void {
    const at = this.#idle.indexOf(connection);
    if (at >= 0) this.#idle.splice(at, 1);
  }

  onReply(connection: LoadConnection, atNs: number): void {
    const { reader } = connection;
    this.#answers?.push(`${callId(reader.head)} ${reader.status}\n`);
    const { expectedBodyBytes } = this.#spec;
    const isLengthRight = expectedBodyBytes === null ? reader.bodyBytes > 0 : reader.bodyBytes === expectedBodyBytes;
    if (reader.status !== 200) {
      if (this.#isCounted) this.#refusal.record(atNs - connection.scheduledNs);
      this.#fail(`status ${reader.status}`, `status ${reader.status}`);
    } else if (!reader.hasNonce) this.#fail('nonce', 'the reply belongs to another request');
    else if (!isLengthRight) this.#fail('length', `body of ${reader.bodyBytes} bytes, not ${expectedBodyBytes}`);
    else if (reader.frames?.hasEnd === false) this.#fail('cut stream', 'the stream ended without its last event');
    else if (this.#isCounted) {
      this.#latency.record(atNs - connection.scheduledNs);
      const first = reader.frames?.firstFrameAtNs ?? 0;
      if (first > 0) this.#firstFrame.record(first - connection.scheduledNs);
    }
    this.#lastReplyNs = atNs;
    this.#countEnd();
  }

  onFailure(kind: string, note: string, hadRequest: boolean): void {
    this.#fail(kind, note);
    if (hadRequest) this.#countEnd();
  }

  async #connect(): Promise<void> {
    for (const connection of this.#connections) connection.open();
    const limitNs = nowNs() + CONNECT_TIMEOUT_MS * 1e6;
    while (this.#idle.length < this.#connections.length) {
      if (nowNs() > limitNs) {
        for (const connection of this.#connections) connection.close();
        throw new Error(`cannot connect to ${this.#spec.host}:${this.#spec.port}: ${this.#notes[0] ?? 'no answer'}`);
      }
      await new Promise((resolve) => setTimeout(resolve, 5));
    }
  }

  async #runPart(seconds: number): Promise<void> {
    const { qps } = this.#spec;
    this.#due = 0;
    this.#sent = 0;
    this.#ended = 0;
    this.#late = 0;
    this.#total = qps === 0 ? Number.POSITIVE_INFINITY : Math.max(1, Math.round(qps * seconds));
    this.#intervalNs = qps === 0 ? 0 : 1e9 / qps;
    this.#startNs = nowNs() + 1e6;
    this.#isPolling = LoadTicker.pollsBefore(this.#intervalNs);
    this.#endNs = this.#startNs + seconds * 1e9;
    this.#isRunning = true;
    const watch = setInterval(() => this.#giveUpOnSlow(), WATCH_INTERVAL_MS);
    await new Promise<void>((resolve) => {
      this.#finish = resolve;
      if (qps === 0) this.#startClosedLoop();
      else this.#startOpenLoop();
    });
    this.#isRunning = false;
    this.#ticker.stop();
    clearInterval(watch);
  }

  #startClosedLoop(): void {
    for (const connection of this.#idle.splice(0)) this.#send(connection, nowNs());
  }

  #startOpenLoop(): void {
    const schedule = { startNs: this.#startNs, intervalNs: this.#intervalNs, total: this.#total };
    this.#ticker.start(schedule, this.#tick);
  }

  #sendDue(): void {
    const now = nowNs();
    while (this.#due < this.#total) {
      const instant = this.#startNs + this.#due * this.#intervalNs;
      if (instant > now) break;
      this.#due++;
      const connection = this.#idle.pop();
      if (connection === undefined) continue; // onIdle sends it, in order
      // Earlier ones can't be waiting: a connection is idle only when nothing waits.
      if (now - instant > LATE_NS) this.#late++;
      this.#send(connection, instant);
    }
    if (this.#due >= this.#total) return;
    const waitNs = this.#startNs + this.#due * this.#intervalNs - nowNs();
    if (waitNs < (this.#isPolling ? LONGEST_POLL_NS : LONGEST_CATCH_NS)) setImmediate(this.#tick);
  }

  #send(connection: LoadConnection, scheduledNs: number): void {
    this.#sent++;
    connection.send(scheduledNs, this.#nonceBase + (this.#nonceCount++ % NONCES_PER_RUN));
  }

  #countEnd(): void {
    this.#ended++;
    this.#finishIfOver();
  }

  #finishIfOver(): void {
    const isOver =
      this.#spec.qps === 0 ? this.#ended >= this.#sent && nowNs() >= this.#endNs : this.#ended >= this.#total;
    if (isOver) this.#finish();
  }

  /** Requests beyond their time limit have failed, also those that never got a connection. */
  #giveUpOnSlow(): void {
    const limitNs = nowNs() - this.#spec.timeoutMs * 1e6;
    for (const connection of this.#connections) {
      if (connection.isInFlight && connection.scheduledNs < limitNs) connection.abandon('timeout', 'no complete reply');
    }
    this.#finishIfOver(); // a closed loop whose connections are all lost has no other way to notice
    if (this.#spec.qps === 0) return;
    this.#sendDue(); // should a wake-up have been lost
    while (this.#sent < this.#due && this.#startNs + this.#sent * this.#intervalNs < limitNs) {
      this.#sent++;
      this.#fail('no connection', 'no connection became free in time');
      this.#countEnd();
    }
  }

  #fail(kind: string, note: string): void {
    this.#failures.set(kind, (this.#failures.get(kind) ?? 0) + 1);
    if (this.#notes.length < MAX_NOTES) this.#notes.push(`${kind}: ${note}`);
  }

  #result(cpuSeconds: Record<string, number>, ownCpuSeconds: number, othersCpuShare: number): LoadResult {
    const { qps, isStream } = this.#spec;
    const scheduled = qps === 0 ? this.#sent : this.#total;
    // The last reply takes as long as any; the shortest of all is what no server could have avoided.
    const elapsedSeconds = (this.#lastReplyNs - this.#startNs - this.#latency.leastNs) / 1e9;
    return {
      scheduled,
      completed: this.#latency.count,
      failures: Object.fromEntries(this.#failures),
      failureNotes: this.#notes,
      elapsedSeconds,
      achievedQps: elapsedSeconds > 0 ? this.#latency.count / elapsedSeconds : 0,
      lateShare: scheduled > 0 ? this.#late / scheduled : 0,
      latency: this.#latency.quantiles(),
      refusal: this.#refusal.quantiles(),
      firstFrame: isStream ? this.#firstFrame.quantiles() : null,
      frame: isStream ? this.#frame.quantiles() : null,
      latencyHistogram: this.#latency.encode(),
      cpuSeconds,
      ownCpuSeconds,
      othersCpuShare,
    };
  }
}

/** `-` where the answer has none. */
function callId(head: string): string {
  return /\r\nx-slipstream-call-id: (\S+)/i.exec(head)?.[1] ?? '-';
}
