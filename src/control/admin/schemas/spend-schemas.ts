import { z } from 'zod';
import { jsonObject, moment } from './common-fields.ts';

/* Of LiteLLM's endpoints about spend. Amounts are US dollars; dates are days, UTC, both ends included. */

const MAX_NAMED = 1000;
const day = (): z.ZodISODate => z.iso.date();
const amount = (): z.ZodNumber => z.number();
const amounts = (): z.ZodRecord<z.ZodString, z.ZodNumber> => z.record(z.string(), z.number());
const whole = (most: number, byDefault: number) =>
  z.coerce.number().int().min(1).max(most).default(byDefault).meta({ type: 'integer' });

const pages = (size: number) => ({ page: whole(1_000_000, 1), page_size: whole(MAX_NAMED, size) }) as const;

const range = {
  start_date: day().optional().describe('Default: 30 days before end_date.'),
  end_date: day().optional().describe('Default: today.'),
} as const;

export const rangeQuery = z.object(range);
export const rangeOfKeyQuery = z.object({ ...range, api_key: z.string().optional().describe('A key or its hash.') });
export const topQuery = z.object({ ...range, limit: whole(MAX_NAMED, 100) });
export const tagsQuery = z.object({ ...range, tags: z.string().optional().describe('Names with commas between.') });

export const globalSpendReply = z.object({
  spend: amount().describe('Of all time.'),
  max_budget: amount().describe('Of all requests together; 0: there is none.'),
});

export const providerBudgetsReply = z.object({
  providers: z.record(
    z.string(),
    z.object({
      budget_limit: amount().nullable(),
      time_period: z.string().nullable(),
      spend: amount(),
      budget_reset_at: moment().nullable(),
    }),
  ),
});

export const dailySpendReply = z.array(z.object({ date: z.string(), spend: amount(), api_key: z.string().optional() }));

export const topKeysReply = z.array(
  z.object({
    api_key: z.string(),
    key_alias: z.string().nullable(),
    key_name: z.string().nullable(),
    total_spend: amount(),
  }),
);

export const teamSpendReply = z.object({
  daily_spend: z.array(z.record(z.string(), z.union([z.string(), z.number()]))),
  teams: z.array(z.string()),
  total_spend_per_team: z.array(z.object({ team_id: z.string(), total_spend: amount() })),
});

export const topModelsReply = z.array(z.object({ model: z.string(), total_spend: amount() }));
export const providersReply = z.array(z.object({ provider: z.string(), spend: amount() }));
export const globalTagsReply = z.object({
  spend_per_tag: z.array(z.object({ name: z.string(), spend: amount(), log_count: z.number() })),
});
export const tagNamesReply = z.object({ tag_names: z.array(z.string()) });
export const spendTagsReply = z.array(
  z.object({ individual_request_tag: z.string(), log_count: z.number(), total_spend: amount() }),
);

const activity = {
  daily_data: z.array(z.object({ date: z.string(), api_requests: z.number(), total_tokens: z.number() })),
  sum_api_requests: z.number(),
  sum_total_tokens: z.number(),
} as const;
export const activityReply = z.object(activity);
export const modelActivityReply = z.array(z.object({ model: z.string(), ...activity }));

export const spendLogsQuery = z.object({
  start_date: day().optional(),
  end_date: day().optional(),
  api_key: z.string().optional().describe('A key or its hash.'),
  user_id: z.string().optional(),
  request_id: z.string().optional(),
  summarize: z
    .string()
    .optional()
    .transform((text) => !['false', '0', 'no'].includes(text?.toLowerCase() ?? ''))
    .describe('With both dates: sums of each day (default), or with false the requests.'),
  ...pages(100),
});

export const spendLog = z.object({
  request_id: z.string(),
  call_type: z.string(),
  api_key: z.string(),
  spend: amount(),
  total_tokens: z.number(),
  prompt_tokens: z.number(),
  completion_tokens: z.number(),
  startTime: moment(),
  endTime: moment(),
  completionStartTime: moment().nullable(),
  request_duration_ms: z.number(),
  model: z.string(),
  model_id: z.string().nullable(),
  model_group: z.string().nullable(),
  custom_llm_provider: z.string().nullable(),
  api_base: z.string(),
  user: z.string(),
  metadata: jsonObject(),
  cache_hit: z.string(),
  cache_key: z.string(),
  request_tags: z.array(z.string()),
  team_id: z.string().nullable(),
  organization_id: z.string().nullable(),
  end_user: z.string(),
  requester_ip_address: z.string().nullable(),
  messages: jsonObject(),
  response: jsonObject(),
  session_id: z.string().nullable(),
  status: z.enum(['success', 'failure']),
  mcp_namespaced_tool_name: z.string().nullable(),
  agent_id: z.string().nullable(),
  proxy_server_request: jsonObject(),
});
export type SpendLog = z.input<typeof spendLog>;

/** `<hash>: spend` of each key stands beside the named fields. */
const dailySummary = z.looseObject({
  startTime: z.string(),
  spend: amount(),
  users: amounts(),
  models: amounts(),
});
export type DailySummary = z.input<typeof dailySummary>;

export const spendLogsReply = z.union([z.array(dailySummary), z.array(spendLog)]);

export const dailyActivityQuery = z.object({
  start_date: day(),
  end_date: day(),
  model: z.string().optional(),
  api_key: z.string().optional().describe('A key or its hash.'),
  user_id: z.string().optional().describe('Default: everybody; without the master key, the key’s own user.'),
  ...pages(50),
});

const metrics = z.object({
  spend: amount(),
  prompt_tokens: z.number(),
  completion_tokens: z.number(),
  cache_read_input_tokens: z.number(),
  cache_creation_input_tokens: z.number(),
  total_tokens: z.number(),
  successful_requests: z.number(),
  failed_requests: z.number(),
  api_requests: z.number(),
});
export type Metrics = z.input<typeof metrics>;

const keyPart = z.object({
  metrics,
  metadata: z.object({ key_alias: z.string().nullable(), team_id: z.string().nullable() }),
});
const part = z.object({ metrics, metadata: jsonObject(), api_key_breakdown: z.record(z.string(), keyPart) });

export const dailyActivityReply = z.object({
  results: z.array(
    z.object({
      date: z.string(),
      metrics,
      breakdown: z.object({
        models: z.record(z.string(), part),
        model_groups: z.record(z.string(), part),
        providers: z.record(z.string(), part),
        api_keys: z.record(z.string(), keyPart),
        mcp_servers: z.record(z.string(), part),
        entities: z.record(z.string(), part),
      }),
    }),
  ),
  metadata: z.object({
    total_spend: amount(),
    total_prompt_tokens: z.number(),
    total_completion_tokens: z.number(),
    total_tokens: z.number(),
    total_api_requests: z.number(),
    total_successful_requests: z.number(),
    total_failed_requests: z.number(),
    total_cache_read_input_tokens: z.number(),
    total_cache_creation_input_tokens: z.number(),
    page: z.number(),
    total_pages: z.number(),
    has_more: z.boolean(),
  }),
});
export type DailyActivityReply = z.input<typeof dailyActivityReply>;
