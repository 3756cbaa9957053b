import { existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';

/** A collected DatabaseSync closes itself, and with it goes the lock, whether or not anyone kept the `ProcessLock`. */
const held = new Set<DatabaseSync>();

export interface ProcessLock {
  /** Gives it back. A process that dies has given it back too. */
  release(): void;
}

/**
 * Locks a file for the life of this process: an SQLite transaction that is never finished. The kernel drops its lock with
 * the process, however that dies, and it holds between containers that share a volume. A pid file does neither.
 *
 * @returns null if another process, or this one, holds it.
 * @throws if the file can't be made or opened.
 */
export function takeProcessLock(path: string): ProcessLock | null {
  let lock: DatabaseSync | null = null;
  try {
    lock = new DatabaseSync(path, { timeout: 0 });
    lock.exec('PRAGMA journal_mode = MEMORY; BEGIN EXCLUSIVE');
  } catch (error) {
    lock?.close();
    if (isBusy(error)) return null;
    throw error;
  }
  const taken = lock;
  held.add(taken);
  return {
    release: () => {
      if (held.delete(taken)) taken.close();
    },
  };
}

/** Some process holds the lock, this one included. Leaves nothing behind. */
export function isProcessLockHeld(path: string): boolean {
  if (!existsSync(path)) return false;
  let lock: DatabaseSync | null = null;
  try {
    lock = new DatabaseSync(path, { timeout: 0, readOnly: true });
    lock.prepare('SELECT count(*) FROM sqlite_master').get();
    return false;
  } catch (error) {
    if (isBusy(error)) return true;
    throw error;
  } finally {
    lock?.close();
  }
}

function isBusy(error: unknown): boolean {
  return error instanceof Error && /locked|busy/i.test(error.message);
}

/** Names, without `.lock`, of the locks in a directory that are held. None if there is no such directory. */
export function heldLocks(directory: string): Set<string> {
  const names = existsSync(directory) ? readdirSync(directory) : [];
  return new Set(
    names
      .filter((name) => name.endsWith('.lock') && isProcessLockHeld(join(directory, name)))
      .map((name) => name.slice(0, -'.lock'.length)),
  );
}
