import type { BudgetSpec, KeyBudgets } from '../../contract/budget-spec.ts';
import type { KeyRecord, LimitSpec, ModelLimits, OwnerLimits, RateLimitSpec } from '../../contract/key-record.ts';
import { matchModelPattern } from '../../domain/routing/model-pattern.ts';

/** LiteLLM's words in a list of models. */
const ALL_TEAM_MODELS = 'all-team-models';
const ALL_MODELS = 'all-proxy-models';
/** Matches no model, so a list of it alone allows nothing. (An empty list would allow everything.) */
const NO_MODELS = 'no-default-models';

/** What a key itself was given, by the file or through the API. */
export interface KeyGrant extends LimitSpec {
  readonly hash: string;
  readonly alias: string | null;
  readonly userId: string | null;
  readonly teamId: string | null;
  readonly models: readonly string[];
  readonly aliases: Readonly<Record<string, string>>;
  readonly allowedRoutes: readonly string[];
  /** None: none. */
  readonly tags?: readonly string[];
  readonly modelLimits: ModelLimits;
  /** Left out: none. */
  readonly budget?: BudgetSpec;
  readonly modelBudgets?: KeyBudgets['models'];
  /** Of its user in its team, where that is not the team's for all members. */
  readonly memberBudget?: BudgetSpec;
  readonly expiresAtMs: number | null;
  readonly blocked: boolean;
}

/** What a user or team gives to its keys. */
export interface OwnerGrant {
  readonly alias: string | null;
  readonly models: readonly string[];
  readonly aliases: Readonly<Record<string, string>>;
  /** Of a team. */
  readonly tags?: readonly string[];
  readonly limits: OwnerLimits | null;
  /** Left out: none. */
  readonly budget?: BudgetSpec;
  /** Of a team: of each member that has none of its own. */
  readonly memberBudget?: BudgetSpec;
  /** Of a team: of the members, by their users' ids, that have one of their own. */
  readonly memberBudgets?: ReadonlyMap<string, BudgetSpec>;
  /** Of a team: of each member, as far as it has none of its own. */
  readonly memberLimits?: RateLimitSpec;
  /** Of a team: of the members, by their users' ids, that have some of their own. */
  readonly ownMemberLimits?: ReadonlyMap<string, RateLimitSpec>;
  readonly blocked: boolean;
}

/** Users and teams by their ids. */
export interface Owners {
  readonly users: ReadonlyMap<string, OwnerGrant>;
  readonly teams: ReadonlyMap<string, OwnerGrant>;
}

/** The key as the sidecar needs it. A user or team that is described nowhere gives and takes nothing. */
export function foldKey(grant: KeyGrant, { users, teams }: Owners): KeyRecord {
  const user = grant.userId === null ? undefined : users.get(grant.userId);
  const team = grant.teamId === null ? undefined : teams.get(grant.teamId);
  const budgets = foldBudgets(grant, user, team);
  const memberLimits = foldMemberLimits(grant, team);
  return {
    hash: grant.hash,
    alias: grant.alias,
    userId: grant.userId,
    teamId: grant.teamId,
    models: effectiveModels(grant.models, user?.models ?? [], team?.models ?? null),
    aliases: effectiveAliases(grant.aliases, team?.aliases ?? {}),
    allowedRoutes: grant.allowedRoutes,
    tags: [...new Set([...(grant.tags ?? []), ...(team?.tags ?? [])])],
    rpmLimit: grant.rpmLimit,
    tpmLimit: grant.tpmLimit,
    maxParallelRequests: grant.maxParallelRequests,
    modelLimits: grant.modelLimits,
    userLimits: user?.limits ?? null,
    teamLimits: team?.limits ?? null,
    ...(memberLimits === null ? {} : { memberLimits }),
    ...(budgets === null ? {} : { budgets }),
    expiresAtMs: grant.expiresAtMs,
    blocked: grant.blocked || user?.blocked === true || team?.blocked === true,
  };
}

function foldBudgets(grant: KeyGrant, user: OwnerGrant | undefined, team: OwnerGrant | undefined): KeyBudgets | null {
  const budgets: KeyBudgets = {
    key: grant.budget ?? null,
    user: user?.budget ?? null,
    team: team?.budget ?? null,
    member: grant.memberBudget ?? team?.memberBudgets?.get(grant.userId ?? '') ?? team?.memberBudget ?? null,
    models: grant.modelBudgets ?? {},
  };
  const { key, user: ofUser, team: ofTeam, member, models } = budgets;
  const isFree = [key, ofUser, ofTeam, member].every((budget) => budget === null) && Object.keys(models).length === 0;
  return isFree ? null : budgets;
}

function foldMemberLimits({ userId }: KeyGrant, team: OwnerGrant | undefined): RateLimitSpec | null {
  if (userId === null || team === undefined) return null;
  const own = team.ownMemberLimits?.get(userId);
  const rpmLimit = own?.rpmLimit ?? team.memberLimits?.rpmLimit ?? null;
  const tpmLimit = own?.tpmLimit ?? team.memberLimits?.tpmLimit ?? null;
  return rpmLimit === null && tpmLimit === null ? null : { rpmLimit, tpmLimit };
}

/**
 * A key may use what it lists, at most what its team may; a key without a team at most what its user may. An empty
 * list sets no bound, `all-team-models` takes the team's.
 */
function effectiveModels(
  own: readonly string[],
  user: readonly string[],
  team: readonly string[] | null,
): readonly string[] {
  const listed = own.includes(ALL_TEAM_MODELS) && team !== null ? [] : unbounded(own);
  return intersect(listed, unbounded(team ?? user));
}

function unbounded(models: readonly string[]): readonly string[] {
  return models.includes(ALL_MODELS) || models.includes('*') ? [] : models;
}

/** Names and patterns that both allow; empty lists allow all. Patterns that overlap in part count as apart. */
export function intersect(a: readonly string[], b: readonly string[]): readonly string[] {
  if (a.length === 0) return b;
  if (b.length === 0) return a;
  const isCovered = (name: string, by: readonly string[]): boolean =>
    by.some((pattern) => matchModelPattern(pattern, name) !== null);
  const both = [...a.filter((name) => isCovered(name, b)), ...b.filter((name) => isCovered(name, a))];
  return both.length === 0 ? [NO_MODELS] : [...new Set(both)];
}

/** As in LiteLLM the team's alias is followed first, then the key's own of what that gave. */
function effectiveAliases(
  own: Readonly<Record<string, string>>,
  team: Readonly<Record<string, string>>,
): Readonly<Record<string, string>> {
  const follow = (name: string): string => (Object.hasOwn(own, name) ? (own[name] ?? name) : name);
  const throughTeam = Object.entries(team).map(([name, model]) => [name, follow(model)] as const);
  return Object.fromEntries([...Object.entries(own), ...throughTeam]);
}
