import type { KeyBudgets } from './budget-spec.ts';

/** Requests and tokens per window; null = no limit. */
export interface RateLimitSpec {
  readonly rpmLimit: number | null;
  readonly tpmLimit: number | null;
}

/** What a key, a user, a team, a model group or a deployment may use; null = no limit. */
export interface LimitSpec extends RateLimitSpec {
  readonly maxParallelRequests: number | null;
}

/** Limits by model: the name of a group, or the name that clients use. */
export type ModelLimits = Readonly<Record<string, RateLimitSpec>>;

/** Of a user or team: all its keys together. */
export interface OwnerLimits extends LimitSpec {
  readonly modelLimits: ModelLimits;
}

/** What the sidecar needs to know of a virtual key, its user and team folded in. Plain JSON. */
export interface KeyRecord extends LimitSpec {
  /** Hex SHA-256 of the key. The key itself is nowhere. */
  readonly hash: string;
  readonly alias: string | null;
  readonly userId: string | null;
  readonly teamId: string | null;
  /** Names and patterns with `*` that the key may use, after team inheritance; empty = all. */
  readonly models: readonly string[];
  /** `{name that clients use: model}`, the team's folded in; such a name may be used. */
  readonly aliases: Readonly<Record<string, string>>;
  /** Paths, patterns with `*`, LiteLLM's groups of routes; empty = all. */
  readonly allowedRoutes: readonly string[];
  /** Its own and its team's: every request with it has them. */
  readonly tags: readonly string[];
  readonly modelLimits: ModelLimits;
  /** Of the user named in `userId`; null = none. */
  readonly userLimits: OwnerLimits | null;
  /** Of the team named in `teamId`; null = none. */
  readonly teamLimits: OwnerLimits | null;
  /** Of the user as a member of the team: all the keys that it has there. Left out: none. */
  readonly memberLimits?: RateLimitSpec;
  /** Left out where there are none: of a million keys, few have some. */
  readonly budgets?: KeyBudgets;
  /** Unix ms; null = never. */
  readonly expiresAtMs: number | null;
  /** The key, its user or its team is blocked. */
  readonly blocked: boolean;
}

/** A key that has nothing but, elsewhere, its hash: every model, no limits, nobody's. */
export const BARE_KEY_RECORD: KeyRecord = Object.freeze({
  hash: '',
  alias: null,
  userId: null,
  teamId: null,
  models: [],
  aliases: {},
  allowedRoutes: [],
  tags: [],
  rpmLimit: null,
  tpmLimit: null,
  maxParallelRequests: null,
  modelLimits: {},
  userLimits: null,
  teamLimits: null,
  expiresAtMs: null,
  blocked: false,
});

/** A key that was replaced and goes on for a while: it stands for its successor, whose limits and usage it shares. */
export interface RetiredKey {
  /** Its own. */
  readonly hash: string;
  /** The successor's, with the earlier end of both. */
  readonly record: KeyRecord;
}
