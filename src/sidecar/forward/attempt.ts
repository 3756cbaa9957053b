import { performance } from 'node:perf_hooks';
import type { Bytes } from '../../base/bytes.ts';
import { gatewayError, type GatewayError } from '../../domain/errors/gateway-error.ts';
import { MAX_CLASSIFIED_BYTES } from '../../domain/reply/classify-error-body.ts';
import { classOfStatus, type FailureClass } from '../../domain/routing/failure-class.ts';
import { ParserEvent } from '../../http1/parser-event.ts';
import type { ResponseHead } from '../../http1/response-head.ts';
import type { CompiledDeployment } from '../compiled-snapshot.ts';
import { answerError, answerInterrupted, withModelGroup } from '../exchange/answer-error.ts';
import type { Exchange } from '../exchange/exchange.ts';
import { noteAbandoned, noteReply } from '../routing/note-outcome.ts';
import { reportFailure } from '../routing/attribute-failure.ts';
import { NO_TICKET } from '../routing/deployment-health.ts';
import type { UpstreamConnection, UpstreamFailure, UpstreamOwner } from '../upstream/upstream-connection.ts';
import { AttemptRecord } from './attempt-record.ts';
import { giveBack } from './give-back.ts';
import {
  failureOfBody,
  failureOfFirstEvent,
  firstAnswerTimeoutMs,
  isNotProvidersTimeout,
  needsItsBody,
  usageOfBody,
  withheldError,
} from './judge-reply.ts';
import { choiceAfterWait, nextStep, noDeployments, type Choice, type NextStep } from './next-choice.ts';
import { countPieces } from './reply-cost.ts';
import { ReplyRelay } from './reply-relay.ts';
import { WaitingRetry } from './retry-queue.ts';
import { upstreamRequest } from './upstream-request.ts';

/** One try at one deployment: gets a connection, sends the request, reads the reply, decides what a failure means. */
class Attempt implements UpstreamOwner {
  readonly exchange: Exchange;
  readonly deployment: CompiledDeployment;
  readonly upstreamModel: string;
  readonly startedMs: number;
  readonly #record: AttemptRecord;
  #ticket: Choice['ticket'];
  #connection: UpstreamConnection | null = null;
  /** Of the reply; good until the connection is another's. */
  #head: ResponseHead | null = null;
  #relay: ReplyRelay | null = null;
  #sent = false;
  /** A byte of the reply has come on this connection. */
  #answered = false;
  #repeatedFresh = false;
  /** Its deployment's breaker knows how it went. */
  #reported = false;
  /** The reply is an error that only its body explains: nothing of it leaves until that is known. */
  #judging = false;
  #over = false;

  constructor(exchange: Exchange, choice: Choice) {
    this.exchange = exchange;
    this.deployment = choice.deployment;
    this.upstreamModel = choice.upstreamModel;
    this.#ticket = choice.ticket;
    this.startedMs = performance.now();
    this.#record = new AttemptRecord(exchange, choice.deployment, this.startedMs);
  }

  start(): void {
    const { exchange } = this;
    exchange.worker.load.started(this.deployment);
    const connection = this.deployment.pool.acquire(this, this.startedMs);
    if (connection !== null) this.#send(connection);
    else exchange.sendOverheadUs += (this.startedMs - exchange.workSinceMs) * 1000;
  }

  /** The exchange is over. What was sent is recorded: the provider may charge for it all the same. */
  cancel(): void {
    if (this.#sent && !this.#over) this.#record.noteCancelled();
    this.#letGo();
    this.#reportNothing();
  }

  /** Lets go of the connection, or of the wait for one. */
  #letGo(): void {
    if (this.#over) return;
    this.#end();
    if (this.#relay !== null) {
      this.#relay.abandon();
      noteAbandoned(this.exchange, this.deployment);
    }
    if (this.#connection === null) this.deployment.pool.cancel(this);
    else this.#connection.destroy();
    this.#connection = null;
  }

  /** The client takes bytes again. */
  resume(): void {
    if (this.#connection === null || this.#relay === null) return;
    this.#boundTheRest(this.#relay, performance.now());
    this.#connection.resume();
  }

  /** The wait for the provider is over. */
  onTimeout(): void {
    const seconds = Math.round((performance.now() - this.startedMs) / 100) / 10;
    const error = gatewayError('upstream_timeout', `the provider did not answer within ${seconds} s`);
    this.#fail(error, 'timeout', isNotProvidersTimeout(this.exchange, this.#relay));
  }

  onUpstreamConnected(connection: UpstreamConnection): void {
    this.exchange.workSinceMs = performance.now();
    this.#send(connection);
  }

  onUpstreamConnectFailed(failure: UpstreamFailure): void {
    this.#connection = null;
    const failureClass = failure.name === 'upstream_timeout' ? 'timeout' : 'connection';
    this.#fail(gatewayError(failure.name, failure.message), failureClass, failure.isOurs);
  }

  onUpstreamDrain(): void {
    // Requests are whole in memory when they are sent: there is no source to resume.
  }

  onUpstreamData(chunk: Bytes): void {
    const connection = this.#connection!;
    const deliveredMs = performance.now();
    this.exchange.replyReadMs = deliveredMs;
    this.#answered = true;
    const { parser } = connection;
    let at = 0;
    while (!this.#over) {
      at = parser.next(chunk, at, chunk.length);
      switch (parser.event) {
        case ParserEvent.NeedMore:
          this.#afterRead(deliveredMs);
          return;
        case ParserEvent.Head:
          this.#onHead(parser.head);
          break;
        case ParserEvent.Body:
          this.#relay!.body(chunk, parser.bodyStart, parser.bodyEnd);
          break;
        case ParserEvent.End:
          this.#complete(at === chunk.length);
          return;
        case ParserEvent.Error:
          this.#fail(
            gatewayError(
              'upstream_invalid_reply',
              `the provider's reply is not valid HTTP/1.1: ${parser.error?.message ?? ''}`,
            ),
            'server',
            false,
          );
          return;
        default:
          return parser.event satisfies never;
      }
    }
  }

  onUpstreamClosed(failure: UpstreamFailure | null): void {
    const connection = this.#connection!;
    this.#connection = null;
    if (failure === null && this.#relay !== null) {
      connection.parser.finish();
      if (connection.parser.event === ParserEvent.End) {
        this.#complete(false);
        return;
      }
    }
    if (!this.#answered && connection.reused && !this.#repeatedFresh) {
      // A kept-alive connection that the provider closed just as it was taken: once more, fresh, uncounted.
      this.#repeatedFresh = true;
      this.exchange.attemptDeadlineMs = Infinity;
      this.deployment.pool.acquireFresh(this, performance.now());
      return;
    }
    if (this.#relay?.isOver === true) {
      this.#complete(false);
      return;
    }
    this.#fail(
      gatewayError(
        'upstream_closed',
        failure?.message ?? 'the provider closed the connection before its answer was complete',
      ),
      'connection',
      false,
    );
  }

  #send(connection: UpstreamConnection): void {
    const { exchange } = this;
    this.#connection = connection;
    this.#sent = true;
    if (this.deployment.prices !== null) countPieces(exchange, this.deployment, this.upstreamModel);
    const request = upstreamRequest(exchange, this.deployment, this.upstreamModel);
    connection.parser.expect(exchange.head.method, false);
    const nowMs = performance.now();
    exchange.sendOverheadUs += (nowMs - exchange.workSinceMs) * 1000;
    exchange.attemptDeadlineMs = nowMs + firstAnswerTimeoutMs(exchange, this.deployment);
    const isTaken = connection.send(request);
    // Plain TCP writes the body from where it lies; TLS encrypts all of it at once, into memory of its own.
    if (!isTaken && this.deployment.spec.origin.scheme === 'https') exchange.body.chargeCopy(connection.bufferedBytes);
  }

  #onHead(head: ResponseHead): void {
    const { exchange } = this;
    const { status } = head;
    this.#head = head;
    exchange.deployment = this.deployment;
    exchange.upstreamModel = this.upstreamModel;
    if (status >= 400) {
      this.#judging = needsItsBody(head);
      const isClean = head.framing === 'none' || head.contentLength === 0;
      if (!this.#judging && this.#refused(classOfStatus(status), isClean)) return;
    }
    this.#record.note(status, null, exchange.replyReadMs);
    this.#relay = new ReplyRelay(exchange, head);
  }

  /** A reply with an error status: true if it is not relayed, and the request is on its way elsewhere or answered. */
  #refused(failure: FailureClass, isClean: boolean): boolean {
    const { exchange } = this;
    const { status } = this.#head!;
    const withheld = withheldError(exchange, status, failure);
    // The breaker learns of it first: what comes next is chosen by what is known by then.
    this.#reportFailure(failure, false);
    const next = this.#next(failure);
    if (next === null && withheld === null) return false;
    this.#record.note(status, withheld === null ? null : withheld.name);
    this.#leaveReply(isClean);
    if (next !== null) this.#goOn(next, exchange.replyReadMs);
    else if (withheld !== null) answerError(exchange, withheld);
    return true;
  }

  /** What was held back is judged by its body. @returns true if it is not relayed. */
  #judge(relay: ReplyRelay, isClean: boolean): boolean {
    this.#judging = false;
    this.exchange.usage = usageOfBody(relay, this.exchange);
    return this.#refused(failureOfBody(relay), isClean);
  }

  #afterRead(deliveredMs: number): void {
    const relay = this.#relay;
    if (relay === null) return;
    if (this.#judging) {
      if (relay.heldBytes < MAX_CLASSIFIED_BYTES) return;
      if (this.#judge(relay, false)) return;
    }
    if (relay.beganWithError && this.#retryBadStream(relay)) return;
    if (relay.hasBegun) {
      if (relay.mode === 'events' && !relay.beganWithError) this.#reportSuccess();
      this.#boundTheRest(relay, deliveredMs);
    }
    const wasCommitted = this.exchange.committed;
    const isTaken = relay.flush();
    if (!wasCommitted && relay.mode === 'events' && this.exchange.committed)
      this.exchange.worker.load.firstEvent(this.deployment, deliveredMs - this.startedMs);
    if (this.exchange.committed && this.#connection !== null) this.#letBodyGo(this.#connection);
    if (isTaken) return;
    // The client is slower than the provider, whose silence means nothing while we don't read it.
    this.#connection?.pause();
    this.exchange.attemptDeadlineMs = Infinity;
  }

  /** After the first event a stream is bounded by its silences, and any other answer by the call as a whole. */
  #boundTheRest(relay: ReplyRelay, nowMs: number): void {
    const { exchange } = this;
    if (relay.isEventStream) {
      exchange.callDeadlineMs = Infinity;
      exchange.attemptDeadlineMs = nowMs + exchange.snapshot.settings.timeouts.streamIdleMs;
    } else {
      exchange.attemptDeadlineMs = Infinity;
    }
  }

  #complete(isClean: boolean): void {
    const { exchange } = this;
    const relay = this.#relay!;
    if (this.#judging && this.#judge(relay, isClean)) return;
    if (relay.beganWithError && this.#retryBadStream(relay)) return;
    this.#reportSuccess();
    this.#end();
    const connection = this.#connection;
    this.#connection = null;
    // The pool gets the connection before the answer leaves: the next request may be on its way already.
    if (connection !== null) {
      this.#letBodyGo(connection);
      giveBack(connection, isClean);
    }
    relay.end();
    noteReply(exchange, this.deployment, relay, this.startedMs);
  }

  /** Whatever happens, once. */
  #end(): void {
    if (this.#over) return;
    this.#over = true;
    this.exchange.worker.load.ended(this.deployment);
  }

  /** The body will not be sent again. Its memory is free if this was the only write of it, and that is through. */
  #letBodyGo(connection: UpstreamConnection): void {
    const { exchange } = this;
    if (exchange.attempts.length > 1 || this.#repeatedFresh || connection.bufferedBytes > 0) return;
    exchange.body.recycle();
  }

  #fail(error: GatewayError, failure: FailureClass, isOurs: boolean): void {
    if (this.#over) return;
    const { exchange } = this;
    const isEventStream = this.#relay?.mode === 'events';
    // Events that came whole, in the same read as what broke the stream.
    if (isEventStream && exchange.committed) this.#relay?.flush();
    this.#letGo();
    this.#record.note(this.#relay?.status ?? 0, error.name);
    this.#head = null; // what follows is not what this reply said
    this.#reportFailure(failure, isOurs);
    if (exchange.committed) {
      answerInterrupted(exchange, { ...error, name: 'upstream_interrupted' }, isEventStream);
      return;
    }
    const next = this.#next(failure);
    if (next !== null) this.#goOn(next, performance.now());
    else answerError(exchange, withModelGroup(exchange, error));
  }

  /** A stream that began with an error event is an attempt that failed, as long as nothing of it has left. */
  #retryBadStream(relay: ReplyRelay): boolean {
    const failure = failureOfFirstEvent(relay);
    this.#reportFailure(failure, false);
    const next = this.#next(failure);
    if (next === null) return false;
    this.#letGo();
    this.#record.note(relay.status, 'upstream_interrupted');
    this.#goOn(next, this.exchange.replyReadMs);
    return true;
  }

  /** What the failed attempt waited for is the provider's time, not ours. */
  #goOn(next: NextStep, failedMs: number): void {
    const { exchange } = this;
    exchange.workSinceMs = failedMs;
    this.#record.takeUsage();
    exchange.deployment = null;
    exchange.upstreamModel = null;
    if ('waitMs' in next) void new WaitingRetry(exchange, next.waitMs, afterWait);
    else startAttempt(exchange, next);
  }

  /** Where to go after a failure, or null if this is the answer. */
  #next(failure: FailureClass): NextStep | null {
    const { exchange } = this;
    // A body that was not kept can't be sent again.
    if (this.#sent && exchange.body.length > exchange.snapshot.settings.limits.maxReplayBytes) return null;
    return nextStep(exchange, failure);
  }

  /** The reply is not relayed. Its connection is kept if nothing more of it is to come. */
  #leaveReply(isClean: boolean): void {
    const connection = this.#connection;
    this.#end();
    this.#connection = null;
    if (connection !== null) giveBack(connection, isClean);
  }

  #reportFailure(failure: FailureClass, isOurs: boolean): void {
    if (this.#reported) return;
    this.#reported = true;
    const headers = this.#head === null ? null : this.#head.headers;
    reportFailure(this.exchange, { deployment: this.deployment, ticket: this.#ticket, failure, headers, isOurs });
  }

  /** Good so far: that ends a bench, though a stream may still break, which then counts. */
  #reportSuccess(): void {
    if (this.#ticket === NO_TICKET || this.#reported) return;
    this.exchange.worker.health.onSuccess(this.deployment.health, this.#ticket);
    this.#ticket = NO_TICKET;
  }

  /** It was broken off for reasons that are not its deployment's. */
  #reportNothing(): void {
    if (this.#reported) return;
    this.#reported = true;
    if (this.#ticket !== NO_TICKET) this.exchange.worker.health.onGivenUp(this.deployment.health, this.#ticket);
  }
}

/** Sends the request to the chosen deployment. */
export function startAttempt(exchange: Exchange, choice: Choice): void {
  const attempt = new Attempt(exchange, choice);
  const { budget } = choice.deployment.health;
  if (exchange.attemptsInGroup <= 1) budget.onRequest(attempt.startedMs);
  else if (!exchange.retryIsReserved) budget.onRetry(attempt.startedMs);
  exchange.retryIsReserved = false;
  exchange.attempt = attempt;
  // What the last attempt had left is not this one's: until it is sent, the pool bounds its wait.
  exchange.attemptDeadlineMs = Infinity;
  attempt.start();
}

function afterWait(exchange: Exchange): void {
  exchange.workSinceMs = performance.now();
  const choice = choiceAfterWait(exchange);
  if (choice === null) answerError(exchange, noDeployments(exchange));
  else startAttempt(exchange, choice);
}
