import type { JsonObjectScanner, JsonScanFailure } from '../../base/json-object-scanner.ts';
import type { EndpointSpec } from '../endpoints.ts';
import { gatewayError, type GatewayError } from '../errors/gateway-error.ts';
import { REQUEST_FIELDS, requestField } from './request-fields.ts';

/** UTF-8 text of `[start, end)` of the body, offsets counted as the scanner counts them. */
export type BodySlice = (start: number, end: number) => string;

/** What the gateway itself reads from a request body. */
export interface RequestFields {
  /** Null when absent, null or empty. */
  readonly model: string | null;
  /** Asked for events, on an endpoint that has them. */
  readonly stream: boolean;
  /** Of the Responses API only. */
  readonly previousResponseId: string | null;
  /** The client itself set `stream_options.include_usage`, so the usage chunk is its to see. */
  readonly includeUsageAsked: boolean;
  /** Whole call, ms. The field is in seconds, as LiteLLM's. */
  readonly timeoutMs: number | null;
  /** First event of a stream, ms. */
  readonly streamTimeoutMs: number | null;
  readonly numRetries: number | null;
  /** Model groups to try in turn; null = as configured. */
  readonly fallbacks: readonly string[] | null;
  readonly disableFallbacks: boolean;
  /** `tags`, then those of `metadata` and `litellm_metadata`, each once. */
  readonly tags: readonly string[];
}

/** Longer model names are refused: they end up in error messages, metrics and journal lines. */
export const MAX_MODEL_CHARS = 512;
const MAX_TAGS = 64;
const MAX_TAG_CHARS = 256;
const MAX_FALLBACKS = 64;
const MAX_RETRIES = 100;
/** Longest delay that a 32-bit timer can hold. */
const MAX_TIMEOUT_MS = 2_147_483_647;

const MODEL = requestField('model');
const STREAM = requestField('stream');
const STREAM_OPTIONS = requestField('stream_options');
const PREVIOUS_RESPONSE_ID = requestField('previous_response_id');
const TIMEOUT = requestField('timeout');
const STREAM_TIMEOUT = requestField('stream_timeout');
const NUM_RETRIES = requestField('num_retries');
const FALLBACKS = requestField('fallbacks');
const DISABLE_FALLBACKS = requestField('disable_fallbacks');
const TAG_SOURCES = [requestField('tags'), requestField('metadata'), requestField('litellm_metadata')] as const;
const REFUSED: readonly number[] = [...REQUEST_FIELDS.keys()].filter((row) => REQUEST_FIELDS[row]!.action === 'refuse');

/** A fault in a field, on its way out of the readers below. */
class FieldFault extends Error {
  readonly error: GatewayError;

  constructor(error: GatewayError) {
    super(error.message);
    this.error = error;
  }
}

/**
 * Reads the gateway's fields of a body that `scanner` has scanned to its end without failure.
 *
 * @returns the fields, or why the request is refused: `forbidden_field`, `invalid_field`, or `invalid_json` when a field's
 * value is not JSON.
 */
export function readRequestFields(
  scanner: JsonObjectScanner,
  slice: BodySlice,
  endpoint: EndpointSpec,
): RequestFields | GatewayError {
  for (const row of REFUSED) {
    if (!scanner.found(row)) continue;
    const { name } = REQUEST_FIELDS[row]!;
    const message = `${name} chooses where a request goes or with which credential; the gateway's configuration does that`;
    return gatewayError('forbidden_field', message, name);
  }
  try {
    return readFields(scanner, slice, endpoint);
  } catch (fault) {
    if (fault instanceof FieldFault) return fault.error;
    throw fault;
  }
}

function readFields(scanner: JsonObjectScanner, slice: BodySlice, endpoint: EndpointSpec): RequestFields {
  const read = (row: number): unknown => (scanner.found(row) ? parseField(scanner, slice, row) : null);
  return {
    model: readModel(scanner, slice),
    stream: endpoint.streams && readBoolean(STREAM, read(STREAM)),
    previousResponseId:
      endpoint.name === 'responses' ? readText(PREVIOUS_RESPONSE_ID, read(PREVIOUS_RESPONSE_ID)) : null,
    includeUsageAsked: endpoint.injectsUsage && readIncludeUsage(read(STREAM_OPTIONS)),
    timeoutMs: readSeconds(TIMEOUT, read(TIMEOUT)),
    streamTimeoutMs: readSeconds(STREAM_TIMEOUT, read(STREAM_TIMEOUT)),
    numRetries: readRetries(read(NUM_RETRIES)),
    fallbacks: readFallbacks(read(FALLBACKS)),
    disableFallbacks: readBoolean(DISABLE_FALLBACKS, read(DISABLE_FALLBACKS)),
    tags: readTags(read),
  };
}

function parseField(scanner: JsonObjectScanner, slice: BodySlice, row: number): unknown {
  try {
    return JSON.parse(slice(scanner.valueStart(row), scanner.valueEnd(row)));
  } catch {
    const { name } = REQUEST_FIELDS[row]!;
    throw new FieldFault(gatewayError('invalid_json', `the value of ${name} is not valid JSON`, name));
  }
}

function invalid(row: number, expected: string): FieldFault {
  const { name } = REQUEST_FIELDS[row]!;
  return new FieldFault(gatewayError('invalid_field', `${name} must be ${expected}`, name));
}

function readModel(scanner: JsonObjectScanner, slice: BodySlice): string | null {
  if (!scanner.found(MODEL)) return null;
  const expected = `a string of at most ${MAX_MODEL_CHARS} characters`;
  // Six bytes write one character at most (\uXXXX): what is longer need not be parsed to be refused.
  if (scanner.valueEnd(MODEL) - scanner.valueStart(MODEL) > 6 * MAX_MODEL_CHARS + 2) throw invalid(MODEL, expected);
  const source = slice(scanner.valueStart(MODEL), scanner.valueEnd(MODEL));
  const model = isPlainString(source) ? source.slice(1, -1) : parseField(scanner, slice, MODEL);
  if (model === null || model === '') return null;
  if (typeof model !== 'string' || model.length > MAX_MODEL_CHARS) throw invalid(MODEL, expected);
  return model;
}

/** A JSON string that stands for itself: no escape in it, and none missing. */
function isPlainString(source: string): boolean {
  const last = source.length - 1;
  if (last < 1 || source.charCodeAt(0) !== QUOTE || source.charCodeAt(last) !== QUOTE) return false;
  for (let index = 1; index < last; index += 1) {
    const code = source.charCodeAt(index);
    if (code < SPACE || code === BACKSLASH || code === QUOTE) return false;
  }
  return true;
}

const QUOTE = 0x22;
const SPACE = 0x20;
const BACKSLASH = 0x5c;

function readBoolean(row: number, value: unknown): boolean {
  if (value === null) return false;
  if (typeof value !== 'boolean') throw invalid(row, 'true or false');
  return value;
}

function readText(row: number, value: unknown): string | null {
  if (value === null || value === '') return null;
  if (typeof value !== 'string') throw invalid(row, 'a string');
  return value;
}

function readIncludeUsage(value: unknown): boolean {
  if (value === null) return false;
  if (typeof value !== 'object' || Array.isArray(value)) throw invalid(STREAM_OPTIONS, 'an object');
  return (value as Record<string, unknown>)['include_usage'] === true;
}

function readSeconds(row: number, value: unknown): number | null {
  if (value === null) return null;
  if (typeof value !== 'number' || !(value > 0)) throw invalid(row, 'a number of seconds above 0');
  return Math.min(Math.ceil(value * 1000), MAX_TIMEOUT_MS);
}

function readRetries(value: unknown): number | null {
  if (value === null) return null;
  if (typeof value !== 'number' || !Number.isInteger(value) || value < 0 || value > MAX_RETRIES) {
    throw invalid(NUM_RETRIES, `a whole number from 0 to ${MAX_RETRIES}`);
  }
  return value;
}

function readFallbacks(value: unknown): readonly string[] | null {
  if (value === null) return null;
  const expected = `a list of at most ${MAX_FALLBACKS} model names; other messages or parameters per fallback are not supported`;
  if (!Array.isArray(value) || value.length > MAX_FALLBACKS) throw invalid(FALLBACKS, expected);
  return value.map((entry: unknown) => {
    const name = typeof entry === 'string' ? entry : onlyModel(entry);
    if (name === null || name === '' || name.length > MAX_MODEL_CHARS) throw invalid(FALLBACKS, expected);
    return name;
  });
}

/** LiteLLM also takes `{ model, messages, … }`. A model alone can be honoured; new messages cannot. */
function onlyModel(entry: unknown): string | null {
  if (typeof entry !== 'object' || entry === null || Object.keys(entry).length !== 1) return null;
  const { model } = entry as { model?: unknown };
  return typeof model === 'string' ? model : null;
}

function readTags(read: (row: number) => unknown): readonly string[] {
  let tags: string[] = NO_TAGS;
  for (const row of TAG_SOURCES) {
    const value = read(row);
    const found = row === TAG_SOURCES[0] ? value : tagsOf(value);
    if (found === null) continue;
    const isList = Array.isArray(found) && found.every((tag) => typeof tag === 'string' && tag.length <= MAX_TAG_CHARS);
    if (!isList) throw invalid(row, `${TAGS_EXPECTED}${row === TAG_SOURCES[0] ? '' : ' in its tags'}`);
    tags = [...new Set([...tags, ...(found as string[])])];
    if (tags.length > MAX_TAGS) throw invalid(row, `at most ${MAX_TAGS} tags`);
  }
  return tags;
}

const NO_TAGS: string[] = [];
const TAGS_EXPECTED = `a list of strings of at most ${MAX_TAG_CHARS} characters`;

function tagsOf(value: unknown): unknown {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return null;
  return (value as Record<string, unknown>)['tags'] ?? null;
}

/** What the client is told about a body that the scanner refuses. */
export function scanFailureError(failure: JsonScanFailure): GatewayError {
  const { key } = failure;
  switch (failure.kind) {
    case 'not-object':
      return gatewayError('invalid_json', 'the request body must be one JSON object');
    case 'malformed':
      return gatewayError('invalid_json', `the request body is not valid JSON: error at byte ${failure.offset}`);
    case 'trailing':
      return gatewayError('invalid_json', `the request body goes on after its JSON object, at byte ${failure.offset}`);
    case 'bom':
      return gatewayError('invalid_json', 'the request body must be UTF-8 without a byte order mark');
    case 'too-deep':
      return gatewayError('invalid_json', `the request body nests too deeply, at byte ${failure.offset}`);
    case 'duplicate':
      return gatewayError('ambiguous_field', `${key} appears twice in the request body`, key);
    case 'case':
      return gatewayError('ambiguous_field', `a field of the request body differs from ${key} only in case`, key);
    default:
      return failure.kind satisfies never;
  }
}
