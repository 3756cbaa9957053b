import { spawnSync } from 'node:child_process';
import { join } from 'node:path';

const LAUNCHER = join(import.meta.dirname, '../../bin/slipstream.js');

/** `slipstream journal`, as a user runs it. */
export function runJournal(args: readonly string[]): { status: number | null; stdout: string; stderr: string } {
  const { status, stdout, stderr } = spawnSync(process.execPath, [LAUNCHER, 'journal', ...args], { encoding: 'utf8' });
  return { status, stdout, stderr };
}
