import { z } from 'zod';
import type { KeySort } from '../../store/key-repository.ts';
import {
  duration,
  grantFields,
  inertFields,
  jsonObject,
  lifetime,
  moment,
  name,
  names,
  pageFields,
  queryFlag,
  rowFields,
  sortOrder,
  usd,
} from './common-fields.ts';

/** A key as text, or the hex SHA-256 it is stored as. */
const keyOrHash = (): z.ZodString => z.string().min(1).max(512);

export const KEY_TYPES = ['llm_api', 'management', 'read_only', 'default'] as const;

/** Taken and shown, without effect in this version. */
export const inertKeyFields = {
  ...inertFields,
  agent_id: z.string().nullish(),
  project_id: z.string().nullish(),
  budget_id: z.string().nullish(),
  config: jsonObject().nullish(),
  permissions: jsonObject().nullish(),
  enforced_params: z.array(z.string()).nullish(),
  auto_rotate: z.boolean().nullish(),
  rotation_interval: z.string().nullish(),
  send_invite_email: z.boolean().nullish(),
  temp_budget_increase: usd().nullish(),
  temp_budget_expiry: z.string().nullish(),
} as const;

const keyFields = {
  ...grantFields,
  ...inertKeyFields,
  key_alias: name().nullish(),
  duration: lifetime().nullish().describe('From now on; none or -1: for ever.'),
  user_id: name().nullish(),
  team_id: name().nullish(),
  aliases: z.record(name(), name()).nullish().describe('Names of models that this key may use: `{name: model}`.'),
  allowed_routes: names()
    .nullish()
    .describe('Paths, patterns with `*`, or LiteLLM’s groups such as `llm_api_routes`; none: all.'),
  key_type: z.enum(KEY_TYPES).nullish().describe('Gives `allowed_routes` where those are not given.'),
  spend: usd().nullish(),
} as const;

export const generateKeyRequest = z.object({
  ...keyFields,
  key: z
    .string()
    .regex(/^sk-[\x21-\x7e]{13,509}$/, 'must begin with sk- and have from 16 to 512 visible ASCII characters')
    .nullish()
    .describe('The key itself, where it is not to be made here.'),
});
export type GenerateKeyRequest = z.output<typeof generateKeyRequest>;

export const updateKeyRequest = z.object({ ...keyFields, key: keyOrHash() });
export type UpdateKeyRequest = z.output<typeof updateKeyRequest>;

export const regenerateKeyRequest = z.object({
  ...keyFields,
  key: keyOrHash().nullish(),
  new_key: generateKeyRequest.shape.key,
  grace_period: duration().nullish().describe('So long the old key goes on; none: it ends at once.'),
});

export const keyRequest = z.object({ key: keyOrHash() });

export const deleteKeysRequest = z.object({
  keys: z.array(keyOrHash()).max(1000).nullish(),
  key_aliases: names().max(1000).nullish(),
});

export const keyInfoQuery = z.object({
  key: keyOrHash().optional().describe('Key or hash; none: that of the request.'),
});

/** What a list can be sorted by, and the column that holds it. */
export const KEY_SORT_COLUMNS = {
  created_at: 'created_at_ms',
  updated_at: 'updated_at_ms',
  expires: 'expires_at_ms',
  spend: 'spend_nano',
  max_budget: 'max_budget_nano',
  key_alias: 'key_alias',
  key_name: 'key_name',
  token: 'hash',
  user_id: 'user_id',
  team_id: 'team_id',
} as const satisfies Readonly<Record<string, KeySort>>;

const { page, page_size: size } = pageFields(10);
export const listKeysQuery = z.object({
  page,
  size,
  user_id: z.string().optional(),
  team_id: z.string().optional(),
  key_alias: z.string().optional().describe('A part of it.'),
  organization_id: z.string().optional(),
  key_hash: z.string().optional(),
  return_full_object: queryFlag(),
  include_team_keys: queryFlag(),
  sort_by: z.enum(Object.keys(KEY_SORT_COLUMNS) as (keyof typeof KEY_SORT_COLUMNS)[]).default('created_at'),
  sort_order: sortOrder(),
});
export type ListKeysQuery = z.output<typeof listKeysQuery>;

/** A row of LiteLLM's key table, without its hash. */
const keyRowFields = {
  ...rowFields,
  key_name: z.string().describe('What may be shown: the first three and the last four characters.'),
  key_alias: z.string().nullable(),
  soft_budget_cooldown: z.boolean(),
  expires: moment().nullable(),
  aliases: z.record(z.string(), z.string()),
  config: jsonObject(),
  user_id: z.string().nullable(),
  team_id: z.string().nullable(),
  agent_id: z.string().nullable(),
  project_id: z.string().nullable(),
  permissions: jsonObject(),
  blocked: z.boolean(),
  allowed_routes: z.array(z.string()),
  key_type: z.string().nullable(),
  temp_budget_increase: z.number().nullable(),
  temp_budget_expiry: moment().nullable(),
  budget_id: z.string().nullable(),
  created_by: z.string().nullable(),
  updated_by: z.string().nullable(),
  last_active: moment().nullable(),
  rotation_count: z.number(),
  auto_rotate: z.boolean(),
  rotation_interval: z.string().nullable(),
  last_rotation_at: moment().nullable(),
  key_rotation_at: moment().nullable(),
  litellm_budget_table: jsonObject().nullable(),
  litellm_organization_table: jsonObject().nullable(),
} as const;

/** Also at the top level where LiteLLM keeps it in `metadata`. */
const grantedFields = {
  tags: z.array(z.string()).nullable(),
  enforced_params: z.array(z.string()).nullable(),
  model_rpm_limit: z.record(z.string(), z.number()).nullable(),
  model_tpm_limit: z.record(z.string(), z.number()).nullable(),
} as const;

const plainKeyRow = z.object({ ...keyRowFields, ...grantedFields });
const plainKeyRowWithToken = plainKeyRow.extend({ token: z.string().describe('Hex SHA-256 of the key.') });
export const keyRow = plainKeyRow.meta({ id: 'Key' });
export const keyRowWithToken = plainKeyRowWithToken.meta({ id: 'KeyWithToken' });
export type KeyRowReply = z.input<typeof keyRow>;

export const generateKeyReply = plainKeyRowWithToken.extend({
  key: z.string().describe('The key: this once, and never again.'),
  token_id: z.string().describe('The same as `token`.'),
  duration: z.string().nullable(),
});
export const updateKeyReply = plainKeyRow.extend({ key: z.string().describe('As it was given.') });
export const keyInfoReply = z.object({ key: z.string().describe('As it was given.'), info: keyRow });
export const deleteKeysReply = z.object({ deleted_keys: z.array(z.string()).describe('As they were given.') });
export const listKeysReply = z.object({
  keys: z.array(z.union([z.string(), keyRowWithToken])).describe('Hashes, or with `return_full_object` rows.'),
  total_count: z.number(),
  current_page: z.number(),
  total_pages: z.number(),
});
