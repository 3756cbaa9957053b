import { readFileSync } from 'node:fs';

/** Runs, or is stopped; a zombie is gone. */
export function isAlive(pid: number): boolean {
  const state = stateOf(pid);
  return state !== '' && state !== 'Z' && state !== 'X';
}

/** The letter of proc_pid_stat(5); empty when there is no such process. */
function stateOf(pid: number): string {
  try {
    const text = readFileSync(`/proc/${pid}/stat`, 'latin1');
    return text[text.lastIndexOf(')') + 2] ?? '';
  } catch {
    return '';
  }
}

/** Command line; empty when there is no such process. */
export function commandOf(pid: number): string {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, 'latin1').replaceAll('\0', ' ');
  } catch {
    return '';
  }
}
