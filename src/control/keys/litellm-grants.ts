import type { JsonObject, LimitColumns } from '../store/tables/limit-columns.ts';
import type { KeyGrant, OwnerGrant } from './fold-key.ts';
import { modelLimits, ownerLimits, texts } from './grant-of-row.ts';

/** A row of one of LiteLLM's tables. Which columns there are depends on its version: each is looked at before use. */
export type LitellmRow = JsonObject;

export function keyGrantOfLitellm(row: LitellmRow): KeyGrant {
  const limits = limitColumns(row);
  return {
    hash: String(row['token']),
    alias: text(row['key_alias']),
    userId: text(row['user_id']),
    teamId: text(row['team_id']),
    models: list(row['models']),
    aliases: texts(object(row['aliases'])),
    allowedRoutes: list(row['allowed_routes']),
    rpmLimit: limits.rpm_limit,
    tpmLimit: limits.tpm_limit,
    maxParallelRequests: limits.max_parallel_requests,
    modelLimits: modelLimits(limits),
    expiresAtMs: count(row['expires_ms']),
    blocked: row['blocked'] === true,
    tags: list(object(row['metadata'])['tags']),
  };
}

/** @param modelAliases of the team, which stand in a table of their own. */
export function ownerGrantOfLitellm(row: LitellmRow, modelAliases: unknown = null): OwnerGrant {
  return {
    alias: text(row['team_alias'] ?? row['user_alias']),
    models: list(row['models']),
    aliases: texts(object(modelAliases)),
    limits: ownerLimits(limitColumns(row)),
    blocked: row['blocked'] === true,
    tags: list(object(row['metadata'])['tags']),
  };
}

/** Limits by model stand in the metadata. */
function limitColumns(row: LitellmRow): LimitColumns {
  const metadata = object(row['metadata']);
  return {
    rpm_limit: count(row['rpm_limit']),
    tpm_limit: count(row['tpm_limit']),
    max_parallel_requests: count(row['max_parallel_requests']),
    model_rpm_limit: counts(object(metadata['model_rpm_limit'])),
    model_tpm_limit: counts(object(metadata['model_tpm_limit'])),
  };
}

function counts(values: JsonObject): Record<string, number> {
  return Object.fromEntries(
    Object.entries(values).flatMap(([name, value]) => {
      const number = count(value);
      return number === null ? [] : [[name, number]];
    }),
  );
}

/** BIGINT comes as text. */
function count(value: unknown): number | null {
  if (typeof value !== 'number' && typeof value !== 'string') return null;
  const number = Number(value);
  return Number.isFinite(number) && number >= 0 ? Math.floor(number) : null;
}

function text(value: unknown): string | null {
  return typeof value === 'string' && value !== '' ? value : null;
}

function list(value: unknown): string[] {
  return Array.isArray(value) ? value.filter((item) => typeof item === 'string') : [];
}

/** Older versions hold JSON as a text within JSON. */
function object(value: unknown): JsonObject {
  if (typeof value === 'string') {
    try {
      return object(JSON.parse(value));
    } catch {
      return {};
    }
  }
  return typeof value === 'object' && value !== null && !Array.isArray(value) ? (value as JsonObject) : {};
}
