import { Socket } from 'node:net';

/** What the accepted socket's `_handle` is: the connection itself, under libuv's name. */
interface WithHandle {
  _handle: object | null;
}

/**
 * Takes over an accepted, unread socket so that its bytes are read to the memory that `nextBuffer` names, asked before
 * each read: nearly always one buffer that all connections of a thread share. `onRead(length)` runs right after each read,
 * before `nextBuffer` is asked again. By default every read allocates 64 KiB and shrinks it to what came;
 * sharing one buffer costs 0.8 µs less per small read and half per large one (bench/micro/upstream-pool.ts).
 *
 * Sockets that one connects take `onread` as an option; for accepted ones Node has no public way, so the handle is moved
 * to a new Socket. `handle` and `_handle` are private to Node, whose version we pin; where they are not as expected the
 * accepted socket is returned as it is, and read by 'data' events. A test tells which of the two it is.
 */
export function adoptSocket(
  accepted: Socket,
  nextBuffer: () => Uint8Array,
  onRead: (length: number) => void,
): Socket | null {
  const holder = accepted as unknown as Partial<WithHandle>;
  const handle = holder._handle;
  // Of TLS the handle is not the whole connection; and what has been read from a socket stays with it.
  if (handle === undefined || handle === null || 'encrypted' in accepted || accepted.bytesRead > 0) return null;
  holder._handle = null;
  const options = {
    handle,
    allowHalfOpen: false,
    manualStart: true,
    onread: {
      buffer: nextBuffer,
      callback: (length: number): boolean => {
        onRead(length);
        return true;
      },
    },
  };
  return new Socket(options as ConstructorParameters<typeof Socket>[0]);
}
