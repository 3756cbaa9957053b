import { addDuration, parseDuration } from '../../../domain/time/duration.ts';
import type { JsonObject } from '../../store/tables/limit-columns.ts';
import type { KeyRow } from '../../store/tables/key-tables.ts';
import { adminError } from '../admin-error.ts';
import { extraColumn, grantColumns, nanoOrNull, type SomeColumns } from '../grant-columns.ts';
import { inertKeyFields, type KEY_TYPES, type UpdateKeyRequest } from '../schemas/key-schemas.ts';

type KeyColumns = SomeColumns<Omit<KeyRow, 'hash' | 'created_at_ms' | 'updated_at_ms'>>;
type KeyFieldsRequest = Omit<UpdateKeyRequest, 'key'>;

/** LiteLLM's: what a type of key may call where nothing else is said. */
const ROUTES_OF_TYPE: Readonly<Record<(typeof KEY_TYPES)[number], readonly string[]>> = {
  llm_api: ['llm_api_routes'],
  management: ['management_routes'],
  read_only: ['info_routes'],
  default: [],
};

/** Of `extra`, but columns of their own. */
const {
  organization_id: _o,
  project_id: _p,
  agent_id: _a,
  temp_budget_increase: _i,
  temp_budget_expiry: _e,
  ...inExtra
} = inertKeyFields;

/** The columns that a request sets. @param extra of the key as it is. */
export function keyColumns(request: KeyFieldsRequest, extra: JsonObject, nowMs: number): KeyColumns {
  const columns: KeyColumns = grantColumns(request);
  const { key_type: keyType, allowed_routes: routes } = request;
  if (request.key_alias !== undefined) columns.key_alias = request.key_alias;
  if (request.user_id !== undefined) columns.user_id = request.user_id;
  if (request.team_id !== undefined) columns.team_id = request.team_id;
  if (request.organization_id !== undefined) columns.organization_id = request.organization_id;
  if (request.project_id !== undefined) columns.project_id = request.project_id;
  if (request.agent_id !== undefined) columns.agent_id = request.agent_id;
  if (request.aliases !== undefined) columns.aliases = request.aliases ?? {};
  if (request.budget_limits !== undefined) columns.budget_limits = request.budget_limits ?? [];
  if (keyType !== undefined) {
    columns.key_type = keyType;
    columns.allowed_routes = keyType === null ? [] : ROUTES_OF_TYPE[keyType];
  }
  if (routes !== undefined && routes !== null) columns.allowed_routes = routes;
  else if (routes === null && (keyType === undefined || keyType === null)) columns.allowed_routes = [];
  if (request.duration !== undefined) columns.expires_at_ms = expiry(request.duration, nowMs);
  Object.assign(columns, temporaryBudget(request));
  const kept = extraColumn(extra, request, inExtra);
  if (kept !== null) columns.extra = kept;
  return columns;
}

function expiry(duration: string | null, nowMs: number): number | null {
  const parsed = duration === null ? null : parseDuration(duration);
  return parsed === null ? null : addDuration(nowMs, parsed);
}

function temporaryBudget({ temp_budget_increase: increase, temp_budget_expiry: ends }: KeyFieldsRequest): KeyColumns {
  if (increase === undefined && ends === undefined) return {};
  if (increase === null && ends === null) return { temp_budget_increase_nano: null, temp_budget_expiry_ms: null };
  const endsMs = typeof ends === 'string' ? Date.parse(ends) : Number.NaN;
  if (increase === undefined || increase === null || Number.isNaN(endsMs)) {
    throw adminError(
      'invalid_field',
      'temp_budget_increase and temp_budget_expiry (a date) go together',
      'temp_budget_expiry',
    );
  }
  return { temp_budget_increase_nano: nanoOrNull(increase), temp_budget_expiry_ms: endsMs };
}
