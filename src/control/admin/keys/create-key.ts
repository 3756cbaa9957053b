import type { KeyRow } from '../../store/tables/key-tables.ts';
import type { Actor, ChangeScope, Within } from '../../store/change-log.ts';
import { isConflict } from '../../store/store-error.ts';
import { adminError } from '../admin-error.ts';
import type { AdminServices } from '../admin-services.ts';
import type { GenerateKeyRequest } from '../schemas/key-schemas.ts';
import { hashKey } from '../../config/master-key.ts';
import { countEarlierOfKey } from '../earlier-spend.ts';
import { nanoOrNull } from '../grant-columns.ts';
import { keyColumns } from './key-columns.ts';
import { newKeyText, shownName } from './key-text.ts';

export interface CreatedKey {
  /** Not kept anywhere. */
  readonly key: string;
  readonly row: KeyRow;
}

/** @throws {AdminError} when the key or its alias is taken, or its team is not known. */
export async function createKey(
  request: GenerateKeyRequest,
  services: AdminServices,
  actor: Actor | ChangeScope,
): Promise<CreatedKey> {
  const key = request.key ?? newKeyText();
  const hash = hashKey(key);
  refuseTakenHash(hash, services);
  const columns = keyColumns(request, {}, actor.nowMs);
  const spend = typeof request.spend === 'number' ? { spend_nano: nanoOrNull(request.spend) ?? 0n } : {};
  const { changes, keys } = services.store();
  try {
    const row = await changes.run(actor, async (scope) => {
      await checkOwners(request, services, scope);
      await checkAlias(request.key_alias, null, services, scope);
      const made = await keys.create({ ...columns, ...spend, hash, key_name: shownName(key) }, scope);
      await countEarlierOfKey(null, made, services, scope);
      return made;
    });
    return { key, row };
  } catch (error) {
    throw isConflict(error) ? keyTaken() : error;
  }
}

/** What the file declares wins over the store: a second key of the same text would never be looked at. */
export function refuseTakenHash(hash: string, services: AdminServices): void {
  const { declared, masterKeyHash } = services.state();
  if (hash === masterKeyHash || declared.keys.some((grant) => grant.hash === hash)) throw keyTaken();
}

/**
 * A key of a team that does not exist would be bound by nothing.
 *
 * @throws {AdminError} when the team is neither in the file nor in the store. Users may be unknown.
 */
export async function checkOwners(
  { team_id: teamId }: { readonly team_id?: string | null | undefined },
  services: AdminServices,
  within: Within,
): Promise<void> {
  if (teamId === undefined || teamId === null || services.state().declared.owners.teams.has(teamId)) return;
  if ((await services.store().teams.find(teamId, within)) === null) {
    throw adminError('resource_not_found', `Team doesn't exist: team_id=${teamId}.`, 'team_id');
  }
}

/** @param own hash of the key that has it, or is to have it. */
export async function checkAlias(
  alias: string | null | undefined,
  own: string | null,
  services: AdminServices,
  within: Within,
): Promise<void> {
  if (alias === undefined || alias === null) return;
  const other = await services.store().keys.findByAlias(alias, within);
  if (other !== null && other.hash !== own) {
    throw adminError('resource_exists', `Key with alias '${alias}' already exists.`, 'key_alias');
  }
}

function keyTaken(): ReturnType<typeof adminError> {
  return adminError('resource_exists', 'This key, or its alias, exists already.', 'key');
}
