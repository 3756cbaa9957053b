import { renderHelp, UsageError, type CommandSpec } from '../command-line.ts';
import { BENCH_HOLD, BENCH_OVERHEAD, BENCH_STARTUP, parseHold, parseOverhead, parseStartup } from './bench-options.ts';
import { BenchError } from './child-process.ts';
import { Cleanup } from './cleanup.ts';
import { runHold } from './hold.ts';
import { runOverhead } from './overhead.ts';
import { runStartup } from './startup.ts';

/** Its subcommands, for help and documents. */
export const BENCH_COMMANDS: readonly CommandSpec[] = [BENCH_OVERHEAD, BENCH_HOLD, BENCH_STARTUP];

/** `slipstream bench …`. Sets the exit status: 0 good, 1 the run failed or does not count, 2 wrong flags. */
export async function benchCommand(argv: string[]): Promise<void> {
  const [name = '', ...rest] = argv;
  const cleanup = new Cleanup();
  try {
    process.exitCode = await runSubcommand(name, rest, cleanup);
  } catch (error) {
    if (cleanup.isStopping) return; // which ends the process when all is undone
    if (error instanceof UsageError) {
      process.stderr.write(`${error.message}\n`);
      process.exitCode = 2;
    } else if (error instanceof BenchError) {
      process.stderr.write(`slipstream bench: ${error.message}\n`);
      process.exitCode = 1;
    } else {
      throw error;
    }
  } finally {
    await cleanup.run();
  }
}

async function runSubcommand(name: string, argv: readonly string[], cleanup: Cleanup): Promise<number> {
  switch (name) {
    case 'overhead': {
      const options = parseOverhead(argv);
      return options === null ? showHelp(BENCH_OVERHEAD) : runOverhead(options, cleanup);
    }
    case 'hold': {
      const options = parseHold(argv);
      return options === null ? showHelp(BENCH_HOLD) : runHold(options, cleanup);
    }
    case 'startup': {
      const options = parseStartup(argv);
      return options === null ? showHelp(BENCH_STARTUP) : runStartup(options, cleanup);
    }
    case '--help':
    case '-h':
    case 'help':
      process.stdout.write(overview());
      return 0;
    default: {
      const problem = name === '' ? 'a subcommand is missing' : `unknown subcommand ${JSON.stringify(name)}`;
      throw new UsageError(`slipstream bench: ${problem} (see: slipstream bench --help)`);
    }
  }
}

function showHelp(command: CommandSpec): number {
  process.stdout.write(renderHelp(command));
  return 0;
}

function overview(): string {
  const rows = BENCH_COMMANDS.map(({ name, summary }) => `  slipstream ${name.padEnd(16)}${summary}`);
  return `Measurements, with a mock provider and a gateway of their own on this machine.\n\n${rows.join('\n')}\n\nEach has --help.\n`;
}
