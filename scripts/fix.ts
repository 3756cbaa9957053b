// Repairs what can be repaired by machine: lint fixes, format, generated documents.
import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { join } from 'node:path';

const bin = (name: string): string => join('node_modules', '.bin', name);

const commands: (readonly [string, ...string[]])[] = [
  [bin('oxlint'), '--type-aware', '--fix'],
  [bin('oxfmt'), '--write'],
];
if (existsSync('scripts/generate-docs.ts')) commands.unshift([process.execPath, 'scripts/generate-docs.ts']);

for (const [command, ...args] of commands) {
  if (spawnSync(command, args, { stdio: 'inherit' }).status !== 0) process.exitCode = 1;
}
