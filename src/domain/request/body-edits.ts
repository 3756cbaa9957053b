import { utf8Bytes, type Bytes } from '../../base/bytes.ts';
import type { JsonObjectScanner } from '../../base/json-object-scanner.ts';
import type { EndpointSpec } from '../endpoints.ts';
import type { BodySlice } from './read-request-fields.ts';
import { REQUEST_FIELDS, requestField } from './request-fields.ts';

/** `[start, end)` of the body is replaced by `source`, UTF-8 of JSON source. Offsets as the scanner counts them. */
export interface BodyEdit {
  readonly start: number;
  readonly end: number;
  /** Empty = cut out. */
  readonly source: Bytes;
}

const NOTHING: Bytes = utf8Bytes('');
const MODEL = requestField('model');
const STREAM = requestField('stream');
const STREAM_OPTIONS = requestField('stream_options');
const METADATA = requestField('metadata');
const REMOVED: readonly number[] = [...REQUEST_FIELDS.keys()].filter((row) =>
  ['cut', 'drop'].includes(REQUEST_FIELDS[row]!.action),
);
const INCLUDE_USAGE = '"include_usage":true';
const STREAM_OPTIONS_MEMBER: Bytes = utf8Bytes(`,"stream_options":{${INCLUDE_USAGE}}`);

/** The edits of one attempt: sorted, not overlapping. */
export function planBodyEdits(
  scanner: JsonObjectScanner,
  slice: BodySlice,
  endpoint: EndpointSpec,
  options: {
    /** The model's name for the provider as `modelSource` gives it; null leaves the client's. */
    readonly model: Bytes | null;
    /** Add `stream_options.include_usage`, where `stream` is there and the client didn't ask itself. */
    readonly injectUsage: boolean;
  },
): BodyEdit[] {
  const edits = planCuts(scanner, removedMembers(scanner, slice, endpoint));
  if (options.injectUsage) {
    const edit = usageEdit(scanner, slice);
    if (edit !== null) insertEdit(edits, edit);
  }
  if (options.model !== null && scanner.found(MODEL)) {
    insertEdit(edits, { start: scanner.valueStart(MODEL), end: scanner.valueEnd(MODEL), source: options.model });
  }
  return edits;
}

/** A model's name as it stands in a body. */
export function modelSource(model: string): Bytes {
  return utf8Bytes(JSON.stringify(model));
}

function insertEdit(edits: BodyEdit[], edit: BodyEdit): void {
  let at = edits.length;
  edits.push(edit);
  // At an equal start comes what only inserts: the other takes the bytes behind it.
  for (; at > 0 && edits[at - 1]!.start >= edit.start; at -= 1) edits[at] = edits[at - 1]!;
  edits[at] = edit;
}

/** Rows of the members that don't go upstream, in the order of the body. */
function removedMembers(scanner: JsonObjectScanner, slice: BodySlice, endpoint: EndpointSpec): number[] {
  const rows: number[] = [];
  // Fast case: most requests have none of the gateway's fields.
  for (let n = 0; n < REMOVED.length; n += 1) if (scanner.found(REMOVED[n]!)) rows.push(REMOVED[n]!);
  if (scanner.found(METADATA) && !keepsMetadata(scanner, slice, endpoint)) rows.push(METADATA);
  return rows.length < 2 ? rows : rows.sort((a, b) => scanner.ordinal(a) - scanner.ordinal(b));
}

function keepsMetadata(scanner: JsonObjectScanner, slice: BodySlice, endpoint: EndpointSpec): boolean {
  switch (endpoint.metadata) {
    case 'always':
      return true;
    case 'never':
      return false;
    case 'if-strings': {
      const metadata = parseOrUndefined(slice(scanner.valueStart(METADATA), scanner.valueEnd(METADATA)));
      if (metadata === null) return true;
      if (typeof metadata !== 'object' || Array.isArray(metadata)) return false;
      return Object.values(metadata).every((value) => typeof value === 'string');
    }
    default:
      return endpoint.metadata satisfies never;
  }
}

/**
 * Each member goes with the comma before it. The first has none: a run of removed members at the front goes with the
 * comma after it instead, if anything is kept.
 *
 *     {"a":1,"b":2,"c":3,"d":4}      b, d   →  {"a":1[,"b":2],"c":3[,"d":4]}
 *     {"a":1,"b":2,"c":3,"d":4}      a, b   →  {["a":1,"b":2,]"c":3,"d":4}
 */
function planCuts(scanner: JsonObjectScanner, rows: readonly number[]): BodyEdit[] {
  const edits: BodyEdit[] = [];
  let n = 0;
  while (n < rows.length && scanner.ordinal(rows[n]!) === n) n += 1;
  if (n > 0) {
    const last = rows[n - 1]!;
    const comma = scanner.commaAfter(last);
    edits.push({
      start: scanner.memberStart(rows[0]!),
      end: comma === -1 ? scanner.valueEnd(last) : comma + 1,
      source: NOTHING,
    });
  }
  for (; n < rows.length; n += 1) {
    edits.push({ start: scanner.commaBefore(rows[n]!), end: scanner.valueEnd(rows[n]!), source: NOTHING });
  }
  return edits;
}

/** Null when the request has no `stream`, asks for usage itself, or has options that the provider will refuse. */
function usageEdit(scanner: JsonObjectScanner, slice: BodySlice): BodyEdit | null {
  if (!scanner.found(STREAM)) return null;
  if (!scanner.found(STREAM_OPTIONS)) {
    // Right after `stream`, which always stays.
    const at = scanner.valueEnd(STREAM);
    return { start: at, end: at, source: STREAM_OPTIONS_MEMBER };
  }
  const start = scanner.valueStart(STREAM_OPTIONS);
  const end = scanner.valueEnd(STREAM_OPTIONS);
  const options = parseOrUndefined(slice(start, end));
  if (options === null) return { start, end, source: utf8Bytes(`{${INCLUDE_USAGE}}`) };
  if (typeof options !== 'object' || Array.isArray(options)) return null;
  const fields = options as Record<string, unknown>;
  if (fields['include_usage'] === true) return null;
  if (Object.hasOwn(fields, 'include_usage')) {
    fields['include_usage'] = true;
    return { start, end, source: utf8Bytes(JSON.stringify(fields)) };
  }
  const isEmpty = Object.keys(fields).length === 0;
  return { start: start + 1, end: start + 1, source: utf8Bytes(isEmpty ? INCLUDE_USAGE : `${INCLUDE_USAGE},`) };
}

function parseOrUndefined(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
