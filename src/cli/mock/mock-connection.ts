import type { Socket } from 'node:net';
import { MockRequest, parseHead, type ParsedHead } from './mock-request.ts';
import type { MockRouter } from './mock-router.ts';
import { sendReply } from './reply-sender.ts';
import type { Outcome, SendingReply } from './sending-reply.ts';
import { acceptWebSocket } from './websocket-echo.ts';

/** What connections share. */
export interface MockHost {
  readonly router: MockRouter;
  readonly onRequest: ((request: MockRequest) => void) | null;
  readonly onEnd: ((request: MockRequest, outcome: Outcome, status: number, nonce: string) => void) | null;
}

const HEAD_END = Buffer.from('\r\n\r\n');
const MAX_HEAD_BYTES = 256 * 1024;
const EMPTY = Buffer.alloc(0);

/** Serves an accepted connection until it ends. */
export function serveConnection(socket: Socket, host: MockHost): MockConnection {
  return new MockConnection(socket, host);
}

/** One connection: requests in, replies out, one at a time and in order. */
class MockConnection {
  readonly #socket: Socket;
  readonly #host: MockHost;
  /** Received and not yet used. */
  #input: Buffer = EMPTY;
  /** The last head and its meaning: on a kept-alive connection the next one is often equal. */
  #lastHead: Buffer = EMPTY;
  #lastParsed: ParsedHead | null = null;
  /** Head complete, body still arriving. */
  #parsed: ParsedHead | null = null;
  /** Grows to the largest body seen; `#bodyBytes` of it are filled. */
  #body: Buffer = EMPTY;
  #bodyBytes = 0;
  #current: MockRequest | null = null;
  #status = 0;
  #nonce = '';
  #sending: SendingReply | null = null;
  #isClosed = false;
  readonly #done = (outcome: Outcome): void => this.#end(outcome);

  constructor(socket: Socket, host: MockHost) {
    this.#socket = socket;
    this.#host = host;
    socket.on('data', (chunk: Buffer) => this.#receive(chunk));
    socket.on('error', () => {}); // 'close' follows
    socket.on('close', () => {
      this.#isClosed = true;
      this.#sending?.cancel();
      if (this.#current !== null) this.#end('aborted');
    });
  }

  #receive(chunk: Buffer): void {
    this.#input = this.#input.length === 0 ? chunk : Buffer.concat([this.#input, chunk]);
    this.#work();
  }

  #work(): void {
    while (this.#current === null && !this.#isClosed) {
      if (this.#parsed === null && !this.#readHead()) return;
      const parsed = this.#parsed;
      if (parsed === null) return;
      const body = parsed.isChunked ? this.#readChunkedBody() : this.#readBody(Math.max(0, parsed.contentLength));
      if (body === null) return;
      this.#parsed = null;
      this.#answer(parsed, body);
    }
  }

  /** @returns false when more input is needed, or the connection is no longer of use. */
  #readHead(): boolean {
    const input = this.#input;
    const last = this.#lastHead;
    if (last.length > 0 && input.length >= last.length && last.compare(input, 0, last.length) === 0) {
      this.#parsed = this.#lastParsed;
      this.#input = input.subarray(last.length);
      this.#bodyBytes = 0;
      return true;
    }
    const end = input.indexOf(HEAD_END);
    if (end < 0) {
      if (input.length > MAX_HEAD_BYTES) this.#refuse('request head too large');
      return false;
    }
    const parsed = parseHead(input.toString('latin1', 0, end));
    if (typeof parsed === 'string') {
      this.#refuse(parsed);
      return false;
    }
    this.#lastHead = Buffer.from(input.subarray(0, end + HEAD_END.length));
    this.#lastParsed = parsed;
    this.#parsed = parsed;
    this.#input = input.subarray(end + HEAD_END.length);
    this.#bodyBytes = 0;
    if (parsed.isUpgrade) {
      this.#upgrade(parsed);
      return false;
    }
    if (parsed.expectsContinue) this.#socket.write('HTTP/1.1 100 Continue\r\n\r\n', 'latin1');
    return true;
  }

  #readBody(length: number): Buffer | null {
    const input = this.#input;
    if (this.#bodyBytes === 0 && input.length >= length) {
      this.#input = input.length === length ? EMPTY : input.subarray(length);
      return input.subarray(0, length);
    }
    this.#reserve(length);
    const taken = Math.min(length - this.#bodyBytes, input.length);
    input.copy(this.#body, this.#bodyBytes, 0, taken);
    this.#bodyBytes += taken;
    this.#input = taken === input.length ? EMPTY : input.subarray(taken);
    return this.#bodyBytes === length ? this.#body.subarray(0, length) : null;
  }

  /** One chunk at a time; extensions are ignored, trailers skipped. */
  #readChunkedBody(): Buffer | null {
    for (;;) {
      const lineEnd = this.#input.indexOf('\r\n');
      if (lineEnd < 0) return null;
      const size = Number.parseInt(this.#input.toString('latin1', 0, lineEnd), 16);
      if (!(size >= 0)) {
        this.#refuse('malformed chunk size');
        return null;
      }
      if (size === 0) {
        const end = this.#input.indexOf(HEAD_END, lineEnd);
        if (end < 0) return null;
        this.#input = this.#input.subarray(end + HEAD_END.length);
        return this.#body.subarray(0, this.#bodyBytes);
      }
      const end = lineEnd + 2 + size + 2;
      if (this.#input.length < end) return null;
      this.#reserve(this.#bodyBytes + size);
      this.#input.copy(this.#body, this.#bodyBytes, lineEnd + 2, end - 2);
      this.#bodyBytes += size;
      this.#input = this.#input.subarray(end);
    }
  }

  #reserve(bytes: number): void {
    if (this.#body.length >= bytes) return;
    const grown = Buffer.allocUnsafe(Math.max(bytes, this.#body.length * 2));
    this.#body.copy(grown, 0, 0, this.#bodyBytes);
    this.#body = grown;
  }

  #answer(parsed: ParsedHead, body: Buffer): void {
    const request = new MockRequest(parsed);
    request.body = body;
    this.#host.onRequest?.(request);
    const answer = this.#host.router.answer(request);
    this.#current = request;
    this.#status = answer.plan.kind === 'stream' ? 200 : answer.plan.status;
    this.#nonce = answer.nonce;
    const sending = sendReply(this.#socket, request, answer, this.#done);
    if (this.#current === request) this.#sending = sending;
  }

  /** May run inside `sendReply`; `#work`, further up or started here, goes on with the next request. */
  #end(outcome: Outcome): void {
    const request = this.#current;
    if (request === null) return;
    this.#current = null;
    const wasWaiting = this.#sending !== null;
    this.#sending = null;
    this.#host.onEnd?.(request, outcome, this.#status, this.#nonce);
    if (this.#isClosed) return;
    if (!request.keepAlive) {
      this.#isClosed = true;
      this.#socket.end();
    } else if (wasWaiting && this.#input.length > 0) {
      this.#work();
    }
  }

  #upgrade(parsed: ParsedHead): void {
    const request = new MockRequest(parsed);
    this.#host.onRequest?.(request);
    this.#socket.removeAllListeners('data');
    acceptWebSocket(this.#socket, request, this.#input);
    this.#input = EMPTY;
  }

  #refuse(message: string): void {
    const body = JSON.stringify({ error: { message: `mock: ${message}`, type: 'invalid_request_error' } });
    this.#isClosed = true;
    this.#socket.end(
      `HTTP/1.1 400 Bad Request\r\ncontent-type: application/json\r\ncontent-length: ${body.length}\r\nconnection: close\r\n\r\n${body}`,
    );
  }
}
