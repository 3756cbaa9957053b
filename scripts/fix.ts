// Repairs what can be repaired by machine: generated documents, lint fixes, format.
import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { toolCommand } from './tool-command.ts';

const commands = [toolCommand('oxlint', '--fix'), toolCommand('oxfmt', '--write')];
if (existsSync('scripts/generate-docs.ts')) commands.unshift([process.execPath, 'scripts/generate-docs.ts']);

for (const [command = '', ...args] of commands) {
  if (spawnSync(command, args, { stdio: 'inherit' }).status !== 0) process.exitCode = 1;
}
