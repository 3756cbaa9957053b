import { performance } from 'node:perf_hooks';
import type { Bytes } from '../../base/bytes.ts';
import type { JsonObjectScanner } from '../../base/json-object-scanner.ts';
import type { AttemptEvent } from '../../contract/usage-event.ts';
import type { WireFamily } from '../../domain/endpoints.ts';
import type { ErrorName } from '../../domain/errors/error-table.ts';
import type { ErrorEnvelope, GatewayError } from '../../domain/errors/gateway-error.ts';
import type { StreamReplyReader } from '../../domain/reply/stream-reply-reader.ts';
import type { RequestFields } from '../../domain/request/read-request-fields.ts';
import type { RequestPieces } from '../../domain/pricing/request-pieces.ts';
import type { TokenUsage } from '../../domain/usage/token-usage.ts';
import type { RequestHead } from '../../http1/request-head.ts';
import type { CompiledDeployment, CompiledGroup, CompiledSnapshot, ResolvedModel } from '../compiled-snapshot.ts';
import type { DownstreamConnection } from '../downstream/downstream-connection.ts';
import { bytesOf, type Outgoing } from '../socket/outgoing.ts';
import type { JournalWaiter } from '../journal/journal-writer.ts';
import type { ResolvedKey } from '../keys/resolved-key.ts';
import { finishReservations } from '../limits/admit.ts';
import { settleBudgets } from '../budgets/admit-budgets.ts';
import type { BudgetCharge } from '../budgets/budget-charge.ts';
import type { Reservation } from '../limits/reservation.ts';
import type { AdmissionWaiter } from '../overload/admission.ts';
import type { WorkerContext } from '../worker/worker-context.ts';
import { corsLines } from './cors.ts';
import { RequestBody } from './request-body.ts';
import type { Route } from './route.ts';
import { openEventLine, usageEventLine } from './usage-event-line.ts';

/**
 * Where a request stands. `done` is terminal: whatever arrives late finds nothing to do.
 *
 * ```
 * reading ──► forwarding ──► recording ──► done
 *  │  ▲  │        ▲              ▲
 *  ▼  │  └─► queued ─────────────┤ (refused)
 * waiting-for-key ───────────────┘
 * ```
 */
export type ExchangeState = 'reading' | 'waiting-for-key' | 'queued' | 'forwarding' | 'recording' | 'done';

/** Whatever brings the answer from elsewhere. */
export interface Forwarder {
  /** The client has left or the call is over: let go at once. */
  cancel(): void;
  /** The client takes bytes again. */
  resume(): void;
  /** A deadline of the exchange has passed. */
  onTimeout(): void;
}

/** How the answer's length is told to the client. */
export type AnswerFraming = 'length' | 'chunked' | 'close';

const LAST_CHUNK = '0\r\n\r\n';

/** One request and its answer. `run-request.ts` moves it through its phases; this is what it carries. */
export class Exchange implements JournalWaiter, AdmissionWaiter {
  readonly connection: DownstreamConnection;
  readonly worker: WorkerContext;
  readonly snapshot: CompiledSnapshot;
  readonly head: RequestHead;
  readonly route: Route;
  readonly scanner: JsonObjectScanner;
  readonly body: RequestBody;
  readonly bodyText: (start: number, end: number) => string;
  readonly id: string;
  /** Lines that every answer has where CORS is on; empty where not. */
  readonly corsLines: string;
  readonly startedUnixMs: number;
  /** Monotonic, ms. */
  readonly startedMs: number;

  state: ExchangeState = 'reading';
  requestComplete = false;
  /** It is one of `max_in_flight`. */
  holdsPermit = false;
  queuedMs = 0;
  key: ResolvedKey | null = null;
  /** Refused before or while its body was read; answered when it can be. */
  refusal: GatewayError | null = null;
  encoding: string | null = null;

  fields: RequestFields | null = null;
  /** As the client named it. */
  model: string | null = null;
  resolved: ResolvedModel | null = null;
  group: CompiledGroup | null = null;
  injectsUsage = false;
  /** Set where only one deployment will do (a response it made). */
  pinned: CompiledDeployment | null = null;
  /** What it holds of the limits of its key and group, and of those of the deployment that works on it. */
  reservation: Reservation | null = null;
  deploymentReservation: Reservation | null = null;
  /** Budgets that it is charged to; null = none. */
  charge: BudgetCharge | null = null;
  /** Their rows once it is settled: JSON without brackets. */
  chargedRows = '';
  /** −1: the call is over, nothing more is tried. */
  numRetries = 0;
  /** What the request itself asks for; it comes before every policy. */
  askedRetries: number | null = null;
  timeoutMs: number | null = null;
  streamTimeoutMs: number | null = null;
  tags: readonly string[] = [];

  /** What works on the answer: an attempt at a provider, the way to the control plane, or a tunnel. */
  attempt: Forwarder | null = null;
  readonly attempts: AttemptEvent[] = [];
  /** Deployments tried in this group. */
  readonly tried: CompiledDeployment[] = [];
  attemptsInGroup = 0;
  /** Times that deployments of this group were asked again which had failed this request. */
  repeats = 0;
  /** The retry that is waited for is within the budget of its deployment, and counted there. */
  retryIsReserved = false;
  /** The group that was asked for: its fallbacks count, whatever group serves in the end. */
  requestedGroup: CompiledGroup | null = null;
  /** Those that the request names, null = as configured. */
  askedFallbacks: readonly string[] | null = null;
  disableFallbacks = false;
  /** Groups to go to when this one fails before commit. */
  fallbacks: readonly string[] = [];
  fallbackIndex = 0;
  fallbackCount = 0;
  deployment: CompiledDeployment | null = null;
  upstreamModel: string | null = null;

  /** Monotonic ms: when the whole call must be over, and the present wait for the provider; Infinity = unbounded. */
  callDeadlineMs = Infinity;
  attemptDeadlineMs = Infinity;

  /** Bytes of the answer have left. */
  committed = false;
  framing: AnswerFraming = 'length';
  keepAlive: boolean;
  /** The connection is closed after this answer, unless its client uses it again right away. */
  closesWhenUnused = false;
  status = 0;
  errorName: ErrorName | null = null;
  aborted: string | null = null;
  usage: TokenUsage | null = null;
  /** What the request asks for by the piece, where that is charged. */
  pieces: RequestPieces | null = null;
  /** What the answer cost, where its head already told the client. */
  costNano: number | null = null;
  /** Reads the answer, where that is a stream of events. */
  streamReader: StreamReplyReader | null = null;
  responseBytes = 0;
  firstByteMs: number | null = null;
  /** Monotonic ms since when we, and nobody else, are at work: last request byte, connection or failure delivered. */
  workSinceMs = 0;
  /** Monotonic ms at which what of the reply is being worked on was delivered. */
  replyReadMs = 0;
  /** Our own work: until the head of the last attempt was written, and with the formatting of our own head. */
  sendOverheadUs = 0;
  overheadUs = 0;

  /** It has an `open` line. */
  #isNoted = false;
  #parked: Outgoing | null = null;

  constructor(connection: DownstreamConnection, snapshot: CompiledSnapshot, route: Route, scanner: JsonObjectScanner) {
    this.connection = connection;
    this.worker = connection.worker;
    this.snapshot = snapshot;
    this.head = connection.parser.head;
    this.route = route;
    this.scanner = scanner;
    this.body = new RequestBody(this.worker.blocks, this.worker.budget);
    this.bodyText = (start, end) => this.body.text(start, end);
    this.startedUnixMs = Date.now();
    this.startedMs = connection.deliveredMs;
    this.id = this.worker.ids.next(this.startedUnixMs);
    this.corsLines = snapshot.cors === null ? '' : corsLines(snapshot.cors, this.head.headers);
    this.keepAlive = this.head.keepAlive;
  }

  /** Wire family of the client's request. */
  get family(): WireFamily {
    return this.route.kind === 'llm' ? this.route.endpoint.family : 'openai';
  }

  get envelope(): ErrorEnvelope {
    return this.family;
  }

  /** The request is a stream that the client reads as `text/event-stream`. */
  get stream(): boolean {
    return this.fields !== null && this.fields.stream;
  }

  /** A request to a provider: once authenticated, it is recorded. */
  get isUsage(): boolean {
    const { kind } = this.route;
    return kind === 'llm' || kind === 'response' || kind === 'realtime';
  }

  /** A usage event is due. */
  get recorded(): boolean {
    return this.key !== null && this.isUsage;
  }

  /** Sends a whole answer, head and body, after its line is in the journal. */
  answerWhole(status: number, headerLines: string, parts: readonly Bytes[]): void {
    this.status = status;
    const length = bytesOf(parts);
    this.responseBytes = length;
    this.framing = 'length';
    const head = `${headerLines}content-length: ${length}\r\n${this.connectionLine()}\r\n`;
    this.#finish({ head, parts: this.head.method === 'HEAD' ? [] : parts, tail: '' });
  }

  /** The head alone, for answers that have no body (204, 304, answers to HEAD). */
  answerBodiless(status: number, headerLines: string): void {
    this.status = status;
    this.#finish({ head: `${headerLines}${this.connectionLine()}\r\n`, parts: [], tail: '' });
  }

  /**
   * Commits: the head and the first part of the answer leave.
   *
   * @returns false if the client takes no more for now.
   */
  beginAnswer(status: number, headerLines: string, framing: AnswerFraming, parts: readonly Bytes[]): boolean {
    this.committed = true;
    this.status = status;
    this.framing = framing;
    if (framing === 'close') this.keepAlive = false;
    this.firstByteMs = performance.now() - this.startedMs;
    const framingLine = framing === 'chunked' ? 'transfer-encoding: chunked\r\n' : '';
    const head = `${headerLines}${framingLine}${this.connectionLine()}\r\n`;
    return this.connection.send(this.#framed(head, parts, ''));
  }

  /** @returns false if the client takes no more for now. */
  continueAnswer(parts: readonly Bytes[]): boolean {
    return this.connection.send(this.#framed('', parts, ''));
  }

  /** The last part of an answer that has begun; it leaves after the line is in the journal. */
  endAnswer(parts: readonly Bytes[]): void {
    this.#finish(this.#framed('', parts, this.framing === 'chunked' ? LAST_CHUNK : ''));
  }

  /** The answer can't be completed: what has left stays, the event is written, the connection is closed. */
  cutOff(reason: string): void {
    if (this.state === 'done' || this.state === 'recording') return;
    this.aborted = reason;
    this.keepAlive = false;
    this.#finish(null);
  }

  /** The answer is a switch of protocols; what follows belongs to neither parser. */
  beginTunnel(headerLines: string): void {
    this.committed = true;
    this.status = 101;
    this.keepAlive = false;
    this.callDeadlineMs = Infinity;
    this.firstByteMs = performance.now() - this.startedMs;
    this.connection.send({ head: `${headerLines}\r\n`, parts: [], tail: '' });
  }

  /** The provider's side of the tunnel is closed. */
  endTunnel(reason: string | null): void {
    if (this.state !== 'forwarding') return;
    this.keepAlive = false;
    this.aborted = reason;
    this.#finish(null);
  }

  onJournaled(stored: boolean): void {
    if (stored) this.worker.metrics.journalLines.add(1);
    else this.worker.metrics.journalDropped.add(1);
    this.#sendParked();
  }

  /** `connection:` of the answer, and what CORS adds. */
  connectionLine(): string {
    if (this.worker.draining) this.keepAlive = false;
    if (!this.keepAlive) return `${this.corsLines}connection: close\r\n`;
    return this.head.minor === 0 ? `${this.corsLines}connection: keep-alive\r\n` : this.corsLines;
  }

  #framed(head: string, parts: readonly Bytes[], tail: string): Outgoing {
    const length = bytesOf(parts);
    this.responseBytes += length;
    if (this.framing !== 'chunked' || length === 0) return { head, parts, tail };
    return { head: `${head}${length.toString(16)}\r\n`, parts, tail: `\r\n${tail}` };
  }

  #finish(last: Outgoing | null): void {
    if (this.state === 'queued') this.worker.admission.forget(this);
    const endedMs = performance.now();
    // Before anything of the answer's end leaves: a client that asks one at a time finds its place free.
    if (this.reservation !== null || this.deploymentReservation !== null) finishReservations(this, endedMs);
    if (this.charge !== null || (this.deployment !== null && this.deployment.budgets !== null)) settleBudgets(this);
    this.state = 'recording';
    this.#parked = last;
    const durationMs = endedMs - this.startedMs;
    this.firstByteMs ??= durationMs;
    if (!this.recorded) {
      this.#countUnrecorded();
      this.#sendParked();
      return;
    }
    this.#count(durationMs);
    this.worker.journal.append(usageEventLine(this, durationMs), this, this.worker.metrics.inFlight.value <= 1);
  }

  #sendParked(): void {
    const parked = this.#parked;
    this.#parked = null;
    this.state = 'done';
    if (this.holdsPermit) {
      this.holdsPermit = false;
      this.worker.admission.leave();
    }
    if (parked !== null) this.connection.send(parked);
    this.connection.exchangeDone(this, this.keepAlive && this.aborted === null);
  }

  /** Called by the worker's tick: a request that takes long is noted, in case this process does not see its end. */
  noteIfLong(nowMs: number): void {
    const durationMs = nowMs - this.startedMs;
    if (this.#isNoted || durationMs < this.snapshot.settings.journal.openAfterMs || !this.recorded) return;
    this.#isNoted = true;
    this.worker.journal.append(openEventLine(this, durationMs), this.worker.openLines, false);
  }

  /** Every request is in exactly one sum (docs/journal.md, "The sum"); `answerError` has counted those it refused. */
  #countUnrecorded(): void {
    const { metrics } = this.worker;
    if (this.key === null && this.route.kind !== 'admin') {
      if (this.errorName !== null) return;
      if (this.aborted !== null) {
        metrics.abandonedBeforeAuthentication.add(1);
        return;
      }
    }
    metrics.unrecorded.add(1);
  }

  #count(durationMs: number): void {
    const { metrics } = this.worker;
    const endpoint =
      this.route.kind === 'llm'
        ? this.route.endpoint.name
        : this.route.kind === 'realtime'
          ? 'realtime'
          : 'responses_by_id';
    metrics.countRequest(endpoint, this.group, this.aborted === null ? this.status : 0, durationMs);
    metrics.overhead.observe(this.overheadUs / 1e6);
    if (this.usage !== null && this.group !== null) {
      metrics.countTokens(this.group, this.usage.inputTokens, this.usage.outputTokens);
    }
  }
}
