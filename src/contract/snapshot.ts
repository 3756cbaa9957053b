import type { WireFamily } from '../domain/endpoints.ts';
import type { Price } from '../domain/pricing/price.ts';
import type { RoutingStrategy } from '../domain/routing/routing-strategy.ts';
import type { ErrorClassCounts } from '../domain/routing/error-class-counts.ts';
import type { BudgetSpec } from './budget-spec.ts';
import type { LimitSpec } from './key-record.ts';
import type { Timeouts } from './timeouts.ts';

/** Raised when a field changes meaning. A sidecar refuses a snapshot of another format with a clear line. */
export const SNAPSHOT_FORMAT = 4;

/**
 * What the control plane decided, compiled for the sidecar: configuration only, no virtual keys. Plain JSON. Holds
 * provider credentials, so it is never logged, and on disk it is sealed.
 */
export interface Snapshot {
  readonly format: typeof SNAPSHOT_FORMAT;
  /** Hash of the content: equal snapshots have equal versions. */
  readonly version: string;
  readonly createdAtMs: number;
  readonly settings: SidecarSettings;
  readonly deployments: readonly DeploymentSpec[];
  /** Exact public model names, in the order of the file. */
  readonly groups: readonly ModelGroupSpec[];
  /** Names with `*`, most specific first. */
  readonly wildcards: readonly ModelGroupSpec[];
  /** Public alias → group; `hidden` ones are left out of /v1/models. */
  readonly aliases: Readonly<Record<string, { readonly group: string; readonly hidden: boolean }>>;
  /** Group → groups to try in turn when it fails before commit. */
  readonly fallbacks: Readonly<Record<string, readonly string[]>>;
  readonly defaultFallbacks: readonly string[];
  /** The same where a prompt is too long for the group; null where nothing is said of any group. */
  readonly contextWindowFallbacks: Readonly<Record<string, readonly string[]>> | null;
  /** The same where the provider's filter refused the content. */
  readonly contentPolicyFallbacks: Readonly<Record<string, readonly string[]>> | null;
  /** Group → retries per class of errors, over `settings.failure.retryPolicy`. */
  readonly groupRetryPolicies: Readonly<Record<string, ErrorClassCounts>>;
}

export interface ModelGroupSpec {
  /** Public name; in `wildcards` a pattern with exactly one or more `*`. */
  readonly name: string;
  /** Ids into `Snapshot.deployments`. */
  readonly deploymentIds: readonly string[];
  /** Of all keys together; null = none. */
  readonly limits: LimitSpec | null;
}

export interface DeploymentSpec {
  /** Stable: `model_info.id`, else a hash of what makes the deployment. Counters hang on it. */
  readonly id: string;
  readonly groupName: string;
  readonly family: WireFamily;
  /** LiteLLM's provider name, for events and metrics: `openai`, `anthropic`, `groq`, … */
  readonly provider: string;
  /** Model name sent to the provider. Its `*`, if any, takes what the group's `*` matched. */
  readonly upstreamModel: string;
  readonly origin: OriginSpec;
  /** Path prefix of the provider's API, without trailing slash: `/v1`, or empty. */
  readonly basePath: string;
  /** Query string appended to every request, without `?`: `api-version=…`, or empty. */
  readonly query: string;
  /** Lower-case name and value, sent with every request, credential included. They win over the client's. */
  readonly headers: readonly (readonly [name: string, value: string])[];
  /** The same, but only where the client sent no header of that name: `anthropic-version`. */
  readonly defaultHeaders: readonly (readonly [name: string, value: string])[];
  /** Share of the traffic within its group: `weight`, else `rpm`, else `tpm`, else 1. */
  readonly weight: number;
  /** Lower is tried first; later ones only when all of an order are out. */
  readonly order: number;
  readonly rpm: number | null;
  readonly tpm: number | null;
  /** What requests may ask for by tag; `default` is for those that ask for nothing. */
  readonly tags: readonly string[];
  /** Regular expressions looked for in `User-Agent: <value>`: requests they match are as if tagged. */
  readonly tagPatterns: readonly string[];
  /** What refuses (`rpm` and `tpm` only where they are enforced); null = nothing. */
  readonly limits: LimitSpec | null;
  /** What may be spent there; left out: as much as one likes. */
  readonly budget?: BudgetSpec;
  /** Whole call, ms; null = settings. */
  readonly timeoutMs: number | null;
  /** First event of a stream, ms; null = settings. */
  readonly streamTimeoutMs: number | null;
  /** May `stream_options.include_usage` be added. */
  readonly injectsUsage: boolean;
  /** null: not known. */
  readonly price: Price | null;
  /** Prices by upstream model, where a `*` leaves it to the client which one is asked; null for every other. */
  readonly modelPrices: Readonly<Record<string, Price>> | null;
  /** How long it is benched after failures, ms; null = settings. */
  readonly cooldownMs: number | null;
  readonly healthCheck: HealthCheckSpec;
}

/** How a deployment is asked whether it works. */
export interface HealthCheckSpec {
  /** LiteLLM's `model_info.mode`: what kind of call; `chat` where it says nothing. */
  readonly mode: string;
  /** Upstream model asked instead; needed where the deployment's own has a `*`. */
  readonly model: string | null;
  readonly timeoutMs: number;
  readonly maxTokens: number;
  /** Not in the background; `/health` asks all the same. */
  readonly isBackgroundOff: boolean;
}

/** Where connections go, and all that decides whether one may be reused for another deployment. */
export interface OriginSpec {
  readonly scheme: 'http' | 'https';
  readonly host: string;
  readonly port: number;
  /** Path of a Unix socket instead of host and port; null for TCP. */
  readonly socketPath: string | null;
  readonly tls: {
    /** false: any certificate is accepted (`ssl_verify: false`). */
    readonly verify: boolean;
    /** PEM bundle that replaces the system's, or null. */
    readonly caPem: string | null;
    readonly certPem: string | null;
    readonly keyPem: string | null;
    readonly serverName: string | null;
  };
  /** Egress proxy `http://[user:password@]host:port`, already chosen by NO_PROXY; null = direct. */
  readonly proxyUrl: string | null;
  readonly maxConnections: number;
}

export interface StrategySpec {
  readonly name: RoutingStrategy;
  /** A deployment that gave no sample for so long is as one never tried, ms. */
  readonly latencyTtlMs: number;
  /** Share of the lowest latency by which others may be slower and still be chosen. */
  readonly latencyBuffer: number;
}

export interface RoutingSettings {
  readonly strategy: StrategySpec;
  /** By model group, instead of `strategy`. */
  readonly groupStrategies: Readonly<Record<string, StrategySpec>>;
  /** `any`: one tag in common with a deployment is enough; `all`: it must have every tag of the request. */
  readonly tagFiltering: 'off' | 'any' | 'all';
  readonly affinity: {
    /** One session, one deployment. */
    readonly session: boolean;
    /** One virtual key, one deployment. */
    readonly key: boolean;
    /** Requests whose prompts begin with the same so many bytes go to one deployment; 0 = off. */
    readonly prefixBytes: number;
    /** … unless it has so many times its share of the requests in progress. */
    readonly prefixSpill: number;
  };
}

export interface SidecarSettings {
  /** Worker threads; read at start only. */
  readonly threads: number;
  readonly timeouts: Timeouts;
  readonly limits: {
    readonly maxHeadBytes: number;
    readonly maxHeaders: number;
    readonly maxBodyBytes: number;
    readonly maxJsonBodyBytes: number;
    /** A request body up to this size is kept until commit, so that it can be sent again. */
    readonly maxReplayBytes: number;
    /** Bytes per second that a request body must come with after its first time (`clientBodyMs`); 0 = any pace. */
    readonly minBodyRate: number;
    /** Bytes held for requests in flight in the whole sidecar; null = a quarter of the memory there is. */
    readonly maxInFlightBytes: number | null;
    /** Requests in flight in the whole sidecar; null = no limit. */
    readonly maxInFlight: number | null;
    /** Requests that wait for one of those to end; null = as many as `maxInFlight`. */
    readonly maxQueue: number | null;
  };
  readonly rateLimits: {
    /** Read at start only, as is `maxSubjects`. */
    readonly windowMs: number;
    /** What a request takes of token limits before its usage is known. */
    readonly tokenReservation: 'prompt' | 'prompt+max_tokens' | 'off';
    readonly maxSubjects: number;
  };
  readonly budgets: BudgetSettings;
  readonly numRetries: number;
  readonly maxFallbacks: number;
  readonly routing: RoutingSettings;
  readonly failure: FailureSettings;
  /** `requested`: the reply's `model` is the name the client used. */
  readonly replyModel: 'requested' | 'upstream';
  /** Provider headers are echoed as `llm_provider-<name>` too. */
  readonly echoProviderHeaders: boolean;
  /** Client `x-*` headers go to the provider (`forward_client_headers_to_llm_api`). */
  readonly forwardClientHeaders: boolean;
  /** Hex SHA-256 of the master key; null when weak or unset keys were permitted and none is set. */
  readonly masterKeyHash: string | null;
  /** Extra header that carries the key, lower case; null = none. */
  readonly keyHeaderName: string | null;
  readonly metricsRequireKey: boolean;
  readonly cors: {
    /** Lower case, or `*`. Empty: CORS is off. */
    readonly allowedOrigins: readonly string[];
    readonly maxAgeMs: number;
  };
  readonly clientAddress: {
    /** Addresses, CIDR blocks, `unix`: whose X-Forwarded-For is believed. Empty: nobody's. */
    readonly trustedProxies: readonly string[];
    /** The client's address stands in usage events. */
    readonly record: boolean;
  };
  readonly journal: JournalSettings;
}

export interface BudgetSettings {
  /** In which days, weeks and months begin. */
  readonly timeZone: string;
  /** Of a refusal. */
  readonly exceededStatus: number;
  /** The estimated cost of a request is taken from its budgets when it is admitted. */
  readonly reserves: boolean;
  /** Of all requests together; null = none. */
  readonly global: BudgetSpec | null;
  /** By provider. */
  readonly providers: Readonly<Record<string, BudgetSpec>>;
}

/** Nothing configured. */
export const DEFAULT_BUDGET_SETTINGS: BudgetSettings = Object.freeze({
  timeZone: 'UTC',
  exceededStatus: 422,
  reserves: false,
  global: null,
  providers: {},
});

export interface JournalSettings {
  readonly maxSegmentBytes: number;
  /** 0 = on each tick; null = never, the kernel decides. */
  readonly fsyncIntervalMs: number | null;
  /** Of all segments together; looked at on each tick. null = no limit. */
  readonly maxBytes: number | null;
  /** No room, by `maxBytes` or on the disk: events are dropped and counted, or new requests refused. */
  readonly onFull: 'drop' | 'refuse';
  /** A request that has been forwarded for so long gets an `open` line. */
  readonly openAfterMs: number;
}

/** Before a worker has its first snapshot. */
export const DEFAULT_JOURNAL_SETTINGS: JournalSettings = Object.freeze({
  maxSegmentBytes: 64 * 1024 * 1024,
  fsyncIntervalMs: null,
  maxBytes: 2 * 1024 * 1024 * 1024,
  onFull: 'drop',
  openAfterMs: 5_000,
});

/** What counts as failing, what follows, and what is tried again when. docs/failure.md explains it. */
export interface FailureSettings {
  /** How long a deployment is benched, ms, where the provider does not say. */
  readonly cooldownMs: number;
  /** Failures in a minute that do not bench yet. */
  readonly allowedFails: number;
  readonly allowedFailsPolicy: ErrorClassCounts;
  readonly areCooldownsOff: boolean;
  readonly retryPolicy: ErrorClassCounts;
  /** Waits before a deployment that failed is asked again by the same request, ms. */
  readonly backOff: { readonly initialMs: number; readonly maxMs: number; readonly floorMs: number };
  /** Of a failing deployment's requests in ten seconds, so many retries per request and so many besides. */
  readonly retryBudget: { readonly ratio: number; readonly floor: number };
  readonly healthChecks: {
    readonly inBackground: boolean;
    readonly intervalMs: number;
    /** Deployments that fail their check get no requests, unless all of their group do. */
    readonly steerRouting: boolean;
    /** 408 and 429 are no failed check. */
    readonly ignoreTransient: boolean;
    readonly prompt: string;
  };
}
