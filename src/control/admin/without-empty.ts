/**
 * Texts that clients written for LiteLLM send as "" where they have none: its Terraform provider names a key's team,
 * alias and budget window in every update. Of numbers "" stays what it is, an error: it must not lift a limit.
 */
const EMPTY_IS_NONE: ReadonlySet<string> = new Set([
  'agent_id',
  'budget_duration',
  'budget_id',
  'duration',
  'grace_period',
  'key_alias',
  'key_type',
  'new_key',
  'organization_id',
  'project_id',
  'rotation_interval',
  'rpm_limit_type',
  'sso_user_id',
  'team_alias',
  'team_id',
  'team_member_budget_duration',
  'team_member_key_duration',
  'tpm_limit_type',
  'user_alias',
  'user_email',
  'user_id',
  'user_role',
]);

/** A body in which "" of those is null: not given, and in an update cleared. */
export function withoutEmptyTexts(body: unknown): unknown {
  if (typeof body !== 'object' || body === null || Array.isArray(body)) return body;
  return Object.fromEntries(
    Object.entries(body).map(([name, value]) => [name, value === '' && EMPTY_IS_NONE.has(name) ? null : value]),
  );
}

/** A query without the parameters that say nothing: `/key/list?user_id=` filters by no user. */
export function withoutEmptyParameters(query: unknown): unknown {
  return Object.fromEntries(Object.entries(query as object).filter(([, value]) => value !== ''));
}
