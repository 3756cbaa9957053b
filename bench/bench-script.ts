import { parseOverhead, type OverheadOptions } from '../src/cli/bench/bench-options.ts';
import { BenchError } from '../src/cli/bench/child-process.ts';
import { Cleanup } from '../src/cli/bench/cleanup.ts';
import { UsageError } from '../src/cli/command-line.ts';

/** Runs a script of this folder: whatever it starts is ended, and what is wrong outside of it is one line. */
export async function runScript(
  name: string,
  main: (argv: readonly string[], cleanup: Cleanup) => Promise<number>,
): Promise<void> {
  const cleanup = new Cleanup();
  try {
    process.exitCode = await main(process.argv.slice(2), cleanup);
  } catch (error) {
    if (cleanup.isStopping) return;
    if (!(error instanceof UsageError) && !(error instanceof BenchError)) throw error;
    process.stderr.write(`${name}: ${error.message}\n`);
    process.exitCode = error instanceof UsageError ? 2 : 1;
  } finally {
    await cleanup.run();
  }
}

/** The flags of `slipstream bench overhead`, with other defaults, each a flag and its value. */
export function overheadOptions(
  flags: readonly string[],
  defaults: readonly (readonly [flag: string, value: string])[],
): OverheadOptions {
  const has = (name: string): boolean => flags.some((flag) => flag === name || flag.startsWith(`${name}=`));
  const missing = defaults.filter(([flag]) => !has(flag)).flat();
  const options = parseOverhead([...flags, ...missing]);
  if (options === null) throw new UsageError('usage: the flags of `slipstream bench overhead`; see bench/README.md');
  if (options.target !== null) throw new UsageError('--target has no place here');
  return options;
}

/** Takes `--name 1,2,3` out of the arguments. */
export function takeNumbers(
  argv: readonly string[],
  name: string,
  byDefault: readonly number[],
): { readonly numbers: readonly number[]; readonly rest: readonly string[] } {
  const at = argv.indexOf(name);
  if (at === -1) return { numbers: byDefault, rest: argv };
  const numbers = (argv[at + 1] ?? '').split(',').map(Number);
  if (numbers.length === 0 || numbers.some((value) => !(value > 0))) {
    throw new UsageError(`${name} must be numbers between commas`);
  }
  return { numbers, rest: [...argv.slice(0, at), ...argv.slice(at + 2)] };
}
