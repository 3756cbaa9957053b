import { closeSync, readFileSync, readlinkSync } from 'node:fs';
import type { Environment } from './start-settings.ts';

/** A socket that systemd opened before it started us (sd_listen_fds(3)). */
export interface InheritedSocket {
  readonly fd: number;
  /** FileDescriptorName= of its unit; `unknown` where systemd says nothing. */
  readonly name: string;
  /** Path of a Unix socket, else null. */
  readonly path: string | null;
  /** 0 where it could not be found out. */
  readonly port: number;
}

const FIRST_FD = 3;
const MAX_SOCKETS = 64;

/** Set by the launcher where it could not go on in its own process: the pid that the sockets were meant for. */
const LAUNCHER_PID = 'SLIPSTREAM_LAUNCHER_PID';

/** Sockets given to process `pid`; none if they were given to another one that happened to leave its environment. */
export function inheritedSockets(env: Environment, pid: number): readonly InheritedSocket[] {
  const wanted = env['LISTEN_PID'];
  if (wanted !== String(pid) && (wanted === undefined || wanted !== env[LAUNCHER_PID])) return [];
  const count = Number(env['LISTEN_FDS']);
  if (!Number.isInteger(count) || count < 1 || count > MAX_SOCKETS) return [];
  const names = (env['LISTEN_FDNAMES'] ?? '').split(':');
  return Array.from({ length: count }, (_, index) => ({
    fd: FIRST_FD + index,
    name: names[index] === undefined || names[index] === '' ? 'unknown' : names[index],
    ...placeOf(FIRST_FD + index),
  }));
}

/** Descriptors 3 to this one are systemd's: no child may inherit them by accident. 2 where there are none. */
export function lastInheritedFd(env: Environment, pid: number): number {
  return FIRST_FD - 1 + inheritedSockets(env, pid).length;
}

export function closeInherited(fd: number): void {
  try {
    closeSync(fd);
  } catch {
    // It is closed, then.
  }
}

/** Node can't ask a descriptor for its address. Where there is systemd there is /proc. */
function placeOf(fd: number): { path: string | null; port: number } {
  const nowhere = { path: null, port: 0 };
  try {
    const inode = /^socket:\[(\d+)\]$/.exec(readlinkSync(`/proc/self/fd/${fd}`))?.[1];
    if (inode === undefined) return nowhere;
    // Num RefCount Protocol Flags Type St Inode Path
    const unix = rowsOf('/proc/net/unix').find((row) => row[6] === inode);
    if (unix !== undefined) return { path: unix[7] ?? '', port: 0 };
    // sl local_address rem_address st tx:rx tr:when retrnsmt uid timeout inode
    const row = ['/proc/net/tcp', '/proc/net/tcp6'].flatMap(rowsOf).find((candidate) => candidate[9] === inode);
    return { path: null, port: Number.parseInt(row?.[1]?.split(':')[1] ?? '0', 16) };
  } catch {
    return nowhere;
  }
}

function rowsOf(path: string): string[][] {
  return readFileSync(path, 'utf8')
    .split('\n')
    .map((line) => line.trim().split(/\s+/));
}
