import type { Socket } from 'node:net';
import { gzipSync } from 'node:zlib';

/** A request at the fault provider, whole. */
export interface FaultRequest {
  readonly socket: Socket;
  /** `nonce-…`, to be sent back. */
  readonly nonce: string;
  readonly stream: boolean;
  /** Requests before it on the same connection. */
  readonly earlier: number;
}

const LARGE_BYTES = 100 * 1024 * 1024;
const DRIP_MS = 1000;
/** What lying lengths are off by. */
const OFF_BY = 7;

/** What a provider can do wrong, each by name; the path says which (`/<name>/v1/chat/completions`). */
export const FAULTS = {
  /** Takes the request, never answers. */
  'hang-head': () => undefined,
  /** Head and half of the answer, then silence. */
  'hang-middle': ({ socket, nonce, stream }) => {
    const { head, body } = goodReply(nonce, stream);
    socket.write(Buffer.concat([head, body.subarray(0, body.length >> 1)]));
  },
  /** RST in place of an answer. */
  reset: ({ socket }) => {
    socket.resetAndDestroy();
  },
  /** Head and half of the answer, then RST. */
  'reset-middle': ({ socket, nonce, stream }) => {
    const { head, body } = goodReply(nonce, stream);
    socket.write(Buffer.concat([head, body.subarray(0, body.length >> 1)]), () => socket.resetAndDestroy());
  },
  /** FIN in place of an answer; still reads. */
  'half-close': ({ socket }) => {
    socket.end();
  },
  /** Head and half of the answer, then FIN; still reads. */
  'half-close-middle': ({ socket, nonce, stream }) => {
    const { head, body } = goodReply(nonce, stream);
    socket.end(Buffer.concat([head, body.subarray(0, body.length >> 1)]));
  },
  /** Bytes that are no HTTP, and stays open. */
  garbage: ({ socket }) => {
    socket.write(Buffer.from('\u0016\u0003\u0001 220 mail ready\r\n\r\n\0\0', 'latin1'));
  },
  /** A good head, chunks that are none. */
  'garbage-middle': ({ socket, nonce, stream }) => {
    socket.write(`HTTP/1.1 200 OK\r\n${contentType(stream)}transfer-encoding: chunked\r\n\r\n`);
    socket.write(`5\r\n${stream ? 'data:' : '{"id"'}\r\nzz\r\n${nonce}`);
  },
  /** Says more bytes than it sends, then FIN. */
  'length-too-long': ({ socket, nonce, stream }) => {
    const { plain } = goodReply(nonce, stream);
    socket.end(Buffer.concat([lengthHead(stream, plain.length + OFF_BY), plain]));
  },
  /** Sends more bytes than it says: the rest looks like the next answer, and the connection stays open. */
  'length-too-short': ({ socket, nonce, stream }) => {
    const { plain } = goodReply(nonce, stream);
    socket.write(Buffer.concat([lengthHead(stream, plain.length - OFF_BY), plain]));
  },
  /** A whole second answer that nobody asked for, on the same connection. */
  'second-answer': ({ socket, nonce, stream }) => {
    const { head, body } = goodReply(nonce, stream);
    const other = goodReply('nonce-9999999999', stream);
    socket.write(Buffer.concat([head, body, other.head, other.body]));
  },
  /** 100 MB. */
  large: ({ socket, nonce, stream }) => {
    if (stream) sendLargeStream(socket, nonce);
    else sendLargeJson(socket, nonce);
  },
  /** A byte a second, the head too. */
  'drip-head': ({ socket, nonce, stream }) => {
    const { head, body } = goodReply(nonce, stream);
    drip(socket, Buffer.concat([head, body]));
  },
  /** Head at once (of a stream: and the first event), then a byte a second. */
  'drip-body': ({ socket, nonce, stream }) => {
    const { head, body } = goodReply(nonce, stream);
    const first = stream ? body.indexOf('\n\n') + 4 : 1;
    socket.write(Buffer.concat([head, body.subarray(0, first)]));
    drip(socket, body.subarray(first));
  },
  /** Answers once on each connection, and closes it when the next request has come. */
  'close-on-reuse': (request) => {
    if (request.earlier === 0) sendGood(request);
    else request.socket.end();
  },
  'reset-on-reuse': (request) => {
    if (request.earlier === 0) sendGood(request);
    else request.socket.resetAndDestroy();
  },
  /** Answers, and closes the idle connection some ms later: now and then just as it is taken again. */
  'close-when-idle': (request) => {
    sendGood(request);
    setTimeout(() => request.socket.end(), Math.random() * 20);
  },
  /** Compressed although nobody asked. */
  gzip: ({ socket, nonce, stream }) => {
    const { plain } = goodReply(nonce, stream);
    const body = gzipSync(plain);
    const head = `HTTP/1.1 200 OK\r\n${contentType(stream)}content-encoding: gzip\r\ncontent-length: ${body.length}\r\n\r\n`;
    socket.write(Buffer.concat([Buffer.from(head), body]));
  },
  /** 500 with a body, quickly. */
  'status-500': ({ socket, nonce }) => {
    sendError(socket, nonce, 500);
  },
  'status-429': ({ socket, nonce }) => {
    sendError(socket, nonce, 429);
  },
  /** A stream whose first event is an error. */
  'error-first': (request) => {
    const { socket, nonce, stream } = request;
    if (!stream) {
      sendGood(request);
      return;
    }
    const event = `data: {"error":{"message":"overloaded ${nonce}","type":"server_error","code":"500"}}\n\n`;
    socket.write(`HTTP/1.1 200 OK\r\n${contentType(true)}content-length: ${event.length}\r\n\r\n${event}`);
  },
  /** As it should be. */
  none: (request) => {
    sendGood(request);
  },
} as const satisfies Record<string, (request: FaultRequest) => void>;

export type FaultName = keyof typeof FAULTS;

interface GoodReply {
  readonly head: Buffer;
  /** Framed. */
  readonly body: Buffer;
  readonly plain: Buffer;
}

function sendGood({ socket, nonce, stream }: FaultRequest): void {
  const { head, body } = goodReply(nonce, stream);
  socket.write(Buffer.concat([head, body]));
}

/** A chat completion; streams in chunks, JSON with its length. */
function goodReply(nonce: string, stream: boolean): GoodReply {
  if (!stream) {
    const plain = Buffer.from(jsonBody(nonce, 'word '.repeat(40)));
    return { head: lengthHead(false, plain.length), body: plain, plain };
  }
  const events = [
    ...Array.from({ length: 6 }, (_, i) => deltaEvent(nonce, `word${i} `)),
    `data: ${JSON.stringify({ ...chunkOf(nonce), choices: [{ index: 0, delta: {}, finish_reason: 'stop' }] })}\n\n`,
    'data: [DONE]\n\n',
  ];
  const chunks = [...events, ''].map((event) => `${Buffer.byteLength(event).toString(16)}\r\n${event}\r\n`);
  return {
    head: Buffer.from(`HTTP/1.1 200 OK\r\n${contentType(true)}transfer-encoding: chunked\r\n\r\n`),
    body: Buffer.from(chunks.join('')),
    plain: Buffer.from(events.join('')),
  };
}

function jsonBody(nonce: string, content: string): string {
  return JSON.stringify({
    id: `chatcmpl-${nonce}`,
    object: 'chat.completion',
    created: 1_767_225_600,
    model: 'mock',
    choices: [{ index: 0, message: { role: 'assistant', content }, finish_reason: 'stop' }],
    usage: { prompt_tokens: 10, completion_tokens: 40, total_tokens: 50 },
  });
}

function chunkOf(nonce: string): object {
  return { id: `chatcmpl-${nonce}`, object: 'chat.completion.chunk', created: 1_767_225_600, model: 'mock' };
}

function deltaEvent(nonce: string, content: string): string {
  const chunk = { ...chunkOf(nonce), choices: [{ index: 0, delta: { content }, finish_reason: null }] };
  return `data: ${JSON.stringify(chunk)}\n\n`;
}

function contentType(stream: boolean): string {
  return `content-type: ${stream ? 'text/event-stream' : 'application/json'}\r\n`;
}

function lengthHead(stream: boolean, length: number): Buffer {
  return Buffer.from(`HTTP/1.1 200 OK\r\n${contentType(stream)}content-length: ${length}\r\n\r\n`);
}

function sendError(socket: Socket, nonce: string, status: number): void {
  const body = JSON.stringify({ error: { message: `failure of ${nonce}`, type: 'server_error', code: null } });
  socket.write(
    `HTTP/1.1 ${status} Failure\r\n${contentType(false)}content-length: ${Buffer.byteLength(body)}\r\n\r\n${body}`,
  );
}

function drip(socket: Socket, bytes: Buffer): void {
  let at = 0;
  const timer = setInterval(() => {
    if (socket.destroyed || at >= bytes.length) clearInterval(timer);
    else socket.write(bytes.subarray(at, (at += 1)));
  }, DRIP_MS);
}

function sendLargeJson(socket: Socket, nonce: string): void {
  const [before = '', after = ''] = jsonBody(nonce, '@').split('@');
  const head = lengthHead(false, before.length + LARGE_BYTES + after.length);
  socket.write(Buffer.concat([head, Buffer.from(before)]));
  pump(socket, Buffer.alloc(1 << 16, 'x'), LARGE_BYTES, () => socket.write(after));
}

function sendLargeStream(socket: Socket, nonce: string): void {
  socket.write(`HTTP/1.1 200 OK\r\n${contentType(true)}transfer-encoding: chunked\r\n\r\n`);
  const event = Buffer.from(deltaEvent(nonce, 'x'.repeat(8000)));
  const chunk = Buffer.concat([Buffer.from(`${event.length.toString(16)}\r\n`), event, Buffer.from('\r\n')]);
  const end = 'data: [DONE]\n\n';
  pump(socket, chunk, Math.ceil(LARGE_BYTES / chunk.length) * chunk.length, () => {
    socket.write(`${end.length.toString(16)}\r\n${end}\r\n0\r\n\r\n`);
  });
}

/** Writes `piece` again and again, `total` bytes in all, no faster than they are taken. */
function pump(socket: Socket, piece: Buffer, total: number, done: () => void): void {
  let left = total;
  const go = (): void => {
    while (left > 0 && !socket.destroyed) {
      const part = left >= piece.length ? piece : piece.subarray(0, left);
      left -= part.length;
      if (!socket.write(part)) {
        socket.once('drain', go);
        return;
      }
    }
    if (!socket.destroyed) done();
  };
  go();
}
