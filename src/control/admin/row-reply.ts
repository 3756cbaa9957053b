import type { z } from 'zod';
import type { CommonColumns, JsonObject } from '../store/tables/limit-columns.ts';
import type { rowFields } from './schemas/common-fields.ts';
import { toUsd, toUsdOrNull } from './usd.ts';

type RowReply = z.input<z.ZodObject<typeof rowFields>>;

/** Of a row that the file declares: nobody noted when it was made. */
const UNKNOWN_MS = 0;

/** The fields that keys, teams and users have in common, in LiteLLM's form. */
export function rowReply(row: CommonColumns & { readonly organization_id: string | null }): RowReply {
  const { extra } = row;
  return {
    spend: toUsd(row.spend_nano),
    models: [...row.models],
    metadata: metadataReply(row),
    max_parallel_requests: row.max_parallel_requests,
    tpm_limit: row.tpm_limit,
    rpm_limit: row.rpm_limit,
    max_budget: toUsdOrNull(row.max_budget_nano),
    soft_budget: toUsdOrNull(row.soft_budget_nano),
    budget_duration: row.budget_duration,
    budget_reset_at: isoOrNull(row.budget_reset_at_ms),
    budget_limits: listOrNull(extra['budget_limits']),
    model_spend: {},
    model_max_budget: row.model_max_budget,
    policies: texts(extra['policies']),
    guardrails: textsOrNull(extra['guardrails']),
    prompts: textsOrNull(extra['prompts']),
    allowed_cache_controls: texts(extra['allowed_cache_controls']),
    allowed_passthrough_routes: textsOrNull(extra['allowed_passthrough_routes']),
    rpm_limit_type: textOrNull(extra['rpm_limit_type']),
    tpm_limit_type: textOrNull(extra['tpm_limit_type']),
    access_group_ids: texts(extra['access_group_ids']),
    router_settings: objectOrNull(extra['router_settings']),
    organization_id: row.organization_id,
    object_permission_id: null,
    object_permission: objectOrNull(extra['object_permission']),
    created_at: momentOrNull(row.created_at_ms),
    updated_at: momentOrNull(row.updated_at_ms),
  };
}

/** With what LiteLLM keeps there. */
function metadataReply(row: CommonColumns): Record<string, unknown> {
  const { guardrails } = row.extra;
  return {
    ...row.metadata,
    ...(row.tags.length > 0 ? { tags: row.tags } : {}),
    ...(isEmpty(row.model_rpm_limit) ? {} : { model_rpm_limit: row.model_rpm_limit }),
    ...(isEmpty(row.model_tpm_limit) ? {} : { model_tpm_limit: row.model_tpm_limit }),
    ...(Array.isArray(guardrails) ? { guardrails } : {}),
  };
}

export function grantedReply(row: CommonColumns): {
  tags: string[] | null;
  model_rpm_limit: Readonly<Record<string, number>> | null;
  model_tpm_limit: Readonly<Record<string, number>> | null;
} {
  return {
    tags: row.tags.length > 0 ? [...row.tags] : null,
    model_rpm_limit: isEmpty(row.model_rpm_limit) ? null : row.model_rpm_limit,
    model_tpm_limit: isEmpty(row.model_tpm_limit) ? null : row.model_tpm_limit,
  };
}

export function isoOrNull(ms: number | null): string | null {
  return ms === null ? null : new Date(ms).toISOString();
}

function momentOrNull(ms: number): string | null {
  return ms === UNKNOWN_MS ? null : new Date(ms).toISOString();
}

export function texts(value: unknown): string[] {
  return Array.isArray(value) ? value.filter((item) => typeof item === 'string') : [];
}

export function textsOrNull(value: unknown): string[] | null {
  return Array.isArray(value) ? texts(value) : null;
}

export function textOrNull(value: unknown): string | null {
  return typeof value === 'string' ? value : null;
}

export function objectOrNull(value: unknown): JsonObject | null {
  return typeof value === 'object' && value !== null && !Array.isArray(value) ? (value as JsonObject) : null;
}

/** Of a map whose values should be texts. */
export function textMap(value: JsonObject): Record<string, string> {
  return Object.fromEntries(
    Object.entries(value).filter((entry): entry is [string, string] => typeof entry[1] === 'string'),
  );
}

function listOrNull(value: unknown): unknown[] | null {
  return Array.isArray(value) ? value : null;
}

function isEmpty(map: JsonObject): boolean {
  return Object.keys(map).length === 0;
}
