import type { z } from 'zod';
import type { KeyRecord, OwnerLimits } from '../../contract/key-record.ts';
import { matchModelPattern } from '../../domain/routing/model-pattern.ts';
import { compileLimits, compileModelLimits, compileOwnerLimits } from './compile-limits.ts';
import { formatPath, type MapNode, nodeAt, positionAt, toTexts } from './config-node.ts';
import type { Findings } from './findings.ts';
import { type OwnerEntry, teamSchema, userSchema, type VirtualKeyEntry, virtualKeySchema } from './keys-schema.ts';
import { hashKey } from './master-key.ts';
import { reportIssues } from './report-issues.ts';

/** LiteLLM's words in a list of models. */
const ALL_TEAM_MODELS = 'all-team-models';
const ALL_MODELS = 'all-proxy-models';
/** Matches no model, so a list of it alone allows nothing. (An empty list would allow everything.) */
const NO_MODELS = 'no-default-models';

const MIN_KEY_LENGTH = 16;

/** The virtual keys of `slipstream.keys`, with `slipstream.users` and `slipstream.teams` folded in. */
export function compileKeys(root: MapNode, masterKeyHash: string | null, findings: Findings): KeyRecord[] {
  const users = readOwners(readList(root, 'users', userSchema, findings), {
    root,
    findings,
    section: 'users',
    idOf: (entry) => entry.user_id,
  });
  const teams = readOwners(readList(root, 'teams', teamSchema, findings), {
    root,
    findings,
    section: 'teams',
    idOf: (entry) => entry.team_id,
  });
  const records: KeyRecord[] = [];
  const seen = new Set<string>(masterKeyHash === null ? [] : [masterKeyHash]);
  for (const [index, entry] of readList(root, 'keys', virtualKeySchema, findings)) {
    const path = ['slipstream', 'keys', index];
    const fault = (message: string): void => findings.error(positionAt(root, path), formatPath(path), message);
    const owner = (
      id: string | undefined,
      owners: ReadonlyMap<string, OwnerEntry>,
      what: string,
    ): OwnerEntry | null => {
      if (id === undefined) return null;
      const found = owners.get(id);
      // A key may carry the id of a user or team that is described nowhere: it is counted under that id.
      if (found === undefined && owners.size > 0) {
        findings.warn(positionAt(root, path), formatPath(path), `names a ${what} that is not in slipstream.${what}s`);
      }
      return found ?? null;
    };
    const record = compileKey(entry, owner(entry.user_id, users, 'user'), owner(entry.team_id, teams, 'team'));
    if (seen.has(record.hash)) fault('is the same key as another, or as the master key');
    if (entry.key !== undefined && entry.key.length < MIN_KEY_LENGTH) {
      findings.warn(positionAt(root, path), formatPath(path), `has fewer than ${MIN_KEY_LENGTH} characters`);
    }
    seen.add(record.hash);
    records.push(record);
  }
  return records;
}

function compileKey(entry: VirtualKeyEntry, user: OwnerEntry | null, team: OwnerEntry | null): KeyRecord {
  return {
    hash: entry.key === undefined ? (entry.key_hash ?? '').toLowerCase() : hashKey(entry.key),
    alias: entry.alias ?? null,
    userId: entry.user_id ?? null,
    teamId: entry.team_id ?? null,
    models: effectiveModels(entry.models ?? [], user?.models ?? [], team?.models ?? null),
    ...compileLimits(entry),
    modelLimits: compileModelLimits(entry),
    userLimits: limitsOf(user),
    teamLimits: limitsOf(team),
    expiresAtMs: entry.expires ?? null,
    blocked: entry.blocked === true || user?.blocked === true || team?.blocked === true,
  };
}

/**
 * A key may use what it lists, at most what its team may; a key without a team at most what its user may. An empty
 * list sets no bound, `all-team-models` takes the team's.
 */
function effectiveModels(
  own: readonly string[],
  user: readonly string[],
  team: readonly string[] | null,
): readonly string[] {
  const listed = own.includes(ALL_TEAM_MODELS) && team !== null ? [] : unbounded(own);
  return intersect(listed, unbounded(team ?? user));
}

function unbounded(models: readonly string[]): readonly string[] {
  return models.includes(ALL_MODELS) || models.includes('*') ? [] : models;
}

/** Names and patterns that both allow; empty lists allow all. Patterns that overlap in part count as apart. */
export function intersect(a: readonly string[], b: readonly string[]): readonly string[] {
  if (a.length === 0) return b;
  if (b.length === 0) return a;
  const isCovered = (name: string, by: readonly string[]): boolean =>
    by.some((pattern) => matchModelPattern(pattern, name) !== null);
  const both = [...a.filter((name) => isCovered(name, b)), ...b.filter((name) => isCovered(name, a))];
  return both.length === 0 ? [NO_MODELS] : [...new Set(both)];
}

function limitsOf(owner: OwnerEntry | null): OwnerLimits | null {
  return owner === null ? null : compileOwnerLimits(owner);
}

interface OwnerReading<E> {
  readonly root: MapNode;
  readonly findings: Findings;
  readonly section: 'users' | 'teams';
  readonly idOf: (entry: E) => string;
}

function readOwners<E extends OwnerEntry>(
  entries: Iterable<readonly [index: number, entry: E]>,
  { root, findings, section, idOf }: OwnerReading<E>,
): ReadonlyMap<string, E> {
  const owners = new Map<string, E>();
  for (const [index, entry] of entries) {
    const path = ['slipstream', section, index];
    if (owners.has(idOf(entry))) findings.error(positionAt(root, path), formatPath(path), 'has the id of another');
    owners.set(idOf(entry), entry);
  }
  return owners;
}

function* readList<T>(
  root: MapNode,
  section: 'keys' | 'users' | 'teams',
  schema: z.ZodType<T>,
  findings: Findings,
): Generator<readonly [index: number, entry: T]> {
  const node = nodeAt(root, ['slipstream', section]);
  if (node === null) return;
  if (node.kind !== 'list') {
    findings.error(node.position, `slipstream.${section}`, 'must be a list');
    return;
  }
  for (const [index, item] of node.items.entries()) {
    const parsed = schema.safeParse(toTexts(item) ?? {});
    if (parsed.success) yield [index, parsed.data];
    else reportIssues(parsed.error, root, ['slipstream', section, index], findings);
  }
}
