import { connect, type Socket } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';

const PATIENCE_MS = 30_000;

/** One answer as it came: `raw` is every byte of it, `body` what its framing holds. */
export interface RawReply {
  readonly status: number;
  /** Status line and header lines without the empty line, as sent. */
  readonly head: string;
  readonly body: Buffer;
  readonly text: string;
  readonly raw: Buffer;
  readonly framing: 'none' | 'length' | 'chunked' | 'close';
  /** All values of a header, name in any case. */
  all(name: string): string[];
  /** The only value of a header, or null. Throws if it came twice. */
  header(name: string): string | null;
}

/** A client that writes the bytes it is told to and reads answers by its own small parser. */
export class RawClient {
  readonly socket: Socket;
  received = Buffer.alloc(0);
  hasEnded = false;
  error: NodeJS.ErrnoException | null = null;
  #wake: (() => void) | null = null;

  /** Connects to a port of 127.0.0.1, or talks over a socket that someone else connects. */
  constructor(where: number | Socket, localAddress = '127.0.0.1') {
    this.socket =
      typeof where === 'number' ? connect({ port: where, host: '127.0.0.1', localAddress, noDelay: true }) : where;
    this.socket.on('data', (chunk: Buffer) => {
      this.received = Buffer.concat([this.received, chunk]);
      this.#wake?.();
    });
    this.socket.on('error', (error) => {
      this.error = error;
    });
    this.socket.on('end', () => {
      this.hasEnded = true;
      this.#wake?.();
    });
    this.socket.on('close', () => {
      this.hasEnded = true;
      this.#wake?.();
    });
  }

  send(bytes: Uint8Array | string): this {
    this.socket.write(typeof bytes === 'string' ? Buffer.from(bytes, 'latin1') : bytes);
    return this;
  }

  /** The next answer. `method` of its request: one to HEAD has no body. */
  async reply(method = 'POST'): Promise<RawReply> {
    for (;;) {
      const found = takeReply(this.received, method, this.hasEnded);
      if (found !== null) {
        this.received = this.received.subarray(found.raw.length);
        return found;
      }
      if (this.hasEnded) throw new Error(`connection over, received: ${this.received.toString('latin1')}`);
      await this.#next();
    }
  }

  /** Resolves when `isTrue` of all bytes received. */
  async until(isTrue: (received: Buffer) => boolean): Promise<Buffer> {
    while (!isTrue(this.received)) {
      if (this.hasEnded) throw new Error(`connection over, received: ${this.received.toString('latin1')}`);
      await this.#next();
    }
    return this.received;
  }

  /** Resolves with the bytes not taken yet when the other side has ended. */
  async ended(): Promise<Buffer> {
    while (!this.hasEnded) await this.#next();
    return this.received;
  }

  close(): void {
    this.socket.destroy();
  }

  async #next(): Promise<void> {
    const woken = Promise.withResolvers<void>();
    this.#wake = woken.resolve;
    const timer = setTimeout(() => {
      woken.reject(new Error(`nothing came; so far: ${JSON.stringify(this.received.toString('latin1'))}`));
    }, PATIENCE_MS);
    try {
      await woken.promise;
    } finally {
      clearTimeout(timer);
      this.#wake = null;
    }
  }
}

export interface RequestParts {
  readonly method?: string;
  readonly path?: string;
  readonly key?: string | null;
  readonly headers?: readonly string[];
  readonly body?: string | Uint8Array;
}

/** The bytes of a request: host, key, the header lines given, content-length if there is a body. */
export function requestBytes(parts: RequestParts): Buffer {
  const { method = 'POST', path = '/v1/chat/completions', key = null, headers = [] } = parts;
  const body = parts.body === undefined ? null : Buffer.from(parts.body);
  const lines = [`${method} ${path} HTTP/1.1`, 'host: gateway'];
  if (key !== null) lines.push(`authorization: Bearer ${key}`);
  lines.push(...headers);
  if (body !== null) lines.push(`content-length: ${body.length}`);
  const head = Buffer.from(`${lines.join('\r\n')}\r\n\r\n`, 'latin1');
  return body === null ? head : Buffer.concat([head, body]);
}

/** One request on a connection of its own. */
export async function ask(port: number, parts: RequestParts): Promise<RawReply> {
  const client = new RawClient(port);
  try {
    return await client.send(requestBytes(parts)).reply(parts.method ?? 'POST');
  } finally {
    client.close();
  }
}

/** Waits until `isTrue`; looks at it every few milliseconds. */
export async function eventually(isTrue: () => boolean, what: string, patienceMs = PATIENCE_MS): Promise<void> {
  const deadline = performance.now() + patienceMs;
  while (!isTrue()) {
    if (performance.now() > deadline) throw new Error(`never came true: ${what}`);
    await sleep(2);
  }
}

function takeReply(bytes: Buffer, method: string, hasEnded: boolean): RawReply | null {
  const headEnd = bytes.indexOf('\r\n\r\n');
  if (headEnd === -1) return null;
  const head = bytes.toString('latin1', 0, headEnd);
  const lines = head.split('\r\n').slice(1);
  const all = (name: string): string[] =>
    lines
      .filter((line) => line.slice(0, line.indexOf(':')).toLowerCase() === name.toLowerCase())
      .map((line) => line.slice(line.indexOf(':') + 1).trim());
  const header = (name: string): string | null => {
    const values = all(name);
    if (values.length > 1) throw new Error(`${name} came ${values.length} times: ${head}`);
    return values[0] ?? null;
  };
  const status = Number(head.slice(9, 12));
  const start = headEnd + 4;
  const finish = (framing: RawReply['framing'], end: number, body: Buffer): RawReply => ({
    status,
    head,
    body,
    text: body.toString('utf8'),
    raw: bytes.subarray(0, end),
    framing,
    all,
    header,
  });
  if (method === 'HEAD' || status === 204 || status === 304 || status < 200) {
    return finish('none', start, Buffer.alloc(0));
  }
  if (header('transfer-encoding') === 'chunked') {
    const chunked = takeChunks(bytes, start);
    return chunked === null ? null : finish('chunked', chunked.end, chunked.body);
  }
  const length = header('content-length');
  if (length !== null) {
    const end = start + Number(length);
    return bytes.length < end ? null : finish('length', end, bytes.subarray(start, end));
  }
  return hasEnded ? finish('close', bytes.length, bytes.subarray(start)) : null;
}

function takeChunks(bytes: Buffer, start: number): { body: Buffer; end: number } | null {
  const parts: Buffer[] = [];
  let at = start;
  for (;;) {
    const lineEnd = bytes.indexOf('\r\n', at);
    if (lineEnd === -1) return null;
    const size = Number.parseInt(bytes.toString('latin1', at, lineEnd), 16);
    const dataEnd = lineEnd + 2 + size;
    if (bytes.length < dataEnd + 2) return null;
    if (size === 0) return { body: Buffer.concat(parts), end: dataEnd + 2 };
    parts.push(bytes.subarray(lineEnd + 2, dataEnd));
    at = dataEnd + 2;
  }
}
