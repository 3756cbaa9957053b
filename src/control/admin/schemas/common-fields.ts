import { z } from 'zod';
import { parseDuration } from '../../../domain/time/duration.ts';

/* Fields that several of LiteLLM's management requests and replies have. Null in a request clears, absent leaves. */

const MAX_LIMIT = 2 ** 31 - 1;
/** Of money: in nano-dollars still exact as a `number`, which sidecars count budgets in. */
const MAX_USD = 9_000_000;
/** What is less would be kept as 0, which allows nothing. */
const MIN_USD = 1e-9;
const MAX_NAME_LENGTH = 512;
const MAX_LIST_LENGTH = 10_000;

export const name = (): z.ZodString => z.string().min(1).max(MAX_NAME_LENGTH);
export const names = (): z.ZodArray<z.ZodString> => z.array(name()).max(MAX_LIST_LENGTH);
export const limit = (): z.ZodNumber => z.number().int().min(0).max(MAX_LIMIT);
export const usd = (): z.ZodNumber =>
  z
    .number()
    .min(0)
    .max(MAX_USD)
    .refine((value) => value === 0 || value >= MIN_USD, 'must be 0, or a nano-dollar at least');
export const jsonObject = (): z.ZodRecord<z.ZodString, z.ZodUnknown> => z.record(z.string(), z.unknown());

export const duration = (): z.ZodString =>
  z
    .string()
    .refine((text) => parseDuration(text) !== null, 'must be a duration such as 30s, 15m, 24h, 30d, 1w or 1mo')
    .meta({ examples: ['30d'] });

/** As LiteLLM has it: `-1` is never. */
export const lifetime = (): z.ZodString =>
  z
    .string()
    .refine((text) => text === '-1' || parseDuration(text) !== null, 'must be a duration such as 24h or 30d, or -1')
    .meta({ examples: ['30d'] });

const budgetLimit = { budget_limit: usd().optional(), max_budget: usd().optional() };
const modelBudget = z.union(
  [
    usd(),
    z.looseObject({ ...budgetLimit, time_period: duration().optional(), budget_duration: duration().optional() }),
  ],
  'must be US dollars, or {budget_limit, time_period}',
);

/** What keys, teams and users can be given. */
export const grantFields = {
  models: names()
    .nullish()
    .describe('Names, patterns with `*`, `all-team-models`, `all-proxy-models`, `no-default-models`; none: all.'),
  metadata: jsonObject().nullish(),
  tags: names().nullish(),
  rpm_limit: limit().nullish().describe('Requests per window.'),
  tpm_limit: limit().nullish().describe('Tokens per window.'),
  max_parallel_requests: limit().nullish().describe('Requests at the same time.'),
  model_rpm_limit: z.record(name(), limit()).nullish(),
  model_tpm_limit: z.record(name(), limit()).nullish(),
  max_budget: usd().nullish().describe('US dollars per `budget_duration`, or for ever; 0 allows nothing.'),
  soft_budget: usd().nullish().describe('US dollars from which on it is reported.'),
  budget_duration: duration().nullish(),
  model_max_budget: z.record(name(), modelBudget).nullish(),
  budget_limits: z.array(z.object({ budget_duration: duration(), max_budget: usd() })).nullish(),
  blocked: z.boolean().nullish(),
} as const;

/** Taken and shown again, so that what a script writes it can read; without effect in this version. */
export const inertFields = {
  organization_id: z.string().nullish(),
  guardrails: z.array(z.string()).nullish(),
  policies: z.array(z.string()).nullish(),
  prompts: z.array(z.string()).nullish(),
  allowed_cache_controls: z.array(z.string()).nullish(),
  allowed_passthrough_routes: z.array(z.string()).nullish(),
  object_permission: jsonObject().nullish(),
  access_group_ids: z.array(z.string()).nullish(),
  router_settings: jsonObject().nullish(),
  rpm_limit_type: z.string().nullish(),
  tpm_limit_type: z.string().nullish(),
} as const;

/** Moments in replies: ISO 8601, UTC. */
export const moment = (): z.ZodString => z.string().meta({ format: 'date-time' });

/** Of every row in a reply. */
export const rowFields = {
  spend: z.number().describe('US dollars in the current budget window.'),
  models: z.array(z.string()),
  metadata: jsonObject(),
  max_parallel_requests: z.number().nullable(),
  tpm_limit: z.number().nullable(),
  rpm_limit: z.number().nullable(),
  max_budget: z.number().nullable(),
  soft_budget: z.number().nullable(),
  budget_duration: z.string().nullable(),
  budget_reset_at: moment().nullable(),
  budget_limits: z.array(z.unknown()).nullable(),
  model_spend: jsonObject(),
  model_max_budget: jsonObject(),
  policies: z.array(z.string()),
  guardrails: z.array(z.string()).nullable(),
  prompts: z.array(z.string()).nullable(),
  allowed_cache_controls: z.array(z.string()),
  allowed_passthrough_routes: z.array(z.string()).nullable(),
  rpm_limit_type: z.string().nullable(),
  tpm_limit_type: z.string().nullable(),
  access_group_ids: z.array(z.string()),
  router_settings: jsonObject().nullable(),
  organization_id: z.string().nullable(),
  object_permission_id: z.string().nullable(),
  object_permission: jsonObject().nullable(),
  created_at: moment().nullable(),
  updated_at: moment().nullable(),
} as const;

/** Counted from 1. @param size of a page when nothing is said. */
export const pageFields = (size: number) =>
  ({
    page: z.coerce.number().int().min(1).max(1_000_000).default(1).meta({ type: 'integer' }),
    page_size: z.coerce.number().int().min(1).max(500).default(size).meta({ type: 'integer' }),
  }) as const;

export const sortOrder = (): z.ZodDefault<z.ZodEnum<{ asc: 'asc'; desc: 'desc' }>> =>
  z.enum(['asc', 'desc']).default('desc');

/** `true`, `True`, `1`: as scripts in Python write it. */
export const queryFlag = (): z.ZodType<boolean> =>
  z
    .string()
    .optional()
    .transform((text) => ['true', '1', 'yes'].includes(text?.toLowerCase() ?? ''));
