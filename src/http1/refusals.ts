/** Which entry of the error table a refusal becomes. */
export type ParseFailureName =
  | 'malformed_request'
  | 'request_head_too_large'
  | 'http_version_unsupported'
  | 'upstream_invalid_reply'
  | 'upstream_closed';

/** Why bytes were refused. Made once, when the module loads: a refusal allocates nothing and quotes no input. */
export interface ParseFailure {
  readonly name: ParseFailureName;
  /** Names the rule in one sentence, for the client or the log. */
  readonly message: string;
  /** HTTP status that our client gets. */
  readonly status: number;
  readonly rule: RefusalRule;
}

interface RefusalSpec {
  /** Status for a request; a reply that is refused is a 502 whatever the rule (see `refuseResponse`). */
  readonly status: number;
  /** Where the rule comes from. */
  readonly source: string;
  readonly message: string;
}

function rule(status: number, source: string, message: string): RefusalSpec {
  return Object.freeze({ status, source, message });
}

/** Every rule that refuses a message. docs/http1.md shows this table. */
export const REFUSALS = {
  // Lines
  bare_lf: rule(400, 'RFC 9112 §2.2', 'A line ends in LF without CR.'),
  bare_cr: rule(400, 'RFC 9112 §2.2', 'A CR is not followed by LF.'),
  extra_empty_line: rule(400, 'RFC 9112 §2.2', 'More than one empty line comes before the request line.'),
  head_too_large: rule(431, 'RFC 6585 §5', 'The head is larger than the limit.'),
  too_many_headers: rule(431, 'RFC 6585 §5', 'The message has more header lines than the limit.'),

  // Request line
  bad_method: rule(400, 'RFC 9112 §3.1', 'The method is not a token followed by one space.'),
  method_too_long: rule(501, 'RFC 9112 §3', 'The method is longer than any that exists.'),
  connect: rule(400, 'RFC 9110 §9.3.6', 'CONNECT is refused: this is not a forward proxy.'),
  bad_target: rule(400, 'RFC 9112 §3.2', 'The request target holds a character that no URI may hold.'),
  target_form: rule(
    400,
    'RFC 9112 §3.2',
    'The request target is neither a path nor an absolute http(s) URI, nor `*` with OPTIONS.',
  ),
  target_authority: rule(400, 'RFC 9110 §4.2', 'The authority of the absolute request target is not host[:port].'),
  target_too_long: rule(414, 'RFC 9112 §3', 'The request target is longer than the head may be.'),

  // Version and status line
  bad_version: rule(400, 'RFC 9112 §2.3', 'The HTTP version is not written as `HTTP/1.1`.'),
  unsupported_version: rule(505, 'RFC 9110 §15.6.6', 'Only HTTP/1.1 and HTTP/1.0 are understood.'),
  bad_status_line: rule(
    400,
    'RFC 9112 §4',
    'The status line is not version, space, three digits from 100 to 599, space, reason.',
  ),

  // Field lines
  bad_header_name: rule(400, 'RFC 9112 §5.1', 'A header name is not a token directly followed by a colon.'),
  bad_header_value: rule(400, 'RFC 9110 §5.5', 'A header value holds a control character.'),
  folded_line: rule(400, 'RFC 9112 §5.2', 'A header line begins with whitespace.'),
  host_missing: rule(400, 'RFC 9112 §3.2', 'An HTTP/1.1 request has no Host header.'),
  host_repeated: rule(400, 'RFC 9112 §3.2', 'The Host header is repeated.'),
  bad_host: rule(400, 'RFC 9112 §3.2', 'The Host header is not host[:port].'),

  // Body framing
  length_repeated: rule(400, 'RFC 9112 §6.3', 'The Content-Length header is repeated.'),
  bad_length: rule(400, 'RFC 9110 §8.6', 'Content-Length is not a decimal number below 2^53.'),
  length_and_coding: rule(400, 'RFC 9112 §6.1', 'Both Content-Length and Transfer-Encoding are present.'),
  coding_repeated: rule(400, 'RFC 9112 §6.1', 'The Transfer-Encoding header is repeated.'),
  coding_before_1_1: rule(400, 'RFC 9112 §6.1', 'An HTTP/1.0 message has a Transfer-Encoding header.'),
  bad_coding: rule(400, 'RFC 9112 §6.3', 'Transfer-Encoding is not exactly `chunked`.'),
  unknown_coding: rule(501, 'RFC 9112 §6.1', 'A transfer coding other than `chunked` is used.'),

  // Chunks and trailers
  bad_chunk_size: rule(400, 'RFC 9112 §7.1', 'A chunk size is not 1 to 15 hexadecimal digits, below 2^53.'),
  bad_chunk_extension: rule(400, 'RFC 9112 §7.1.1', 'A chunk extension holds a control character.'),
  chunk_extension_too_long: rule(400, 'RFC 9112 §7.1.1', 'A chunk extension is longer than the limit.'),
  bad_chunk_end: rule(400, 'RFC 9112 §7.1', 'A chunk is not followed by CR LF.'),
  trailers_too_large: rule(431, 'RFC 6585 §5', 'The trailer section is larger than the limit.'),
  forbidden_trailer: rule(
    400,
    'RFC 9110 §6.5.1',
    'A trailer would change framing, routing, authentication or content format.',
  ),

  // Replies only
  unasked_upgrade: rule(502, 'RFC 9110 §15.2.2', 'The provider switched protocols without being asked to.'),
  too_many_interim: rule(502, 'RFC 9110 §15.2', 'The provider sent more interim (1xx) answers than the limit.'),
  unasked_reply: rule(502, 'RFC 9112 §9.2', 'The provider sent bytes that belong to no request.'),
  cut_off: rule(502, 'RFC 9112 §8', 'The provider closed the connection before its answer was complete.'),
} as const satisfies Record<string, RefusalSpec>;

export type RefusalRule = keyof typeof REFUSALS;

const requestFailures = failures(requestFailure);
const responseFailures = failures(responseFailure);

/** What a client is told whose request breaks `broken`. */
export function refuseRequest(broken: RefusalRule): ParseFailure {
  return requestFailures[broken];
}

/** What is recorded, and told to the client as a 502, when a provider's reply breaks `broken`. */
export function refuseResponse(broken: RefusalRule): ParseFailure {
  return responseFailures[broken];
}

function failures(make: (broken: RefusalRule) => ParseFailure): Readonly<Record<RefusalRule, ParseFailure>> {
  const rules = Object.keys(REFUSALS) as RefusalRule[];
  return Object.fromEntries(rules.map((broken) => [broken, make(broken)])) as Record<RefusalRule, ParseFailure>;
}

function requestFailure(broken: RefusalRule): ParseFailure {
  const { status, message } = REFUSALS[broken];
  return Object.freeze({ name: requestFailureName(status), message, status, rule: broken });
}

function requestFailureName(status: number): ParseFailureName {
  if (status === 431 || status === 414) return 'request_head_too_large';
  return status === 505 ? 'http_version_unsupported' : 'malformed_request';
}

function responseFailure(broken: RefusalRule): ParseFailure {
  const name = broken === 'cut_off' ? 'upstream_closed' : 'upstream_invalid_reply';
  return Object.freeze({ name, message: REFUSALS[broken].message, status: 502, rule: broken });
}
