import type { Insertable, Selectable, Updateable } from 'kysely';
import type { NewRow } from './owner-tables.ts';
import type { CommonColumns, JsonObject } from './limit-columns.ts';

/** Virtual keys. The key itself is nowhere. */
export interface KeyTable extends CommonColumns {
  /** Hex SHA-256 of the key: LiteLLM's `token`. */
  hash: string;
  /** `sk-...` and the last four characters, to show. */
  key_name: string | null;
  key_alias: string | null;
  user_id: string | null;
  team_id: string | null;
  organization_id: string | null;
  project_id: string | null;
  agent_id: string | null;
  /** `{name that clients use: model}` */
  aliases: JsonObject;
  allowed_routes: readonly string[];
  /** Several windows, as LiteLLM's API has them. */
  budget_limits: readonly JsonObject[];
  temp_budget_increase_nano: bigint | null;
  temp_budget_expiry_ms: number | null;
  key_type: string | null;
  expires_at_ms: number | null;
}

/** A key that was replaced and still works for a while. */
export interface RetiredKeyTable {
  hash: string;
  /** The key that replaced it, whose rights, limits and budget it shares. */
  successor_hash: string;
  valid_until_ms: number;
}

export type KeyRow = Selectable<KeyTable>;
export type RetiredKeyRow = Selectable<RetiredKeyTable>;
/** Columns left out have their defaults: null, empty, false, 0. */
export type NewKey = NewRow<Insertable<KeyTable>, 'hash'>;
export type KeyChanges = Omit<Updateable<KeyTable>, 'hash' | 'created_at_ms' | 'updated_at_ms'>;
