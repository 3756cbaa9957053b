import { type BoundSocket, createServer, type Server, type Socket } from 'node:net';
import type { BoundListenerSpec } from '../contract/listener.ts';
import type { Logger } from '../runtime/logger.ts';
import { DescriptorWatch } from './descriptor-watch.ts';

/** A listener and where its socket is: a descriptor of this process, a bound socket, or an address to bind. */
export interface SidecarListener extends BoundListenerSpec {
  readonly source:
    | { readonly fd: number }
    | { readonly bound: BoundSocket }
    | { readonly host: string; readonly port: number };
}

/** listen(2) or bind(2) said no. */
export class ListenError extends Error {
  override readonly name = 'ListenError';
  /** `EADDRINUSE` and so on. */
  readonly code: string;
  /** Which listener. */
  readonly index: number;

  constructor(index: number, cause: Error) {
    super(cause.message, { cause });
    this.code = 'code' in cause ? String(cause.code) : '';
    this.index = index;
  }
}

/** Like the kernel's own somaxconn. */
const BACKLOG = 4_096;

/** After the supervisor has closed its copies of the sockets, connections that were queued are still taken. */
const ACCEPT_QUEUED_MS = 50;
/** New ones that keep coming are not waited for any longer. */
const ACCEPT_QUEUED_MAX_MS = 500;
/** A turn in which there was nothing to do takes 5 to 20 µs. */
const SHORT_TURN_MS = 0.05;

/** The listening sockets of a sidecar. Accepted ones are handed on unread. */
export class Listeners {
  readonly #listeners: readonly SidecarListener[];
  readonly #servers: readonly Server[];
  readonly #logger: Logger;
  readonly #descriptors: DescriptorWatch;
  #accepted = 0;

  /** @param onConnection gets the socket, unread, and the number of its listener. */
  constructor(
    listeners: readonly SidecarListener[],
    onConnection: (socket: Socket, index: number) => void,
    logger: Logger,
  ) {
    this.#listeners = listeners;
    this.#logger = logger;
    this.#descriptors = new DescriptorWatch(logger);
    this.#servers = listeners.map((_, index) =>
      createServer({ pauseOnConnect: true, noDelay: true }, (socket) => {
        this.#accepted += 1;
        onConnection(socket, index);
      }),
    );
  }

  /** Ports in the order of the listeners; 0 for Unix sockets and for what does not listen. */
  get ports(): readonly number[] {
    return this.#servers.map((server) => {
      const address = server.address();
      return address === null || typeof address === 'string' ? 0 : address.port;
    });
  }

  /** @throws {ListenError} for the first that can't; the others are left as they are. */
  async listen(): Promise<void> {
    for (const [index, server] of this.#servers.entries()) await this.#listen(server, index);
    this.#descriptors.start();
  }

  /**
   * Closing a socket resets what is queued at it. libuv accepts one connection in each turn of the loop, so the queues
   * are empty when a turn has brought none: 6 of 8 clients that came back at once were reset before this was waited for.
   * What comes after that look and before the close is lost all the same, so the turn has to be a short one: the time in
   * which a connection can be reset is some microseconds, not the time of whatever else the loop had to do. The kernel
   * has no way to refuse new connections and keep the queue, so the rest is what `shutdown_delay` is for.
   */
  async acceptQueued(): Promise<void> {
    await new Promise((resolve) => setTimeout(resolve, ACCEPT_QUEUED_MS));
    const deadlineMs = performance.now() + ACCEPT_QUEUED_MAX_MS;
    for (let startMs = performance.now(); startMs < deadlineMs;) {
      const before = this.#accepted;
      // Immediates run right after the loop has looked at its sockets.
      await new Promise((resolve) => setImmediate(resolve));
      const endMs = performance.now();
      if (this.#accepted === before && endMs - startMs < SHORT_TURN_MS) return;
      startMs = endMs;
    }
  }

  close(): void {
    this.#descriptors.stop();
    for (const server of this.#servers) server.close();
  }

  #listen(server: Server, index: number): Promise<void> {
    const listener = this.#listeners[index]!;
    return new Promise((resolve, reject) => {
      const onError = (error: Error): void => reject(new ListenError(index, error));
      server.once('error', onError);
      const onListening = (): void => {
        server.off('error', onError);
        server.on('error', (error) => {
          this.#logger.error('listening socket', { listener: listener.name, error: String(error) });
        });
        resolve();
      };
      const { source } = listener;
      const where = 'bound' in source ? { handle: source.bound } : { ...source, backlog: BACKLOG };
      // For descriptors and bound sockets Node takes the backlog from the second argument only (511 otherwise), which
      // its types do not know.
      (server.listen as (...args: unknown[]) => Server).call(server, where, BACKLOG, onListening);
    });
  }
}
