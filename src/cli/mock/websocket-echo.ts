import { createHash } from 'node:crypto';
import type { Socket } from 'node:net';
import type { MockRequest } from './mock-request.ts';

/** RFC 6455 section 1.3. */
const ACCEPT_SUFFIX = '258EAFA5-E914-47DA-95CA-C5AB0DC85B11';
const OPCODE_CLOSE = 0x8;
const OPCODE_PING = 0x9;
const OPCODE_PONG = 0xa;

/** Shakes hands on `/v1/realtime` and from then on sends each frame back; anything else is refused. */
export function acceptWebSocket(socket: Socket, request: MockRequest, rest: Buffer): void {
  const key = request.header('sec-websocket-key');
  const path = request.target.split('?')[0] ?? '';
  const isRealtime = path === '/v1/realtime' || path === '/realtime';
  if (key === null || !isRealtime || request.header('upgrade')?.toLowerCase() !== 'websocket') {
    socket.end('HTTP/1.1 400 Bad Request\r\ncontent-length: 0\r\nconnection: close\r\n\r\n');
    return;
  }
  const accept = createHash('sha1')
    .update(key + ACCEPT_SUFFIX)
    .digest('base64');
  // The first protocol offered is the application's; others carry credentials.
  const protocol = request.header('sec-websocket-protocol')?.split(',')[0]?.trim();
  const lines = [
    'HTTP/1.1 101 Switching Protocols',
    'upgrade: websocket',
    'connection: Upgrade',
    `sec-websocket-accept: ${accept}`,
  ];
  if (protocol !== undefined) lines.push(`sec-websocket-protocol: ${protocol}`);
  if (request.nonce !== null) lines.push(`x-nonce: ${request.nonce}`);
  if (request.header('x-mock-echo') !== null || request.target.includes('echo=1')) {
    for (const [name, value] of request.headers()) lines.push(`x-echo-${name}: ${value}`);
    lines.push(`x-echo-line: ${request.method} ${request.target}`);
  }
  socket.write(`${lines.join('\r\n')}\r\n\r\n`, 'latin1');
  const echo = new FrameEcho(socket);
  socket.on('data', (chunk: Buffer) => echo.receive(chunk));
  if (rest.length > 0) echo.receive(rest);
}

class FrameEcho {
  readonly #socket: Socket;
  #input: Buffer = Buffer.alloc(0);

  constructor(socket: Socket) {
    this.#socket = socket;
  }

  receive(chunk: Buffer): void {
    this.#input = Buffer.concat([this.#input, chunk]);
    while (this.#readFrame()) {
      // each call takes one frame
    }
  }

  /** RFC 6455 section 5.2. Fragments go back as they came. */
  #readFrame(): boolean {
    const input = this.#input;
    if (input.length < 2) return false;
    const first = input.readUInt8(0);
    const isMasked = (input.readUInt8(1) & 0x80) !== 0;
    let length = input.readUInt8(1) & 0x7f;
    let at = 2;
    if (length === 126) {
      if (input.length < 4) return false;
      length = input.readUInt16BE(2);
      at = 4;
    } else if (length === 127) {
      if (input.length < 10) return false;
      length = Number(input.readBigUInt64BE(2));
      at = 10;
    }
    const maskAt = at;
    if (isMasked) at += 4;
    if (input.length < at + length) return false;
    const payload = Buffer.from(input.subarray(at, at + length));
    if (isMasked) {
      for (let i = 0; i < length; i++) payload[i] = (payload[i] ?? 0) ^ (input[maskAt + (i & 3)] ?? 0);
    }
    this.#input = input.subarray(at + length);
    const opcode = first & 0xf;
    if (opcode === OPCODE_PONG) return true;
    this.#send(opcode === OPCODE_PING ? 0x80 | OPCODE_PONG : first, payload);
    if (opcode === OPCODE_CLOSE) this.#socket.end();
    return opcode !== OPCODE_CLOSE;
  }

  #send(first: number, payload: Buffer): void {
    let head: Buffer;
    if (payload.length < 126) {
      head = Buffer.from([first, payload.length]);
    } else if (payload.length < 65_536) {
      head = Buffer.from([first, 126, payload.length >> 8, payload.length & 0xff]);
    } else {
      head = Buffer.alloc(10);
      head.writeUInt8(first, 0);
      head.writeUInt8(127, 1);
      head.writeBigUInt64BE(BigInt(payload.length), 2);
    }
    this.#socket.write(Buffer.concat([head, payload]));
  }
}
