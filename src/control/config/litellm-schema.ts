import { z } from 'zod';
import { priceFields } from './price-fields.ts';
import { setting } from './setting-registry.ts';
import { budgetDuration, dollars, flag, flagOrPath, integer, number, seconds, text, texts } from './value-schemas.ts';

/*
 * The keys of LiteLLM's `model_list` that are honoured. Its other sections hold single settings, which
 * settings-schema.ts names where they belong; what is not honoured stands in litellm-keys.ts.
 */

const LARGEST_RATE = 2 ** 31 - 1;

const optionalText = (description: string, isSecret = false): z.ZodType<string | undefined> =>
  setting(text().optional(), { description, default: null, isSecret });

export const litellmParamsSchema = z.object({
  model: setting(text(), {
    description:
      '`provider/model`, or a bare name (`claude-…` is Anthropic, all else OpenAI). A `*` takes what matched.',
    default: null,
    defaultNote: 'required',
  }),
  custom_llm_provider: optionalText('The provider, whatever `model` begins with.'),
  api_key: optionalText("The provider's key. Default: the provider's own variable, such as OPENAI_API_KEY.", true),
  api_base: optionalText("Base URL of the provider's API, with its path (`…/v1`)."),
  base_url: optionalText('The same as `api_base`.'),
  api_version: optionalText('Sent as the query parameter `api-version`.'),
  organization: setting(texts().optional(), {
    description: 'Sent as openai-organization; a list makes one deployment per organization.',
    default: null,
  }),
  extra_headers: setting(z.record(z.string(), text()).optional(), {
    description: 'Headers sent with every request. They win over those of the client.',
    default: null,
    isSecret: true,
  }),
  timeout: setting(seconds().optional(), {
    description: 'Bound on the whole call; for streams until the first event.',
    unit: 'seconds',
    default: null,
    defaultNote: 'timeouts.request',
  }),
  stream_timeout: setting(seconds().optional(), {
    description: 'Bound on the time to the first event of a stream.',
    unit: 'seconds',
    default: null,
    defaultNote: 'timeouts.stream_first_event',
  }),
  weight: setting(number(0, LARGEST_RATE).optional(), {
    description: "Share of the group's traffic.",
    default: null,
    defaultNote: '`rpm`, else `tpm`, else 1',
  }),
  order: setting(integer(-LARGEST_RATE, LARGEST_RATE).optional(), {
    description: 'Deployments of a lower order are tried first.',
    default: null,
    defaultNote: 'after all that have one',
  }),
  rpm: setting(integer(0, LARGEST_RATE).optional(), {
    description:
      'Requests per minute that the provider grants: weights the choice; a limit with `enforce_model_rate_limits`.',
    default: null,
  }),
  tpm: setting(integer(0, LARGEST_RATE).optional(), {
    description:
      'Tokens per minute that the provider grants: weights the choice; a limit with `enforce_model_rate_limits`.',
    default: null,
  }),
  max_parallel_requests: setting(integer(0, LARGEST_RATE).optional(), {
    description: 'Requests that this deployment gets at the same time; further ones go to others of its group.',
    default: null,
  }),
  max_budget: setting(dollars().optional(), {
    description: 'What may be spent there in a window; then others of its group get the requests.',
    unit: 'US dollars',
    default: null,
  }),
  budget_duration: setting(budgetDuration().optional(), {
    description: 'How long that window is (docs/budgets.md): `30s`, `24h`, `7d`, `1mo`.',
    default: null,
    defaultNote: 'one window for all time',
  }),
  tags: setting(texts().optional(), {
    description: 'With tag filtering: what requests may ask for. `default`: for those that ask for nothing.',
    default: null,
  }),
  tag_regex: setting(texts().optional(), {
    description: 'With tag filtering: patterns looked for in `User-Agent: <value>`; what matches is as if tagged.',
    default: null,
  }),
  cooldown_time: setting(seconds().optional(), {
    description: 'How long the deployment gets no requests after failures.',
    unit: 'seconds',
    default: null,
    defaultNote: 'cooldown.time of the settings',
  }),
  ...priceFields,
  ssl_verify: setting(flagOrPath().optional(), {
    description: '`false`: any certificate is accepted. A path: PEM file of the authorities to trust.',
    default: null,
    defaultNote: 'ssl_verify of the settings',
  }),
  inject_stream_usage: setting(flag().optional(), {
    description: 'Ours: may `stream_options.include_usage` be added.',
    default: null,
    defaultNote: 'inject_stream_usage of the settings',
  }),
});

export const modelInfoSchema = z.object({
  id: setting(
    text()
      .refine((value) => /^[\x21-\x7e]{1,256}$/.test(value), 'must be up to 256 visible ASCII characters')
      .optional() as z.ZodType<string | undefined>,
    {
      description: 'Id of the deployment, in answers, events and metrics.',
      default: null,
      defaultNote: 'a hash of what makes the deployment',
    },
  ),
  base_model: optionalText('Model whose listed price counts, where the provider knows it by a name of your own.'),
  mode: optionalText(
    'Kind of the model: `chat`, `completion`, `embedding`, `responses`, …; decides how its health is checked.',
  ),
  health_check_model: optionalText('Model asked in health checks; needed where `model` has a `*`.'),
  health_check_timeout: setting(seconds().optional(), {
    description: 'Bound on a health check.',
    unit: 'seconds',
    default: '60',
  }),
  health_check_max_tokens: setting(integer(1, LARGEST_RATE).optional(), {
    description: 'Most tokens that a health check asks for.',
    default: '5',
  }),
  disable_background_health_check: setting(flag().optional(), {
    description: 'Not checked in the background.',
    default: 'false',
  }),
});

export const modelEntrySchema = z.object({
  model_name: setting(text(), {
    description: 'Public name; the same name several times makes a group; with `*` it is a pattern.',
    default: null,
    defaultNote: 'required',
  }),
  litellm_params: litellmParamsSchema,
  model_info: modelInfoSchema.optional(),
});

export type ModelEntry = z.output<typeof modelEntrySchema>;
export type LitellmParams = ModelEntry['litellm_params'];

/** Sections and keys outside `slipstream:` that are read by hand (compile-routing.ts, config-source.ts). */
export const ROUTING_KEYS: Readonly<Record<string, string>> = {
  fallbacks:
    'Groups to try when one fails: `[{group: [others]}]`; a target may be a text, or the id of a deployment; `*` stands for any group.',
  default_fallbacks: 'Groups to try when a group without fallbacks of its own fails.',
  optional_pre_call_checks:
    'Of these: `session_affinity`, `deployment_affinity` (one virtual key, one deployment), `prompt_caching`, ' +
    '`enforce_model_rate_limits` (`rpm` and `tpm` of deployments are limits).',
  provider_budget_config:
    'What may be spent at each provider: `{openai: {budget_limit: 10, time_period: 1d}}`; then others get the requests.',
  routing_groups: 'Strategies of single groups: `[{group_name, models, routing_strategy, routing_strategy_args}]`.',
  context_window_fallbacks: 'The same, where the prompt is too long for the model.',
  content_policy_fallbacks: "The same, where the provider's filter refused the content.",
  retry_policy: 'Retries per class of errors: `{TimeoutErrorRetries: 2, …}`; for classes left out, `num_retries`.',
  model_group_retry_policy: 'The same per group: `{group: {TimeoutErrorRetries: 2, …}}`.',
  allowed_fails_policy:
    'Failures borne in a minute per class of errors: `{TimeoutErrorAllowedFails: 10, …}`; else `allowed_fails`.',
  model_group_alias: 'Further names: `alias: group`, or `alias: {model: group, hidden: true}`.',
};
