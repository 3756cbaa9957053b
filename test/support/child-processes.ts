import { readdirSync, readFileSync } from 'node:fs';

/** Pid of the child of `parent` whose command line names that plane, or null while there is none. */
export function childNamed(parent: number, plane: 'control' | 'sidecar'): number | null {
  const children = read(`/proc/${parent}/task/${parent}/children`).trim().split(' ').filter(Boolean).map(Number);
  return children.find((pid) => read(`/proc/${pid}/cmdline`).replaceAll('\0', ' ').includes(` ${plane} `)) ?? null;
}

/** The niceness of every thread of a process, each once. */
export function niceOf(pid: number): number[] {
  const ofThread = (tid: string): number => {
    const stat = readFileSync(`/proc/${pid}/task/${tid}/stat`, 'utf8');
    // The 19th field; the second is a name in brackets that may hold anything.
    return Number(stat.slice(stat.lastIndexOf(')') + 2).split(' ')[16]);
  };
  return [...new Set(readdirSync(`/proc/${pid}/task`).map(ofThread))];
}

function read(path: string): string {
  try {
    return readFileSync(path, 'latin1');
  } catch {
    return ''; // gone
  }
}
