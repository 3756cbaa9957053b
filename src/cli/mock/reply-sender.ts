import type { Socket } from 'node:net';
import { STATUS_CODES } from 'node:http';
import { gzipSync } from 'node:zlib';
import type { MockFault } from './mock-options.ts';
import type { MockRequest } from './mock-request.ts';
import type { Answer } from './mock-router.ts';
import type { ReplyPlan } from './reply-plan.ts';
import { breakOff, type Outcome, type SendingReply } from './sending-reply.ts';
import { StreamSender } from './stream-sender.ts';

const INTERIM = 'HTTP/1.1 103 Early Hints\r\nlink: </style.css>; rel=preload\r\n\r\nHTTP/1.1 100 Continue\r\n\r\n';
const GARBAGE = '\u0016\u0003\u0001 this is not HTTP\r\n\r\n';
/** What `bad-length` leaves out of its content-length. */
const SHORT_BY = 5;

/**
 * Sends one reply, after its wait and with its fault.
 *
 * @param done called once when the connection may serve its next request; not called for replies that end it or hang.
 * @returns null when all is sent already.
 */
export function sendReply(
  socket: Socket,
  request: MockRequest,
  answer: Answer,
  done: (outcome: Outcome) => void,
): SendingReply | null {
  const { settings } = answer;
  if (settings.ttftMs === 0) return sendNow(socket, request, answer, done);
  let inner: SendingReply | null = null;
  const timer = setTimeout(() => {
    inner = sendNow(socket, request, answer, done);
  }, settings.ttftMs);
  return {
    cancel: () => {
      clearTimeout(timer);
      inner?.cancel();
    },
  };
}

function sendNow(
  socket: Socket,
  request: MockRequest,
  answer: Answer,
  done: (outcome: Outcome) => void,
): SendingReply | null {
  const { plan, settings, nonce } = answer;
  const { fault } = settings;
  // The plain case, and the only one when performance is measured: one write.
  if (fault === null && plan.kind === 'whole' && !settings.echo && !request.isHttp10) {
    const length = plan.body.byteLength(nonce);
    const head = headOf(
      plan,
      nonce,
      `content-length: ${length}\r\n${request.keepAlive ? '' : 'connection: close\r\n'}`,
    );
    socket.write(head + plan.body.render(nonce), 'latin1');
    done('sent');
    return null;
  }
  if (fault !== null && sendNoReply(socket, fault, done)) return null;
  if (fault === 'interim') socket.write(INTERIM, 'latin1');
  const extra = settings.echo ? echoHeaders(request) : '';
  if (plan.kind !== 'stream') return sendWhole(socket, request, { plan, nonce, fault, extra, done });
  const isChunked = !request.isHttp10 && fault !== 'no-length';
  const framing = isChunked ? 'transfer-encoding: chunked\r\n' : '';
  const head = headOf(plan, nonce, framing + extra + connectionHeader(request, isChunked));
  return new StreamSender(socket, answer, { head, isChunked, done });
}

/** Faults in place of a reply. */
function sendNoReply(socket: Socket, fault: MockFault, done: (outcome: Outcome) => void): boolean {
  if (fault === 'reset') socket.resetAndDestroy();
  else if (fault === 'close') socket.end();
  else if (fault === 'garbage') socket.end(GARBAGE, 'latin1');
  else if (fault !== 'hang') return false;
  if (fault !== 'hang') done(fault);
  return true;
}

interface WholeSend {
  readonly plan: Exclude<ReplyPlan, { kind: 'stream' }>;
  readonly nonce: string;
  readonly fault: MockFault | null;
  readonly extra: string;
  readonly done: (outcome: Outcome) => void;
}

function sendWhole(socket: Socket, request: MockRequest, send: WholeSend): SendingReply | null {
  const { plan, nonce, fault, done } = send;
  let body = plan.kind === 'binary' ? plan.body : Buffer.from(plan.body.render(nonce), 'latin1');
  let { extra } = send;
  if (fault === 'gzip') {
    body = gzipSync(body);
    extra += 'content-encoding: gzip\r\n';
  }
  const length = fault === 'bad-length' ? Math.max(0, body.length - SHORT_BY) : body.length;
  const hasLength = fault !== 'no-length';
  const framing = hasLength ? `content-length: ${length}\r\n` : '';
  socket.write(headOf(plan, nonce, framing + extra + connectionHeader(request, hasLength)), 'latin1');
  const isHalf = fault === 'half' || fault === 'close-mid' || fault === 'reset-mid';
  if (fault !== 'head-only') socket.write(isHalf ? body.subarray(0, body.length >> 1) : body);
  if (fault === 'half' || fault === 'head-only') return { cancel: () => {} };
  if (fault === 'close-mid' || fault === 'reset-mid') return breakOff(socket, fault, done);
  if (!hasLength) socket.end();
  done(fault ?? 'sent');
  return null;
}

function headOf(plan: ReplyPlan, nonce: string, framing: string): string {
  const status = plan.kind === 'stream' ? 200 : plan.status;
  const reason = status === 200 ? 'OK' : (STATUS_CODES[status] ?? 'Unknown');
  return `HTTP/1.1 ${status} ${reason}\r\n${plan.headers}${framing}x-request-id: req_${nonce}\r\nx-nonce: ${nonce}\r\n\r\n`;
}

function connectionHeader(request: MockRequest, isDelimited: boolean): string {
  if (!request.keepAlive || !isDelimited) return 'connection: close\r\n';
  return request.isHttp10 ? 'connection: keep-alive\r\n' : '';
}

function echoHeaders(request: MockRequest): string {
  const lines = request.headers().map(([name, value]) => `x-echo-${name}: ${value}\r\n`);
  return `x-echo-line: ${request.method} ${request.target}\r\n${lines.join('')}`;
}
