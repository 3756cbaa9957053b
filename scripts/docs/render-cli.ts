import { BENCH_COMMANDS } from '../../src/cli/bench/bench-command.ts';
import type { CommandSpec, FlagSpec } from '../../src/cli/command-line.ts';
import {
  BACKUP_COMMAND,
  CHECK_COMMAND,
  CONTROL_COMMAND,
  JOURNAL_COMMAND,
  KEYS_COMMAND,
  SIDECAR_COMMAND,
  START_COMMAND,
  UPGRADE_COMMAND,
} from '../../src/cli/commands.ts';
import { MOCK_COMMAND } from '../../src/cli/mock/mock-command.ts';
import { code, generatedNotice, markdownTable } from './markdown.ts';

const COMMANDS: readonly CommandSpec[] = [
  START_COMMAND,
  CONTROL_COMMAND,
  SIDECAR_COMMAND,
  UPGRADE_COMMAND,
  CHECK_COMMAND,
  KEYS_COMMAND,
  JOURNAL_COMMAND,
  BACKUP_COMMAND,
  MOCK_COMMAND,
  ...BENCH_COMMANDS,
];

/** docs/cli.md */
export function renderCli(): string {
  return `${generatedNotice("the commands' tables under src/cli")}

# Command line

In a checkout, \`npm start -- OPTIONS\` is \`slipstream start OPTIONS\`, and \`node bin/slipstream.js COMMAND\` is any command.
\`slipstream COMMAND --help\` shows what is said here, \`slipstream --version\` the version. A flag beats the environment, the
environment the configuration; of several variables the first one set counts. Wrong flags end with exit code 2 and one line,
anything else that keeps a command from starting with 1.

${COMMANDS.map(renderCommand).join('\n')}`;
}

function renderCommand(command: CommandSpec): string {
  const usage = ['slipstream', command.name, '[options]', command.operands].filter((part) => part !== '').join(' ');
  const rows = Object.entries(command.flags)
    .filter(([, flag]) => flag.hidden !== true)
    .map(([name, flag]) => flagRow(name, flag));
  const table = markdownTable(['Flag', 'What it does', 'Environment', 'Default'], rows);
  const notes = command.notes.map((note) => `\n${note}\n`).join('');
  return `## slipstream ${command.name}\n\n${command.summary}.\n\n    ${usage}\n\n${table}\n${notes}`;
}

function flagRow(name: string, flag: FlagSpec): string[] {
  const value = flag.value === undefined ? '' : ` ${flag.value}`;
  const spellings = [`--${name}${value}`, ...(flag.short === undefined ? [] : [`-${flag.short}${value}`])];
  const aliases = (flag.aliases ?? []).map((alias) => `--${alias}`);
  return [
    [...spellings, ...aliases].map(code).join(', '),
    flag.help,
    (flag.env ?? []).map(code).join(', '),
    flag.byDefault ?? '',
  ];
}
