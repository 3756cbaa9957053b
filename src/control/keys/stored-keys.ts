import type { KeyRecord, RetiredKey } from '../../contract/key-record.ts';
import type { DeclaredKeys } from '../config/compile-keys.ts';
import type { Store } from '../store/store.ts';
import type { RetiredKeyRow } from '../store/tables/key-tables.ts';
import { foldKey, type KeyGrant, type OwnerGrant, type Owners } from './fold-key.ts';
import { keyGrantOfRow, teamGrantOfRow, userGrantOfRow } from './grant-of-row.ts';

/** Rows read at a time: the thread that reads them is not held up for long. */
const ROWS_PER_READ = 5000;

/** What the store has of keys and their owners. */
export interface StoredKeys {
  readonly keys: readonly KeyGrant[];
  readonly owners: Owners;
  readonly retired: readonly RetiredKeyRow[];
}

/** What sidecars are told. */
export interface AllKeys {
  readonly records: readonly KeyRecord[];
  readonly retired: readonly RetiredKey[];
}

/** Reads all of it. @throws {StoreError} */
export async function readStoredKeys(store: Store, nowMs: number): Promise<StoredKeys> {
  const keys: KeyGrant[] = [];
  for (let after = ''; ;) {
    const rows = await store.keys.scan(after, ROWS_PER_READ);
    for (const row of rows) keys.push(keyGrantOfRow(row));
    const last = rows.at(-1);
    if (last === undefined || rows.length < ROWS_PER_READ) break;
    after = last.hash;
  }
  const [users, teams, members, retired] = await Promise.all([
    store.db.selectFrom('users').selectAll().execute(),
    store.db.selectFrom('teams').selectAll().execute(),
    store.db.selectFrom('team_members').selectAll().where('max_budget_nano', 'is not', null).execute(),
    store.db.selectFrom('retired_keys').selectAll().where('valid_until_ms', '>', nowMs).execute(),
  ]);
  const membersOf = Map.groupBy(members, (member) => member.team_id);
  return {
    keys,
    owners: {
      users: new Map(users.map((row) => [row.user_id, userGrantOfRow(row)])),
      teams: new Map(teams.map((row) => [row.team_id, teamGrantOfRow(row, membersOf.get(row.team_id) ?? [])])),
    },
    retired,
  };
}

/** Keys of file and store, each with its user and team folded in, wherever those are. The file wins. */
export function foldAllKeys(declared: DeclaredKeys, stored: StoredKeys | null): AllKeys {
  if (stored === null) return { records: declared.keys.map((grant) => foldKey(grant, declared.owners)), retired: [] };
  const owners: Owners = {
    users: merged(stored.owners.users, declared.owners.users),
    teams: merged(stored.owners.teams, declared.owners.teams),
  };
  const byHash = new Map<string, KeyRecord>();
  for (const grant of stored.keys) byHash.set(grant.hash, foldKey(grant, owners));
  for (const grant of declared.keys) byHash.set(grant.hash, foldKey(grant, owners));
  const retired = stored.retired.flatMap(({ hash, successor_hash: successor, valid_until_ms: untilMs }) => {
    const record = byHash.get(successor);
    if (record === undefined || byHash.has(hash)) return [];
    return [{ hash, record: { ...record, expiresAtMs: Math.min(record.expiresAtMs ?? untilMs, untilMs) } }];
  });
  return { records: [...byHash.values()], retired };
}

function merged(
  stored: ReadonlyMap<string, OwnerGrant>,
  declared: ReadonlyMap<string, OwnerGrant>,
): ReadonlyMap<string, OwnerGrant> {
  return declared.size === 0 ? stored : new Map([...stored, ...declared]);
}
