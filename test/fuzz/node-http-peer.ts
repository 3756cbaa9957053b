import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { type AddressInfo, connect, type Socket } from 'node:net';

/** A request as node:http read it. */
export interface NodeRequest {
  method: string;
  target: string;
  minor: number;
  headers: (readonly [name: string, value: string])[];
  body: string;
  isComplete: boolean;
}

export interface NodeReading {
  readonly requests: NodeRequest[];
  /** Code of its parse error, or null. */
  readonly error: string | null;
}

/** node:http's server on a loopback port, reading whatever is sent over a connection of its own. */
export class NodeHttpPeer {
  readonly #server: Server;
  readonly #readings: Map<number, { requests: NodeRequest[]; error: string | null }> = new Map();

  private constructor() {
    const onRequest = (request: IncomingMessage, response: ServerResponse): void => this.#onRequest(request, response);
    this.#server = createServer({ maxHeaderSize: 64 * 1024, keepAliveTimeout: 0 }, onRequest);
    // Reported like any other request, instead of being answered without one.
    this.#server.on('checkContinue', onRequest);
    this.#server.on('checkExpectation', onRequest);
    this.#server.on('clientError', (error: NodeJS.ErrnoException, socket) => {
      const reading = this.#readings.get((socket as Socket).remotePort ?? -1);
      if (reading !== undefined) reading.error ??= error.code ?? error.message;
      socket.destroy();
    });
  }

  static async listen(): Promise<NodeHttpPeer> {
    const peer = new NodeHttpPeer();
    await new Promise<void>((resolve) => peer.#server.listen(0, '127.0.0.1', resolve));
    return peer;
  }

  close(): void {
    this.#server.closeAllConnections();
    this.#server.close();
  }

  /** Sends the bytes, closes its side, and answers what node:http made of them. */
  async read(bytes: Uint8Array): Promise<NodeReading> {
    const { port } = this.#server.address() as AddressInfo;
    const socket = connect({ port, host: '127.0.0.1', noDelay: true });
    await new Promise<void>((resolve, reject) => {
      socket.once('connect', resolve);
      socket.once('error', reject);
    });
    const key = socket.localPort ?? -1;
    const reading = { requests: [] as NodeRequest[], error: null as string | null };
    this.#readings.set(key, reading);
    socket.resume();
    // A reset is one way of refusing; what was read until then is in the reading.
    socket.on('error', () => socket.destroy());
    socket.end(bytes);
    await new Promise<void>((resolve) => socket.once('close', () => resolve()));
    this.#readings.delete(key);
    return reading;
  }

  #onRequest(request: IncomingMessage, response: ServerResponse): void {
    const reading = this.#readings.get(request.socket.remotePort ?? -1);
    if (reading === undefined) return;
    const { method = '', url: target = '', httpVersionMinor: minor, rawHeaders } = request;
    const headers = [];
    for (let i = 0; i < rawHeaders.length; i += 2) {
      headers.push([rawHeaders[i]!.toLowerCase(), rawHeaders[i + 1]!] as const);
    }
    const read: NodeRequest = { method, target, minor, headers, body: '', isComplete: false };
    reading.requests.push(read);
    request.setEncoding('latin1');
    request.on('data', (text: string) => (read.body += text));
    request.on('end', () => {
      read.isComplete = true;
      response.end();
    });
    request.on('error', () => undefined);
  }
}
