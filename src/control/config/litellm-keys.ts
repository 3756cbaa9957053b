/**
 * Every key of LiteLLM's configuration that is known and not honoured, with what becomes of it. `ignored`: nothing is
 * lost, for the gateway does it anyway or needs it not. `unsupported`: it asks for something that is not done.
 */
export interface KeyNote {
  readonly status: 'ignored' | 'unsupported';
  readonly note: string;
}

export const LITELLM_SECTIONS = [
  '',
  'litellm_params',
  'model_info',
  'litellm_settings',
  'general_settings',
  'router_settings',
] as const;
export type LitellmSection = (typeof LITELLM_SECTIONS)[number];

function notes(status: KeyNote['status'], note: string, keys: string): [string, KeyNote][] {
  return keys
    .trim()
    .split(/\s+/)
    .map((key) => [key, { status, note }]);
}
const ignored = (note: string, keys: string): [string, KeyNote][] => notes('ignored', note, keys);
const unsupported = (note: string, keys: string): [string, KeyNote][] => notes('unsupported', note, keys);

const UNCHANGED = 'requests of the same protocol are forwarded unchanged';
const NO_CALLBACKS = 'no callbacks or logging integrations in this version';
const NO_CACHE = 'no response cache in this version';
const NO_BUDGETS =
  'budgets are those of keys, users, teams, members, models, providers, deployments and of all together';
const NO_GUARDRAILS = 'no guardrails in this version';
const NO_JWT = 'only the master key and virtual keys authenticate in this version';
const NO_MERGING = 'parameters of a deployment are not merged into requests in this version';
const NO_CLOUD = 'this provider needs an adapter that this version lacks';
const NO_PYTHON = 'Python code cannot run here';
const NO_PRIORITY = 'no queues or priorities in this version';
const NO_ALERTS = 'no alerts in this version';
const NO_PROVISIONING = 'keys, users and teams have only the defaults of the request in this version';
const METRICS = 'the metrics here have fixed labels';
const OURS = 'the gateway has its own way of doing this';

export const LITELLM_KEYS: Readonly<Record<LitellmSection, ReadonlyMap<string, KeyNote>>> = {
  '': new Map([
    ...unsupported(NO_GUARDRAILS, 'guardrails policies policy_attachments'),
    ...unsupported('no MCP or agent gateway in this version', 'mcp_servers mcp_tools agent_list'),
    ...unsupported(NO_CALLBACKS, 'callback_settings'),
    ...unsupported('name credentials in each deployment instead', 'credential_list'),
    ...unsupported(
      'this feature is not in this version',
      `vector_store_registry search_tools prompts files_settings finetune_settings assistant_settings worker_registry`,
    ),
  ]),
  litellm_params: new Map([
    ...ignored(UNCHANGED, 'drop_params additional_drop_params allowed_openai_params use_in_pass_through rust'),
    ...unsupported(
      NO_MERGING,
      `max_tokens max_completion_tokens temperature top_p n stop seed presence_penalty frequency_penalty logit_bias
       response_format tools tool_choice parallel_tool_calls reasoning_effort thinking user stream stream_options
       logprobs top_logprobs modalities dimensions encoding_format metadata extra_body store service_tier verbosity`,
    ),
    ...unsupported('num_retries of the settings counts for all', 'max_retries num_retries'),
    ...unsupported(
      NO_CLOUD,
      `aws_region_name aws_access_key_id aws_secret_access_key aws_session_token aws_role_name aws_session_name
       aws_profile_name aws_web_identity_token aws_bedrock_runtime_endpoint vertex_project vertex_location
       vertex_credentials azure_ad_token tenant_id client_id client_secret azure_scope azure_username azure_password`,
    ),
    ...unsupported(
      'neither pixels nor spoken characters are counted',
      'output_cost_per_character input_cost_per_pixel output_cost_per_pixel',
    ),
    ...unsupported(
      'seconds of sound and film, pages and sessions of tools are not counted',
      `input_cost_per_audio_per_second input_cost_per_video_per_second output_cost_per_video_per_second
       ocr_cost_per_page annotation_cost_per_page code_interpreter_cost_per_session file_search_cost_per_1k_calls
       search_context_cost_per_query cache_read_input_audio_token_cost cache_creation_input_audio_token_cost
       tiered_pricing`,
    ),
    ...unsupported('rpm and tpm are the limits of deployments in this version', 'itpm otpm'),
    ...unsupported('name credentials in each deployment instead', 'litellm_credential_name'),
    ...unsupported('clients never choose addresses or credentials', 'configurable_clientside_auth_params'),
    ...unsupported(NO_GUARDRAILS, 'guardrails'),
    ...unsupported(
      'this feature is not in this version',
      `region_name silent_model mock_response mock_timeout default_api_key_tpm_limit default_api_key_rpm_limit
       merge_reasoning_content_in_choices cache_control_injection_points auto_router_config auto_router_default_model
       auto_router_embedding_model`,
    ),
  ]),
  model_info: new Map([
    ...unsupported('put prices into litellm_params', 'input_cost_per_token output_cost_per_token'),
    ...unsupported(
      'this feature is not in this version',
      'access_groups team_id team_public_model_name custom_tokenizer',
    ),
  ]),
  litellm_settings: new Map([
    ...ignored(UNCHANGED, 'drop_params modify_params additional_drop_params'),
    ...ignored(OURS, 'json_logs telemetry http2 disable_aiohttp_transport force_ipv4 set_verbose suppress_debug_info'),
    ...ignored('no message content is ever logged', 'turn_off_message_logging redact_user_api_key_info'),
    ...unsupported(
      NO_CALLBACKS,
      `callbacks success_callback failure_callback service_callback langfuse_default_tags s3_callback_params
       datadog_params datadog_llm_observability_params input_callback audit_log_callbacks store_audit_logs`,
    ),
    ...unsupported(NO_CACHE, 'cache cache_params enable_caching_on_provider_specific_optional_params'),
    ...unsupported(
      NO_BUDGETS,
      `max_internal_user_budget internal_user_budget_duration max_end_user_budget
       max_end_user_budget_id max_ui_session_budget tag_budget_config
       disable_end_user_cost_tracking enable_end_user_cost_tracking_prometheus_only cost_discount_config
       cost_margin_config`,
    ),
    ...unsupported(
      NO_PROVISIONING,
      `default_internal_user_params default_key_generate_params upperbound_key_generate_params default_team_params
       default_team_settings key_generation_settings enable_redis_auth_cache`,
    ),
    ...unsupported('forward_client_headers is one switch for all models', 'model_group_settings'),
    ...unsupported(
      METRICS,
      `prometheus_metrics_config prometheus_exclude_metrics prometheus_exclude_labels
       prometheus_metrics_max_series_per_metric prometheus_initialize_budget_metrics
       custom_prometheus_metadata_labels custom_prometheus_tags prometheus_emit_stream_label`,
    ),
    ...unsupported(NO_PYTHON, 'custom_provider_map'),
    ...unsupported(NO_PRIORITY, 'priority_reservation'),
    ...unsupported(
      'this feature is not in this version',
      'mcp_aliases user_url_validation network_mock public_model_groups public_model_groups_links',
    ),
  ]),
  general_settings: new Map([
    ...ignored(OURS, 'proxy_batch_write_at infer_model_from_keys use_redis_transaction_buffer disable_spend_updates'),
    ...ignored('a client that leaves always cancels its request', 'cancel_on_disconnect'),
    ...ignored('usage is always asked for, see inject_stream_usage', 'always_include_stream_usage'),
    ...ignored('the master key is never returned', 'disable_master_key_return'),
    ...ignored('no message content is ever stored', 'store_prompts_in_spend_logs'),
    ...ignored('old events are deleted all the time, a few at once', 'maximum_spend_logs_retention_interval'),
    ...ignored('known keys are served while the database is away', 'allow_requests_on_db_unavailable'),
    ...ignored('sidecars are told of changed keys; nothing has to expire', 'user_api_key_cache_ttl'),
    ...ignored(OURS, 'database_max_idle_connection_lifetime'),
    ...unsupported('models come from the file only in this version', 'store_model_in_db'),
    ...unsupported('every request is recorded in this version', 'disable_spend_logs disable_error_logs'),
    ...unsupported('no credentials are stored in this version', 'encryption_algorithm'),
    ...unsupported(
      NO_ALERTS,
      'alerting alerting_threshold alert_types alerting_args alert_to_webhook_url spend_report_frequency',
    ),
    ...ignored('the answer of /health always has them', 'health_check_details'),
    ...ignored('the workers of a sidecar share their checks', 'use_shared_health_check'),
    ...unsupported(
      'no pass-through routes in this version',
      'pass_through_endpoints enable_openai_websocket_passthrough',
    ),
    ...unsupported(
      NO_BUDGETS,
      `proxy_budget_rescheduler_min_time proxy_budget_rescheduler_max_time fail_closed_budget_enforcement
       enforce_fallback_budget`,
    ),
    ...unsupported(
      'use slipstream.limits and the max_parallel_requests of keys',
      `max_parallel_requests max_request_size_mb max_response_size_mb token_rate_limit_type`,
    ),
    ...unsupported(
      'use slipstream.limits.max_in_flight, which counts all threads together',
      'max_in_flight_requests_per_worker',
    ),
    ...unsupported(
      'the model that the client names is used',
      'completion_model embedding_model image_generation_model moderation_model',
    ),
    ...unsupported(
      NO_PYTHON,
      'custom_auth custom_auth_settings custom_key_generate custom_sso custom_ui_sso_sign_in_handler',
    ),
    ...unsupported(
      NO_JWT,
      `enable_jwt_auth litellm_jwtauth enable_oauth2_auth enable_oauth2_proxy_auth oauth2_config_mappings allowed_ips
       allowed_routes public_routes admin_only_routes enforced_params service_account_settings
       enforce_user_param user_header_name user_header_mappings reject_clientside_metadata_tags`,
    ),
    ...unsupported('references are read from the environment only', 'key_management_system key_management_settings'),
    ...unsupported(
      'this feature is not in this version',
      `ui_access_mode default_team_disabled block_robots enforce_fallback_model_access
       sse_keepalive_ping_interval_seconds allow_client_side_credentials allow_unmanaged_response_ids`,
    ),
  ]),
  router_settings: new Map([
    ...ignored(UNCHANGED, 'drop_params'),
    ...ignored(OURS, 'client_ttl polling_interval set_verbose debug_level'),
    ...unsupported('a failed attempt goes to another deployment by the same strategy', 'enable_weighted_failover'),
    ...unsupported(
      'each machine counts for itself in this version',
      'redis_host redis_port redis_password redis_url redis_db redis_ssl',
    ),
    ...unsupported(
      'this feature is not in this version',
      `enable_pre_call_checks enable_pre_call_check 
       ttft_timeout default_litellm_params assistants_config`,
    ),
    ...ignored('affinity needs no memory, so none is forgotten', 'deployment_affinity_ttl_seconds'),
    ...unsupported(NO_PRIORITY, 'default_max_parallel_requests default_priority'),
    ...unsupported(NO_CACHE, 'cache_responses cache_kwargs caching_groups'),
    ...unsupported(NO_GUARDRAILS, 'guardrail_list'),
  ]),
};
