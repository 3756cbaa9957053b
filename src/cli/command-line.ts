import { parseArgs } from 'node:util';

/** One row of a command's table: parsing, `--help` and docs/cli.md are made from it. */
export interface FlagSpec {
  readonly short?: string;
  /** Name of the value in the help, such as `FILE`; absent for a switch. */
  readonly value?: string;
  readonly help: string;
  /** Other spellings, accepted and not advertised beyond one mention. */
  readonly aliases?: readonly string[];
  /** Environment variables that say the same, strongest first; the flag wins over all. */
  readonly env?: readonly string[];
  /** What happens without it, as text. */
  readonly byDefault?: string;
  /** For the program's own use: neither in the help nor in the documents. */
  readonly hidden?: boolean;
}

export interface CommandSpec {
  readonly name: string;
  /** One line, no full stop. */
  readonly summary: string;
  /** Arguments without a dash, such as `[FILE]`; empty if there are none. */
  readonly operands: string;
  readonly maxOperands: number;
  readonly flags: Readonly<Record<string, FlagSpec>>;
  /** Paragraphs after the table. */
  readonly notes: readonly string[];
}

export interface ParsedCommand {
  /** Flags that were given, by the name in the table. */
  readonly values: Readonly<Record<string, string | true>>;
  readonly operands: readonly string[];
  readonly wantsHelp: boolean;
}

/** The command line can't be understood. The message is one clear line; the exit code is 2. */
export class UsageError extends Error {
  override readonly name = 'UsageError';
}

const HELP: FlagSpec = { short: 'h', help: 'Show this help' };

/** @throws {UsageError} naming the flag that is wrong and where to look. */
export function parseCommand(command: CommandSpec, argv: readonly string[]): ParsedCommand {
  const flags: Readonly<Record<string, FlagSpec>> = { ...command.flags, help: HELP };
  const names = nameTable(flags);
  const options = Object.fromEntries(
    [...names]
      .filter(([spelling]) => spelling.startsWith('--'))
      .map(([spelling, name]) => [spelling.slice(2), optionFor(flags[name], spelling === `--${name}`)]),
  );
  const { tokens } = parseArgs({ args: [...argv], options, strict: false, allowPositionals: true, tokens: true });
  const values: Record<string, string | true> = {};
  const operands: string[] = [];
  for (const token of tokens) {
    if (token.kind === 'positional') operands.push(token.value);
    if (token.kind !== 'option') continue;
    const spelling = token.rawName;
    const name = names.get(spelling);
    if (name === undefined) throw usageError(command, `unknown option ${quote(spelling)}${guess(spelling, names)}`);
    values[name] = valueOf(command, flags[name], {
      spelling,
      value: token.value,
      isInline: token.inlineValue === true,
    });
  }
  if (operands.length > command.maxOperands) {
    throw usageError(command, `unexpected argument ${quote(operands[command.maxOperands] ?? '')}`);
  }
  return { values, operands, wantsHelp: values['help'] === true };
}

export function usageError(command: CommandSpec, problem: string): UsageError {
  return new UsageError(`slipstream ${command.name}: ${problem} (see: slipstream ${command.name} --help)`);
}

/** Whole number within bounds. @throws {UsageError} */
export function integerFlag(
  command: CommandSpec,
  given: { readonly name: string; readonly text: string },
  least: number,
  most: number,
): number {
  const number = /^\d{1,15}$/.test(given.text) ? Number(given.text) : Number.NaN;
  if (number >= least && number <= most) return number;
  throw usageError(command, `${given.name} must be a whole number from ${least} to ${most}, not ${quote(given.text)}`);
}

/** One of a list. @throws {UsageError} */
export function choiceFlag<Choice extends string>(
  command: CommandSpec,
  given: { readonly name: string; readonly text: string },
  choices: readonly Choice[],
): Choice {
  const choice = choices.find((candidate) => candidate === given.text.toLowerCase());
  if (choice !== undefined) return choice;
  throw usageError(command, `${given.name} must be one of ${choices.join(', ')}, not ${quote(given.text)}`);
}

function optionFor(flag: FlagSpec | undefined, isMainName: boolean): { type: 'string' | 'boolean'; short?: string } {
  const type = flag?.value === undefined ? 'boolean' : 'string';
  return isMainName && flag?.short !== undefined ? { type, short: flag.short } : { type };
}

/** Every spelling (`--port`, `-p`) → name in the table. */
function nameTable(flags: Readonly<Record<string, FlagSpec>>): Map<string, string> {
  const names = new Map<string, string>();
  for (const [name, flag] of Object.entries(flags)) {
    for (const long of [name, ...(flag.aliases ?? [])]) names.set(`--${long}`, name);
    if (flag.short !== undefined) names.set(`-${flag.short}`, name);
  }
  return names;
}

function valueOf(
  command: CommandSpec,
  flag: FlagSpec | undefined,
  given: { readonly spelling: string; readonly value: string | undefined; readonly isInline: boolean },
): string | true {
  if (flag?.value === undefined) {
    if (given.value !== undefined) throw usageError(command, `${given.spelling} takes no value`);
    return true;
  }
  // `--port --host` swallows a flag: a value that begins with a dash must be given as `--name=-value`.
  const isMissing = given.value === undefined || given.value === '' || (!given.isInline && given.value.startsWith('-'));
  if (isMissing || given.value === undefined)
    throw usageError(command, `${given.spelling} needs a value (${flag.value})`);
  return given.value;
}

/** `; did you mean --port?` when one spelling is a letter or two away. */
function guess(spelling: string, names: ReadonlyMap<string, string>): string {
  const near = [...names.keys()].filter((known) => known.startsWith('--') && distance(spelling, known) <= 2);
  return near.length === 1 ? `; did you mean ${near[0]}?` : '';
}

/** Levenshtein's distance. */
function distance(a: string, b: string): number {
  let row = Array.from({ length: b.length + 1 }, (_, i) => i);
  for (let i = 1; i <= a.length; i++) {
    const next = [i];
    for (let j = 1; j <= b.length; j++) {
      const substituted = Number(row[j - 1]) + (a[i - 1] === b[j - 1] ? 0 : 1);
      next.push(Math.min(substituted, Number(row[j]) + 1, Number(next[j - 1]) + 1));
    }
    row = next;
  }
  return Number(row[b.length]);
}

function quote(text: string): string {
  return JSON.stringify(text.length > 80 ? `${text.slice(0, 80)}…` : text);
}

const HELP_WIDTH = 100;

export function renderHelp(command: CommandSpec): string {
  const usage = ['slipstream', command.name, '[options]', command.operands].filter((part) => part !== '').join(' ');
  const rows = flagRows(command).map(({ flag, left }) => ({ left, text: describeFlag(flag) }));
  const width = Math.max(...rows.map((row) => row.left.length)) + 2;
  const table = rows.map((row) => {
    const lines = wrap(row.text, HELP_WIDTH - width - 2);
    return lines.map((line, i) => `  ${(i === 0 ? row.left : '').padEnd(width)}${line}`.trimEnd()).join('\n');
  });
  const notes = command.notes.map((note) => `\n${wrap(note, HELP_WIDTH).join('\n')}\n`).join('');
  return `${command.summary}.\n\nUsage: ${usage}\n\n${table.join('\n')}\n${notes}`;
}

function flagRows(command: CommandSpec): { flag: FlagSpec; left: string }[] {
  return Object.entries({ ...command.flags, help: HELP })
    .filter(([, flag]) => flag.hidden !== true)
    .map(([name, flag]) => {
      const short = flag.short === undefined ? '    ' : `-${flag.short}, `;
      return { flag, left: `${short}--${name}${flag.value === undefined ? '' : ` ${flag.value}`}` };
    });
}

function describeFlag(flag: FlagSpec): string {
  const parts = [`${flag.help}${aliasText(flag)}`];
  if (flag.byDefault !== undefined) parts.push(`[default: ${flag.byDefault}]`);
  if (flag.env !== undefined) parts.push(`[env: ${flag.env.join(', ')}]`);
  return parts.join(' ');
}

function aliasText(flag: FlagSpec): string {
  return flag.aliases === undefined ? '' : ` (also ${flag.aliases.map((alias) => `--${alias}`).join(', ')})`;
}

function wrap(text: string, width: number): string[] {
  const lines: string[] = [];
  let line = '';
  for (const word of text.split(' ')) {
    if (line !== '' && line.length + 1 + word.length > width) {
      lines.push(line);
      line = word;
    } else {
      line = line === '' ? word : `${line} ${word}`;
    }
  }
  lines.push(line);
  return lines;
}
