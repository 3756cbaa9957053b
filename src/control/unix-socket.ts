import { chmodSync, lstatSync, unlinkSync } from 'node:fs';
import { connect, type Server } from 'node:net';
import { ConfigError } from './config/findings.ts';

/** Only the owner may connect. The directory is 0700 as well, so nobody gets in between bind and chmod. */
const SOCKET_MODE = 0o600;

/**
 * Makes the way free for a listening socket at `path`: removes one that a dead process left.
 *
 * @throws {ConfigError} when a living process listens there, or something else lies there.
 */
export async function clearSocketPath(path: string): Promise<void> {
  const stats = lstatSync(path, { throwIfNoEntry: false });
  if (stats === undefined) return;
  if (!stats.isSocket()) throw new ConfigError([`${path} is in the way: it is no socket`]);
  if (await isListening(path)) throw new ConfigError([`another control plane is running: it listens on ${path}`]);
  unlinkSync(path);
}

function isListening(path: string): Promise<boolean> {
  const { promise, resolve } = Promise.withResolvers<boolean>();
  const socket = connect(path);
  socket.once('connect', () => resolve(true));
  socket.once('error', () => resolve(false));
  return promise.finally(() => socket.destroy());
}

export function restrictSocket(path: string): void {
  chmodSync(path, SOCKET_MODE);
}

/** Listens on a socket that only the owner can use. */
export async function listenOnSocket(server: Server, path: string): Promise<void> {
  await clearSocketPath(path);
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  server.once('error', reject);
  server.listen(path, resolve);
  await promise;
  server.off('error', reject);
  restrictSocket(path);
}
