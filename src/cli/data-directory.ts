import { createHash } from 'node:crypto';
import {
  chmodSync,
  existsSync,
  lstatSync,
  mkdirSync,
  readFileSync,
  realpathSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { takeProcessLock, type ProcessLock } from '../runtime/process-lock.ts';
import { StartError, systemReason } from './start-error.ts';

/** sun_path holds 108 bytes on Linux, 104 on macOS; some room for temporary names beside it. */
const MAX_SOCKET_PATH_BYTES = 100;

/** Each plane locks the data directory for itself: the two may run apart on one volume. */
export type PlaneName = 'control' | 'sidecar';

export interface DataDirectory {
  /** Absolute, without symbolic links. */
  readonly path: string;
  readonly controlSocketPath: string;
  readonly adminSocketPath: string;
  /** Where `slipstream upgrade` reaches whoever runs the service. */
  readonly commandSocketPath: string;
  /** Gives the locks back. A process that dies has given them back too. */
  release(): void;
}

const SERVICE_SOCKET = 'command.sock';
/** Of a control plane whose sidecar runs apart. */
const CONTROL_ONLY_SOCKET = 'control-cmd.sock';

/** Where commands are listened for, if a service runs with this data directory; that of a control plane alone first. */
export function commandSocketPaths(path: string): readonly string[] {
  if (!existsSync(path)) return [];
  const sockets = makeSocketDirectory(realpathSync(path));
  return [CONTROL_ONLY_SOCKET, SERVICE_SOCKET].map((name) => join(sockets, name));
}

/** Where the control plane of a running gateway serves the admin API, if there is a data directory. */
export function adminSocketPath(path: string): string | null {
  return existsSync(path) ? join(makeSocketDirectory(realpathSync(path)), 'admin.sock') : null;
}

/**
 * Makes the data directory and its folder for sockets, both for this user only, and takes the lock of each plane.
 *
 * @throws {StartError} when it can't be used, or another gateway uses it.
 */
export function openDataDirectory(path: string, planes: readonly PlaneName[]): DataDirectory {
  const absolute = makePrivateDirectory(resolve(path));
  const locks: ProcessLock[] = [];
  const release = (): void => {
    for (const lock of locks.splice(0)) lock.release();
  };
  try {
    for (const plane of planes) locks.push(takeLock(absolute, plane));
    const sockets = makeSocketDirectory(absolute);
    return {
      path: absolute,
      controlSocketPath: join(sockets, 'control.sock'),
      adminSocketPath: join(sockets, 'admin.sock'),
      commandSocketPath: join(sockets, planes.includes('sidecar') ? SERVICE_SOCKET : CONTROL_ONLY_SOCKET),
      release,
    };
  } catch (error) {
    release();
    throw error;
  }
}

function makePrivateDirectory(path: string): string {
  try {
    mkdirSync(path, { recursive: true, mode: 0o700 });
    const real = realpathSync(path);
    const { mode, uid } = statSync(real);
    // A mounted volume may belong to someone else: then its owner decides who may look in.
    if ((mode & 0o077) !== 0 && uid === process.getuid?.()) chmodSync(real, 0o700);
    return real;
  } catch (error) {
    throw new StartError(`cannot use the data directory ${path}: ${systemReason(error)}`);
  }
}

function takeLock(directory: string, plane: PlaneName): ProcessLock {
  const lockPath = join(directory, `${plane}.lock`);
  const pidPath = join(directory, `${plane}.pid`);
  let lock: ProcessLock | null;
  try {
    lock = takeProcessLock(lockPath);
    if (lock !== null) {
      writeFileSync(pidPath, `${process.pid}\n`, { mode: 0o600 });
      chmodSync(lockPath, 0o600);
    }
  } catch (error) {
    throw new StartError(`cannot lock the data directory ${directory}: ${systemReason(error)}`);
  }
  if (lock !== null) return lock;
  throw new StartError(
    `the data directory ${directory} is in use by another slipstream${pidNote(pidPath)}; ` +
      'stop it, or give this one its own with --data-dir DIR',
  );
}

function pidNote(pidPath: string): string {
  try {
    const pid = readFileSync(pidPath, 'utf8').trim();
    return /^\d+$/.test(pid) ? ` (pid ${pid})` : '';
  } catch {
    return '';
  }
}

/** The same folder for every command with the same data directory, so that planes started apart find each other. */
function makeSocketDirectory(directory: string): string {
  const inside = join(directory, 'sockets');
  if (fits(inside)) return makePrivateDirectory(inside);
  const hash = createHash('sha256').update(directory).digest('hex').slice(0, 16);
  const outside = join(tmpdir(), `slipstream-${process.getuid?.() ?? 0}-${hash}`);
  if (!fits(outside)) {
    throw new StartError(`neither ${directory} nor ${tmpdir()} is short enough for the path of a Unix socket`);
  }
  mkdirSync(outside, { recursive: true, mode: 0o700 });
  // Anyone can have made it first: it must be ours, and no link to somewhere else.
  const found = lstatSync(outside);
  if (!found.isDirectory() || found.uid !== process.getuid?.() || (found.mode & 0o077) !== 0) {
    throw new StartError(`${outside} is needed for sockets, but it is not a private directory of this user`);
  }
  return outside;
}

function fits(directory: string): boolean {
  return Buffer.byteLength(join(directory, CONTROL_ONLY_SOCKET)) <= MAX_SOCKET_PATH_BYTES;
}
