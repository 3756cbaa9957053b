import type { KeyRecord, ModelLimits } from '../../contract/key-record.ts';
import { subjectLimits, type LimitSubject, type SubjectLimits } from './subject-limits.ts';
import type { WorkerLimits } from './worker-limits.ts';

/** All limits that a key is under, its rows found. */
export interface KeyLimits {
  /** The key's own; its answers tell how much of them is left. */
  readonly own: SubjectLimits | null;
  /** The key's, its user's, its team's, its user's in that team: what of them there is, in this order. */
  readonly subjects: readonly SubjectLimits[];
  /** By model or group name; null = none. */
  readonly byModel: ReadonlyMap<string, readonly SubjectLimits[]> | null;
  /** `x-ratelimit-*` are the key's own, so the provider's are left out. */
  readonly hidesProviders: boolean;
}

/** @returns null for a key under no limit: that null is all that its requests look at. */
export function resolveKeyLimits(record: KeyRecord, limits: WorkerLimits): KeyLimits | null {
  const { hash, userId, teamId, userLimits, teamLimits, memberLimits } = record;
  const own = subjectLimits(limits, 'api_key', hash, record);
  const user = userId === null ? null : subjectLimits(limits, 'user', userId, userLimits);
  const team = teamId === null ? null : subjectLimits(limits, 'team', teamId, teamLimits);
  const member =
    memberLimits === undefined
      ? null
      : subjectLimits(limits, 'team_member', `${teamId}/${userId}`, { ...memberLimits, maxParallelRequests: null });
  const subjects = [own, user, team, member].filter((subject) => subject !== null);
  const byModel = resolveModelLimits(record, limits);
  if (subjects.length === 0 && byModel === null) return null;
  return { own, subjects, byModel, hidesProviders: own !== null && (own.rpm !== null || own.tpm !== null) };
}

/** Of a model, the key's own limits stand for the team's. */
function resolveModelLimits(record: KeyRecord, limits: WorkerLimits): KeyLimits['byModel'] {
  const { hash, userId, teamId, modelLimits: ofKey } = record;
  const ofUser = userId === null || record.userLimits === null ? {} : record.userLimits.modelLimits;
  const ofTeam = teamId === null || record.teamLimits === null ? {} : record.teamLimits.modelLimits;
  const byModel = new Map<string, readonly SubjectLimits[]>();
  const find = (subject: LimitSubject, owner: string | null, of: ModelLimits, model: string): SubjectLimits | null => {
    if (!Object.hasOwn(of, model)) return null;
    return subjectLimits(limits, subject, `${owner}:${model}`, { ...of[model]!, maxParallelRequests: null });
  };
  for (const model of new Set([...Object.keys(ofKey), ...Object.keys(ofUser), ...Object.keys(ofTeam)])) {
    const key = find('model_per_key', hash, ofKey, model);
    const user = find('model_per_user', userId, ofUser, model);
    const team = key === null ? find('model_per_team', teamId, ofTeam, model) : null;
    byModel.set(
      model,
      [key, user, team].filter((subject) => subject !== null),
    );
  }
  return byModel.size === 0 ? null : byModel;
}
