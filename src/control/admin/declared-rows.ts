import type { OwnerLimits, ModelLimits } from '../../contract/key-record.ts';
import type { KeyGrant, OwnerGrant } from '../keys/fold-key.ts';
import type { KeyRow } from '../store/tables/key-tables.ts';
import type { CommonColumns } from '../store/tables/limit-columns.ts';
import type { TeamRow, UserRow } from '../store/tables/owner-tables.ts';
import { adminError, type AdminError } from './admin-error.ts';
import { toUsd } from './usd.ts';

/* What the file declares, in the form of the store's rows, so that it is shown in the same way. */

/** Who made what the file declares. */
const FILE_ACTOR = 'configuration file';

export function declaredKeyRow(grant: KeyGrant): KeyRow {
  return {
    ...commonColumns(grant.models, grant.blocked, { ...grant }),
    ...budgetColumns(grant),
    hash: grant.hash,
    key_name: null,
    key_alias: grant.alias,
    user_id: grant.userId,
    team_id: grant.teamId,
    organization_id: null,
    project_id: null,
    agent_id: null,
    aliases: grant.aliases,
    allowed_routes: grant.allowedRoutes,
    budget_limits: [],
    temp_budget_increase_nano: null,
    temp_budget_expiry_ms: null,
    key_type: null,
    expires_at_ms: grant.expiresAtMs,
  };
}

export function declaredTeamRow(teamId: string, grant: OwnerGrant): TeamRow {
  return {
    ...commonColumns(grant.models, grant.blocked, grant.limits),
    ...budgetColumns(grant),
    team_id: teamId,
    team_alias: grant.alias,
    organization_id: null,
    model_aliases: grant.aliases,
    team_member_budget_nano: nanoOrNull(grant.memberBudget?.maxNano),
    team_member_rpm_limit: null,
    team_member_tpm_limit: null,
    team_member_key_duration: null,
  };
}

export function declaredUserRow(userId: string, grant: OwnerGrant): UserRow {
  return {
    ...commonColumns(grant.models, grant.blocked, grant.limits),
    ...budgetColumns(grant),
    user_id: userId,
    user_alias: grant.alias,
    user_email: null,
    user_role: null,
    sso_user_id: null,
    organization_id: null,
  };
}

export function declaredError(what: string): AdminError {
  return adminError('declared_in_file', `The configuration file declares this ${what}: change it there.`);
}

function commonColumns(models: readonly string[], blocked: boolean, limits: OwnerLimits | null): CommonColumns {
  return {
    models,
    blocked,
    metadata: {},
    tags: [],
    extra: {},
    rpm_limit: limits?.rpmLimit ?? null,
    tpm_limit: limits?.tpmLimit ?? null,
    max_parallel_requests: limits?.maxParallelRequests ?? null,
    model_rpm_limit: byModel(limits?.modelLimits ?? {}, 'rpmLimit'),
    model_tpm_limit: byModel(limits?.modelLimits ?? {}, 'tpmLimit'),
    spend_nano: 0n,
    ...budgetColumns({}),
    budget_reset_at_ms: null,
    created_at_ms: 0,
    updated_at_ms: 0,
    created_by: FILE_ACTOR,
    updated_by: FILE_ACTOR,
  };
}

function budgetColumns({
  budget,
  modelBudgets,
}: Pick<KeyGrant, 'budget' | 'modelBudgets'>): Pick<
  CommonColumns,
  'max_budget_nano' | 'soft_budget_nano' | 'budget_duration' | 'model_max_budget'
> {
  return {
    max_budget_nano: nanoOrNull(budget?.maxNano),
    soft_budget_nano: nanoOrNull(budget?.softNano),
    budget_duration: budget?.duration ?? null,
    model_max_budget: Object.fromEntries(
      Object.entries(modelBudgets ?? {}).map(([model, { maxNano, duration }]) => [
        model,
        {
          ...(maxNano === null ? {} : { budget_limit: toUsd(BigInt(maxNano)) }),
          ...(duration === null ? {} : { time_period: duration }),
        },
      ]),
    ),
  };
}

function nanoOrNull(nano: number | null | undefined): bigint | null {
  return nano === null || nano === undefined ? null : BigInt(nano);
}

function byModel(limits: ModelLimits, field: 'rpmLimit' | 'tpmLimit'): Record<string, number> {
  const stated = Object.entries(limits).map(([model, limit]) => [model, limit[field]] as const);
  return Object.fromEntries(stated.filter((entry): entry is [string, number] => entry[1] !== null));
}
