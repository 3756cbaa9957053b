import { closeSync, existsSync, fsyncSync, openSync, rmSync, statSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { DATA_FILES } from '../contract/persisted-state.ts';
import { parseCommand, renderHelp, usageError } from './command-line.ts';
import { BACKUP_COMMAND } from './commands.ts';
import { StartError, systemReason } from './start-error.ts';

const BUSY_TIMEOUT_MS = 5000;

/** `slipstream backup FILE`. @returns the exit code. */
export function backupCommand(argv: readonly string[]): number {
  const { values, operands, wantsHelp } = parseCommand(BACKUP_COMMAND, argv);
  if (wantsHelp) {
    process.stdout.write(renderHelp(BACKUP_COMMAND));
    return 0;
  }
  const [file] = operands;
  if (file === undefined) throw usageError(BACKUP_COMMAND, 'name the file to write: slipstream backup FILE');
  const flag = values['data-dir'];
  const named = typeof flag === 'string' ? flag : process.env['SLIPSTREAM_DATA_DIR'];
  const source = join(resolve(named === undefined || named === '' ? 'data' : named), DATA_FILES.store);
  if (!existsSync(source)) {
    throw new StartError(
      `there is no ${source}; name the data directory with --data-dir DIR. PostgreSQL is backed up with pg_dump: docs/store.md`,
    );
  }
  const target = resolve(file);
  copyDatabase(source, target);
  process.stdout.write(`slipstream: ${target}: ${statSync(target).size} bytes\n`);
  return 0;
}

/** As it is at one moment, also while a gateway writes to it. */
function copyDatabase(source: string, target: string): void {
  try {
    closeSync(openSync(target, 'wx', 0o600)); // SQLite fills an empty file, and leaves its mode
  } catch (error) {
    throw new StartError(`cannot write ${target}: ${systemReason(error)}`);
  }
  try {
    const database = new DatabaseSync(source, { readOnly: true, timeout: BUSY_TIMEOUT_MS });
    try {
      database.prepare('VACUUM INTO ?').run(target);
    } finally {
      database.close();
    }
    const copy = openSync(target, 'r');
    fsyncSync(copy);
    closeSync(copy);
  } catch (error) {
    rmSync(target, { force: true });
    throw new StartError(`the backup of ${source} failed: ${error instanceof Error ? error.message : 'unknown'}`);
  }
}
