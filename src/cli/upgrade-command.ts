import { existsSync } from 'node:fs';
import { resolve } from 'node:path';
import { parseCommand, renderHelp } from './command-line.ts';
import { sendCommand } from './command-socket.ts';
import { UPGRADE_COMMAND } from './commands.ts';
import { commandSocketPaths } from './data-directory.ts';
import { StartError } from './start-error.ts';

/** `slipstream upgrade`: asks the running service to replace its processes. @returns the exit code. */
export async function upgradeCommand(argv: readonly string[]): Promise<number> {
  const parsed = parseCommand(UPGRADE_COMMAND, argv);
  if (parsed.wantsHelp) {
    process.stdout.write(renderHelp(UPGRADE_COMMAND));
    return 0;
  }
  const given = parsed.values['data-dir'];
  const directory = resolve(typeof given === 'string' ? given : (process.env['SLIPSTREAM_DATA_DIR'] ?? 'data'));
  // Planes that run apart have a supervisor each; the control plane first, as where one supervisor has both.
  const paths = commandSocketPaths(directory).filter((path) => existsSync(path));
  if (paths.length === 0) throw new StartError(`no slipstream runs with the data directory ${directory}`);
  for (const path of paths) {
    const said = await sendCommand(path, 'upgrade', (text) => process.stdout.write(`slipstream: ${text}\n`));
    process.stdout.write(`slipstream: ${said}\n`);
  }
  return 0;
}
