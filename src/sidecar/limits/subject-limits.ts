import type { LimitSpec } from '../../contract/key-record.ts';
import type { WorkerLimits } from './worker-limits.ts';

/** Whose limit it is, by LiteLLM's words: they stand in error messages. */
export const LIMIT_SUBJECTS = [
  'api_key',
  'model_per_key',
  'user',
  'model_per_user',
  'team',
  'model_per_team',
  'team_member',
  'model_group',
  'deployment',
] as const;
export type LimitSubject = (typeof LIMIT_SUBJECTS)[number];

/** What is counted. */
export const LIMIT_KINDS = ['requests', 'tokens', 'max_parallel_requests'] as const;
export type LimitKind = (typeof LIMIT_KINDS)[number];

/** The limits of one subject, and where the limit table counts what it uses. */
export interface SubjectLimits {
  readonly subject: LimitSubject;
  /** Hash of the key, id of the user or team, `team/user`, name of the group; with `:model` where it is a model's. */
  readonly name: string;
  /** In the limit table; −1: the table was full, so every request of the subject is refused. */
  readonly row: number;
  readonly requestsCell: number;
  readonly tokensCell: number;
  readonly rpm: number | null;
  readonly tpm: number | null;
  readonly maxParallelRequests: number | null;
}

/** @returns null where nothing is limited. Makes the subject's row: for snapshot build and key resolution only. */
export function subjectLimits(
  limits: WorkerLimits,
  subject: LimitSubject,
  name: string,
  spec: LimitSpec | null,
): SubjectLimits | null {
  if (spec === null) return null;
  const { rpmLimit, tpmLimit, maxParallelRequests } = spec;
  if (rpmLimit === null && tpmLimit === null && maxParallelRequests === null) return null;
  const row = limits.claim(subject, name);
  return {
    subject,
    name,
    row,
    requestsCell: limits.table.requestsCell(row),
    tokensCell: limits.table.tokensCell(row),
    rpm: rpmLimit,
    tpm: tpmLimit,
    maxParallelRequests,
  };
}
