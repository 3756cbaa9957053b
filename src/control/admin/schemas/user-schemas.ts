import { z } from 'zod';
import type { UserSort } from '../../store/user-repository.ts';
import {
  grantFields,
  inertFields,
  jsonObject,
  lifetime,
  moment,
  name,
  names,
  pageFields,
  rowFields,
  sortOrder,
  usd,
} from './common-fields.ts';
import { generateKeyReply, keyRowWithToken } from './key-schemas.ts';
import { teamRow } from './team-schemas.ts';

/** LiteLLM's. Only the master key is an administrator in this version, whatever role a user has. */
const USER_ROLES = ['proxy_admin', 'proxy_admin_viewer', 'internal_user', 'internal_user_viewer'] as const;

/** Taken and shown, without effect in this version. */
export const inertUserFields = {
  ...inertFields,
  budget_limits: grantFields.budget_limits,
  spend: usd().nullish(),
  organizations: names().nullish(),
  sso_user_id: z.string().nullish(),
  send_invite_email: z.boolean().nullish(),
  user_role: z.enum(USER_ROLES).nullish(),
} as const;

const userFields = {
  ...grantFields,
  ...inertUserFields,
  user_email: name().nullish(),
  user_alias: name().nullish(),
} as const;

export const newUserRequest = z.object({
  ...userFields,
  user_id: name().nullish().describe('Made here where it is not given.'),
  teams: names().nullish().describe('Teams of which the user becomes a member.'),
  auto_create_key: z.boolean().default(true).describe('A key is made too, and is in the reply.'),
  key_alias: name().nullish(),
  duration: lifetime().nullish().describe('Of the key.'),
  aliases: z.record(name(), name()).nullish().describe('Of the key.'),
});

export const updateUserRequest = z.object({ ...userFields, user_id: name() });
export type UpdateUserRequest = z.output<typeof updateUserRequest>;

export const deleteUsersRequest = z.object({ user_ids: names().min(1).max(1000) });

export const userInfoQuery = z.object({ user_id: name().optional().describe('None: that of the request’s key.') });

/** What a list can be sorted by, and the column that holds it. */
export const USER_SORT_COLUMNS = {
  created_at: 'created_at_ms',
  updated_at: 'updated_at_ms',
  user_id: 'user_id',
  user_alias: 'user_alias',
  user_email: 'user_email',
  user_role: 'user_role',
  spend: 'spend_nano',
  max_budget: 'max_budget_nano',
} as const satisfies Readonly<Record<string, UserSort>>;

export const listUsersQuery = z.object({
  ...pageFields(25),
  user_ids: z.string().optional().describe('With commas between.'),
  user_email: z.string().optional().describe('A part of it.'),
  team: z.string().optional().describe('Members of this team.'),
  role: z.enum(USER_ROLES).optional(),
  sort_by: z.enum(Object.keys(USER_SORT_COLUMNS) as (keyof typeof USER_SORT_COLUMNS)[]).default('created_at'),
  sort_order: sortOrder(),
});

/** A row of LiteLLM's user table. */
const plainUserRow = z.object({
  ...rowFields,
  user_id: z.string(),
  user_alias: z.string().nullable(),
  user_email: z.string().nullable(),
  user_role: z.string().nullable(),
  teams: z.array(z.string()),
  sso_user_id: z.string().nullable(),
  organizations: z.array(z.string()).nullable(),
  blocked: z.boolean(),
  organization_memberships: z.array(jsonObject()),
  tags: z.array(z.string()).nullable(),
  model_rpm_limit: z.record(z.string(), z.number()).nullable(),
  model_tpm_limit: z.record(z.string(), z.number()).nullable(),
});
const userRow = plainUserRow.meta({ id: 'User' });
export type UserRowReply = z.input<typeof userRow>;

export const newUserReply = plainUserRow.extend({
  key: generateKeyReply.shape.key.nullable(),
  key_name: z.string().nullable(),
  key_alias: z.string().nullable(),
  token: z.string().nullable(),
  token_id: z.string().nullable(),
  expires: moment().nullable(),
  duration: z.string().nullable(),
});
export const updateUserReply = z.object({ user_id: z.string(), data: userRow });
export const deleteUsersReply = z.number().describe('So many were deleted.');
export const userInfoReply = z.object({
  user_id: z.string(),
  user_info: userRow,
  keys: z.array(keyRowWithToken),
  teams: z.array(teamRow),
});
export const listUsersReply = z.object({
  users: z.array(plainUserRow.extend({ key_count: z.number() })),
  total: z.number(),
  page: z.number(),
  page_size: z.number(),
  total_pages: z.number(),
});
