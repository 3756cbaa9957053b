import { isSuccess } from '../../ingest/usage-row.ts';
import type { EventRow } from '../../spend/spend-queries.ts';
import type { SpendLog } from '../schemas/spend-schemas.ts';
import { toUsd } from '../usd.ts';
import type { KeyNames } from './key-names.ts';

/** LiteLLM's names of calls; where it has none, ours. */
const CALL_TYPES: Readonly<Record<string, string>> = {
  chat_completions: 'acompletion',
  completions: 'atext_completion',
  embeddings: 'aembedding',
  messages: 'anthropic_messages',
  responses: 'aresponses',
  rerank: 'arerank',
  realtime: '_arealtime',
};

/** A row of LiteLLM's SpendLogs. Bodies are never kept, so `messages` and `response` are empty. */
export function spendLog(row: EventRow, names: KeyNames): SpendLog {
  const { prompt_tokens, completion_tokens } = row;
  const durationMs = row.duration_us / 1000;
  const total_tokens = prompt_tokens + completion_tokens;
  return {
    request_id: row.id,
    call_type: CALL_TYPES[row.endpoint] ?? row.endpoint,
    api_key: row.api_key,
    spend: toUsd(row.spend_nano),
    total_tokens,
    prompt_tokens,
    completion_tokens,
    startTime: new Date(row.at_ms).toISOString(),
    endTime: new Date(row.at_ms + durationMs).toISOString(),
    completionStartTime:
      row.first_byte_us === null ? null : new Date(row.at_ms + row.first_byte_us / 1000).toISOString(),
    request_duration_ms: Math.round(durationMs),
    model: row.upstream_model ?? row.model ?? '',
    model_id: row.deployment,
    model_group: row.model_group,
    custom_llm_provider: row.provider,
    api_base: '',
    user: row.user_id ?? '',
    metadata: metadata(row, names),
    cache_hit: 'False',
    cache_key: '',
    request_tags: row.tags === null ? [] : (JSON.parse(row.tags) as string[]),
    team_id: row.team_id,
    organization_id: null,
    end_user: '',
    requester_ip_address: row.client,
    messages: {},
    response: {},
    session_id: row.trace_id,
    status: isSuccess(row) ? 'success' : 'failure',
    mcp_namespaced_tool_name: null,
    agent_id: null,
    proxy_server_request: {},
  };
}

/** LiteLLM's members, and under `slipstream` what it has no place for. */
function metadata(row: EventRow, names: KeyNames): Record<string, unknown> {
  return {
    user_api_key: row.api_key,
    user_api_key_alias: names.key_alias,
    user_api_key_team_id: row.team_id,
    user_api_key_user_id: row.user_id,
    requester_ip_address: row.client,
    attempted_retries: Math.max(0, row.attempts - 1),
    usage_object: {
      prompt_tokens: row.prompt_tokens,
      completion_tokens: row.completion_tokens,
      total_tokens: row.prompt_tokens + row.completion_tokens,
      prompt_tokens_details: { cached_tokens: row.cache_read_tokens },
      completion_tokens_details: { reasoning_tokens: row.reasoning_tokens },
      cache_read_input_tokens: row.cache_read_tokens,
      cache_creation_input_tokens: row.cache_write_tokens,
    },
    slipstream: {
      endpoint: row.endpoint,
      requested_model: row.model,
      stream: row.stream === 1,
      status: row.status,
      error: row.error,
      aborted: row.aborted,
      overhead_us: row.overhead_us,
      usage_source: row.usage_source,
      priced: row.priced === 1,
      request_bytes: row.request_bytes,
      response_bytes: row.response_bytes,
      attempts: row.details,
    },
  };
}
