import type { AdminServices } from '../admin-services.ts';

export interface KeyNames {
  readonly key_alias: string | null;
  readonly key_name: string | null;
  readonly team_id: string | null;
}

const NONE: KeyNames = { key_alias: null, key_name: null, team_id: null };
/** Of SQLite's 32,766 parameters of a query. */
const PER_QUERY = 1000;

/** What the keys with these hashes are called, those of the file included; nothing of keys that are gone. */
export async function keyNames(
  hashes: readonly string[],
  services: AdminServices,
): Promise<(hash: string) => KeyNames> {
  const names = new Map<string, KeyNames>();
  for (let from = 0; from < hashes.length; from += PER_QUERY) {
    const rows = await services
      .store()
      .db.selectFrom('keys')
      .select(['hash', 'key_alias', 'key_name', 'team_id'])
      .where('hash', 'in', hashes.slice(from, from + PER_QUERY))
      .execute();
    for (const { hash, ...rest } of rows) names.set(hash, rest);
  }
  for (const { hash, alias, teamId } of services.state().declared.keys) {
    names.set(hash, { key_alias: alias, key_name: null, team_id: teamId });
  }
  return (hash) => names.get(hash) ?? NONE;
}
