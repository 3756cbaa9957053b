import { z } from 'zod';
import type { TeamSort } from '../../store/team-repository.ts';
import { TEAM_ROLES } from '../../store/tables/owner-tables.ts';
import {
  duration,
  grantFields,
  inertFields,
  jsonObject,
  moment,
  name,
  names,
  pageFields,
  rowFields,
  sortOrder,
  usd,
  limit,
} from './common-fields.ts';
import { keyRowWithToken } from './key-schemas.ts';

export const member = z
  .object({
    role: z.enum(TEAM_ROLES).default('user'),
    user_id: name().nullish(),
    user_email: name().nullish(),
  })
  .refine((given) => (given.user_id ?? given.user_email ?? null) !== null, 'needs user_id or user_email');

/** Taken and shown, without effect in this version. */
export const inertTeamFields = {
  ...inertFields,
  budget_limits: grantFields.budget_limits,
  team_member_permissions: names().nullish(),
  team_member_budget_duration: duration().nullish(),
  team_member_key_duration: z.string().nullish(),
} as const;

const teamFields = {
  ...grantFields,
  ...inertTeamFields,
  team_alias: name().nullish(),
  team_member_budget: usd().nullish().describe('Of each member, in US dollars.'),
  team_member_rpm_limit: limit().nullish(),
  team_member_tpm_limit: limit().nullish(),
  model_aliases: z.record(name(), name()).nullish().describe('Names of models that its keys may use: `{name: model}`.'),
} as const;

export const newTeamRequest = z.object({
  ...teamFields,
  team_id: name().nullish().describe('Made here where it is not given.'),
  members_with_roles: z.array(member).max(10_000).nullish(),
});

export const updateTeamRequest = z.object({ ...teamFields, team_id: name() });
export type UpdateTeamRequest = z.output<typeof updateTeamRequest>;

export const deleteTeamsRequest = z.object({ team_ids: names().min(1).max(1000) });

export const addMemberRequest = z.object({
  team_id: name(),
  member: z.union([member, z.array(member).min(1).max(1000)]),
  max_budget_in_team: usd().nullish(),
});

export const updateMemberRequest = z.object({
  team_id: name(),
  user_id: name().nullish(),
  user_email: name().nullish(),
  role: z.enum(TEAM_ROLES).optional(),
  max_budget_in_team: usd().nullish(),
  tpm_limit: limit().nullish(),
  rpm_limit: limit().nullish(),
});

export const updateMemberReply = z.object({
  team_id: z.string(),
  user_id: z.string(),
  user_email: z.string().nullable(),
  role: z.enum(TEAM_ROLES),
  max_budget_in_team: z.number().nullable(),
  tpm_limit: z.number().nullable(),
  rpm_limit: z.number().nullable(),
});

export const deleteMemberRequest = z.object({
  team_id: name(),
  user_id: name().nullish(),
  user_email: name().nullish(),
});

export const teamRequest = z.object({ team_id: name() });

export const teamInfoQuery = z.object({ team_id: name() });

/** What a list can be sorted by, and the column that holds it. */
export const TEAM_SORT_COLUMNS = {
  created_at: 'created_at_ms',
  updated_at: 'updated_at_ms',
  team_id: 'team_id',
  team_alias: 'team_alias',
  spend: 'spend_nano',
  max_budget: 'max_budget_nano',
} as const satisfies Readonly<Record<string, TeamSort>>;

export const listTeamsQuery = z.object({
  user_id: z.string().optional(),
  team_alias: z.string().optional(),
  sort_by: z.enum(Object.keys(TEAM_SORT_COLUMNS) as (keyof typeof TEAM_SORT_COLUMNS)[]).default('created_at'),
  sort_order: sortOrder(),
});

export const listTeamsPageQuery = listTeamsQuery.extend(pageFields(10)).extend({ team_id: z.string().optional() });

const memberReply = z.object({
  role: z.enum(TEAM_ROLES),
  user_id: z.string().nullable(),
  user_email: z.string().nullable(),
});

export const updatePermissionsRequest = z.object({ team_id: name(), team_member_permissions: names() });
export const permissionsReply = z.object({
  team_id: z.string(),
  team_member_permissions: z.array(z.string()),
  all_available_permissions: z.array(z.string()).describe('None has an effect in this version.'),
});

/** A row of LiteLLM's team table. */
const plainTeamRow = z.object({
  ...rowFields,
  team_id: z.string(),
  team_alias: z.string().nullable(),
  admins: z.array(z.string()),
  members: z.array(z.string()),
  members_with_roles: z.array(memberReply),
  team_member_permissions: z.array(z.string()),
  blocked: z.boolean(),
  team_member_budget: z.number().nullable(),
  team_member_rpm_limit: z.number().nullable(),
  team_member_tpm_limit: z.number().nullable(),
  team_member_key_duration: z.string().nullable(),
  team_member_budget_duration: z.string().nullable(),
  model_aliases: z.record(z.string(), z.string()),
  model_id: z.number().nullable(),
  litellm_model_table: z.object({ model_aliases: z.record(z.string(), z.string()) }).nullable(),
  tags: z.array(z.string()).nullable(),
  model_rpm_limit: z.record(z.string(), z.number()).nullable(),
  model_tpm_limit: z.record(z.string(), z.number()).nullable(),
});
export const teamRow = plainTeamRow.meta({ id: 'Team' });
export type TeamRowReply = z.input<typeof teamRow>;

const membership = z
  .object({
    user_id: z.string(),
    team_id: z.string(),
    spend: z.number(),
    budget_id: z.string().nullable(),
    litellm_budget_table: z
      .object({
        budget_id: z.string().nullable(),
        max_budget: z.number().nullable(),
        soft_budget: z.number().nullable(),
        max_parallel_requests: z.number().nullable(),
        tpm_limit: z.number().nullable(),
        rpm_limit: z.number().nullable(),
        model_max_budget: jsonObject().nullable(),
        budget_duration: z.string().nullable(),
      })
      .nullable(),
  })
  .meta({ id: 'TeamMembership' });
export type MembershipReply = z.input<typeof membership>;

export const updateTeamReply = z.object({ team_id: z.string(), data: teamRow });
export const deleteTeamsReply = z.object({ deleted_teams: z.array(z.string()) });
export const teamInfoReply = z.object({
  team_id: z.string(),
  team_info: teamRow,
  keys: z.array(keyRowWithToken),
  team_memberships: z.array(membership),
});
export const listTeamsReply = z.array(
  plainTeamRow.extend({ keys: z.array(keyRowWithToken), team_memberships: z.array(membership) }),
);
export const listTeamsPageReply = z.object({
  teams: z.array(plainTeamRow.extend({ members_count: z.number(), keys_count: z.number() })),
  total: z.number(),
  page: z.number(),
  page_size: z.number(),
  total_pages: z.number(),
});

const updatedUser = z.object({
  user_id: z.string(),
  user_email: z.string().nullable(),
  user_role: z.string().nullable(),
  teams: z.array(z.string()),
  created_at: moment().nullable(),
});
export const addMemberReply = plainTeamRow.extend({
  updated_users: z.array(updatedUser),
  updated_team_memberships: z.array(membership),
});
