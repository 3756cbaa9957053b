import { chmodSync, lstatSync, unlinkSync } from 'node:fs';
import { BoundSocket, connect } from 'node:net';
import { StartError, systemReason } from './start-error.ts';

/**
 * Binds a Unix socket, without listening. A file that an earlier process left behind is taken away first, if it is a
 * socket and nobody listens on it.
 *
 * @param mode of the file: who may write to it may connect. Set before anyone can connect.
 * @throws {StartError} in words for the operator.
 */
export async function bindUnixSocket(path: string, mode: number): Promise<BoundSocket> {
  let bound: BoundSocket;
  try {
    bound = bindPath(path);
  } catch (error) {
    if (codeOf(error) !== 'EADDRINUSE') throw refusal(path, systemReason(error));
    await removeStale(path);
    try {
      bound = bindPath(path);
    } catch (again) {
      throw refusal(path, systemReason(again));
    }
  }
  try {
    chmodSync(path, mode);
  } catch (error) {
    bound.close();
    throw refusal(path, systemReason(error));
  }
  return bound;
}

function bindPath(path: string): BoundSocket {
  // Since 26.10; the types lag behind.
  return new BoundSocket({ path } as ConstructorParameters<typeof BoundSocket>[0]);
}

async function removeStale(path: string): Promise<void> {
  if (lstatSync(path, { throwIfNoEntry: false })?.isSocket() === false) {
    throw refusal(path, 'there is a file of that name which is no socket');
  }
  const isServed = await new Promise<boolean>((resolve) => {
    const probe = connect(path);
    probe.once('connect', () => {
      probe.destroy();
      resolve(true);
    });
    // Refused: nobody listens. Anything else (a full queue, no permission) is no proof of that.
    probe.once('error', (error) => resolve(!['ECONNREFUSED', 'ENOENT'].includes(codeOf(error))));
  });
  if (isServed) throw refusal(path, 'another process serves it');
  try {
    unlinkSync(path);
  } catch (error) {
    if (codeOf(error) !== 'ENOENT') throw refusal(path, systemReason(error));
  }
}

function refusal(path: string, reason: string): StartError {
  return new StartError(`cannot listen on unix:${path}: ${reason}`);
}

function codeOf(error: unknown): string {
  return error instanceof Error && 'code' in error ? String(error.code) : '';
}
