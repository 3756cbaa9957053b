import type { KeyRecord } from '../../contract/key-record.ts';
import type { DeclaredKeys } from '../config/compile-keys.ts';
import { parseMemberId } from '../store/member-id.ts';
import type { Store } from '../store/store.ts';
import type { KeyRow, RetiredKeyRow } from '../store/tables/key-tables.ts';
import type { TeamMemberRow } from '../store/tables/owner-tables.ts';
import type { ChangeRow } from '../store/tables/log-tables.ts';
import { foldKey, type KeyGrant, type OwnerGrant, type Owners } from './fold-key.ts';
import { keyGrantOfRow, teamGrantOfRow, userGrantOfRow } from './grant-of-row.ts';

/** Rows read at a time: neither the thread that reads them nor this one is held up for long. */
const ROWS_PER_READ = 2000;

/** By the hash that clients' keys have, which of an old key is not the record's own; null = there is no such key. */
export type KeyRecords = Map<string, KeyRecord | null>;

export interface AllKeys {
  readonly records: Map<string, KeyRecord>;
  /** There are no others. */
  readonly holdsAll: boolean;
  /** Users and teams of the store that keys of the file name. */
  readonly declaredOwners: Owners;
}

/**
 * The keys of the file and, as far as they fit, those of the store, each with its user and team folded in, wherever
 * those are described. The file wins.
 *
 * @throws {StoreError}
 */
export async function readAllKeys(
  store: Store,
  declared: DeclaredKeys,
  maxResident: number,
  nowMs: number,
): Promise<AllKeys> {
  const records = new Map<string, KeyRecord>();
  const declaredOwners = await readOwners(store, declared.keys, { users: new Map(), teams: new Map() });
  for (const [hash, record] of foldDeclared(declared, declaredOwners)) records.set(hash, record);
  const isDeclared = new Set(records.keys());
  let holdsAll = true;
  for (let after = ''; holdsAll;) {
    const rows = await store.keys.scan(after, ROWS_PER_READ);
    const room = maxResident - records.size;
    holdsAll = rows.length <= room;
    const kept = rows.slice(0, Math.max(0, room)).filter(({ hash }) => !isDeclared.has(hash));
    for (const record of await foldRows(store, kept, declared.owners)) records.set(record.hash, record);
    const last = rows.at(-1);
    if (last === undefined || rows.length < ROWS_PER_READ) break;
    after = last.hash;
  }
  const old = await store.db
    .selectFrom('retired_keys')
    .selectAll()
    .where('valid_until_ms', '>', nowMs)
    .limit(maxResident)
    .execute();
  for (const row of old) {
    const record = records.get(row.successor_hash);
    if (record !== undefined && !records.has(row.hash)) records.set(row.hash, standIn(row, record));
  }
  return { records, holdsAll, declaredOwners };
}

export function foldDeclared(declared: DeclaredKeys, storedOwners: Owners): ReadonlyMap<string, KeyRecord> {
  const owners: Owners = {
    users: new Map([...storedOwners.users, ...declared.owners.users]),
    teams: new Map([...storedOwners.teams, ...declared.owners.teams]),
  };
  return new Map(declared.keys.map((grant) => [grant.hash, foldKey(grant, owners)]));
}

/**
 * What these keys are now, and old keys that stand for them.
 *
 * @throws {StoreError}
 */
export async function readKeyRecords(
  store: Store,
  hashes: readonly string[],
  declared: DeclaredKeys,
  nowMs: number,
): Promise<KeyRecords> {
  const found: KeyRecords = new Map();
  const declaredGrants = new Map(declared.keys.map((grant) => [grant.hash, grant]));
  for (let start = 0; start < hashes.length; start += ROWS_PER_READ) {
    const part = hashes.slice(start, start + ROWS_PER_READ);
    for (const hash of part) found.set(hash, null);
    const own = part.flatMap((hash) => declaredGrants.get(hash) ?? []);
    const asked = part.filter((hash) => !declaredGrants.has(hash));
    const rows = await store.keys.findMany(asked);
    const isKey = new Set(rows.map(({ hash }) => hash));
    const missing = asked.filter((hash) => !isKey.has(hash));
    const stoodFor = await retiredAmong(store, missing, nowMs);
    const successors = await store.keys.findMany(stoodFor.map((row) => row.successor_hash));
    const records = new Map<string, KeyRecord>();
    for (const record of await foldRows(store, [...rows, ...successors], declared.owners)) {
      records.set(record.hash, record);
    }
    const owners = await readOwners(store, own, declared.owners);
    for (const grant of own) found.set(grant.hash, foldKey(grant, owners));
    for (const hash of isKey) found.set(hash, records.get(hash) ?? null);
    for (const row of [...stoodFor, ...(await store.keys.retiredOf([...isKey], nowMs))]) {
      const record = records.get(row.successor_hash);
      if (record !== undefined && !declaredGrants.has(row.hash)) found.set(row.hash, standIn(row, record));
    }
  }
  return found;
}

/**
 * The hashes of all keys that these changes reach: a user's or team's, all its keys.
 *
 * @throws {StoreError}
 */
export async function reachedKeys(
  store: Store,
  changes: readonly ChangeRow[],
  declared: DeclaredKeys,
): Promise<Set<string>> {
  const reached = new Set<string>();
  const owners = new Map<string, ChangeRow>();
  for (const change of changes) {
    if (change.kind === 'key') reached.add(change.object_id);
    else owners.set(`${change.kind} ${change.object_id}`, change);
  }
  for (const { kind, object_id: objectId } of owners.values()) {
    // Of a member the keys that are its own, in whatever team.
    const id = kind === 'team_member' ? parseMemberId(objectId).userId : objectId;
    const isOwn = (grant: KeyGrant): boolean => (kind === 'team' ? grant.teamId : grant.userId) === id;
    for (const grant of declared.keys) if (isOwn(grant)) reached.add(grant.hash);
    const stored = await store.keys.hashesOf(kind === 'team' ? { teamId: id } : { userId: id });
    for (const hash of stored) reached.add(hash);
  }
  return reached;
}

async function foldRows(store: Store, rows: readonly KeyRow[], declaredOwners: Owners): Promise<KeyRecord[]> {
  const grants = rows.map(keyGrantOfRow);
  const owners = await readOwners(store, grants, declaredOwners);
  return grants.map((grant) => foldKey(grant, owners));
}

/** Those that the file describes, and of the store those that `grants` name. */
async function readOwners(store: Store, grants: readonly KeyGrant[], declared: Owners): Promise<Owners> {
  const users = new Map<string, OwnerGrant>(declared.users);
  const teams = new Map<string, OwnerGrant>(declared.teams);
  const userIds = namedOwners(grants, users, ({ userId }) => userId);
  const teamIds = namedOwners(grants, teams, ({ teamId }) => teamId);
  const [userRows, teamRows, members] = await Promise.all([
    store.users.findMany(userIds),
    store.teams.findMany(teamIds),
    restrictedMembers(store, grants, teamIds),
  ]);
  for (const row of userRows) users.set(row.user_id, userGrantOfRow(row));
  const membersOf = Map.groupBy(members, (member) => member.team_id);
  for (const row of teamRows) teams.set(row.team_id, teamGrantOfRow(row, membersOf.get(row.team_id) ?? []));
  return { users, teams };
}

/** Members of these teams with budgets or limits of their own, as far as they have any of the keys. */
async function restrictedMembers(
  store: Store,
  grants: readonly KeyGrant[],
  teamIds: readonly string[],
): Promise<TeamMemberRow[]> {
  const userIds = namedOwners(grants, new Map(), ({ teamId, userId }) => (teamId === null ? null : userId));
  if (teamIds.length === 0 || userIds.length === 0) return [];
  const query = store.db
    .selectFrom('team_members')
    .selectAll()
    .where((eb) =>
      eb.or([eb('max_budget_nano', 'is not', null), eb('rpm_limit', 'is not', null), eb('tpm_limit', 'is not', null)]),
    );
  return query.where('team_id', 'in', teamIds).where('user_id', 'in', userIds).execute();
}

function namedOwners(
  grants: readonly KeyGrant[],
  known: ReadonlyMap<string, OwnerGrant>,
  idOf: (grant: KeyGrant) => string | null,
): string[] {
  const ids = new Set<string>();
  for (const grant of grants) {
    const id = idOf(grant);
    if (id !== null && !known.has(id)) ids.add(id);
  }
  return [...ids];
}

async function retiredAmong(store: Store, hashes: readonly string[], nowMs: number): Promise<RetiredKeyRow[]> {
  if (hashes.length === 0) return [];
  const query = store.db.selectFrom('retired_keys').selectAll();
  return query.where('hash', 'in', hashes).where('valid_until_ms', '>', nowMs).execute();
}

/** An old key is its successor with the earlier end of both. */
function standIn({ valid_until_ms: untilMs }: RetiredKeyRow, successor: KeyRecord): KeyRecord {
  return { ...successor, expiresAtMs: Math.min(successor.expiresAtMs ?? untilMs, untilMs) };
}
