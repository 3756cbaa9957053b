import { readdirSync, readFileSync } from 'node:fs';

/** Pid of the child of `parent` whose command line names that plane, or null while there is none. */
export function childNamed(parent: number, plane: 'control' | 'sidecar'): number | null {
  const children = read(`/proc/${parent}/task/${parent}/children`).trim().split(' ').filter(Boolean).map(Number);
  return children.find((pid) => read(`/proc/${pid}/cmdline`).replaceAll('\0', ' ').includes(` ${plane} `)) ?? null;
}

/** The niceness of the threads of a process, by name. */
export function niceOf(pid: number): Map<string, number> {
  const ofThread = (tid: string): readonly [string, number] => {
    const stat = readFileSync(`/proc/${pid}/task/${tid}/stat`, 'utf8');
    // The second field is a name in brackets that may hold anything; the 19th is what is wanted.
    const name = stat.slice(stat.indexOf('(') + 1, stat.lastIndexOf(')'));
    return [name, Number(stat.slice(stat.lastIndexOf(')') + 2).split(' ')[16])];
  };
  return new Map(readdirSync(`/proc/${pid}/task`).map(ofThread));
}

function read(path: string): string {
  try {
    return readFileSync(path, 'latin1');
  } catch {
    return ''; // gone
  }
}
