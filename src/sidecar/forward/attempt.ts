import { performance } from 'node:perf_hooks';
import type { Bytes } from '../../base/bytes.ts';
import { gatewayError, type GatewayError } from '../../domain/errors/gateway-error.ts';
import { afterStatus, type AfterFailure } from '../../domain/routing/retry-rule.ts';
import { HeaderId } from '../../http1/header-id.ts';
import { ParserEvent } from '../../http1/parser-event.ts';
import type { ResponseHead } from '../../http1/response-head.ts';
import type { CompiledDeployment } from '../compiled-snapshot.ts';
import { answerError, answerInterrupted, withModelGroup } from '../exchange/answer-error.ts';
import type { Exchange } from '../exchange/exchange.ts';
import { noteFault, noteReply } from '../routing/note-outcome.ts';
import type { UpstreamConnection, UpstreamFailure, UpstreamOwner } from '../upstream/upstream-connection.ts';
import { sendOutgoing } from './assemble.ts';
import { nextChoice, type Choice } from './next-choice.ts';
import { ReplyRelay } from './reply-relay.ts';
import { upstreamRequest } from './upstream-request.ts';

/** One try at one deployment: gets a connection, sends the request, reads the reply, decides what a failure means. */
class Attempt implements UpstreamOwner {
  readonly exchange: Exchange;
  readonly deployment: CompiledDeployment;
  readonly upstreamModel: string;
  readonly #startedMs: number;
  #connection: UpstreamConnection | null = null;
  #relay: ReplyRelay | null = null;
  #sent = false;
  /** A byte of the reply has come on this connection. */
  #answered = false;
  #repeatedFresh = false;
  /** Its event stands in `exchange.attempts`. */
  #noted = false;
  #over = false;

  constructor(exchange: Exchange, deployment: CompiledDeployment, upstreamModel: string) {
    this.exchange = exchange;
    this.deployment = deployment;
    this.upstreamModel = upstreamModel;
    this.#startedMs = performance.now();
  }

  start(): void {
    const { exchange } = this;
    exchange.worker.load.started(this.deployment);
    const connection = this.deployment.pool.acquire(this, this.#startedMs);
    if (connection !== null) this.#send(connection);
    else exchange.sendOverheadUs += (this.#startedMs - exchange.workSinceMs) * 1000;
  }

  /** The exchange is over. What was sent is recorded: the provider may charge for it all the same. */
  cancel(): void {
    if (this.#sent && !this.#noted && !this.#over) {
      this.#noted = true;
      this.exchange.attempts.push(this.#event(0, null));
    }
    this.#letGo();
  }

  /** Lets go of the connection, or of the wait for one. */
  #letGo(): void {
    if (this.#over) return;
    this.#end();
    this.#relay?.abandon();
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
    const seconds = Math.round((performance.now() - this.#startedMs) / 100) / 10;
    this.#fail(gatewayError('upstream_timeout', `the provider did not answer within ${seconds} s`));
  }

  onUpstreamConnected(connection: UpstreamConnection): void {
    this.exchange.workSinceMs = performance.now();
    this.#send(connection);
  }

  onUpstreamConnectFailed(failure: UpstreamFailure): void {
    this.#connection = null;
    this.#fail(gatewayError(failure.name, failure.message));
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
    );
  }

  #send(connection: UpstreamConnection): void {
    const { exchange } = this;
    this.#connection = connection;
    this.#sent = true;
    const request = upstreamRequest(exchange, this.deployment, this.upstreamModel);
    connection.parser.expect(exchange.head.method, false);
    const nowMs = performance.now();
    exchange.sendOverheadUs += (nowMs - exchange.workSinceMs) * 1000;
    exchange.attemptDeadlineMs = nowMs + firstAnswerTimeoutMs(exchange, this.deployment);
    sendOutgoing(connection, request);
  }

  #onHead(head: ResponseHead): void {
    const { exchange } = this;
    const { status } = head;
    if (status >= 400) {
      const isCredential = status === 401 || status === 403;
      const next = this.#next(afterStatus(status));
      if (next !== null || isCredential) {
        this.#note(status, isCredential ? 'upstream_refused_credential' : null);
        this.#leaveReply(head);
        if (next !== null) this.#goOn(next, exchange.replyReadMs);
        else answerRefusedCredential(exchange, this.deployment, status);
        return;
      }
    }
    exchange.deployment = this.deployment;
    exchange.upstreamModel = this.upstreamModel;
    this.#note(status, null);
    this.#relay = new ReplyRelay(exchange, head);
  }

  #afterRead(deliveredMs: number): void {
    const relay = this.#relay;
    if (relay === null) return;
    if (relay.beganWithError && this.#retryBadStream(relay)) return;
    if (relay.hasBegun) this.#boundTheRest(relay, deliveredMs);
    const wasCommitted = this.exchange.committed;
    const isTaken = relay.flush();
    if (!wasCommitted && relay.mode === 'events' && this.exchange.committed)
      this.exchange.worker.load.firstEvent(this.deployment, deliveredMs - this.#startedMs);
    if (this.exchange.committed && this.#connection !== null) this.#letBodyGo(this.#connection);
    if (isTaken) return;
    // The client is slower than the provider, whose silence means nothing while we don't read it.
    this.#connection?.pause();
    this.exchange.attemptDeadlineMs = Infinity;
  }

  /** After the first event a stream is bounded by its silences, and any other answer by the call as a whole. */
  #boundTheRest(relay: ReplyRelay, nowMs: number): void {
    const { exchange } = this;
    if (relay.mode === 'events') {
      exchange.callDeadlineMs = Infinity;
      exchange.attemptDeadlineMs = nowMs + exchange.snapshot.settings.timeouts.streamIdleMs;
    } else {
      exchange.attemptDeadlineMs = Infinity;
    }
  }

  #complete(isClean: boolean): void {
    const { exchange } = this;
    const relay = this.#relay!;
    if (relay.beganWithError && this.#retryBadStream(relay)) return;
    this.#end();
    const connection = this.#connection;
    this.#connection = null;
    // The pool gets the connection before the answer leaves: the next request may be on its way already.
    if (connection !== null) {
      this.#letBodyGo(connection);
      giveBack(connection, isClean);
    }
    relay.end();
    noteReply(exchange, this.deployment, relay, this.#startedMs);
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

  #fail(error: GatewayError): void {
    if (this.#over) return;
    const { exchange } = this;
    const isEventStream = this.#relay?.mode === 'events';
    // Events that came whole, in the same read as what broke the stream.
    if (isEventStream && exchange.committed) this.#relay?.flush();
    this.#letGo();
    this.#note(this.#relay?.status ?? 0, error.name);
    if (exchange.committed) {
      answerInterrupted(exchange, { ...error, name: 'upstream_interrupted' }, isEventStream);
      return;
    }
    const next = this.#next('again');
    if (next !== null) this.#goOn(next, performance.now());
    else answerError(exchange, withModelGroup(exchange, error));
  }

  /** A stream that began with an error event is an attempt that failed, as long as nothing of it has left. */
  #retryBadStream(relay: ReplyRelay): boolean {
    const next = this.#next('again');
    if (next === null) return false;
    this.#letGo();
    this.#note(relay.status, 'upstream_interrupted');
    this.#goOn(next, this.exchange.replyReadMs);
    return true;
  }

  /** What the failed attempt waited for is the provider's time, not ours. */
  #goOn(next: Choice, failedMs: number): void {
    this.exchange.workSinceMs = failedMs;
    startAttempt(this.exchange, next);
  }

  /** Where to go after a failure, or null if this is the answer. */
  #next(rule: AfterFailure): Choice | null {
    const { exchange } = this;
    // A body that was not kept can't be sent again.
    if (this.#sent && exchange.body.length > exchange.snapshot.settings.limits.maxReplayBytes) return null;
    return nextChoice(exchange, this.deployment, rule);
  }

  /** The reply is not relayed. If it is short and at hand its connection may be kept, otherwise it is closed. */
  #leaveReply(head: ResponseHead): void {
    const connection = this.#connection!;
    this.#end();
    this.#connection = null;
    if (head.framing === 'none' || head.contentLength === 0) giveBack(connection, head.keepAlive);
    else connection.destroy();
  }

  #note(status: number, error: ErrorNameOrNull): void {
    const { attempts } = this.exchange;
    const event = this.#event(status, error);
    noteFault(this.exchange, this.deployment, event);
    if (this.#noted) {
      attempts[attempts.length - 1] = event;
      return;
    }
    this.#noted = true;
    attempts.push(event);
    const outcome =
      status === 0
        ? 'unreachable'
        : status < 400
          ? error === null
            ? 'ok'
            : 'error'
          : status < 500
            ? 'refused'
            : 'error';
    this.exchange.worker.metrics.countAttempt(this.deployment, outcome);
  }

  #event(status: number, error: ErrorNameOrNull): Exchange['attempts'][number] {
    return {
      deployment: this.deployment.spec.id,
      status,
      error,
      durationMs: performance.now() - this.#startedMs,
    };
  }
}

/** Sends the request to the chosen deployment. */
export function startAttempt(exchange: Exchange, choice: Choice): void {
  const attempt = new Attempt(exchange, choice.deployment, choice.upstreamModel);
  exchange.attempt = attempt;
  // What the last attempt had left is not this one's: until it is sent, the pool bounds its wait.
  exchange.attemptDeadlineMs = Infinity;
  attempt.start();
}

type ErrorNameOrNull = Exchange['attempts'][number]['error'];

/** Status kept, body ours: the provider's text can quote the gateway's credential. */
export function answerRefusedCredential(exchange: Exchange, deployment: CompiledDeployment, status: number): void {
  exchange.deployment = deployment;
  const message = `the provider refused the gateway's credential for model group ${JSON.stringify(exchange.group?.name ?? '')} with status ${status}`;
  const error = { ...gatewayError('upstream_refused_credential', message), status };
  answerError(exchange, withModelGroup(exchange, error));
}

function giveBack(connection: UpstreamConnection, isClean: boolean): void {
  const { head } = connection.parser;
  if (isClean && head.keepAlive) connection.release(keepAliveTimeoutMs(head));
  else connection.destroy();
}

/** `Keep-Alive: timeout=5` of the provider, in ms; null if it does not say. */
function keepAliveTimeoutMs(head: ResponseHead): number | null {
  const value = head.headers.text(HeaderId.KeepAlive);
  if (value === null) return null;
  const at = value.toLowerCase().indexOf('timeout=');
  if (at === -1) return null;
  const seconds = Number.parseInt(value.slice(at + 8), 10);
  return Number.isNaN(seconds) ? null : seconds * 1000;
}

function firstAnswerTimeoutMs(exchange: Exchange, deployment: CompiledDeployment): number {
  const { timeouts } = exchange.snapshot.settings;
  if (exchange.stream)
    return exchange.streamTimeoutMs ?? deployment.spec.streamTimeoutMs ?? timeouts.streamFirstEventMs;
  return exchange.timeoutMs ?? deployment.spec.timeoutMs ?? timeouts.firstByteMs;
}
