import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

/** USER_HZ: what /proc counts CPU time in, 100 on every Linux that Node runs on. */
const TICKS_PER_SECOND = 100;

/** A process, or one thread of it: where it stands in /proc. */
export type CpuUser = number | `${number}/task/${number}`;

/** User and system time of a process and of its threads, or of one, seconds, in steps of 10 ms; null when it is gone. */
export function readCpuSeconds(user: CpuUser): number | null {
  const fields = statFields(user);
  if (fields === null) return null;
  // proc_pid_stat(5): fields 14 and 15; `fields` starts at 3.
  return (Number(fields[11]) + Number(fields[12])) / TICKS_PER_SECOND;
}

/** Time that all CPUs together were busy, and busy or not, seconds since boot. */
export function readMachineCpu(): { readonly busySeconds: number; readonly allSeconds: number } {
  const [line = ''] = (readProc('/proc/stat') ?? '').split('\n');
  // proc_stat(5): user nice system idle iowait irq softirq steal; guest time is in user's already.
  const ticks = line.split(/\s+/).slice(1, 9).map(Number);
  const all = ticks.reduce((sum, value) => sum + value, 0);
  const idle = (ticks[3] ?? 0) + (ticks[4] ?? 0);
  return { busySeconds: (all - idle) / TICKS_PER_SECOND, allSeconds: all / TICKS_PER_SECOND };
}

/** Of the checkout, with its slash. */
const ROOT = join(import.meta.dirname, '../../../', '/');

export interface ProcessInfo {
  readonly pid: number;
  readonly command: string;
}

/** A process and all that descend from it, with their command lines. */
export function processTree(rootPid: number): ProcessInfo[] {
  const childrenOf = new Map<number, number[]>();
  for (const name of readdirSync('/proc')) {
    const pid = Number(name);
    if (!Number.isInteger(pid)) continue;
    const parent = Number(statFields(pid)?.[1]);
    if (!Number.isInteger(parent)) continue;
    const siblings = childrenOf.get(parent);
    if (siblings === undefined) childrenOf.set(parent, [pid]);
    else siblings.push(pid);
  }
  const tree: ProcessInfo[] = [];
  const waiting = [rootPid];
  for (let pid = waiting.pop(); pid !== undefined; pid = waiting.pop()) {
    const command = readCommand(pid);
    if (command === null) continue;
    tree.push({ pid, command });
    waiting.push(...(childrenOf.get(pid) ?? []));
  }
  return tree;
}

/** The threads of a process whose names `pattern` matches; names are those that Node gives its workers. */
export function threadsNamed(pid: number, pattern: RegExp): CpuUser[] {
  try {
    const threads = readdirSync(`/proc/${pid}/task`).map((tid) => `${pid}/task/${Number(tid)}` as const);
    return threads.filter((thread) => pattern.test((readProc(`/proc/${thread}/comm`) ?? '').trim()));
  } catch {
    return []; // gone
  }
}

export interface MemoryUse {
  readonly rssBytes: number;
  /** Shared pages divided among those that share them: adds up over processes. */
  readonly pssBytes: number;
}

/** @returns null when the process is gone or not ours to look at. */
export function readMemory(pid: number): MemoryUse | null {
  const text = readProc(`/proc/${pid}/smaps_rollup`);
  if (text === null) return null;
  const kilobytes = (name: string): number => Number(new RegExp(`^${name}:\\s+(\\d+) kB`, 'm').exec(text)?.[1] ?? 0);
  return { rssBytes: kilobytes('Rss') * 1024, pssBytes: kilobytes('Pss') * 1024 };
}

/** From field 3 (state) on: the name, field 2, may hold spaces and brackets. */
function statFields(user: CpuUser): string[] | null {
  const text = readProc(`/proc/${user}/stat`);
  return text === null ? null : text.slice(text.lastIndexOf(')') + 2).split(' ');
}

function readCommand(pid: number): string | null {
  const text = readProc(`/proc/${pid}/cmdline`);
  // Results are shared: where this checkout lies is nobody's business.
  return text === null ? null : text.replaceAll('\0', ' ').replaceAll(ROOT, '').trim();
}

function readProc(path: string): string | null {
  try {
    return readFileSync(path, 'latin1');
  } catch {
    return null;
  }
}
