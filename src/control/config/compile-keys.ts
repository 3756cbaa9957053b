import type { z } from 'zod';
import type { KeyGrant, OwnerGrant, Owners } from '../keys/fold-key.ts';
import { compileKeyBudgets, compileOwnerBudgets } from './compile-budgets.ts';
import { compileLimits, compileModelLimits, compileOwnerLimits } from './compile-limits.ts';
import { formatPath, type MapNode, nodeAt, positionAt, toTexts } from './config-node.ts';
import type { Findings } from './findings.ts';
import { type OwnerEntry, teamSchema, userSchema, type VirtualKeyEntry, virtualKeySchema } from './keys-schema.ts';
import { hashKey } from './master-key.ts';
import { reportIssues } from './report-issues.ts';

const MIN_KEY_LENGTH = 16;

/** What the file declares of keys and their owners. The API can't change it. */
export interface DeclaredKeys {
  readonly keys: readonly KeyGrant[];
  readonly owners: Owners;
}

/** `slipstream.keys`, `slipstream.users` and `slipstream.teams`. */
export function compileKeys(root: MapNode, masterKeyHash: string | null, findings: Findings): DeclaredKeys {
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
  const keys: KeyGrant[] = [];
  const seen = new Set<string>(masterKeyHash === null ? [] : [masterKeyHash]);
  for (const [index, entry] of readList(root, 'keys', virtualKeySchema, findings)) {
    const path = ['slipstream', 'keys', index];
    const fault = (message: string): void => findings.error(positionAt(root, path), formatPath(path), message);
    const checkOwner = (id: string | undefined, owners: ReadonlyMap<string, OwnerGrant>, what: string): void => {
      // A key may carry the id of a user or team that the file does not describe: the store can, or it is counted under it.
      if (id !== undefined && !owners.has(id) && owners.size > 0) {
        findings.warn(positionAt(root, path), formatPath(path), `names a ${what} that is not in slipstream.${what}s`);
      }
    };
    checkOwner(entry.user_id, users, 'user');
    checkOwner(entry.team_id, teams, 'team');
    const grant = keyGrant(entry);
    if (seen.has(grant.hash)) fault('is the same key as another, or as the master key');
    if (entry.key !== undefined && entry.key.length < MIN_KEY_LENGTH) {
      findings.warn(positionAt(root, path), formatPath(path), `has fewer than ${MIN_KEY_LENGTH} characters`);
    }
    seen.add(grant.hash);
    keys.push(grant);
  }
  return { keys, owners: { users, teams } };
}

function keyGrant(entry: VirtualKeyEntry): KeyGrant {
  return {
    hash: entry.key === undefined ? (entry.key_hash ?? '').toLowerCase() : hashKey(entry.key),
    alias: entry.alias ?? null,
    userId: entry.user_id ?? null,
    teamId: entry.team_id ?? null,
    models: entry.models ?? [],
    aliases: {},
    allowedRoutes: [],
    ...compileLimits(entry),
    modelLimits: compileModelLimits(entry),
    ...compileKeyBudgets(entry),
    expiresAtMs: entry.expires ?? null,
    blocked: entry.blocked === true,
  };
}

function ownerGrant(entry: OwnerEntry): OwnerGrant {
  return {
    alias: entry.alias ?? null,
    models: entry.models ?? [],
    aliases: {},
    limits: compileOwnerLimits(entry),
    ...compileOwnerBudgets(entry),
    blocked: entry.blocked === true,
  };
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
): ReadonlyMap<string, OwnerGrant> {
  const owners = new Map<string, OwnerGrant>();
  for (const [index, entry] of entries) {
    const path = ['slipstream', section, index];
    if (owners.has(idOf(entry))) findings.error(positionAt(root, path), formatPath(path), 'has the id of another');
    owners.set(idOf(entry), ownerGrant(entry));
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
