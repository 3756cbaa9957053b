import { BARE_KEY_RECORD, type KeyRecord } from '../../contract/key-record.ts';
import { compileRouteGrant, type RouteGrant } from '../../domain/keys/route-grant.ts';
import { matchModelPattern } from '../../domain/routing/model-pattern.ts';
import { type ResolvedBudgets, resolveBudgets } from '../budgets/resolve-budgets.ts';
import { resolveKeyLimits, type KeyLimits } from '../limits/key-limits.ts';
import type { WorkerLimits } from '../limits/worker-limits.ts';

/** Bounds the remembered answers to "may this key use that model": names come from clients. */
const MAX_REMEMBERED_MODELS = 256;

/** A key with what requests need of it computed once. */
export interface ResolvedKey {
  readonly record: KeyRecord;
  readonly isMaster: boolean;
  /** `"key":…,"user":…,"team":…` of the usage event. */
  readonly eventPart: string;
  /** Who may see what this key made: its team, else its user, else the key. */
  readonly owner: string;
  /** By the name the client used; an answer holds for one group, since an alias may come to lead elsewhere. */
  readonly allowed: Map<string, ModelAccess>;
  /** Null = none. */
  readonly aliases: ReadonlyMap<string, string> | null;
  /** Null = all. */
  readonly routes: RouteGrant | null;
  /** Its own, its user's and its team's; null = none. */
  readonly limits: KeyLimits | null;
  /** Its own, its user's or its team's; null = none. */
  readonly budgets: ResolvedBudgets | null;
}

interface ModelAccess {
  readonly group: string;
  readonly isAllowed: boolean;
}

export function resolvedKey(record: KeyRecord, limits: WorkerLimits): ResolvedKey {
  const aliases = Object.entries(record.aliases);
  return {
    record,
    isMaster: false,
    eventPart: eventPart(record.hash, record.userId, record.teamId),
    owner:
      record.teamId !== null ? `team:${record.teamId}` : record.userId !== null ? `user:${record.userId}` : record.hash,
    allowed: new Map(),
    aliases: aliases.length === 0 ? null : new Map(aliases),
    routes: compileRouteGrant(record.allowedRoutes),
    limits: resolveKeyLimits(record, limits),
    budgets: resolveBudgets(record, limits),
  };
}

/** The master key: all models, no limits. */
export const MASTER_KEY: ResolvedKey = {
  record: Object.freeze({ ...BARE_KEY_RECORD, hash: 'master' }),
  isMaster: true,
  eventPart: eventPart('master', null, null),
  owner: 'master',
  allowed: new Map(),
  aliases: null,
  routes: null,
  limits: null,
  budgets: null,
};

/** What the model that the client named is to this key. */
export function modelBehindAlias(key: ResolvedKey, model: string): string {
  return key.aliases === null ? model : (key.aliases.get(model) ?? model);
}

/** May `key` use the model the client named, or the group it resolved to? */
export function mayUseModel(key: ResolvedKey, model: string, group: string): boolean {
  const { models } = key.record;
  if (models.length === 0 || key.aliases?.has(model) === true) return true;
  const known = key.allowed.get(model);
  if (known !== undefined && known.group === group) return known.isAllowed;
  const isAllowed = models.some((pattern) => matches(pattern, model) || matches(pattern, group));
  if (key.allowed.size >= MAX_REMEMBERED_MODELS) key.allowed.clear();
  key.allowed.set(model, { group, isAllowed });
  return isAllowed;
}

function matches(pattern: string, model: string): boolean {
  return pattern === 'all-proxy-models' || matchModelPattern(pattern, model) !== null;
}

function eventPart(hash: string, user: string | null, team: string | null): string {
  return `"key":"${hash}","user":${JSON.stringify(user)},"team":${JSON.stringify(team)}`;
}
