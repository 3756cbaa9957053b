import type { TeamRow } from '../../store/tables/owner-tables.ts';
import { adminError, type AdminError } from '../admin-error.ts';
import type { AdminServices } from '../admin-services.ts';
import { declaredError, declaredTeamRow } from '../declared-rows.ts';
import type { Caller } from '../endpoint.ts';
import { shownTeam, withTotal } from '../shown-spend.ts';

/** @throws {AdminError} when there is none, or none that the caller may see: the two are not told apart. */
export async function findTeam(teamId: string, caller: Caller, services: AdminServices): Promise<TeamRow> {
  const declared = services.state().declared.owners.teams.get(teamId);
  const row = declared === undefined ? await services.store().teams.find(teamId) : declaredTeamRow(teamId, declared);
  if (row === null || !(await maySee(teamId, caller, services))) throw teamNotFound(teamId);
  return shownTeam(declared === undefined ? row : await withTotal(row, 'team', teamId, services), services);
}

/** @throws {AdminError} when the file declares it. */
export function refuseDeclaredTeam(teamId: string, services: AdminServices): void {
  if (services.state().declared.owners.teams.has(teamId)) throw declaredError('team');
}

export function teamNotFound(teamId: string): AdminError {
  return adminError('resource_not_found', `Team not found, passed team_id: ${teamId}.`, 'team_id');
}

/** A key-holder sees the key's team, and those that its user is a member of. */
async function maySee(teamId: string, caller: Caller, services: AdminServices): Promise<boolean> {
  if (caller.role === 'admin' || caller.record.teamId === teamId) return true;
  const { userId } = caller.record;
  return userId !== null && (await services.store().teams.findMember(teamId, userId)) !== null;
}
