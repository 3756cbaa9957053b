import { createServer, type AddressInfo, type Server, type Socket } from 'node:net';
import { setImmediate as nextTurn } from 'node:timers/promises';

/** One request as a provider got it. */
export interface UpstreamRequest {
  /** Every byte of it. */
  readonly bytes: string;
  /** Request line and header lines, without the empty line. */
  readonly head: string;
  readonly lines: readonly string[];
  readonly body: string;
  /** Which connection it came on, counted from 0. */
  readonly connection: number;
}

/** What the script writes an answer with. */
export interface UpstreamReply {
  /** Exact bytes (a string is latin1 unless it is UTF-8 text made by `jsonReply` and kin). */
  write(bytes: Uint8Array | string): void;
  /** Writes `first`, lets the gateway read it, writes `rest`. */
  writeSplit(bytes: Uint8Array, ...cuts: readonly number[]): Promise<void>;
  /** FIN. */
  end(): void;
  /** RST. */
  reset(): void;
  readonly socket: Socket;
}

export type UpstreamScript = (request: UpstreamRequest, reply: UpstreamReply, index: number) => void | Promise<void>;

/** A provider on a raw socket: records exact request bytes, answers exact bytes. */
export class ScriptedUpstream {
  readonly requests: UpstreamRequest[] = [];
  script: UpstreamScript;
  /** Sees each connection before its first request. */
  onConnection: ((socket: Socket) => void) | null = null;
  readonly #server: Server;
  readonly #sockets = new Set<Socket>();
  #connections = 0;
  fault: unknown = null;

  private constructor(script: UpstreamScript) {
    this.script = script;
    this.#server = createServer({ noDelay: true }, (socket) => {
      this.#serve(socket);
    });
  }

  static async start(script: UpstreamScript): Promise<ScriptedUpstream> {
    const upstream = new ScriptedUpstream(script);
    await new Promise<void>((resolve) => upstream.#server.listen(0, '127.0.0.1', resolve));
    return upstream;
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port;
  }

  get connectionCount(): number {
    return this.#connections;
  }

  /** The request that came last. */
  get last(): UpstreamRequest {
    const request = this.requests.at(-1);
    if (request === undefined) throw new Error('the provider got no request');
    return request;
  }

  stop(): void {
    this.#server.close();
    for (const socket of this.#sockets) socket.destroy();
  }

  #serve(socket: Socket): void {
    const connection = this.#connections;
    this.#connections += 1;
    this.#sockets.add(socket);
    let pending = Buffer.alloc(0);
    socket.on('error', () => undefined);
    socket.on('close', () => this.#sockets.delete(socket));
    this.onConnection?.(socket);
    socket.on('data', (chunk: Buffer) => {
      pending = Buffer.concat([pending, chunk]);
      for (;;) {
        const length = requestLength(pending);
        if (length === -1 || pending.length < length) return;
        this.#onRequest(pending.subarray(0, length), socket, connection);
        pending = pending.subarray(length);
      }
    });
  }

  #onRequest(bytes: Buffer, socket: Socket, connection: number): void {
    const headEnd = bytes.indexOf('\r\n\r\n');
    const head = bytes.toString('latin1', 0, headEnd);
    const request: UpstreamRequest = {
      bytes: bytes.toString('utf8'),
      head,
      lines: head.split('\r\n'),
      body: bytes.toString('utf8', headEnd + 4),
      connection,
    };
    this.requests.push(request);
    const reply: UpstreamReply = {
      socket,
      write: (data) => {
        socket.write(data);
      },
      writeSplit: async (data, ...cuts) => {
        let from = 0;
        for (const cut of [...cuts, data.length]) {
          if (cut > from) socket.write(data.subarray(from, cut));
          from = cut;
          // Loopback delivers at once: the gateway, on this same loop, reads in the poll phase in between.
          await nextTurn();
          await nextTurn();
        }
      },
      end: () => {
        socket.end();
      },
      reset: () => {
        socket.resetAndDestroy();
      },
    };
    void Promise.resolve(this.script(request, reply, this.requests.length - 1)).catch((error: unknown) => {
      this.fault = error;
    });
  }
}

/** −1 until the head is complete. Requests from the gateway have a content-length or no body. */
function requestLength(bytes: Buffer): number {
  const headEnd = bytes.indexOf('\r\n\r\n');
  if (headEnd === -1) return -1;
  const length = /\r\ncontent-length: (\d+)/i.exec(bytes.toString('latin1', 0, headEnd));
  return headEnd + 4 + (length === null ? 0 : Number(length[1]));
}

/** The bytes of a reply with a content-length. */
export function reply(status: number, headers: readonly string[], body: string | Uint8Array): Buffer {
  const bytes = Buffer.from(body as string);
  const lines = [`HTTP/1.1 ${status} Whatever`, ...headers, `content-length: ${bytes.length}`];
  return Buffer.concat([Buffer.from(`${lines.join('\r\n')}\r\n\r\n`, 'latin1'), bytes]);
}

export function jsonReply(body: string | Uint8Array, status = 200, headers: readonly string[] = []): Buffer {
  return reply(status, ['content-type: application/json', ...headers], body);
}

/** The same in chunks of `sizes` bytes, the last one takes the rest. */
export function chunkedReply(headers: readonly string[], body: Uint8Array | string, size = 1 << 20): Buffer {
  const bytes = Buffer.from(body as string);
  const parts = [
    Buffer.from(`HTTP/1.1 200 OK\r\n${[...headers, 'transfer-encoding: chunked'].join('\r\n')}\r\n\r\n`, 'latin1'),
  ];
  for (let at = 0; at < bytes.length; at += size) {
    const part = bytes.subarray(at, at + size);
    parts.push(Buffer.from(`${part.length.toString(16)}\r\n`), part, Buffer.from('\r\n'));
  }
  parts.push(Buffer.from('0\r\n\r\n'));
  return Buffer.concat(parts);
}

/** A reply that ends with the connection. */
export function closeReply(headers: readonly string[], body: Uint8Array | string): Buffer {
  return Buffer.concat([
    Buffer.from(`HTTP/1.1 200 OK\r\n${headers.join('\r\n')}\r\n\r\n`, 'latin1'),
    Buffer.from(body as string),
  ]);
}

export function sse(...events: readonly string[]): string {
  return events.map((event) => `data: ${event}\n\n`).join('');
}
