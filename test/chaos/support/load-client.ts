import { connect, type Socket } from 'node:net';
import { brotliDecompressSync, gunzipSync } from 'node:zlib';
import { ReplyReader } from '../../../src/cli/bench/reply-reader.ts';
import { TEST_KEY } from '../../support/sidecar-harness.ts';
import { noncesIn, nonceText, traceparent } from './nonce.ts';

/** Where a client leaves, by intention. */
export const VANISH_PHASES = ['before-head-end', 'mid-body', 'waiting', 'mid-reply', 'not-reading'] as const;
export type VanishPhase = (typeof VANISH_PHASES)[number];

/** What one request is to be. */
export interface RequestPlan {
  readonly model: string;
  readonly stream: boolean;
  /** Text in the request body, bytes. Default 100. */
  readonly textBytes?: number;
  /** The client leaves in this phase. */
  readonly vanish?: VanishPhase | null;
  /** Without an answer after this time the client gives up: a failure. Default 30 s. */
  readonly timeoutMs?: number;
}

/**
 * How a request ended:
 * - `complete`: the whole answer came, with the request's own nonce if its status is 200; a stream with its last event;
 * - `stream-error`: a stream that ended in order, but with an error event;
 * - `cut`: the connection ended before the answer did;
 * - `vanished`: the client left, as planned;
 * - `wrong`: an answer that must not be: another request's nonce, a stream that just stops, bytes that are not HTTP;
 * - `timeout`: no answer in time;
 * - `unconnected`: nobody took the connection.
 */
export type Ending = 'complete' | 'stream-error' | 'cut' | 'vanished' | 'wrong' | 'timeout' | 'unconnected';

export interface Outcome {
  readonly number: number;
  readonly plan: RequestPlan;
  readonly ending: Ending;
  /** 0 when no answer began. */
  readonly status: number;
  /** `x-slipstream-call-id`, null without an answer. */
  readonly callId: string | null;
  /** `x-slipstream-error` or null. */
  readonly errorName: string | null;
  /** Whether the answer says when to come again. */
  readonly hasRetryAfter: boolean;
  /** `x-echo-x-config-version`: which configuration the request was served by, where a scenario looks at that. */
  readonly configVersion: number | null;
  /** Monotonic ms. */
  readonly startedMs: number;
  readonly endedMs: number;
  /** What is wrong, or how the connection ended. */
  readonly detail: string;
}

const DEFAULT_TEXT_BYTES = 100;
const DEFAULT_TIMEOUT_MS = 30_000;
/** A client that leaves does so this long after the bytes it sends last. */
const LINGER_MS = 20;
/** A client that doesn't read holds out this long. */
const NOT_READING_MS = 1_500;

/** The bytes of a request: everything it is known by again is in it. */
function requestOf(runId: string, number: number, plan: RequestPlan, port: number): Buffer {
  const text = 'x'.repeat(plan.textBytes ?? DEFAULT_TEXT_BYTES);
  const body = JSON.stringify({
    model: plan.model,
    user: nonceText(number),
    messages: [{ role: 'user', content: text }],
    ...(plan.stream ? { stream: true } : {}),
  });
  return Buffer.from(
    `POST /v1/chat/completions HTTP/1.1\r\nhost: 127.0.0.1:${port}\r\nauthorization: Bearer ${TEST_KEY}\r\n` +
      `content-type: application/json\r\ntraceparent: ${traceparent(runId, number)}\r\n` +
      `content-length: ${body.length}\r\n\r\n${body}`,
    'latin1',
  );
}

interface ClientRequest {
  readonly number: number;
  readonly plan: RequestPlan;
  readonly startedMs: number;
}

/** One client: a kept-alive connection, one request at a time. As HTTP clients do, it connects anew when it must. */
export class LoadClient {
  readonly #port: number;
  readonly #runId: string;
  readonly #onEnd: (client: LoadClient, outcome: Outcome) => void;
  #socket: Socket | null = null;
  #reader = new ReplyReader(null, true);
  #request: ClientRequest | null = null;
  #hasAnswerBytes = false;
  #timer: NodeJS.Timeout | null = null;

  constructor(port: number, runId: string, onEnd: (client: LoadClient, outcome: Outcome) => void) {
    this.#port = port;
    this.#runId = runId;
    this.#onEnd = onEnd;
  }

  get isBusy(): boolean {
    return this.#request !== null;
  }

  send(number: number, plan: RequestPlan): void {
    this.#request = { number, plan, startedMs: performance.now() };
    this.#hasAnswerBytes = false;
    this.#reader = new ReplyReader(null, true);
    this.#reader.begin(Buffer.alloc(0));
    this.#timer = setTimeout(() => this.#give('timeout', 'no answer in time'), plan.timeoutMs ?? DEFAULT_TIMEOUT_MS);
    // A connection that ended while it was idle is not used again.
    if (this.#socket === null || this.#socket.destroyed || this.#socket.readableEnded) this.#connect();
    else this.#write(this.#socket);
  }

  /** Ends the connection; a request in flight ends as `cut`. */
  close(): void {
    this.#socket?.destroy();
    this.#socket = null;
  }

  #connect(): void {
    const socket = connect({ port: this.#port, host: '127.0.0.1', noDelay: true });
    this.#socket = socket;
    let isConnected = false;
    let cause = 'FIN';
    socket.once('connect', () => {
      isConnected = true;
      this.#write(socket);
    });
    socket.on('error', (error: NodeJS.ErrnoException) => {
      cause = error.code ?? error.message;
    });
    socket.on('data', (chunk: Buffer) => this.#receive(socket, chunk));
    socket.on('close', () => {
      if (this.#socket !== socket) return;
      this.#socket = null;
      if (this.#request === null) return;
      if (!isConnected) this.#give('unconnected', cause);
      else if (cause === 'FIN' && this.#reader.isCompleteAtClose) this.#complete();
      else this.#give('cut', cause);
    });
  }

  #write(socket: Socket): void {
    const request = this.#request;
    if (request === null) return;
    const bytes = requestOf(this.#runId, request.number, request.plan, this.#port);
    const vanish = request.plan.vanish ?? null;
    const headEnd = bytes.indexOf('\r\n\r\n') + 4;
    switch (vanish) {
      case 'before-head-end':
        socket.write(bytes.subarray(0, headEnd >> 1), () => this.#leaveLater(LINGER_MS));
        return;
      case 'mid-body':
        socket.write(bytes.subarray(0, headEnd + ((bytes.length - headEnd) >> 1)), () => this.#leaveLater(LINGER_MS));
        return;
      case 'waiting':
        socket.write(bytes, () => this.#leaveLater(LINGER_MS));
        return;
      case 'mid-reply':
      case 'not-reading':
      case null:
        socket.write(bytes);
        return;
      default:
        vanish satisfies never;
    }
  }

  #leaveLater(afterMs: number): void {
    const request = this.#request;
    setTimeout(() => {
      if (this.#request !== null && this.#request === request) this.#give('vanished', request.plan.vanish ?? '');
    }, afterMs);
  }

  #receive(socket: Socket, chunk: Buffer): void {
    const request = this.#request;
    if (request === null) {
      // Nobody asked: it would be taken for the next request's answer.
      socket.destroy();
      return;
    }
    const isFirst = !this.#hasAnswerBytes;
    this.#hasAnswerBytes = true;
    if (request.plan.vanish === 'mid-reply') {
      this.#give('vanished', 'mid-reply');
      return;
    }
    if (request.plan.vanish === 'not-reading' && isFirst) {
      socket.pause();
      this.#leaveLater(NOT_READING_MS);
    }
    const progress = this.#reader.read(chunk, 0);
    if (progress === 'complete') this.#complete();
    else if (progress === 'malformed') this.#give('wrong', `not HTTP, or bytes beyond the answer: ${sample(chunk)}`);
  }

  #complete(): void {
    const request = this.#request;
    if (request === null) return;
    const { status, closes } = this.#reader;
    const text = bodyText(this.#reader);
    const foreign = noncesIn(text).find((number) => number !== request.number);
    if (foreign !== undefined) this.#give('wrong', `holds the nonce of request ${foreign}`);
    else if (status !== 200) this.#give('complete', '', !closes);
    else if (!request.plan.stream) {
      const isOwn = noncesIn(text).length > 0;
      this.#give(isOwn ? 'complete' : 'wrong', isOwn ? '' : `without its nonce: ${text.slice(0, 80)}`, !closes);
    } else if (/^data: \{"error"|^event: error/m.test(text)) this.#give('stream-error', ''); // as SDKs do, which stop reading
    else if (hasEnd(text)) this.#give('complete', '', !closes);
    else this.#give('wrong', 'a stream that ends without its last event and without an error', !closes);
  }

  /** The request is over. The connection stays only where the next request may use it. */
  #give(ending: Ending, detail: string, keepsConnection = false): void {
    const request = this.#request;
    if (request === null) return;
    this.#request = null;
    if (this.#timer !== null) clearTimeout(this.#timer);
    const { head, status } = this.#reader;
    const version = /\r\nx-echo-x-config-version: (\d+)/.exec(head)?.[1];
    const socket = this.#socket;
    if (!keepsConnection && socket !== null) {
      this.#socket = null;
      socket.destroy();
    } else if (request.plan.vanish === 'not-reading') {
      socket?.resume(); // all of the answer had come before it stopped
    }
    this.#onEnd(this, {
      number: request.number,
      plan: request.plan,
      ending,
      status,
      callId: /\r\nx-slipstream-call-id: (\S+)/.exec(head)?.[1] ?? null,
      errorName: /\r\nx-slipstream-error: (\S+)/.exec(head)?.[1] ?? null,
      hasRetryAfter: /\r\nretry-after: [1-9]\d*\r\n/.test(head),
      configVersion: version === undefined ? null : Number(version),
      startedMs: request.startedMs,
      endedMs: performance.now(),
      detail,
    });
  }
}

/** What a chat stream says last; a provider may leave `[DONE]` out, and that is passed on as it is. */
function hasEnd(text: string): boolean {
  return text.trimEnd().endsWith('data: [DONE]') || text.includes('"finish_reason":"stop"');
}

function bodyText(reader: ReplyReader): string {
  const encoding = /\r\ncontent-encoding: (\S+)/.exec(reader.head)?.[1] ?? null;
  if (encoding === 'gzip') return gunzipSync(reader.body).toString('latin1');
  if (encoding === 'br') return brotliDecompressSync(reader.body).toString('latin1');
  return reader.body.toString('latin1');
}

function sample(chunk: Buffer): string {
  return JSON.stringify(chunk.toString('latin1', 0, 60));
}
