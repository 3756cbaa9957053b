import { resolve } from 'node:path';
import { parseCommand, renderHelp, usageError } from './command-line.ts';
import { CHECK_COMMAND } from './commands.ts';
import { withoutServiceLinks } from './start-settings.ts';

/** `slipstream check`. @returns the exit code. */
export async function checkCommand(argv: readonly string[]): Promise<number> {
  const { values, operands, wantsHelp } = parseCommand(CHECK_COMMAND, argv);
  if (wantsHelp) {
    process.stdout.write(renderHelp(CHECK_COMMAND));
    return 0;
  }
  const env = withoutServiceLinks(process.env);
  const flag = values['config'];
  const named = operands[0] ?? (typeof flag === 'string' ? flag : undefined);
  const configPath = named ?? env['SLIPSTREAM_CONFIG'] ?? env['CONFIG_FILE_PATH'];
  if (configPath === undefined || configPath === '') {
    throw usageError(CHECK_COMMAND, 'name the configuration to check: slipstream check FILE');
  }
  const { checkConfig } = await import('../control/check-config.ts');
  const result = checkConfig({ configPath: resolve(configPath), env, strict: values['strict'] === true, flags: {} });
  process.stdout.write(`${result.lines.join('\n')}\n`);
  return result.exitCode;
}
