import type { z } from 'zod';
import type { CommonColumns, JsonObject } from '../store/tables/limit-columns.ts';
import type { grantFields } from './schemas/common-fields.ts';
import { toNano } from './usd.ts';

type GrantRequest = z.output<z.ZodObject<typeof grantFields>>;

/** Some columns of a row, to be set. */
export type SomeColumns<Row> = { -readonly [Key in keyof Row]?: Row[Key] };
type GrantColumns = SomeColumns<
  Omit<
    CommonColumns,
    'spend_nano' | 'budget_reset_at_ms' | 'extra' | 'created_at_ms' | 'updated_at_ms' | 'created_by' | 'updated_by'
  >
>;

/** What LiteLLM keeps in `metadata` and we in columns: scripts read it there and write it back. */
const LIFTED = ['tags', 'model_rpm_limit', 'model_tpm_limit'] as const;

/** The columns that a request sets: what is absent stays as it is, null clears. */
export function grantColumns(request: GrantRequest): GrantColumns {
  const given = liftFromMetadata(request);
  const columns: GrantColumns = {};
  if (given.models !== undefined) columns.models = given.models ?? [];
  if (given.metadata !== undefined) columns.metadata = given.metadata ?? {};
  if (given.tags !== undefined) columns.tags = given.tags ?? [];
  if (given.blocked !== undefined) columns.blocked = given.blocked ?? false;
  if (given.rpm_limit !== undefined) columns.rpm_limit = given.rpm_limit;
  if (given.tpm_limit !== undefined) columns.tpm_limit = given.tpm_limit;
  if (given.max_parallel_requests !== undefined) columns.max_parallel_requests = given.max_parallel_requests;
  if (given.model_rpm_limit !== undefined) columns.model_rpm_limit = given.model_rpm_limit ?? {};
  if (given.model_tpm_limit !== undefined) columns.model_tpm_limit = given.model_tpm_limit ?? {};
  if (given.model_max_budget !== undefined) columns.model_max_budget = given.model_max_budget ?? {};
  if (given.max_budget !== undefined) columns.max_budget_nano = nanoOrNull(given.max_budget);
  if (given.soft_budget !== undefined) columns.soft_budget_nano = nanoOrNull(given.soft_budget);
  if (given.budget_duration !== undefined) columns.budget_duration = given.budget_duration;
  return columns;
}

/** `extra` with the fields of `shape` that the request sets; null takes one out. Null: nothing changes. */
export function extraColumn(
  before: JsonObject,
  request: JsonObject,
  shape: Readonly<Record<string, unknown>>,
): JsonObject | null {
  const given = Object.entries(request).filter(([name, value]) => Object.hasOwn(shape, name) && value !== undefined);
  if (given.length === 0) return null;
  return Object.fromEntries(
    Object.entries({ ...before, ...Object.fromEntries(given) }).filter(([, value]) => value !== null),
  );
}

export function nanoOrNull(usd: number | null): bigint | null {
  return usd === null ? null : toNano(usd);
}

/** A field of its own wins over the same one in `metadata`. */
function liftFromMetadata(request: GrantRequest): GrantRequest {
  const { metadata } = request;
  if (metadata === undefined || metadata === null) return request;
  const rest = { ...metadata };
  const lifted: Record<string, unknown> = {};
  for (const field of LIFTED) {
    if (!Object.hasOwn(rest, field) || !isLiftable(field, rest[field])) continue;
    lifted[field] = rest[field];
    delete rest[field];
  }
  const own = Object.fromEntries(Object.entries(request).filter(([, value]) => value !== undefined));
  return { ...lifted, ...own, metadata: rest };
}

function isLiftable(field: (typeof LIFTED)[number], value: unknown): boolean {
  if (field === 'tags') return Array.isArray(value) && value.every((tag) => typeof tag === 'string');
  return (
    typeof value === 'object' &&
    value !== null &&
    !Array.isArray(value) &&
    Object.values(value).every((limit) => Number.isSafeInteger(limit) && (limit as number) >= 0)
  );
}
