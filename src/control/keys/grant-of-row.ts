import type { ModelLimits, OwnerLimits, RateLimitSpec } from '../../contract/key-record.ts';
import type { KeyRow } from '../store/tables/key-tables.ts';
import type { JsonObject, LimitColumns } from '../store/tables/limit-columns.ts';
import type { TeamMemberRow, TeamRow, UserRow } from '../store/tables/owner-tables.ts';
import { budgetOfRow, memberBudgetsOfRows, modelBudgetsOfRow } from './budget-of-row.ts';
import type { KeyGrant, OwnerGrant } from './fold-key.ts';

export function keyGrantOfRow(row: KeyRow): KeyGrant {
  return {
    hash: row.hash,
    alias: row.key_alias,
    userId: row.user_id,
    teamId: row.team_id,
    models: row.models,
    aliases: texts(row.aliases),
    allowedRoutes: row.allowed_routes,
    tags: row.tags,
    rpmLimit: row.rpm_limit,
    tpmLimit: row.tpm_limit,
    maxParallelRequests: row.max_parallel_requests,
    modelLimits: modelLimits(row),
    ...budgetOfRow(row),
    ...modelBudgetsOfRow(row),
    expiresAtMs: row.expires_at_ms,
    blocked: row.blocked,
  };
}

export function userGrantOfRow(row: UserRow): OwnerGrant {
  return {
    alias: row.user_alias,
    models: row.models,
    aliases: {},
    limits: ownerLimits(row),
    ...budgetOfRow(row),
    blocked: row.blocked,
  };
}

/** @param members of this team; those without a budget or limit of their own need not be there. */
export function teamGrantOfRow(row: TeamRow, members: readonly TeamMemberRow[]): OwnerGrant {
  return {
    alias: row.team_alias,
    models: row.models,
    aliases: texts(row.model_aliases),
    tags: row.tags,
    limits: ownerLimits(row),
    ...budgetOfRow(row),
    ...memberBudgetsOfRows(row, members),
    ...memberLimitsOfRows(row, members),
    blocked: row.blocked,
  };
}

function memberLimitsOfRows(
  team: TeamRow,
  members: readonly TeamMemberRow[],
): Pick<OwnerGrant, 'memberLimits' | 'ownMemberLimits'> {
  const { team_member_rpm_limit: rpmLimit, team_member_tpm_limit: tpmLimit } = team;
  const own = members.filter((member) => member.rpm_limit !== null || member.tpm_limit !== null);
  const limitsOf = (member: TeamMemberRow): RateLimitSpec => ({
    rpmLimit: member.rpm_limit,
    tpmLimit: member.tpm_limit,
  });
  return {
    ...(rpmLimit === null && tpmLimit === null ? {} : { memberLimits: { rpmLimit, tpmLimit } }),
    ...(own.length === 0 ? {} : { ownMemberLimits: new Map(own.map((row) => [row.user_id, limitsOf(row)])) }),
  };
}

/** Null where nothing is limited. */
export function ownerLimits(row: LimitColumns): OwnerLimits | null {
  const { rpm_limit: rpmLimit, tpm_limit: tpmLimit, max_parallel_requests: maxParallelRequests } = row;
  const byModel = modelLimits(row);
  const isUnlimited = rpmLimit === null && tpmLimit === null && maxParallelRequests === null;
  if (isUnlimited && Object.keys(byModel).length === 0) return null;
  return { rpmLimit, tpmLimit, maxParallelRequests, modelLimits: byModel };
}

export function modelLimits({ model_rpm_limit: rpm, model_tpm_limit: tpm }: LimitColumns): ModelLimits {
  const limits = new Map<string, RateLimitSpec>();
  for (const model of [...Object.keys(rpm), ...Object.keys(tpm)]) {
    limits.set(model, { rpmLimit: ownNumber(rpm, model), tpmLimit: ownNumber(tpm, model) });
  }
  return Object.fromEntries(limits);
}

function ownNumber(values: Readonly<Record<string, number>>, name: string): number | null {
  return Object.hasOwn(values, name) ? (values[name] ?? null) : null;
}

export function texts(values: JsonObject): Record<string, string> {
  const entries = Object.entries(values).filter((entry): entry is [string, string] => typeof entry[1] === 'string');
  return Object.fromEntries(entries);
}
