import type { Socket } from 'node:net';
import { performance } from 'node:perf_hooks';
import { asBytes, type Bytes } from '../../base/bytes.ts';
import { invariant } from '../../base/invariant.ts';
import { JsonObjectScanner } from '../../base/json-object-scanner.ts';
import type { TimeoutName } from '../../contract/timeouts.ts';
import { errorBody, gatewayError, errorStatus, type GatewayError } from '../../domain/errors/gateway-error.ts';
import { JsonReplyReader } from '../../domain/reply/json-reply-reader.ts';
import { StreamReplyReader } from '../../domain/reply/stream-reply-reader.ts';
import { REQUEST_KEYS } from '../../domain/request/request-fields.ts';
import type { ParserLimits } from '../../http1/limits.ts';
import { ParserEvent } from '../../http1/parser-event.ts';
import type { ParseFailure } from '../../http1/refusals.ts';
import { RequestParser } from '../../http1/request-parser.ts';
import { statusLine } from '../../http1/serializer.ts';
import { Exchange } from '../exchange/exchange.ts';
import type { RequestBody } from '../exchange/request-body.ts';
import { findRoute } from '../exchange/route.ts';
import { onBody, onEnd, onHead, settleRefusal } from '../exchange/run-request.ts';
import { sendOutgoing, type Outgoing } from '../forward/assemble.ts';
import type { WorkerContext } from '../worker/worker-context.ts';
import { adoptSocket } from './adopt-socket.ts';

/** What a client may send ahead while a request of its is worked on; beyond it reading stops. */
const MAX_AHEAD_BYTES = 64 * 1024;

/** After the last answer on a connection that is to close, what still arrives is read and dropped for so long. */
const LINGER_MS = 2_000;

/** A connection that a busy client keeps is used more often than this. */
const UNUSED_MS = 500;

const HEAD_END = Buffer.from('\r\n\r\n', 'latin1');

/** From here on memory of its own for a read is worth avoiding. */
const LARGE_READ_BYTES = 16 * 1024;

const CONTINUE = Buffer.from('HTTP/1.1 100 Continue\r\n\r\n', 'latin1');
const HEAD_TIMED_OUT = gatewayError('client_timeout', 'the request head did not arrive in time');
const BODY_TIMED_OUT = gatewayError('client_timeout', 'the request body did not arrive in time');

/**
 * One client's connection. Requests on it are worked on one at a time, in order; bytes of later ones wait. What the
 * connection waits for is in `#waitingFor`, and the worker's tick compares `deadlineMs`: no timer object anywhere.
 */
export class DownstreamConnection {
  readonly socket: Socket;
  readonly worker: WorkerContext;
  readonly parser: RequestParser;
  exchange: Exchange | null = null;
  /** Monotonic ms at which the bytes being worked on were delivered. */
  deliveredMs: number;
  /** Monotonic ms; Infinity = nothing of the client's is waited for. */
  deadlineMs = Infinity;

  #waitingFor: TimeoutName = 'clientHeadMs';
  #input: Bytes | null = null;
  #inputAt = 0;
  /** `#input` is memory that will be read to again: gone when this read has been worked through. */
  #inputIsLent = false;
  /** What the socket reads to: the worker's read buffer, or for the middle of a large body the place where it lies. */
  #readTarget: Bytes;
  /** Of a request that was answered before it was whole: the socket may be reading to its memory. */
  #unfinishedBody: RequestBody | null = null;
  /** Takes all bytes once the connection is a tunnel. */
  #tunnel: ((chunk: Bytes) => void) | null = null;
  #running = false;
  #closing = false;
  #gone = false;
  #paused = false;
  #blocked = false;
  /** Runs once when the socket is closed, whatever closed it. */
  readonly #onGone: (connection: DownstreamConnection) => void;

  readonly #scanner: JsonObjectScanner = new JsonObjectScanner(REQUEST_KEYS);
  #jsonReader: JsonReplyReader | null = null;
  #streamReader: StreamReplyReader | null = null;
  /** JSON source of the model named last on this connection: nearly always the same one. */
  #modelName = '';
  #modelSource: Bytes | null = null;

  constructor(
    accepted: Socket,
    worker: WorkerContext,
    limits: ParserLimits,
    onGone: (connection: DownstreamConnection) => void,
  ) {
    this.worker = worker; // first: `nextReadTarget` is asked at once
    this.#readTarget = worker.slab.readBuffer;
    const socket =
      adoptSocket(
        accepted,
        () => this.#nextReadTarget(),
        (length) => {
          this.#onRead(length);
        },
      ) ?? accepted;
    this.socket = socket;
    this.parser = new RequestParser(limits);
    this.#onGone = onGone;
    this.deliveredMs = performance.now();
    socket.setNoDelay(true);
    if (socket === accepted) {
      socket.on('data', (chunk: Buffer) => {
        this.#onData(asBytes(chunk), false);
      });
    }
    socket.on('drain', () => {
      this.#onDrain();
    });
    socket.on('end', () => {
      this.#onEndOfInput();
    });
    socket.on('error', () => {
      // 'close' follows, and says all there is to know.
    });
    socket.on('close', () => {
      this.#onClose();
    });
    this.#wait('clientHeadMs', this.deliveredMs);
  }

  /** @returns false if the client takes no more for now; `Exchange.attempt.resume` is called when it does. */
  send(outgoing: Outgoing): boolean {
    if (this.#gone) return true;
    const ready = sendOutgoing(this.socket, outgoing);
    if (!ready && !this.#blocked) {
      this.#blocked = true;
      this.#wait('clientWriteIdleMs', performance.now());
    }
    return ready;
  }

  sendContinue(): void {
    if (!this.#gone) this.socket.write(CONTINUE);
  }

  /** The exchange waited for its key; go on reading its request. */
  continueReading(): void {
    this.#run();
  }

  /** The answer is on its way: the next request, or the end of the connection. */
  exchangeDone(exchange: Exchange, keepAlive: boolean): void {
    if (this.exchange !== exchange) return;
    this.exchange = null;
    if (exchange.requestComplete || this.#gone) exchange.body.recycle();
    else this.#unfinishedBody = exchange.body;
    this.worker.metrics.inFlight.add(-1);
    if (this.#gone) return;
    if (exchange.aborted !== null) {
      // To a client that takes our FIN for the end of the answer, only a RST says that it is not.
      if (exchange.committed && exchange.framing === 'close') this.socket.resetAndDestroy();
      else this.destroy();
    } else if (!keepAlive || this.#closing) {
      this.#close();
    } else {
      if (!this.#blocked) this.#wait('clientIdleMs', performance.now());
      if (exchange.closesWhenUnused) this.deadlineMs = Math.min(this.deadlineMs, performance.now() + UNUSED_MS);
      // An idle connection must not keep the 64 KiB alive that its last head was read into.
      this.parser.release();
      this.#run();
    }
  }

  /** Called by the worker's tick. */
  onTick(nowMs: number): void {
    if (this.deadlineMs <= nowMs) this.#onDeadline();
    const { exchange } = this;
    if (exchange === null || exchange.state !== 'forwarding') return;
    if (exchange.attemptDeadlineMs <= nowMs || exchange.callDeadlineMs <= nowMs) {
      const isCall = exchange.callDeadlineMs <= nowMs;
      exchange.attemptDeadlineMs = Infinity;
      if (isCall) {
        exchange.callDeadlineMs = Infinity;
        exchange.numRetries = -1;
        exchange.fallbacks = [];
      }
      exchange.attempt?.onTimeout();
    }
  }

  /** No request is being worked on and none has begun to arrive: closing now loses nothing. */
  get isIdle(): boolean {
    return this.exchange === null && this.#input === null && this.parser.isIdle();
  }

  destroy(): void {
    this.socket.destroy();
  }

  /**
   * Drain: ends the connection if it has been idle for a while. One in use ends with its next answer; closing it between
   * two requests would lose the second, which is on its way (3,115 of 143,514 when all idle ones were closed at once).
   */
  closeIfUnused(nowMs: number): void {
    if (this.isIdle && nowMs - this.deliveredMs >= UNUSED_MS) this.#close();
  }

  jsonReader(): JsonReplyReader {
    this.#jsonReader ??= new JsonReplyReader();
    return this.#jsonReader;
  }

  streamReader(): StreamReplyReader {
    this.#streamReader ??= new StreamReplyReader();
    return this.#streamReader;
  }

  modelSource(model: string): Bytes {
    if (this.#modelSource === null || this.#modelName !== model) {
      this.#modelName = model;
      this.#modelSource = asBytes(Buffer.from(JSON.stringify(model), 'utf8'));
    }
    return this.#modelSource;
  }

  /** From here on `take` gets the client's bytes, which it may keep; answers what had been read ahead. */
  becomeTunnel(take: (chunk: Bytes) => void): Bytes | null {
    const rest = this.#input === null ? null : this.#input.subarray(this.#inputAt);
    this.#input = null;
    this.#tunnel = take;
    this.socket.removeAllListeners('drain');
    this.socket.removeAllListeners('end');
    this.deadlineMs = Infinity;
    return rest;
  }

  /**
   * `length` bytes lie in the worker's read buffer, until this returns. Body bytes are copied to where the body lies;
   * all else gets memory of its own.
   */
  #onRead(length: number): void {
    const { slab } = this.worker;
    if (this.#readTarget !== slab.readBuffer) {
      this.#onData(this.#readTarget.subarray(0, length), true);
      return;
    }
    let at = 0;
    if (length >= LARGE_READ_BYTES && !this.#isReadingBody()) {
      // A head with much of its body behind it: only the head needs memory of its own.
      const headEnd = slab.readBuffer.indexOf(HEAD_END);
      if (headEnd === -1 || headEnd + HEAD_END.length >= length) {
        this.#onData(slab.take(length), false);
        return;
      }
      at = headEnd + HEAD_END.length;
      this.#onData(slab.take(at), false);
    }
    if (this.#isReadingBody()) this.#onData(asBytes(slab.readBuffer.subarray(at, length)), true);
    else this.#onData(at === 0 ? slab.take(length) : asBytes(Buffer.from(slab.readBuffer.subarray(at, length))), false);
  }

  #nextReadTarget(): Bytes {
    const { exchange, worker } = this;
    this.#readTarget = worker.slab.readBuffer;
    if (exchange !== null && exchange.refusal === null && this.#isReadingBody()) {
      const leftBytes = exchange.head.contentLength - exchange.body.length;
      if (leftBytes >= LARGE_READ_BYTES) this.#readTarget = exchange.body.readTarget(leftBytes);
    }
    return this.#readTarget;
  }

  #isReadingBody(): boolean {
    const { exchange } = this;
    return this.#input === null && exchange !== null && exchange.state === 'reading' && !exchange.requestComplete;
  }

  #onData(chunk: Bytes, isLent: boolean): void {
    if (this.#tunnel !== null) {
      this.#tunnel(chunk);
      return;
    }
    this.deliveredMs = performance.now();
    if (this.#closing) return; // lingering: read and dropped
    if (this.#input === null) {
      this.#input = chunk;
      this.#inputAt = 0;
      this.#inputIsLent = isLent;
    } else {
      this.#input = asBytes(Buffer.concat([this.#input.subarray(this.#inputAt), chunk]));
      this.#inputAt = 0;
    }
    this.#run();
    if (this.#inputIsLent && this.#input !== null) {
      this.#input = asBytes(Buffer.from(this.#input.subarray(this.#inputAt)));
      this.#inputAt = 0;
    }
    this.#inputIsLent = false;
  }

  /** Works through the input until it is used up or a request has to be answered first. */
  #run(): void {
    if (this.#running || this.#gone) return;
    this.#running = true;
    try {
      while (this.#input !== null && !this.#isBusy()) this.#step(this.#input);
    } catch (error) {
      this.worker.onFault(error);
      this.destroy();
    }
    this.#running = false;
    if (this.#gone || this.#closing) return;
    const { exchange } = this;
    if (exchange !== null && exchange.refusal !== null && !exchange.requestComplete) {
      settleRefusal(exchange); // its body is still coming: answer now, then close
      return;
    }
    this.#bound();
  }

  #isBusy(): boolean {
    const { exchange } = this;
    if (this.#closing) return true;
    // Answers that a client does not read would pile up in memory: it gets the next one when it has taken the last.
    if (exchange === null) return this.#blocked;
    return exchange.requestComplete || exchange.state === 'waiting-for-key';
  }

  #step(input: Bytes): void {
    const { parser } = this;
    this.#inputAt = parser.next(input, this.#inputAt, input.length);
    switch (parser.event) {
      case ParserEvent.NeedMore:
        this.#input = null;
        return;
      case ParserEvent.Head:
        this.#begin();
        return;
      case ParserEvent.Body:
        onBody(this.exchange!, input, parser, this.#inputIsLent);
        return;
      case ParserEvent.End:
        if (this.#inputAt === input.length) this.#input = null;
        this.deadlineMs = Infinity;
        onEnd(this.exchange!);
        return;
      case ParserEvent.Error:
        this.#input = null;
        this.#refuseMalformed(malformedError(parser.error!));
        return;
      default:
        return parser.event satisfies never;
    }
  }

  #begin(): void {
    const { worker, parser } = this;
    invariant(this.exchange === null, 'one request at a time');
    if (worker.snapshot === null) {
      this.#refuseMalformed(gatewayError('not_ready', 'No configuration has arrived yet.'));
      return;
    }
    this.exchange = new Exchange(this, worker.snapshot, findRoute(parser.head.path), this.#scanner);
    worker.metrics.inFlight.add(1);
    onHead(this.exchange);
  }

  /** Sets what is waited for after a run: more of a head or body, or nothing; and holds back a client that runs ahead. */
  #bound(): void {
    const { exchange } = this;
    if (exchange === null) {
      const isAwaited = !this.#blocked && !this.parser.isIdle();
      if (isAwaited && this.#waitingFor !== 'clientHeadMs') this.#wait('clientHeadMs', this.deliveredMs);
    } else if (!exchange.requestComplete) {
      if (exchange.state === 'waiting-for-key') this.deadlineMs = Infinity;
      else this.#wait('clientBodyIdleMs', this.deliveredMs);
    }
    const ahead = this.#input === null ? 0 : this.#input.length - this.#inputAt;
    const mustPause = ahead > MAX_AHEAD_BYTES; // while paused, its leaving goes unseen
    if (mustPause === this.#paused) return;
    this.#paused = mustPause;
    if (mustPause) this.socket.pause();
    else this.socket.resume();
  }

  #wait(name: TimeoutName, fromMs: number): void {
    this.#waitingFor = name;
    const timeouts = this.worker.snapshot?.settings.timeouts;
    this.deadlineMs = timeouts === undefined ? Infinity : fromMs + timeouts[name];
  }

  #onDeadline(): void {
    this.deadlineMs = Infinity;
    if (this.#waitingFor === 'clientHeadMs' && !this.parser.isIdle()) {
      this.#refuseMalformed(HEAD_TIMED_OUT);
    } else if (this.#waitingFor === 'clientBodyIdleMs' && this.exchange !== null) {
      this.exchange.refusal = BODY_TIMED_OUT;
      settleRefusal(this.exchange);
    } else {
      this.destroy(); // idle, lingering, or a client that does not read
    }
  }

  /** There is no exchange that could answer: the refusal is written as it is, and the connection closed. */
  #refuseMalformed(error: GatewayError): void {
    const { exchange } = this;
    if (exchange !== null) {
      // The body broke the rules after its head was accepted; the exchange counts it as what it is.
      exchange.refusal = error;
      exchange.keepAlive = false;
      settleRefusal(exchange);
      return;
    }
    this.worker.metrics.refusedBeforeAuthentication.add(1);
    const body = errorBody(error, 'openai');
    const retry = error.name === 'not_ready' ? 'retry-after: 1\r\n' : '';
    this.send({
      head:
        `${statusLine(errorStatus(error))}content-type: application/json\r\nx-slipstream-error: ${error.name}\r\n${retry}` +
        `content-length: ${Buffer.byteLength(body)}\r\nconnection: close\r\n\r\n`,
      parts: [asBytes(Buffer.from(body, 'utf8'))],
      tail: '',
    });
    this.#close();
  }

  /**
   * Ends the connection without losing the answer: our FIN goes out after it, and what the client still sends is read
   * and dropped for a while, since a RST for unread bytes would discard the answer at its side (RFC 9112 §9.6).
   */
  #close(): void {
    if (this.#gone || this.#closing) return;
    this.#closing = true;
    this.#input = null;
    this.#wait('clientWriteIdleMs', performance.now());
    if (this.#paused) this.socket.resume();
    this.socket.end(() => {
      this.#linger();
    });
  }

  /** The client has our FIN, or will have it when it has read what lies before it. */
  #linger(): void {
    if (this.#gone) return;
    this.#waitingFor = 'clientIdleMs';
    this.deadlineMs = performance.now() + LINGER_MS;
  }

  #onDrain(): void {
    this.#blocked = false;
    if (this.#closing) return;
    const { exchange } = this;
    if (exchange === null) {
      this.#wait('clientIdleMs', performance.now());
      this.#run();
      return;
    }
    this.deadlineMs = Infinity;
    exchange.attempt?.resume();
  }

  /** A client that sends FIN is taken to be gone (decisions.md, "HTTP/1.1 on day one"). */
  #onEndOfInput(): void {
    if (!this.#closing) this.destroy();
  }

  #onClose(): void {
    if (this.#gone) return;
    this.#gone = true;
    this.#input = null;
    this.deadlineMs = Infinity;
    const { exchange } = this;
    if (
      exchange !== null &&
      (exchange.state === 'forwarding' ||
        exchange.state === 'reading' ||
        exchange.state === 'waiting-for-key' ||
        exchange.state === 'queued')
    ) {
      exchange.attempt?.cancel();
      this.worker.metrics.clientGone.add(1);
      if (!exchange.committed) exchange.status = 0;
      exchange.cutOff('client_gone');
    }
    this.#unfinishedBody?.recycle();
    this.#onGone(this);
  }
}

/** The parser's rules know the status better than the table: 501 for another coding, 414 for a long target. */
function malformedError({ name, message, status }: ParseFailure): GatewayError {
  return { ...gatewayError(name, message), status };
}
