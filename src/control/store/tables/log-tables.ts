import type { Generated, Selectable } from 'kysely';
import type { JsonObject } from './limit-columns.ts';

export const AUDIT_ACTIONS = ['created', 'updated', 'deleted', 'blocked', 'unblocked', 'rotated'] as const;
export type AuditAction = (typeof AUDIT_ACTIONS)[number];

/** What a change can be about: the tables that the admin API writes. */
export const CHANGE_KINDS = ['key', 'team', 'team_member', 'user'] as const;
export type ChangeKind = (typeof CHANGE_KINDS)[number];

/** One line per change made through the admin API or the command line, written with the change itself. */
export interface AuditTable {
  id: Generated<number>;
  at_ms: number;
  /** Who: `master key`, a user's id, or the hash of a key. */
  changed_by: string;
  action: AuditAction;
  kind: ChangeKind;
  /** A key's hash, a team's or user's id, `<team>/<user>` of a member. */
  object_id: string;
  /** The columns that changed, as they were and as they are; null where there was or is nothing. */
  before: JsonObject | null;
  after: JsonObject | null;
}

/**
 * What changed, in the order in which it became visible: who has read up to `sequence` misses nothing by asking for what
 * comes after. Old lines are removed, the last one never.
 */
export interface ChangeTable {
  sequence: Generated<number>;
  kind: ChangeKind;
  /** A key's hash, a team's or user's id. Of a member: the team's. */
  object_id: string;
  at_ms: number;
}

export interface SchemaVersionTable {
  number: number;
  name: string;
  applied_at_ms: number;
}

export type AuditRow = Selectable<AuditTable>;
export type ChangeRow = Selectable<ChangeTable>;
