import type { JsonObject } from '../../store/tables/limit-columns.ts';
import type { TeamRow } from '../../store/tables/owner-tables.ts';
import { extraColumn, grantColumns, nanoOrNull, type SomeColumns } from '../grant-columns.ts';
import { inertTeamFields, type UpdateTeamRequest } from '../schemas/team-schemas.ts';

type TeamColumns = SomeColumns<Omit<TeamRow, 'team_id' | 'created_at_ms' | 'updated_at_ms'>>;

/** Of `extra`, but columns of their own. */
const { organization_id: _o, team_member_key_duration: _d, ...inExtra } = inertTeamFields;

/** The columns that a request sets. @param extra of the team as it is. */
export function teamColumns(request: Omit<UpdateTeamRequest, 'team_id'>, extra: JsonObject): TeamColumns {
  const columns: TeamColumns = grantColumns(request);
  if (request.team_alias !== undefined) columns.team_alias = request.team_alias;
  if (request.organization_id !== undefined) columns.organization_id = request.organization_id;
  if (request.model_aliases !== undefined) columns.model_aliases = request.model_aliases ?? {};
  if (request.team_member_budget !== undefined) {
    columns.team_member_budget_nano = nanoOrNull(request.team_member_budget);
  }
  if (request.team_member_rpm_limit !== undefined) columns.team_member_rpm_limit = request.team_member_rpm_limit;
  if (request.team_member_tpm_limit !== undefined) columns.team_member_tpm_limit = request.team_member_tpm_limit;
  if (request.team_member_key_duration !== undefined) {
    columns.team_member_key_duration = request.team_member_key_duration;
  }
  const kept = extraColumn(extra, request, inExtra);
  if (kept !== null) columns.extra = kept;
  return columns;
}
