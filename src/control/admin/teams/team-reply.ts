import type { TeamMemberRow, TeamRow } from '../../store/tables/owner-tables.ts';
import { grantedReply, rowReply, textMap, textOrNull, texts } from '../row-reply.ts';
import type { MembershipReply, TeamRowReply } from '../schemas/team-schemas.ts';
import { toUsd, toUsdOrNull } from '../usd.ts';

/** A team as LiteLLM shows it. */
export function teamReply(row: TeamRow, members: readonly TeamMemberRow[]): TeamRowReply {
  const aliases = textMap(row.model_aliases);
  return {
    ...rowReply(row),
    ...grantedReply(row),
    team_id: row.team_id,
    team_alias: row.team_alias,
    admins: members.filter(({ role }) => role === 'admin').map((member) => member.user_id),
    members: members.map((member) => member.user_id),
    members_with_roles: members.map(({ role, user_id, user_email }) => ({ role, user_id, user_email })),
    team_member_permissions: texts(row.extra['team_member_permissions']),
    blocked: row.blocked,
    team_member_budget: toUsdOrNull(row.team_member_budget_nano),
    team_member_rpm_limit: row.team_member_rpm_limit,
    team_member_tpm_limit: row.team_member_tpm_limit,
    team_member_key_duration: row.team_member_key_duration,
    team_member_budget_duration: textOrNull(row.extra['team_member_budget_duration']),
    model_aliases: aliases,
    model_id: null,
    litellm_model_table: Object.keys(aliases).length === 0 ? null : { model_aliases: aliases },
  };
}

/** What a member may spend in the team, in the form of LiteLLM's budget table. */
export function membershipReply(member: TeamMemberRow): MembershipReply {
  const hasBudget = member.max_budget_nano !== null || member.rpm_limit !== null || member.tpm_limit !== null;
  return {
    user_id: member.user_id,
    team_id: member.team_id,
    spend: toUsd(member.spend_nano),
    budget_id: null,
    litellm_budget_table: hasBudget
      ? {
          budget_id: null,
          max_budget: toUsdOrNull(member.max_budget_nano),
          soft_budget: null,
          max_parallel_requests: null,
          tpm_limit: member.tpm_limit,
          rpm_limit: member.rpm_limit,
          model_max_budget: null,
          budget_duration: member.budget_duration,
        }
      : null,
  };
}
