import type { z } from 'zod';
import { grantedReply, isoOrNull, objectOrNull, rowReply, textMap, textOrNull, textsOrNull } from '../row-reply.ts';
import type { KeyRowReply, keyRowWithToken } from '../schemas/key-schemas.ts';
import type { ShownKey } from '../shown-spend.ts';
import { toUsd, toUsdOrNull } from '../usd.ts';

/** A key as LiteLLM shows it. Never the key itself. */
export function keyReply(row: ShownKey): KeyRowReply {
  const { extra } = row;
  return {
    ...rowReply(row),
    ...grantedReply(row),
    key_name: row.key_name ?? 'sk-...',
    key_alias: row.key_alias,
    soft_budget_cooldown: false,
    expires: isoOrNull(row.expires_at_ms),
    aliases: textMap(row.aliases),
    model_spend: Object.fromEntries(Object.entries(row.modelSpend ?? {}).map(([model, nano]) => [model, toUsd(nano)])),
    config: objectOrNull(extra['config']) ?? {},
    user_id: row.user_id,
    team_id: row.team_id,
    agent_id: row.agent_id,
    project_id: row.project_id,
    budget_limits: row.budget_limits.length > 0 ? [...row.budget_limits] : null,
    permissions: objectOrNull(extra['permissions']) ?? {},
    blocked: row.blocked,
    allowed_routes: [...row.allowed_routes],
    key_type: row.key_type,
    temp_budget_increase: toUsdOrNull(row.temp_budget_increase_nano),
    temp_budget_expiry: isoOrNull(row.temp_budget_expiry_ms),
    budget_id: textOrNull(extra['budget_id']),
    enforced_params: textsOrNull(extra['enforced_params']),
    created_by: row.created_by,
    updated_by: row.updated_by,
    last_active: null,
    rotation_count: typeof extra['rotation_count'] === 'number' ? extra['rotation_count'] : 0,
    auto_rotate: extra['auto_rotate'] === true,
    rotation_interval: textOrNull(extra['rotation_interval']),
    last_rotation_at: textOrNull(extra['last_rotation_at']),
    key_rotation_at: null,
    litellm_budget_table: null,
    litellm_organization_table: null,
  };
}

export function keyReplyWithToken(row: ShownKey): z.input<typeof keyRowWithToken> {
  return { ...keyReply(row), token: row.hash };
}
