import { z } from 'zod';
import { router } from './router-keys.ts';
import { setting } from './setting-registry.ts';
import { STRATEGY_NAMES, UNSUPPORTED_STRATEGIES } from './strategy-names.ts';
import { choice, flag, integer, number, seconds, text } from './value-schemas.ts';

const MEBIBYTE = 1024 * 1024;

export const routingSchema = z.strictObject({
  strategy: setting(choice(STRATEGY_NAMES, UNSUPPORTED_STRATEGIES), {
    description:
      'How a model group chooses among its deployments: simple-shuffle, least-busy, latency-based-routing, ' +
      'usage-based-routing, cost-based-routing, power-of-two. See docs/routing.md.',
    default: 'simple-shuffle',
    litellm: router('routing_strategy'),
  }),
  latency_ttl: setting(seconds(), {
    description: 'A deployment without a sample of its latency for so long is as one never tried.',
    unit: 'seconds',
    default: '3600',
    litellm: router('routing_strategy_args.ttl'),
  }),
  latency_buffer: setting(number(0, 1000), {
    description: 'latency-based-routing: the share of the lowest latency by which others may be slower.',
    default: '0',
    litellm: router('routing_strategy_args.lowest_latency_buffer'),
  }),
  tag_filtering: setting(flag(), {
    description:
      'Requests go to the deployments whose `tags` fit theirs; those without tags to the ones tagged `default`.',
    default: 'false',
    litellm: router('enable_tag_filtering'),
  }),
  tag_filtering_match_any: setting(flag(), {
    description: 'One tag in common is enough; false: a deployment must have every tag of the request.',
    default: 'true',
    litellm: router('tag_filtering_match_any'),
  }),
  session_affinity: setting(flag(), {
    description:
      'Requests of one session (x-session-id, x-litellm-session-id, litellm_session_id) go to one deployment. ' +
      'Also on by `session_affinity` among optional_pre_call_checks.',
    default: 'false',
  }),
  key_affinity: setting(flag(), {
    description:
      'Requests of one virtual key go to one deployment. Also on by `deployment_affinity` among optional_pre_call_checks.',
    default: 'false',
  }),
  prefix_affinity: setting(flag(), {
    description:
      'Requests whose prompts begin alike go to one deployment, whose prompt cache is warm. ' +
      'Also on by `prompt_caching` among optional_pre_call_checks.',
    default: 'false',
  }),
  prefix_affinity_bytes: setting(integer(64, MEBIBYTE), {
    description: 'So many bytes of system prompt and messages are compared; shorter prompts are not bound.',
    unit: 'bytes',
    default: '4096',
  }),
  prefix_affinity_spill: setting(number(1, 1000), {
    description: 'A deployment with so many times its share of the requests in progress is passed over.',
    default: '1.5',
  }),
});

export const cooldownSchema = z.strictObject({
  time: setting(seconds(), {
    description:
      'How long a failing deployment gets no requests, where the provider does not say. A deployment can differ.',
    unit: 'seconds',
    default: '5',
    litellm: router('cooldown_time'),
  }),
  allowed_fails: setting(integer(0, 100_000), {
    description:
      'Timeouts, 5xx and lost connections of a deployment that are borne in a minute; the next one benches it.',
    default: '3',
    litellm: router('allowed_fails'),
  }),
  disabled: setting(flag(), {
    description: 'No deployment is ever benched.',
    default: 'false',
    litellm: router('disable_cooldowns'),
  }),
});

export const retriesSchema = z.strictObject({
  backoff_initial: setting(seconds({ zero: true }), {
    description:
      'Wait before a request asks a deployment again that failed it; doubled each time, a random half taken off.',
    unit: 'seconds',
    default: '0.25',
  }),
  backoff_max: setting(seconds({ zero: true }), {
    description: 'Longest such wait.',
    unit: 'seconds',
    default: '8',
  }),
  min_wait: setting(seconds({ zero: true }), {
    description: 'Shortest such wait. Another deployment is asked at once.',
    unit: 'seconds',
    default: '0',
    litellm: router('retry_after'),
  }),
  budget_ratio: setting(number(0, 100), {
    description: 'Retries that a failing deployment gets per request of the last 10 seconds; per worker thread.',
    default: '0.2',
  }),
  budget_floor: setting(integer(0, 1_000_000), {
    description: 'And so many besides, for those with few requests.',
    default: '10',
  }),
});

export const healthChecksSchema = z.strictObject({
  background: setting(flag(), {
    description: 'Every deployment is asked regularly whether it works. These calls cost what calls cost.',
    default: 'false',
    litellm: ['general_settings.background_health_checks'],
  }),
  interval: setting(seconds(), {
    description: 'Time between such rounds.',
    unit: 'seconds',
    default: '300',
    litellm: ['general_settings.health_check_interval'],
  }),
  routing: setting(flag(), {
    description:
      'A deployment that fails its check gets no requests, unless all of its group do; for two intervals at most.',
    default: 'false',
    litellm: ['general_settings.enable_health_check_routing'],
  }),
  ignore_transient_errors: setting(flag(), {
    description: '408 and 429 do not count as a failed check in routing.',
    default: 'false',
    litellm: ['general_settings.health_check_ignore_transient_errors'],
  }),
  prompt: setting(text(), { description: 'What a chat model is asked.', default: 'Reply with OK.' }),
});
