import { readFileSync } from 'node:fs';

/** Pid of the child of `parent` whose command line names that plane, or null while there is none. */
export function childNamed(parent: number, plane: 'control' | 'sidecar'): number | null {
  const children = read(`/proc/${parent}/task/${parent}/children`).trim().split(' ').filter(Boolean).map(Number);
  return children.find((pid) => read(`/proc/${pid}/cmdline`).replaceAll('\0', ' ').includes(` ${plane} `)) ?? null;
}

function read(path: string): string {
  try {
    return readFileSync(path, 'latin1');
  } catch {
    return ''; // gone
  }
}
