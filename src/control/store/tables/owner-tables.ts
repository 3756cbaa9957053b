import type { Insertable, Selectable, Updateable } from 'kysely';
import type { CommonColumns, JsonObject } from './limit-columns.ts';

/** All columns optional but the ones that identify the row; the repository sets those of provenance. */
export type NewRow<Row, Id extends keyof Row> = Readonly<
  Pick<Row, Id> & Partial<Omit<Row, Id | 'created_at_ms' | 'updated_at_ms'>>
>;

export interface UserTable extends CommonColumns {
  user_id: string;
  user_alias: string | null;
  user_email: string | null;
  /** LiteLLM's: `proxy_admin`, `internal_user`, … */
  user_role: string | null;
  sso_user_id: string | null;
  organization_id: string | null;
}

export interface TeamTable extends CommonColumns {
  team_id: string;
  team_alias: string | null;
  organization_id: string | null;
  /** `{name that clients use: model}` */
  model_aliases: JsonObject;
  /** Defaults of members that have none of their own. */
  team_member_budget_nano: bigint | null;
  team_member_rpm_limit: number | null;
  team_member_tpm_limit: number | null;
  team_member_key_duration: string | null;
}

export const TEAM_ROLES = ['admin', 'user'] as const;
export type TeamRole = (typeof TEAM_ROLES)[number];

export interface TeamMemberTable {
  team_id: string;
  user_id: string;
  user_email: string | null;
  role: TeamRole;
  /** Spent of all time. Written by ingestion only. */
  spend_nano: bigint;
  /** LiteLLM's `max_budget_in_team`; null = the team's default for members. */
  max_budget_nano: bigint | null;
  budget_duration: string | null;
  budget_reset_at_ms: number | null;
  rpm_limit: number | null;
  tpm_limit: number | null;
  created_at_ms: number;
  updated_at_ms: number;
}

export type UserRow = Selectable<UserTable>;
export type NewUser = NewRow<Insertable<UserTable>, 'user_id'>;
export type UserChanges = Omit<Updateable<UserTable>, 'user_id' | 'created_at_ms' | 'updated_at_ms'>;
export type TeamRow = Selectable<TeamTable>;
export type NewTeam = NewRow<Insertable<TeamTable>, 'team_id'>;
export type TeamChanges = Omit<Updateable<TeamTable>, 'team_id' | 'created_at_ms' | 'updated_at_ms'>;
export type TeamMemberRow = Selectable<TeamMemberTable>;
export type NewTeamMember = NewRow<Omit<Insertable<TeamMemberTable>, 'team_id'>, 'user_id' | 'role'>;
export type TeamMemberChanges = Omit<
  Updateable<TeamMemberTable>,
  'team_id' | 'user_id' | 'created_at_ms' | 'updated_at_ms'
>;
