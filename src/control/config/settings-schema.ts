import { availableParallelism } from 'node:os';
import { z } from 'zod';
import { isTrustedProxyEntry } from '../../domain/network/trusted-proxies.ts';
import { modelGroupSchema, teamSchema, userSchema, virtualKeySchema } from './keys-schema.ts';
import { listenerSchema, tlsSchema } from './listener-schema.ts';
import { databaseSettings } from './database-settings.ts';
import { router } from './router-keys.ts';
import { cooldownSchema, healthChecksSchema, retriesSchema, routingSchema } from './routing-settings.ts';
import { setting } from './setting-registry.ts';
import { timeoutsSchema } from './timeout-settings.ts';
import {
  budgetDuration,
  choice,
  durationOrNever,
  dollars,
  flag,
  flagOrPath,
  integer,
  integerOrUnlimited,
  seconds,
  secondsOrNever,
  text,
  texts,
  timeZone,
} from './value-schemas.ts';

const MEBIBYTE = 1024 * 1024;
const MAX_BODY_BYTES = 2 ** 31 - 1;
/** A pebibyte: beyond any disk. */
const MAX_JOURNAL_BYTES = 2 ** 50;

const limitsSchema = z.strictObject({
  max_head_bytes: setting(integer(1024, MEBIBYTE), {
    description: 'Largest request head: request line and headers. Beyond it: 431.',
    unit: 'bytes',
    default: String(32 * 1024),
  }),
  max_headers: setting(integer(8, 10_000), {
    description: 'Most headers in a request. Beyond it: 431.',
    default: '128',
  }),
  max_body_bytes: setting(integer(1, MAX_BODY_BYTES), {
    description: 'Largest request body, before and after decoding. Beyond it: 413.',
    unit: 'bytes',
    default: String(100_000_000),
  }),
  max_json_body_bytes: setting(integer(1, MAX_BODY_BYTES), {
    description: 'Largest JSON request body, decoded. Beyond it: 413.',
    unit: 'bytes',
    default: String(32 * MEBIBYTE),
  }),
  max_replay_bytes: setting(integer(0, MAX_BODY_BYTES), {
    description: 'Request bodies up to this size are kept until an answer begins, so that they can be sent again.',
    unit: 'bytes',
    default: String(8 * MEBIBYTE),
  }),
  min_body_rate: setting(integer(0, MEBIBYTE), {
    description:
      'A request body that has not come whole within timeouts.client_body must have come this fast. Else: 408. ' +
      '0 = any pace, as long as no pause is longer than timeouts.client_body_idle.',
    unit: 'bytes per second',
    default: '1024',
  }),
  max_in_flight_bytes: setting(integer(MEBIBYTE, 2 ** 46), {
    description:
      'Most memory held for requests in progress, all threads together: bodies, also decoded, and what clients do not ' +
      'take. A body that does not fit in what is left is refused with 503 before it is read.',
    unit: 'bytes',
    default: null,
    defaultNote: 'a quarter of the memory of the control group, or else of the machine',
  }),
  max_in_flight: setting(integer(1, 1_000_000), {
    description:
      'Most requests in flight at providers, all threads together. Beyond it a few wait (max_queue) and the rest gets ' +
      '503 at once. How many are right depends on the providers, so without this there is no limit but that on memory.',
    default: null,
    litellm: ['general_settings.global_max_parallel_requests'],
  }),
  max_queue: setting(integer(0, 1_000_000), {
    description: 'Most requests that wait while max_in_flight are in flight, each for timeouts.queue_wait at most.',
    default: null,
    defaultNote: 'as many as max_in_flight',
  }),
});

const rateLimitsSchema = z.strictObject({
  window: setting(seconds(), {
    description: 'Length of the window of requests and tokens; it opens with its first request. Read at start only.',
    unit: 'seconds',
    default: '60',
    env: ['LITELLM_RATE_LIMIT_WINDOW_SIZE'],
  }),
  max_subjects: setting(integer(1024, 2 ** 24), {
    description:
      'Keys, users, teams, models of a key and so on that may have limits, rounded up to a power of two; 64 bytes each ' +
      'once used, and 12 per thread. A request of one more is refused with 503. Read at start only.',
    default: String(2 ** 18),
  }),
});

const journalSchema = z.strictObject({
  max_segment_bytes: setting(integer(4096, MAX_BODY_BYTES), {
    description: 'A journal file is followed by a new one beyond this size.',
    unit: 'bytes',
    default: String(64 * MEBIBYTE),
  }),
  fsync_interval: setting(secondsOrNever(), {
    description:
      'How often the journal is forced to the disk; 0 = after every write; never = when the kernel does. ' +
      'Killed processes lose nothing either way; a machine that loses power loses what was not yet on the disk.',
    unit: 'seconds, or never',
    default: 'never',
  }),
  max_bytes: setting(integerOrUnlimited(65_536, MAX_JOURNAL_BYTES), {
    description:
      'Most bytes that all journal files may take, exceeded by at most what is written in 0.1 s. No file is ever ' +
      'deleted to make room: what happens then says on_full.',
    unit: 'bytes, or unlimited',
    default: String(2048 * MEBIBYTE),
  }),
  open_after: setting(seconds(), {
    description:
      'A request that takes longer is noted in the journal before its end, so that it is accounted for even if the ' +
      'process is killed.',
    unit: 'seconds',
    default: '5',
  }),
  keep: setting(seconds({ zero: true }), {
    description:
      'How long a journal file stays after all its events are in the database. Until it is deleted it counts in max_bytes.',
    unit: 'seconds',
    default: '0',
  }),
  on_full: setting(choice(['drop', 'refuse']), {
    description:
      'No room for an event, by max_bytes or on the disk. drop: requests are served, their events are counted in ' +
      'slipstream_journal_dropped_total and lost. refuse: new requests are answered 503 until there is room.',
    default: 'drop',
  }),
});

const ORIGIN = /^(?:\*|null|[a-z][a-z0-9+.-]*:\/\/[^\s/,"]+)$/;

/** In a variable with commas between. */
const commaTexts = (isRight: (entry: string) => boolean, message: string): z.ZodType<readonly string[]> =>
  texts()
    .transform((entries) => entries.flatMap((entry) => entry.split(',').map((part) => part.trim().toLowerCase())))
    .refine((entries) => entries.every(isRight), message);

const corsSchema = z.strictObject({
  allowed_origins: setting(
    commaTexts((entry) => ORIGIN.test(entry), 'must be origins such as https://app.example.com, or *'),
    {
      description:
        'Origins of web pages that may use the gateway, or `*`. None: CORS is off, OPTIONS is answered with 405.',
      default: null,
    },
  ),
  max_age: setting(seconds({ zero: true }), {
    description: 'How long browsers may remember the answer to a preflight.',
    unit: 'seconds',
    default: '600',
  }),
});

const proxyList = (): z.ZodType<readonly string[]> =>
  commaTexts(isTrustedProxyEntry, 'must be addresses, CIDR blocks or `unix`');

const adminSchema = z.strictObject({
  host: setting(text(), {
    description: 'Address of the management API, where it has one of its own. Plain HTTP. Read at start only.',
    default: '127.0.0.1',
  }),
  port: setting(integer(0, 65_535), {
    description:
      'Port for the management API alone: keys, teams, users, status. The public port then does not serve it. 0: any ' +
      'free one. Read at start only.',
    default: null,
    defaultNote: 'none: the public port serves it',
  }),
});

/** The section `slipstream:`, and where else each of its settings may come from. */
export const slipstreamSchema = z.strictObject({
  sidecar: setting(flag(), {
    description: 'off: one process serves requests and holds the control plane.',
    default: 'on',
  }),
  host: setting(text(), {
    description: 'Address to listen on. Default: 127.0.0.1 in the demo, 0.0.0.0 with a configuration.',
    default: null,
  }),
  port: setting(integer(0, 65_535), { description: 'Port to listen on.', default: '4000', env: ['PORT'] }),
  threads: setting(integer(1, 256), {
    description: 'Worker threads of the sidecar. Read at start only.',
    default: String(Math.max(1, availableParallelism() - 1)),
    defaultNote: 'number of CPUs − 1, at least 1',
    env: ['NUM_WORKERS'],
  }),
  model_cost_map: setting(text().nullable(), {
    description:
      "Prices in LiteLLM's format, which come before the gateway's own: a file, or an http(s) address, fetched in the " +
      'background at start and every six hours. See docs/prices.md.',
    default: null,
    env: ['LITELLM_MODEL_COST_MAP_URL'],
  }),
  master_key: setting(text(), {
    description: 'The key with all rights. At least 16 characters.',
    default: null,
    env: ['LITELLM_MASTER_KEY'],
    litellm: ['general_settings.master_key'],
    isSecret: true,
  }),
  dangerously_permit_weak_or_unset_master_key: setting(flag(), {
    description: 'Start although the master key is missing, well known or short. For experiments on one machine only.',
    default: 'false',
    litellm: ['general_settings.dangerously_permit_weak_or_unset_master_key'],
  }),
  ...databaseSettings,
  key_header_name: setting(text(), {
    description: "One more header in which clients may send their key, before those of the providers' SDKs.",
    default: null,
    litellm: ['general_settings.litellm_key_header_name'],
  }),
  num_retries: setting(integer(0, 100), {
    description: 'Further attempts within a model group after one that failed.',
    default: '2',
    litellm: router('num_retries'),
  }),
  max_fallbacks: setting(integer(0, 100), {
    description: 'Most fallback groups tried for one request.',
    default: '5',
    litellm: router('max_fallbacks'),
  }),
  cooldown: cooldownSchema,
  retries: retriesSchema,
  health_checks: healthChecksSchema,
  reply_model: setting(choice(['requested', 'upstream']), {
    description: 'The `model` in replies: as the client named it, or as the provider did.',
    default: 'requested',
  }),
  echo_provider_headers: setting(flag(), {
    description: "A provider's answer headers are repeated as llm_provider-<name>.",
    default: 'true',
  }),
  forward_client_headers: setting(flag(), {
    description: "The client's x-* headers go to the provider.",
    default: 'false',
    litellm: ['general_settings.forward_client_headers_to_llm_api'],
  }),
  inject_stream_usage: setting(flag(), {
    description: 'Streams of chat/completions and completions are asked for their usage; a deployment can differ.',
    default: 'true',
  }),
  tpm_reservation: setting(choice(['prompt', 'prompt+max_tokens', 'off']), {
    description:
      'Tokens that a request takes from its limits before its usage is known: its prompt (a quarter of its bytes), ' +
      'that and the `max_tokens` it asks for, or none. The usage that the provider reports replaces them.',
    default: 'prompt',
  }),
  max_budget: setting(dollars(), {
    description: 'What all requests together may cost in a window; the master key is not refused.',
    unit: 'US dollars',
    default: null,
    litellm: ['litellm_settings.max_budget'],
  }),
  budget_duration: setting(budgetDuration(), {
    description: 'How long that window is (docs/budgets.md).',
    default: null,
    defaultNote: 'one window for all time',
    litellm: ['litellm_settings.budget_duration'],
  }),
  timezone: setting(timeZone(), {
    description: 'Where days, weeks and months of budgets begin.',
    default: 'UTC',
    litellm: ['litellm_settings.timezone'],
  }),
  budget_exceeded_status_code: setting(integer(400, 499), {
    description: 'Status of requests that a budget refuses.',
    default: '422',
    litellm: ['litellm_settings.budget_exceeded_status_code'],
  }),
  budget_reservation: setting(choice(['off', 'prompt+max_tokens']), {
    description:
      'What a request takes from its budgets before its cost is known: nothing, or what its prompt and the `max_tokens` ' +
      'it asks for would cost. The cost replaces it.',
    default: 'off',
  }),
  enforce_model_rate_limits: setting(flag(), {
    description:
      '`rpm` and `tpm` of a deployment are limits: one that has reached them gets no requests until its window is over. ' +
      "The same as `enforce_model_rate_limits` in LiteLLM's `optional_pre_call_checks`.",
    default: 'false',
  }),
  metrics_require_key: setting(flag(), {
    description: '/metrics needs a key.',
    default: 'true',
    litellm: ['litellm_settings.require_auth_for_metrics_endpoint'],
  }),
  max_connections_per_origin: setting(integer(1, 100_000), {
    description: 'Most connections that one worker thread holds to one provider address.',
    default: '1024',
  }),
  ssl_verify: setting(flagOrPath(), {
    description: "false: providers' certificates are not checked. A path: PEM file of the authorities to trust.",
    default: 'true',
    litellm: ['litellm_settings.ssl_verify'],
  }),
  ssl_certificate: setting(text(), {
    description: 'PEM file with the client certificate for providers, and its key.',
    unit: 'path',
    default: null,
    litellm: ['litellm_settings.ssl_certificate'],
  }),
  routing: routingSchema,
  tls: tlsSchema,
  proxy_protocol: setting(flag(), {
    description: 'Connections begin with a PROXY protocol header, on listeners that do not say otherwise.',
    default: 'false',
  }),
  cors: corsSchema,
  admin: adminSchema,
  trusted_proxies: setting(proxyList(), {
    description:
      'Addresses and CIDR blocks of proxies whose X-Forwarded-For is believed, and `unix` for those that come over a ' +
      'Unix socket. The right-most address that is not in the list is the client.',
    default: null,
  }),
  use_x_forwarded_for: setting(flag(), {
    description: 'false: X-Forwarded-For is not believed, whoever sends it.',
    default: 'true',
    litellm: ['general_settings.use_x_forwarded_for'],
  }),
  record_client_address: setting(flag(), {
    description: "The client's address stands in usage events.",
    default: 'true',
  }),
  timeouts: timeoutsSchema,
  limits: limitsSchema,
  rate_limits: rateLimitsSchema,
  journal: journalSchema,
  usage_retention: setting(durationOrNever(), {
    description:
      'How long the database keeps the events of single requests: `30d`, `12h`, or never to delete them. What they add ' +
      'up to by day, key, user, team, model and tag stays.',
    default: 'never',
    litellm: ['general_settings.maximum_spend_logs_retention_period'],
  }),
  listen: z.array(listenerSchema),
  model_groups: z.record(z.string(), modelGroupSchema),
  keys: z.array(virtualKeySchema),
  users: z.array(userSchema),
  teams: z.array(teamSchema),
});

/** The lists and maps of `slipstream:`; every other leaf is a single setting. */
export const LIST_SECTIONS = ['listen', 'keys', 'users', 'teams', 'model_groups'] as const;

/** All single settings, resolved: flag, environment, `slipstream:`, LiteLLM's sections, default. */
export type Settings = Nullable<
  Omit<z.output<typeof slipstreamSchema>, (typeof LIST_SECTIONS)[number] | 'timeouts' | 'limits'>
> & {
  readonly timeouts: Readonly<Record<string, number>>;
  readonly limits: NullableLimits;
};

/** Limits that may be left open. */
type NullableLimits = Readonly<
  Omit<z.output<typeof limitsSchema>, 'max_in_flight_bytes' | 'max_in_flight' | 'max_queue'>
> & {
  readonly max_in_flight_bytes: number | null;
  readonly max_in_flight: number | null;
  readonly max_queue: number | null;
};

/** A setting whose default is "none" may be null. */
type Nullable<T> = Readonly<
  Omit<
    T,
    | 'tls'
    | 'cors'
    | 'admin'
    | 'trusted_proxies'
    | 'host'
    | 'master_key'
    | 'database_url'
    | 'key_header_name'
    | 'ssl_certificate'
  >
> & {
  readonly tls: Readonly<{ [Key in keyof z.output<typeof tlsSchema>]: z.output<typeof tlsSchema>[Key] | null }>;
  readonly cors: { readonly allowed_origins: readonly string[] | null; readonly max_age: number };
  readonly admin: { readonly host: string; readonly port: number | null };
  readonly trusted_proxies: readonly string[] | null;
  readonly host: string | null;
  readonly master_key: string | null;
  readonly database_url: string | null;
  readonly key_header_name: string | null;
  readonly ssl_certificate: string | null;
};
