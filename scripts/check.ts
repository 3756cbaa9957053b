// Everything that must hold without running the program: types, lint, format, unused exports, generated documents.
// All steps run, so that one look shows all that is wrong. A checker that looked at no file has not passed.
//   npm run check                  everything
//   npm run check -- types lint    only these steps
import { spawnSync } from 'node:child_process';
import { existsSync, globSync } from 'node:fs';
import { toolCommand } from './tool-command.ts';

interface Step {
  readonly name: string;
  readonly command: readonly string[];
  /** Adds its own verdict on a run that exited 0; a text says what is wrong. */
  readonly verify?: (output: string) => string | undefined;
}

const sources = globSync('src/**/*.ts');
const compiled = sources.filter((file) => !file.endsWith('.test.ts'));

const steps: Step[] = [
  { name: 'sizes', command: [process.execPath, 'scripts/report-sizes.ts'] },
  { name: 'types', command: toolCommand('tsc', '-b'), verify: everyFileWasCompiled },
  { name: 'lint', command: toolCommand('oxlint'), verify: everyFileWasRead },
  { name: 'format', command: toolCommand('oxfmt', '--check'), verify: everyFileWasRead },
  { name: 'unused', command: toolCommand('knip', '--no-config-hints') },
];
if (existsSync('scripts/generate-docs.ts')) {
  steps.push({ name: 'generated documents', command: [process.execPath, 'scripts/generate-docs.ts', '--check'] });
}

const wanted = process.argv.slice(2);
const unknown = wanted.filter((name) => !steps.some((step) => step.name === name));
if (unknown.length > 0) {
  process.stderr.write(
    `check: there is no step ${unknown.join(', ')}; there are ${steps.map(({ name }) => name).join(', ')}\n`,
  );
  process.exit(2);
}
const chosen = wanted.length === 0 ? steps : steps.filter(({ name }) => wanted.includes(name));

const failed = chosen.filter((step) => !passes(step)).map(({ name }) => name);
if (failed.length > 0) process.stdout.write(`check: failed: ${failed.join(', ')}\n`);
process.exitCode = failed.length > 0 ? 1 : 0;

function passes(step: Step): boolean {
  const startedAt = performance.now();
  const [command = '', ...args] = step.command;
  const { status, stdout } = spawnSync(command, args, {
    stdio: ['ignore', 'pipe', 'inherit'],
    encoding: 'utf8',
    maxBuffer: 1 << 28,
  });
  process.stdout.write(stdout);
  const problem = status === 0 ? step.verify?.(stdout) : `exit status ${status}`;
  const seconds = ((performance.now() - startedAt) / 1000).toFixed(1);
  process.stdout.write(`check: ${step.name} ${problem === undefined ? 'ok' : `FAILED: ${problem}`} (${seconds} s)\n`);
  return problem === undefined;
}

function everyFileWasRead(output: string): string | undefined {
  if (sources.length === 0) return 'no source file';
  const count = Number(/ on (\d+) files?/.exec(output)?.[1] ?? 0);
  return count >= sources.length ? undefined : `read ${count} files of ${sources.length}`;
}

function everyFileWasCompiled(): string | undefined {
  if (compiled.length === 0) return 'no source file';
  const missing = compiled.filter((file) => !existsSync(file.replace(/^src\//, '.tsbuild/').replace(/\.ts$/, '.d.ts')));
  return missing.length > 0 ? `not compiled: ${missing.join(', ')}` : undefined;
}
