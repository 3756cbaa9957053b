import type { Socket } from 'node:net';
import { performance } from 'node:perf_hooks';
import type { Bytes } from '../../base/bytes.ts';
import { invariant } from '../../base/invariant.ts';
import { JsonObjectScanner } from '../../base/json-object-scanner.ts';
import type { TimeoutName } from '../../contract/timeouts.ts';
import { gatewayError, type GatewayError } from '../../domain/errors/gateway-error.ts';
import { REQUEST_KEYS } from '../../domain/request/request-fields.ts';
import type { ParserLimits } from '../../http1/limits.ts';
import type { TrustedProxies } from '../../domain/network/trusted-proxies.ts';
import { ParserEvent } from '../../http1/parser-event.ts';
import { RequestParser } from '../../http1/request-parser.ts';
import { checkDeadlines } from '../exchange/check-deadlines.ts';
import { isPreflight } from '../exchange/cors.ts';
import { Exchange } from '../exchange/exchange.ts';
import { findRoute, PREFLIGHT } from '../exchange/route.ts';
import { outOfMemory, type RequestBody } from '../exchange/request-body.ts';
import { onBody, onEnd, onHead, settleRefusal } from '../exchange/run-request.ts';
import { LastKey } from '../keys/last-key.ts';
import type { Outgoing } from '../socket/outgoing.ts';
import { SocketWriter } from '../socket/socket-writer.ts';
import type { WorkerContext } from '../worker/worker-context.ts';
import type { Newcomer } from './arrival-rush.ts';
import { ClientInput } from './client-input.ts';
import { ClientSocket, type ClientSocketOwner, HEAD_END } from './client-socket.ts';
import { earlyRefusal, malformedError } from './early-refusal.ts';
import { HeldBytes } from './held-bytes.ts';
import { ReplyReaders } from './reply-readers.ts';
import { WriteProgress } from './write-progress.ts';

/** A connection that a busy client keeps is used more often than this. */
export const UNUSED_MS = 500;

/** After an answer that ended with an error event its connection is closed, unless its client uses it within this. */
const BROKEN_STREAM_IDLE_MS = 2_000;

/** A client that has taken nothing for so long is cut off where memory is short. */
const STALLED_MS = 1_000;

const CONTINUE = Buffer.from('HTTP/1.1 100 Continue\r\n\r\n', 'latin1');
const NOT_READY: GatewayError = {
  ...gatewayError('not_ready', 'No configuration has arrived yet.'),
  retryAfterSeconds: 1,
};
const HEAD_TIMED_OUT = gatewayError('client_timeout', 'the request head did not arrive in time');
const BODY_TIMED_OUT = gatewayError('client_timeout', 'the request body did not arrive in time');

/**
 * One client's connection. Requests on it are worked on one at a time, in order; bytes of later ones wait. What the
 * connection waits for is in `#waitingFor`, and the worker's tick compares `deadlineMs`: no timer object anywhere.
 */
export class DownstreamConnection implements ClientSocketOwner, Newcomer {
  readonly socket: Socket;
  readonly worker: WorkerContext;
  readonly parser: RequestParser;
  readonly replies: ReplyReaders = new ReplyReaders();
  readonly lastKey: LastKey = new LastKey();
  exchange: Exchange | null = null;
  /** The socket's peer, or whom a load balancer named by PROXY protocol; canonical; null for a Unix socket. */
  peerAddress: string | null = null;
  /** What X-Forwarded-For said last on this connection, by whose rules it was read, and what came of it. */
  forwardedFor: string | null = null;
  forwardedBy: TrustedProxies | null = null;
  forwardedClient: string | null = null;
  /** Monotonic ms at which the bytes being worked on were delivered, or read ahead of an answer could be worked on. */
  deliveredMs: number;
  /** Monotonic ms; Infinity = nothing of the client's is waited for. */
  deadlineMs = Infinity;

  #waitingFor: TimeoutName = 'clientHeadMs';
  readonly #writer: SocketWriter;
  readonly #input: ClientInput = new ClientInput();
  readonly #writes: WriteProgress = new WriteProgress();
  readonly #held: HeldBytes;
  /** Of a request that was answered before it was whole: the socket may be reading to its memory. */
  #unfinishedBody: RequestBody | null = null;
  /** Takes all bytes once the connection is a tunnel. */
  #tunnel: ((chunk: Bytes) => void) | null = null;
  /** Nothing has been read from it. */
  #isNew = true;
  /** For the next turn, with its first request. */
  #isWaiting = false;
  #running = false;
  #closing = false;
  #gone = false;
  #paused = false;
  /** Some of what was given to the socket is not with the kernel yet. */
  #blocked = false;
  /** Far more was sent ahead than is kept: what comes is dropped, the answer being made is the last. */
  #deaf = false;
  /** Runs once when the socket is closed, whatever closed it. */
  readonly #onGone: (connection: DownstreamConnection) => void;

  readonly #scanner: JsonObjectScanner = new JsonObjectScanner(REQUEST_KEYS);

  constructor(
    accepted: Socket,
    worker: WorkerContext,
    limits: ParserLimits,
    onGone: (connection: DownstreamConnection) => void,
  ) {
    this.#held = new HeldBytes(worker.budget);
    this.worker = worker; // first: where to read to is asked at once
    const { socket } = new ClientSocket(accepted, worker.slab, this);
    this.socket = socket;
    this.#writer = new SocketWriter(socket);
    this.parser = new RequestParser(limits);
    this.#onGone = onGone;
    this.deliveredMs = performance.now();
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
    const ready = this.#writer.send(outgoing);
    if (!ready && !this.#blocked) {
      this.#blocked = true;
      this.#waitForReader();
    }
    if (!ready) this.#held.setUnsent(this.#writer.unsentBytes);
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
      if (exchange.committed && exchange.framing === 'close') this.#reset();
      else this.destroy();
    } else if (!keepAlive || this.#closing) {
      this.#close();
    } else {
      const nowMs = performance.now();
      if (!this.#blocked) this.#wait('clientIdleMs', nowMs);
      if (exchange.closesWhenUnused) this.deadlineMs = Math.min(this.deadlineMs, nowMs + BROKEN_STREAM_IDLE_MS);
      // What was read ahead has waited for this answer, by the client's own choice: its time begins now.
      if (this.#input.bytes !== null) this.deliveredMs = nowMs;
      // An idle connection must not keep the 64 KiB alive that its last head was read into.
      this.parser.release();
      this.#run();
    }
  }

  /** Called by the worker's tick. */
  onTick(nowMs: number): void {
    if (
      this.deadlineMs !== Infinity &&
      this.#waitingFor === 'clientWriteIdleMs' &&
      this.#writes.hasMoved(this.socket)
    ) {
      this.#wait('clientWriteIdleMs', nowMs);
    } else if (this.#blocked && this.worker.budget.isUsedUp && this.#hasStalled(nowMs)) {
      this.destroy(); // memory is short: those go first for whom it is held in vain
    }
    if (this.deadlineMs <= nowMs) this.#onDeadline();
    if (this.#paused) this.#readOn();
    if (this.exchange !== null) checkDeadlines(this.exchange, nowMs);
  }

  /** No request is being worked on and none has begun to arrive: closing now loses nothing. */
  get isIdle(): boolean {
    return this.exchange === null && this.#input.bytes === null && this.parser.isIdle();
  }

  /** TLS says by a missing close_notify that an answer is cut off (RFC 8446 §6.1); Unix sockets can't say it. */
  #reset(): void {
    const canReset = this.socket.remoteFamily !== undefined && !('encrypted' in this.socket);
    if (canReset) this.socket.resetAndDestroy();
    else this.destroy();
  }

  destroy(): void {
    this.socket.destroy();
  }

  /**
   * Drain: ends the connection if it has been idle for `unusedMs`. One in use ends with its next answer; closing it between
   * two requests would lose the second, which is on its way (3,115 of 143,514 when all idle ones were closed at once).
   */
  closeIfUnused(nowMs: number, unusedMs: number): void {
    if (this.isIdle && nowMs - this.deliveredMs >= unusedMs) this.#close();
  }

  /** From here on `take` gets the client's bytes, which it may keep; answers what had been read ahead. */
  becomeTunnel(take: (chunk: Bytes) => void): Bytes | null {
    this.#tunnel = take;
    this.#paused = false; // from here on the tunnel's
    this.socket.removeAllListeners('drain');
    this.socket.removeAllListeners('end');
    this.deadlineMs = Infinity;
    return this.#input.takeRest();
  }

  bodyBeingRead(): Exchange | null {
    const { exchange } = this;
    if (exchange === null || this.#input.bytes !== null) return null;
    return exchange.state === 'reading' && !exchange.requestComplete ? exchange : null;
  }

  onInput(chunk: Bytes, isLent: boolean): void {
    if (this.#tunnel !== null) {
      this.#tunnel(chunk);
      return;
    }
    this.deliveredMs = performance.now();
    if (this.#closing || this.#deaf) return; // read and dropped
    this.#input.add(chunk, isLent);
    if (this.#isNew) {
      this.#isNew = false;
      if (this.worker.rush.isOn) {
        this.#input.keep();
        this.#isWaiting = true;
        this.worker.rush.wait(this);
        return;
      }
    }
    this.#isWaiting = false;
    this.#run();
    this.#input.keep();
  }

  onNextTurn(): void {
    this.#isWaiting = false;
    this.#run();
  }

  /** Works through the input until it is used up or a request has to be answered first. */
  #run(): void {
    if (this.#running || this.#gone) return;
    this.#running = true;
    try {
      while (this.#input.bytes !== null && !this.#isBusy()) this.#step(this.#input.bytes);
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

  #step(bytes: Bytes): void {
    const { parser } = this;
    const input = this.#input;
    const from = input.at;
    input.at = parser.next(bytes, from, bytes.length);
    switch (parser.event) {
      case ParserEvent.NeedMore:
        if (this.exchange === null) this.#held.headBytes += bytes.length - from;
        input.drop();
        return;
      case ParserEvent.Head:
        this.#begin();
        return;
      case ParserEvent.Body:
        onBody(this.exchange!, bytes, parser, input.isLent);
        return;
      case ParserEvent.End:
        if (input.at === bytes.length) input.drop();
        this.deadlineMs = Infinity;
        onEnd(this.exchange!);
        return;
      case ParserEvent.Error:
        input.drop();
        this.#refuseMalformed(malformedError(parser.error!));
        return;
      default:
        return parser.event satisfies never;
    }
  }

  #begin(): void {
    const { worker, parser } = this;
    invariant(this.exchange === null, 'one request at a time');
    this.#held.headBytes = 0;
    if (worker.snapshot === null) {
      this.#refuseMalformed(NOT_READY);
      return;
    }
    const { head } = parser;
    const route = worker.snapshot.cors !== null && isPreflight(head) ? PREFLIGHT : findRoute(head.path);
    this.exchange = new Exchange(this, worker.snapshot, route, this.#scanner);
    worker.metrics.received.add(1);
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
      else this.#waitForBody(exchange);
    }
    const { pace } = this.#input;
    const fits = this.#held.setUnread(this.#input.length);
    if (!fits && exchange === null) {
      this.worker.metrics.refusedForMemory.add(1);
      this.#refuseMalformed(outOfMemory());
      return;
    }
    if (pace === 'to-drop' || !fits) this.#stopListening();
    const mustPause = pace === 'by-tick';
    if (mustPause === this.#paused) return;
    this.#paused = mustPause;
    if (mustPause) this.socket.pause();
    else this.socket.resume();
  }

  /** The next byte in time, and all of them at a pace that a slow line keeps and a client that means harm does not. */
  #waitForBody(exchange: Exchange): void {
    const { timeouts, limits } = exchange.snapshot.settings;
    this.#wait('clientBodyIdleMs', this.deliveredMs);
    if (limits.minBodyRate === 0) return;
    const earnedMs = (exchange.body.length / limits.minBodyRate) * 1000;
    this.deadlineMs = Math.min(this.deadlineMs, exchange.startedMs + timeouts.clientBodyMs + earnedMs);
  }

  #waitForReader(): void {
    this.#writes.begin(this.socket);
    this.#wait('clientWriteIdleMs', performance.now());
  }

  /** A client that ran ahead: one more read, since whether it has left is seen only so. */
  #readOn(): void {
    this.#paused = false;
    this.socket.resume();
  }

  #hasStalled(nowMs: number): boolean {
    const { snapshot } = this.worker;
    return snapshot !== null && nowMs - (this.deadlineMs - snapshot.settings.timeouts.clientWriteIdleMs) > STALLED_MS;
  }

  #stopListening(): void {
    this.#input.drop();
    this.#held.setUnread(0);
    this.#deaf = true;
    // Without a request in progress it sends, and does not read what it got before.
    if (this.exchange === null) this.destroy();
    else this.exchange.keepAlive = false;
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
    this.worker.metrics.received.add(1);
    this.worker.metrics.refusedBeforeAuthentication.add(1);
    this.send(earlyRefusal(error));
    this.#close();
  }

  /**
   * Ends the connection without losing the answer: our FIN goes out after it, and what the client still sends is read
   * and dropped for a while, since a RST for unread bytes would discard the answer at its side (RFC 9112 §9.6).
   */
  #close(): void {
    if (this.#gone || this.#closing) return;
    this.#closing = true;
    this.#input.drop();
    this.#waitForReader();
    if (this.#paused) this.#readOn();
    this.socket.end(() => {
      this.#linger();
    });
  }

  /** The client has our FIN, or will have it when it has read what lies before it. */
  #linger(): void {
    if (this.#gone) return;
    this.#wait('clientLingerMs', performance.now());
  }

  #onDrain(): void {
    this.#blocked = false;
    this.#held.setUnsent(0);
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
    if (this.#closing) return;
    this.destroy();
    // Now, and not with 'close', which comes after all that this turn of the loop has read: what the request still waits
    // for, such as a connection to send it on, may be in that, and the provider would be asked for nobody.
    this.#onClose();
  }

  #onClose(): void {
    if (this.#gone) return;
    this.#gone = true;
    if (this.#isWaiting && this.#input.bytes !== null && this.#input.bytes.indexOf(HEAD_END) !== -1) {
      this.worker.metrics.received.add(1);
      this.worker.metrics.abandonedBeforeAuthentication.add(1);
    }
    this.#input.drop();
    this.#held.release();
    this.deadlineMs = Infinity;
    const { exchange } = this;
    if (exchange !== null && exchange.state !== 'recording' && exchange.state !== 'done') {
      exchange.attempt?.cancel();
      this.worker.metrics.clientGone.add(1);
      if (!exchange.committed) exchange.status = 0;
      exchange.cutOff('client_gone');
    }
    this.#unfinishedBody?.recycle();
    this.#onGone(this);
  }
}
