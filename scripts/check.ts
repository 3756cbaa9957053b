// Everything that must hold without running the program: types, lint, format, unused exports, generated documents.
// All steps run, so that one look shows all that is wrong.
import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { toolCommand } from './tool-command.ts';

interface Step {
  readonly name: string;
  readonly command: readonly string[];
}

const steps: Step[] = [
  { name: 'sizes', command: [process.execPath, 'scripts/report-sizes.ts'] },
  { name: 'types', command: toolCommand('tsc', '-b') },
  { name: 'lint', command: toolCommand('oxlint') },
  { name: 'format', command: toolCommand('oxfmt', '--check') },
  { name: 'unused', command: toolCommand('knip', '--no-config-hints') },
];
if (existsSync('scripts/generate-docs.ts')) {
  steps.push({ name: 'generated documents', command: [process.execPath, 'scripts/generate-docs.ts', '--check'] });
}

const failed: string[] = [];
for (const step of steps) {
  const startedAt = performance.now();
  const [command = '', ...args] = step.command;
  const result = spawnSync(command, args, { stdio: 'inherit' });
  const seconds = ((performance.now() - startedAt) / 1000).toFixed(1);
  const isOk = result.status === 0;
  if (!isOk) failed.push(step.name);
  process.stdout.write(`check: ${step.name} ${isOk ? 'ok' : 'FAILED'} (${seconds} s)\n`);
}

if (failed.length > 0) process.stdout.write(`check: failed: ${failed.join(', ')}\n`);
process.exitCode = failed.length > 0 ? 1 : 0;
