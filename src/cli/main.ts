import { readProductVersion } from '../control/product-version.ts';
import { UsageError } from './command-line.ts';
import { COMMAND_SUMMARIES } from './commands.ts';
import { StartError } from './start-error.ts';

/** Each command's modules are loaded only when it is called. A number is the exit code; null: it ends the process. */
const COMMANDS: Readonly<Record<string, (argv: string[]) => Promise<number | null>>> = {
  start: async (argv) => (await import('./start-command.ts')).startCommand(argv),
  control: async (argv) => (await import('./start-command.ts')).controlCommand(argv),
  sidecar: async (argv) => (await import('./start-command.ts')).sidecarCommand(argv),
  upgrade: async (argv) => (await import('./upgrade-command.ts')).upgradeCommand(argv),
  check: async (argv) => (await import('./check-command.ts')).checkCommand(argv),
  keys: async (argv) => (await import('./keys/keys-command.ts')).keysCommand(argv),
  journal: async (argv) => (await import('./journal/journal-command.ts')).journalCommand(argv),
  backup: async (argv) => (await import('./backup-command.ts')).backupCommand(argv),
  // These two set the exit code themselves.
  mock: async (argv) => {
    await (await import('./mock/mock-command.ts')).mockCommand(argv);
    return null;
  },
  bench: async (argv) => {
    await (await import('./bench/bench-command.ts')).benchCommand(argv);
    return null;
  },
};

const EXIT_USAGE = 2;

/** The program. Wrong flags end it with 2, all else that keeps a command from starting with 1. */
export async function main(argv: string[]): Promise<void> {
  try {
    const exitCode = await run(argv);
    // With an open handle somewhere the process would stay: what a command answers for is done.
    if (exitCode !== null) process.exit(exitCode);
  } catch (error) {
    if (error instanceof UsageError) {
      process.stderr.write(`${error.message}\n`);
      process.exit(EXIT_USAGE);
    }
    if (error instanceof StartError) {
      process.stderr.write(`slipstream: ${error.message}\n`);
      process.exit(1);
    }
    throw error;
  }
}

async function run([name, ...rest]: readonly string[]): Promise<number | null> {
  if (name === undefined) {
    process.stderr.write(overview());
    return EXIT_USAGE;
  }
  if (name === '--version' || name === '-v' || name === '-V') {
    process.stdout.write(`slipstream ${readProductVersion()}\n`);
    return 0;
  }
  if (name === '--help' || name === '-h') {
    process.stdout.write(overview());
    return 0;
  }
  if (name === 'help') return run(rest.length === 0 ? ['--help'] : [rest[0] ?? '', '--help']);
  const command = Object.hasOwn(COMMANDS, name) ? COMMANDS[name] : undefined;
  if (command !== undefined) return command(rest);
  const hint = name.startsWith('-') ? '; options come after a command, such as: slipstream start' : '';
  throw new UsageError(`slipstream: there is no command ${JSON.stringify(name)}${hint} (see: slipstream --help)`);
}

function overview(): string {
  const width = Math.max(...Object.keys(COMMAND_SUMMARIES).map((name) => name.length)) + 2;
  const lines = Object.entries(COMMAND_SUMMARIES).map(([name, summary]) => `  ${name.padEnd(width)}${summary}`);
  return (
    'An LLM gateway.\n\nUsage: slipstream COMMAND [options]\n\n' +
    `${lines.join('\n')}\n\n` +
    'slipstream COMMAND --help describes one of them, slipstream --version says which version this is.\n'
  );
}

if (import.meta.main) await main(process.argv.slice(2));
