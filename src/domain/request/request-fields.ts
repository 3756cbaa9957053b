import { JsonKeyTable } from '../../base/json-key-table.ts';

/**
 * What happens to a top-level field of a request body on its way to the provider:
 * - `keep`: goes upstream as it is; named here because the gateway reads it, or because it decides what a request costs,
 *   so a second spelling of it is refused;
 * - `cut`: the gateway's own, read where supported, never sent upstream;
 * - `drop`: taken out in silence: a switch for tests that clients may not use;
 * - `metadata`: kept or cut as the endpoint's `metadata` rule says;
 * - `refuse`: would choose an upstream address or credential.
 */
export type RequestFieldAction = 'keep' | 'cut' | 'drop' | 'metadata' | 'refuse';

export interface RequestFieldRule {
  readonly name: string;
  readonly action: RequestFieldAction;
}

const ACTIONS: Readonly<Record<RequestFieldAction, readonly string[]>> = {
  keep: [
    'model',
    'stream',
    'stream_options',
    'previous_response_id',
    'user',
    'max_tokens',
    'max_completion_tokens',
    'max_output_tokens',
    'system',
    'instructions',
    'messages',
    'input',
    'prompt',
  ],
  cut: [
    'timeout',
    'stream_timeout',
    'num_retries',
    'fallbacks',
    'disable_fallbacks',
    'context_window_fallback_dict',
    'tags',
    'litellm_metadata',
    'litellm_session_id',
    'litellm_trace_id',
    'guardrails',
    'cache',
    'priority',
    'drop_params',
    'additional_drop_params',
    'enable_json_schema_validation',
  ],
  drop: [
    'mock_response',
    'mock_tool_calls',
    'mock_timeout',
    'mock_testing_fallbacks',
    'mock_testing_context_window_fallbacks',
    'mock_testing_content_policy_fallbacks',
    'mock_testing_rate_limit_error',
  ],
  metadata: ['metadata'],
  refuse: [
    'api_base',
    'base_url',
    'api_key',
    'user_config',
    'litellm_credential_name',
    'azure_ad_token',
    'aws_access_key_id',
    'aws_secret_access_key',
    'aws_session_token',
    'aws_sts_endpoint',
    'aws_web_identity_token',
    'aws_bedrock_runtime_endpoint',
    'vertex_credentials',
  ],
};

/** The one table of fields that the gateway knows by name. Every other field goes upstream untouched. */
export const REQUEST_FIELDS: readonly RequestFieldRule[] = Object.freeze(
  (Object.keys(ACTIONS) as RequestFieldAction[]).flatMap((action) =>
    ACTIONS[action].map((name) => Object.freeze({ name, action })),
  ),
);

/** For the scanner of request bodies: index i is row i of REQUEST_FIELDS. */
export const REQUEST_KEYS: JsonKeyTable = new JsonKeyTable(REQUEST_FIELDS.map((field) => field.name));

/** Row of a name that is in the table. */
export function requestField(name: string): number {
  return REQUEST_KEYS.names.indexOf(name);
}
