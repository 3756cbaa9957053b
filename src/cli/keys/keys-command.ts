import { parseCommand, type ParsedCommand, renderHelp, usageError } from '../command-line.ts';
import { KEYS_COMMAND } from '../commands.ts';
import type { AdminClient } from './admin-client.ts';
import { findGateway } from './find-gateway.ts';

const PAGE_SIZE = 100;

/** What is read of a key's row. */
interface ListedKey {
  readonly token: string;
  readonly key_name: string;
  readonly key_alias: string | null;
  readonly user_id: string | null;
  readonly team_id: string | null;
  readonly spend: number;
  readonly max_budget: number | null;
  readonly expires: string | null;
  readonly blocked: boolean;
}

/** `slipstream keys create | list | revoke`. @returns the exit code. */
export async function keysCommand(argv: readonly string[]): Promise<number> {
  const parsed = parseCommand(KEYS_COMMAND, argv);
  if (parsed.wantsHelp) {
    process.stdout.write(renderHelp(KEYS_COMMAND));
    return 0;
  }
  const [action, named] = parsed.operands;
  const run = ACTIONS.get(action ?? '');
  if (run === undefined) throw usageError(KEYS_COMMAND, 'say what to do: slipstream keys create, list or revoke');
  if ((action === 'revoke') !== (named !== undefined)) {
    throw usageError(KEYS_COMMAND, 'name one key to revoke: slipstream keys revoke KEY');
  }
  const client = await findGateway(parsed, process.env);
  process.stdout.write(`${await run(client, parsed)}\n`);
  return 0;
}

const ACTIONS: ReadonlyMap<string, (client: AdminClient, parsed: ParsedCommand) => Promise<string>> = new Map([
  ['create', create],
  ['list', list],
  ['revoke', revoke],
]);

async function create(client: AdminClient, { values }: ParsedCommand): Promise<string> {
  const text = (flag: string): string | undefined => {
    const value = values[flag];
    return typeof value === 'string' ? value : undefined;
  };
  const number = (flag: string): number | undefined => {
    const value = text(flag);
    if (value === undefined) return undefined;
    if (!/^\d+(?:\.\d+)?$/.test(value)) throw usageError(KEYS_COMMAND, `--${flag} must be a number`);
    return Number(value);
  };
  const reply = (await client.call('/key/generate', {
    key_alias: text('alias'),
    models: text('models')
      ?.split(',')
      .map((model) => model.trim()),
    user_id: text('user'),
    team_id: text('team'),
    duration: text('duration'),
    max_budget: number('max-budget'),
    rpm_limit: number('rpm-limit'),
    tpm_limit: number('tpm-limit'),
  })) as { readonly key: string };
  return values['json'] === true ? JSON.stringify(reply, null, 2) : reply.key;
}

async function list(client: AdminClient, { values }: ParsedCommand): Promise<string> {
  const filter = new URLSearchParams({ return_full_object: 'true', size: String(PAGE_SIZE), sort_order: 'asc' });
  for (const [flag, parameter] of [
    ['user', 'user_id'],
    ['team', 'team_id'],
    ['alias', 'key_alias'],
  ] as const) {
    const value = values[flag];
    if (typeof value === 'string') filter.set(parameter, value);
  }
  const keys: ListedKey[] = [];
  for (let page = 1, pages = 1; page <= pages; page += 1) {
    filter.set('page', String(page));
    const reply = (await client.call(`/key/list?${filter.toString()}`)) as { keys: ListedKey[]; total_pages: number };
    keys.push(...reply.keys);
    pages = reply.total_pages;
  }
  return values['json'] === true ? JSON.stringify(keys, null, 2) : renderList(keys);
}

async function revoke(client: AdminClient, { operands, values }: ParsedCommand): Promise<string> {
  const named = operands[1] ?? '';
  const isKey = named.startsWith('sk-') || /^[0-9a-f]{64}$/.test(named);
  const reply = await client.call('/key/delete', isKey ? { keys: [named] } : { key_aliases: [named] });
  return values['json'] === true ? JSON.stringify(reply, null, 2) : 'revoked';
}

function renderList(keys: readonly ListedKey[]): string {
  if (keys.length === 0) return 'no keys';
  const rows = keys.map((key) => [
    key.token,
    key.key_name,
    printable(key.key_alias ?? '-'),
    printable(key.team_id ?? '-'),
    printable(key.user_id ?? '-'),
    `${key.spend}${key.max_budget === null ? '' : ` of ${key.max_budget}`}`,
    key.blocked ? 'blocked' : (key.expires ?? 'never'),
  ]);
  const table = [['HASH', 'KEY', 'ALIAS', 'TEAM', 'USER', 'SPENT', 'EXPIRES'], ...rows];
  const widths = table[0]?.map((_, column) => Math.max(...table.map((row) => row[column]?.length ?? 0))) ?? [];
  return table
    .map((row) =>
      row
        .map((cell, column) => cell.padEnd(widths[column] ?? 0))
        .join('  ')
        .trimEnd(),
    )
    .join('\n');
}

/** An alias is anything its maker likes: none of it may steer the terminal, or make up a line. */
function printable(text: string): string {
  return text.replaceAll(/\p{Cc}/gu, '?');
}
