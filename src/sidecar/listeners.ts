import { type BoundSocket, createServer, type Server, type Socket } from 'node:net';
import type { BoundListenerSpec } from '../contract/listener.ts';
import type { Logger } from '../runtime/logger.ts';
import { canCloseEmpty, closeIfQueueIsEmpty } from './close-listener.ts';
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
/** Where clients come so fast that the queue is never empty, it is made short after this. */
const SHORT_QUEUE_AFTER_MS = 150;
/** New ones that keep coming are not waited for any longer. */
const ACCEPT_QUEUED_MAX_MS = 1_000;
/** A turn in which there was nothing to do takes 5 to 20 µs. */
const SHORT_TURN_MS = 0.05;

/** A turn of the loop, after we were told to close. */
interface Turn {
  /** Nothing was accepted in it. */
  readonly isQuiet: boolean;
  readonly isShort: boolean;
  /** Clients have been coming for long enough. */
  readonly isLate: boolean;
}

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
   * Closes the sockets when nobody waits in their queues, which closing would reset. libuv accepts one connection in each
   * turn of the loop, so the queues are empty when a turn has brought none: 6 of 8 clients that came back at once were
   * reset before this was waited for. TCP sockets are then closed so that nobody can come in between
   * (close-listener.ts). For others the turn has to be a short one: what is left is some microseconds.
   */
  async closeWhenAccepted(): Promise<void> {
    const startedMs = performance.now();
    await new Promise((resolve) => setTimeout(resolve, ACCEPT_QUEUED_MS));
    const open = new Map(this.#servers.entries());
    for (let turnMs = performance.now(); turnMs < startedMs + ACCEPT_QUEUED_MAX_MS && open.size > 0;) {
      const before = this.#accepted;
      // Immediates run right after the loop has looked at its sockets.
      await new Promise((resolve) => setImmediate(resolve));
      const nowMs = performance.now();
      const turn: Turn = {
        isQuiet: this.#accepted === before,
        isShort: nowMs - turnMs < SHORT_TURN_MS,
        isLate: nowMs - startedMs >= SHORT_QUEUE_AFTER_MS,
      };
      const closed = await Promise.all(Array.from(open, ([index]) => this.#closeIn(turn, index)));
      for (const [at, index] of [...open.keys()].entries()) if (closed[at]) open.delete(index);
      turnMs = performance.now();
    }
    this.close();
  }

  close(): void {
    this.#descriptors.stop();
    for (const server of this.#servers) server.close();
  }

  async #closeIn({ isQuiet, isShort, isLate }: Turn, index: number): Promise<boolean> {
    const server = this.#servers[index]!;
    // systemd goes on listening on its own, and what is queued there waits for whoever comes next.
    if (canCloseEmpty(server) && !this.#listeners[index]!.isKept) {
      if (!isQuiet && !isLate) return false;
      return closeIfQueueIsEmpty(server, isLate ? 0 : BACKLOG);
    }
    if (!isQuiet || !isShort) return false;
    server.close();
    return true;
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
