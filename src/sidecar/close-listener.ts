import { readFileSync } from 'node:fs';
import { connect, type Server, type Socket } from 'node:net';
import { invariant } from '../base/invariant.ts';

/** Where a listener of all addresses is reached from this machine. */
const LOOPBACK: Readonly<Record<string, string>> = { '0.0.0.0': '127.0.0.1', '::': '::1' };

/** The handle of a socket, under libuv's name: private to Node. What is not there as expected counts as a failure. */
interface WithHandle {
  readonly _handle?: {
    readonly listen?: (backlog: number) => number;
    readonly getpeername?: (out: object) => number;
  } | null;
}

/** Linux, TCP. */
export function canCloseEmpty(server: Server): boolean {
  const address = server.address();
  return process.platform === 'linux' && address !== null && typeof address === 'object';
}

/**
 * Closes a listening TCP socket in a moment in which nobody's connection is in its queue, which closing would reset.
 *
 * Looking first does not do: between the look and the close a client may come. So the queue is shortened to one place, and
 * that place is taken by a connection of our own. If we get it, the queue was empty and is full: Linux drops what clients
 * send to open connections now, they send it again a second later and are refused. All of it happens in one turn of the
 * loop, in which nothing is accepted; the connection of our own is the one that closing resets. Clients in the middle of
 * their handshake hold no place in the queue, but take themselves for connected, or are about to: they are waited for.
 *
 * Not for a socket of which another process keeps a copy for later: the short queue would be that one's too.
 *
 * @param backlogAfter length of the queue if somebody was faster; 0 = one place.
 * @returns false when it is still open.
 */
export function closeIfQueueIsEmpty(server: Server, backlogAfter: number): Promise<boolean> {
  const address = server.address();
  invariant(address !== null && typeof address === 'object', 'it listens on a TCP address');
  if (!setBacklog(server, 0)) return Promise.resolve(false);
  const own = connect({ port: address.port, host: LOOPBACK[address.address] ?? address.address });
  own.on('error', () => undefined);
  return new Promise((resolve) => {
    // Node calls connect(2) in the next tick, which is one before this.
    process.nextTick(() => {
      const mayClose = isConnected(own) && !isHandshakeUnderWay(address.port);
      if (mayClose) server.close();
      else setBacklog(server, backlogAfter);
      own.destroy();
      resolve(mayClose);
    });
  });
}

/** listen(2) once more, on the same socket. 0 means one place. */
function setBacklog(server: Server, backlog: number): boolean {
  return (server as WithHandle)._handle?.listen?.(backlog) === 0;
}

/** By what the kernel says now; Node's own event comes with a later turn of the loop. */
function isConnected(socket: Socket): boolean {
  return (socket as WithHandle)._handle?.getpeername?.({}) === 0;
}

/** State of a client of which a SYN has come and the last packet of its handshake has not. */
const SYN_RECV = '03';

/** One line for each connection: `sl local_address rem_address st …`, addresses as `0100007F:0FA0`. */
function isHandshakeUnderWay(port: number): boolean {
  const local = port.toString(16).toUpperCase().padStart(4, '0');
  const pattern = new RegExp(`:${local} [0-9A-F]+:[0-9A-F]{4} ${SYN_RECV} `);
  return ['/proc/net/tcp', '/proc/net/tcp6'].some((path) => pattern.test(readTable(path)));
}

function readTable(path: string): string {
  try {
    return readFileSync(path, 'latin1');
  } catch {
    return ''; // no IPv6, or no /proc: then it is not known
  }
}
