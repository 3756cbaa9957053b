/**
 * The one error table: every refusal or failure that Slipstream itself can answer. `docs/errors.md` is generated from
 * it. A name, once published, keeps its meaning and is never reused.
 */

/** Who caused it: the client (`downstream`), the provider (`upstream`), or we (`internal`). */
export type ErrorSource = 'downstream' | 'upstream' | 'internal';

/** May another attempt be made before commit: never, on another deployment or again, or only if the connection was reused. */
export type RetryRule = 'no' | 'yes' | 'if-reused';

export interface ErrorSpec {
  /** HTTP status that the client gets. */
  readonly status: number;
  /** `error.type` in the OpenAI envelope: LiteLLM's name where it has one. */
  readonly openaiType: string;
  /** `error.type` in the Anthropic envelope. */
  readonly anthropicType: string;
  readonly source: ErrorSource;
  readonly retry: RetryRule;
  /** Framing or trust is in doubt afterwards: the connection is closed after the answer. */
  readonly closes: boolean;
  /** What it means and what to do, for docs/errors.md. */
  readonly meaning: string;
}

function spec(
  status: number,
  types: readonly [openai: string, anthropic: string],
  rest: { source: ErrorSource; retry?: RetryRule; closes?: boolean; meaning: string },
): ErrorSpec {
  return Object.freeze({
    status,
    openaiType: types[0],
    anthropicType: types[1],
    source: rest.source,
    retry: rest.retry ?? 'no',
    closes: rest.closes ?? false,
    meaning: rest.meaning,
  });
}

const BAD = ['invalid_request_error', 'invalid_request_error'] as const;
const AUTH = ['auth_error', 'authentication_error'] as const;
const UNAVAILABLE = ['ServiceUnavailableError', 'overloaded_error'] as const;
const API = ['APIConnectionError', 'api_error'] as const;

export const ERROR_TABLE = {
  malformed_request: spec(400, BAD, {
    source: 'downstream',
    closes: true,
    meaning:
      'The bytes are not one unambiguous HTTP/1.1 message. The message names the rule; the connection is closed.',
  }),
  request_head_too_large: spec(431, BAD, {
    source: 'downstream',
    closes: true,
    meaning: 'The request head exceeds the limit on bytes or on the number of headers.',
  }),
  http_version_unsupported: spec(505, BAD, {
    source: 'downstream',
    closes: true,
    meaning: 'Only HTTP/1.1 and HTTP/1.0 are served here.',
  }),
  expectation_failed: spec(417, BAD, {
    source: 'downstream',
    closes: true,
    meaning: 'The only expectation understood is 100-continue.',
  }),
  client_timeout: spec(408, ['Timeout', 'timeout_error'], {
    source: 'downstream',
    closes: true,
    meaning: 'The request head or body did not arrive in time.',
  }),
  body_too_large: spec(413, ['invalid_request_error', 'request_too_large'], {
    source: 'downstream',
    closes: true,
    meaning: 'The request body exceeds the limit, before or after decoding.',
  }),
  unsupported_content_encoding: spec(415, BAD, {
    source: 'downstream',
    meaning: 'Request bodies may be gzip, deflate, br or zstd, one layer.',
  }),
  invalid_content_encoding: spec(400, BAD, {
    source: 'downstream',
    meaning: 'The request body does not decode with its content-encoding.',
  }),
  invalid_json: spec(400, BAD, { source: 'downstream', meaning: 'The request body is not exactly one JSON object.' }),
  ambiguous_field: spec(400, BAD, {
    source: 'downstream',
    meaning: 'A field that decides routing or limits is repeated, or differs from one only in case.',
  }),
  forbidden_field: spec(400, BAD, {
    source: 'downstream',
    meaning: 'The field would choose an upstream address or credential; clients may not.',
  }),
  invalid_field: spec(400, BAD, {
    source: 'downstream',
    meaning: 'A field that the gateway itself reads has the wrong type or range.',
  }),
  missing_model: spec(400, BAD, { source: 'downstream', meaning: 'The request names no model.' }),
  unknown_model: spec(400, BAD, {
    source: 'downstream',
    meaning: 'No model group, alias or wildcard matches the model.',
  }),
  wrong_protocol: spec(400, BAD, {
    source: 'downstream',
    meaning: 'The model is served by another wire protocol; the message names the route that works.',
  }),
  missing_key: spec(401, AUTH, { source: 'downstream', meaning: 'No API key was sent.' }),
  invalid_key: spec(401, ['token_not_found_in_db', 'authentication_error'], {
    source: 'downstream',
    meaning: 'The API key is not known here.',
  }),
  expired_key: spec(401, ['expired_key', 'authentication_error'], {
    source: 'downstream',
    meaning: 'The API key has expired.',
  }),
  blocked_key: spec(401, AUTH, { source: 'downstream', meaning: 'The API key, its user or its team is blocked.' }),
  tags_not_served: spec(401, AUTH, {
    source: 'downstream',
    meaning: 'No deployment of the model serves requests with these tags; see docs/routing.md.',
  }),
  model_access_denied: spec(403, ['key_model_access_denied', 'permission_error'], {
    source: 'downstream',
    meaning: 'The key may not use this model.',
  }),
  admin_required: spec(403, AUTH, { source: 'downstream', meaning: 'This route needs the master key.' }),
  route_not_allowed: spec(403, AUTH, {
    source: 'downstream',
    meaning: 'The key has `allowed_routes`, and this path is none of them.',
  }),
  resource_not_found: spec(404, ['NotFoundError', 'not_found_error'], {
    source: 'downstream',
    meaning: 'Management API: no key, team, user or member of this name, or none that the caller may see.',
  }),
  resource_exists: spec(400, BAD, {
    source: 'downstream',
    meaning: 'Management API: the id, alias or key is taken (409 where it is the id of a user).',
  }),
  declared_in_file: spec(400, BAD, {
    source: 'downstream',
    meaning: 'Management API: the configuration file declares it, so it can be changed only there.',
  }),
  not_found: spec(404, ['NotFoundError', 'not_found_error'], { source: 'downstream', meaning: 'No such route.' }),
  response_not_found: spec(404, ['NotFoundError', 'not_found_error'], {
    source: 'downstream',
    meaning: 'No response with this id was made through this gateway by a key of the same owner.',
  }),
  origin_not_allowed: spec(403, BAD, {
    source: 'downstream',
    meaning: 'A browser asked (CORS preflight) for a page whose origin is not in slipstream.cors.allowed_origins.',
  }),
  method_not_allowed: spec(405, BAD, {
    source: 'downstream',
    meaning: 'The route exists, with other methods; see the allow header.',
  }),
  upgrade_unsupported: spec(426, BAD, {
    source: 'downstream',
    meaning: 'Only a WebSocket upgrade on /v1/realtime is served; and that route serves nothing else.',
  }),
  budget_exceeded: spec(422, ['budget_exceeded', 'rate_limit_error'], {
    source: 'downstream',
    meaning: 'The budget is used up.',
  }),
  rate_limited: spec(429, ['RateLimitError', 'rate_limit_error'], {
    source: 'downstream',
    meaning: 'A requests, tokens or parallel-requests limit is reached; see retry-after.',
  }),
  no_deployments: spec(429, ['RateLimitError', 'rate_limit_error'], {
    source: 'upstream',
    meaning: 'Every deployment of the model group is resting after failures or full; see retry-after.',
  }),
  limit_table_full: spec(503, UNAVAILABLE, {
    source: 'internal',
    meaning:
      'More keys, users, teams and so on have limits than can be counted: raise `slipstream.rate_limits.max_subjects`.',
  }),
  upstream_timeout: spec(408, ['Timeout', 'timeout_error'], {
    source: 'upstream',
    retry: 'yes',
    meaning: 'The provider did not answer in time.',
  }),
  upstream_unreachable: spec(502, API, {
    source: 'upstream',
    retry: 'yes',
    meaning: 'No connection to the provider: name look-up, connect, TLS or proxy failed. The message says which.',
  }),
  upstream_closed: spec(502, API, {
    source: 'upstream',
    retry: 'if-reused',
    meaning: 'The provider closed or reset the connection before its answer was complete.',
  }),
  upstream_invalid_reply: spec(502, API, {
    source: 'upstream',
    retry: 'yes',
    meaning: 'The provider answered with something that is not valid HTTP/1.1.',
  }),
  upstream_refused_credential: spec(401, ['AuthenticationError', 'authentication_error'], {
    source: 'upstream',
    retry: 'yes',
    meaning: "The provider refused the gateway's credential (its 401 or 403 is kept, its text withheld).",
  }),
  upstream_refused_content: spec(403, ['ContentPolicyViolationError', 'invalid_request_error'], {
    source: 'upstream',
    meaning: "The provider's filter refused the content with a 403 (its status is kept, its text withheld).",
  }),
  upstream_interrupted: spec(502, API, {
    source: 'upstream',
    meaning: 'The provider broke off after the answer had begun; sent as an error event in the stream.',
  }),
  control_unavailable: spec(503, ['no_db_connection', 'overloaded_error'], {
    source: 'internal',
    meaning: 'The control plane is away, and what was asked needs it: an unknown key, or an admin route.',
  }),
  store_unavailable: spec(503, ['no_db_connection', 'overloaded_error'], {
    source: 'internal',
    meaning: 'The database can not be reached, and what was asked needs it. Requests with known keys are served.',
  }),
  not_ready: spec(503, UNAVAILABLE, { source: 'internal', meaning: 'No configuration has arrived yet.' }),
  overloaded: spec(503, UNAVAILABLE, {
    source: 'internal',
    meaning: 'The gateway sheds load; retry after the time given.',
  }),
  journal_unavailable: spec(503, UNAVAILABLE, {
    source: 'internal',
    meaning:
      'Usage could not be recorded: the disk has not kept up with the journal, or there is no room for it and ' +
      'slipstream.journal.on_full is refuse.',
  }),
  internal_error: spec(500, ['InternalServerError', 'api_error'], {
    source: 'internal',
    closes: true,
    meaning: 'A fault of the gateway. Its log has the reason.',
  }),
} as const satisfies Record<string, ErrorSpec>;

export type ErrorName = keyof typeof ERROR_TABLE;
