// The edits of a request body against the same done on the parsed object.
import fc from 'fast-check';
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { asBytes } from '../../src/base/bytes.ts';
import { JsonObjectScanner } from '../../src/base/json-object-scanner.ts';
import { ENDPOINTS, ENDPOINT_NAMES, type EndpointSpec } from '../../src/domain/endpoints.ts';
import { modelSource, planBodyEdits, type BodyEdit } from '../../src/domain/request/body-edits.ts';
import { REQUEST_FIELDS, REQUEST_KEYS } from '../../src/domain/request/request-fields.ts';
import { fuzz, memberSources, pieceSizes, pushPieces, space, valueSource } from './json-fuzz-support.ts';

const scanner = new JsonObjectScanner(REQUEST_KEYS);
const NAMES = REQUEST_FIELDS.filter((field) => field.action !== 'refuse').map((field) => field.name);
const REMOVED = new Set(
  REQUEST_FIELDS.filter((field) => field.action === 'cut' || field.action === 'drop').map((field) => field.name),
);

type Body = Record<string, unknown>;

/** The same by other means. */
function expected(body: Body, endpoint: EndpointSpec, upstreamModel: string | null, injectUsage: boolean): Body {
  const result: Body = {};
  for (const [name, value] of Object.entries(body)) {
    if (REMOVED.has(name)) continue;
    if (name === 'metadata' && endpoint.metadata === 'never') continue;
    if (name === 'metadata' && endpoint.metadata === 'if-strings' && !isNullOrStrings(value)) continue;
    Object.defineProperty(result, name, { value, enumerable: true, writable: true, configurable: true });
  }
  if (upstreamModel !== null && Object.hasOwn(body, 'model')) result['model'] = upstreamModel;
  if (injectUsage && Object.hasOwn(body, 'stream')) {
    const options = result['stream_options'];
    if (options === undefined || options === null) result['stream_options'] = { include_usage: true };
    else if (typeof options === 'object' && !Array.isArray(options)) {
      result['stream_options'] = { ...options, include_usage: true };
    }
  }
  return result;
}

function isNullOrStrings(value: unknown): boolean {
  if (value === null) return true;
  if (typeof value !== 'object' || Array.isArray(value)) return false;
  return Object.values(value).every((entry) => typeof entry === 'string');
}

function apply(bytes: Buffer, edits: readonly BodyEdit[]): string {
  const parts: string[] = [];
  let at = 0;
  for (const edit of edits) {
    assert.ok(edit.start >= at && edit.end >= edit.start && edit.end <= bytes.length);
    parts.push(bytes.toString('utf8', at, edit.start), edit.source.utf8Slice());
    at = edit.end;
  }
  return parts.join('') + bytes.toString('utf8', at);
}

const streamOptions = fc
  .tuple(
    fc.constantFrom('null', '{}', '{"include_usage":false}', '{"a":[1]}', '{ "a" : 1, "include_usage":true }'),
    space,
  )
  .map(([value, s1]) => ({ key: 'stream_options', source: `"stream_options":${s1}${value}`, value }));
const metadata = fc
  .tuple(fc.oneof(fc.constantFrom('null', '{}', '{"a":"b"}', '{"a":"b","tags":["c"]}'), valueSource), space)
  .map(([value, s1]) => ({ key: 'metadata', source: `${s1}"metadata":${value}`, value }));
const members = fc.uniqueArray(fc.oneof({ weight: 8, arbitrary: memberSources(NAMES) }, streamOptions, metadata), {
  selector: (member) => member.key.toLowerCase(),
  maxLength: 9,
});

test('edited text parses to the edited object, what is kept stays in order', () => {
  let changed = 0;
  fuzz(
    fc.property(
      members,
      fc.tuple(space, space, pieceSizes),
      fc.constantFrom(...ENDPOINT_NAMES),
      fc.record({ upstreamModel: fc.option(fc.string({ unit: 'grapheme' })), injectUsage: fc.boolean() }),
      (parts, [s1, s2, sizes], name, options) => {
        const bytes = Buffer.from(`${s1}{${parts.map((part) => part.source).join(`${s2},`)}${s2}}${s1}`);
        pushPieces(scanner, bytes, sizes);
        fc.pre(scanner.failure === null); // another case of a name
        const slice = (start: number, end: number): string => asBytes(bytes).utf8Slice(start, end);
        const edits = planBodyEdits(scanner, slice, ENDPOINTS[name], {
          model: options.upstreamModel === null ? null : modelSource(options.upstreamModel),
          injectUsage: options.injectUsage,
        });
        const edited: unknown = JSON.parse(apply(bytes, edits));
        const body = JSON.parse(bytes.toString()) as Body;
        const wanted = expected(body, ENDPOINTS[name], options.upstreamModel, options.injectUsage);
        assert.deepEqual(edited, wanted);
        const order = Object.keys(wanted).filter((key) => Object.hasOwn(body, key));
        assert.deepEqual(
          Object.keys(edited as object).filter((key) => Object.hasOwn(body, key)),
          order,
        );
        if (edits.length > 0) changed += 1;
      },
    ),
  );
  assert.ok(changed > 30);
});
