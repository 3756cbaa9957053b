import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { asBytes } from '../../base/bytes.ts';
import { JsonObjectScanner } from '../../base/json-object-scanner.ts';
import { ENDPOINTS, type EndpointName } from '../endpoints.ts';
import type { GatewayError } from '../errors/gateway-error.ts';
import { MAX_MODEL_CHARS, readRequestFields, scanFailureError, type RequestFields } from './read-request-fields.ts';
import { REQUEST_FIELDS, REQUEST_KEYS } from './request-fields.ts';

const scanner = new JsonObjectScanner(REQUEST_KEYS);

function read(text: string, endpoint: EndpointName = 'chat_completions'): RequestFields | GatewayError {
  const bytes = asBytes(Buffer.from(text));
  scanner.reset();
  scanner.push(bytes, 0, bytes.length);
  scanner.finish();
  if (scanner.failure !== null) return scanFailureError(scanner.failure);
  return readRequestFields(scanner, (start, end) => bytes.utf8Slice(start, end), ENDPOINTS[endpoint]);
}

const NOTHING: RequestFields = {
  model: null,
  stream: false,
  previousResponseId: null,
  includeUsageAsked: false,
  timeoutMs: null,
  streamTimeoutMs: null,
  numRetries: null,
  fallbacks: null,
  disableFallbacks: false,
  tags: [],
};

describe('fields', () => {
  const cases: Record<string, { body: unknown; fields: Partial<RequestFields>; endpoint?: EndpointName }> = {
    none: { body: {}, fields: {} },
    'nulls are absent': {
      body: Object.fromEntries(
        REQUEST_FIELDS.filter((field) => field.action !== 'refuse').map((field) => [field.name, null]),
      ),
      fields: {},
    },
    model: { body: { model: 'gpt-4o', messages: [] }, fields: { model: 'gpt-4o' } },
    'empty model': { body: { model: '' }, fields: {} },
    'longest model': {
      body: { model: '\u0001'.repeat(MAX_MODEL_CHARS) },
      fields: { model: '\u0001'.repeat(MAX_MODEL_CHARS) },
    },
    stream: { body: { stream: true }, fields: { stream: true } },
    'stream false': { body: { stream: false }, fields: {} },
    'stream where there are no events': { body: { stream: true }, endpoint: 'embeddings', fields: {} },
    'usage asked for': { body: { stream_options: { include_usage: true } }, fields: { includeUsageAsked: true } },
    'usage not asked for': { body: { stream_options: { include_usage: false } }, fields: {} },
    'stream_options of another protocol': { body: { stream_options: 'x' }, endpoint: 'messages', fields: {} },
    'timeouts are seconds': {
      body: { timeout: 1.5, stream_timeout: 0.0001 },
      fields: { timeoutMs: 1500, streamTimeoutMs: 1 },
    },
    'an endless timeout': { body: { timeout: 1e300 }, fields: { timeoutMs: 2_147_483_647 } },
    retries: { body: { num_retries: 0 }, fields: { numRetries: 0 } },
    fallbacks: { body: { fallbacks: ['a', { model: 'b' }] }, fields: { fallbacks: ['a', 'b'] } },
    'no fallbacks': {
      body: { fallbacks: [], disable_fallbacks: true },
      fields: { fallbacks: [], disableFallbacks: true },
    },
    'tags of all sources, each once': {
      body: { litellm_metadata: { tags: ['c', 'a'] }, metadata: { tags: ['b'], x: 1 }, tags: ['a'] },
      fields: { tags: ['a', 'b', 'c'] },
    },
    'metadata without tags': { body: { metadata: { user_id: 'u' } }, endpoint: 'messages', fields: {} },
    'metadata that is no object': { body: { metadata: 'x', litellm_metadata: [] }, fields: {} },
    'previous response': {
      body: { previous_response_id: 'resp_1' },
      endpoint: 'responses',
      fields: { previousResponseId: 'resp_1' },
    },
    'previous response elsewhere': { body: { previous_response_id: 5 }, fields: {} },
    'names inside values': { body: { messages: [{ model: 'x', api_key: 'y', tags: 1 }] }, fields: {} },
  };
  for (const [name, { body, fields, endpoint }] of Object.entries(cases)) {
    test(name, () => {
      assert.deepEqual(read(JSON.stringify(body), endpoint), { ...NOTHING, ...fields });
    });
  }

  test('an escaped name and value', () => {
    assert.deepEqual(read('{"mod\\u0065l":"\\u0067pt"}'), { ...NOTHING, model: 'gpt' });
  });
});

describe('refusals', () => {
  const cases: Record<string, [body: string, name: string, param: string | null]> = {
    'model of the wrong type': ['{"model":1}', 'invalid_field', 'model'],
    'model too long': [`{"model":"${'x'.repeat(MAX_MODEL_CHARS + 1)}"}`, 'invalid_field', 'model'],
    'model far too long': [`{"model":"${'x'.repeat(1_000_000)}"}`, 'invalid_field', 'model'],
    'model that is not JSON': ['{"model":"\\x"}', 'invalid_json', 'model'],
    'model with a bare line feed': ['{"model":"a\nb"}', 'invalid_json', 'model'],
    'stream as text': ['{"stream":"true"}', 'invalid_field', 'stream'],
    'stream misspelt': ['{"stream":True}', 'invalid_json', 'stream'],
    'stream_options as a list': ['{"stream_options":[]}', 'invalid_field', 'stream_options'],
    'stream_options not JSON': ['{"stream_options":{"include_usage" true}}', 'invalid_json', 'stream_options'],
    'timeout 0': ['{"timeout":0}', 'invalid_field', 'timeout'],
    'timeout as text': ['{"timeout":"5"}', 'invalid_field', 'timeout'],
    'negative stream_timeout': ['{"stream_timeout":-1}', 'invalid_field', 'stream_timeout'],
    'retries not whole': ['{"num_retries":1.5}', 'invalid_field', 'num_retries'],
    'too many retries': ['{"num_retries":101}', 'invalid_field', 'num_retries'],
    'negative retries': ['{"num_retries":-1}', 'invalid_field', 'num_retries'],
    'fallbacks not a list': ['{"fallbacks":"a"}', 'invalid_field', 'fallbacks'],
    'fallback with other messages': ['{"fallbacks":[{"model":"a","messages":[]}]}', 'invalid_field', 'fallbacks'],
    'fallback without a name': ['{"fallbacks":[""]}', 'invalid_field', 'fallbacks'],
    'fallback null': ['{"fallbacks":[null]}', 'invalid_field', 'fallbacks'],
    'disable_fallbacks as a number': ['{"disable_fallbacks":1}', 'invalid_field', 'disable_fallbacks'],
    'tags not a list': ['{"tags":"a"}', 'invalid_field', 'tags'],
    'tags not strings': ['{"metadata":{"tags":[1]}}', 'invalid_field', 'metadata'],
    'a long tag': [`{"tags":["${'x'.repeat(257)}"]}`, 'invalid_field', 'tags'],
    'many tags': [JSON.stringify({ tags: Array.from({ length: 65 }, (_, n) => `t${n}`) }), 'invalid_field', 'tags'],
    'metadata not JSON': ['{"metadata":{"a" 1}}', 'invalid_json', 'metadata'],
    'no object': ['[]', 'invalid_json', null],
    'bytes after the object': ['{}x', 'invalid_json', null],
    'byte order mark': ['\uFEFF{}', 'invalid_json', null],
    'cut off': ['{"model":', 'invalid_json', null],
    'too deep': [`{"x":${'['.repeat(2000)}`, 'invalid_json', null],
    repeated: ['{"model":"a","model":"a"}', 'ambiguous_field', 'model'],
    'repeated gateway field': ['{"tags":[],"tags":[]}', 'ambiguous_field', 'tags'],
    'other case': ['{"Model":"a"}', 'ambiguous_field', 'model'],
  };
  for (const [name, [body, error, param]] of Object.entries(cases)) {
    test(name, () => {
      const refusal = read(body) as GatewayError;
      assert.deepEqual([refusal.name, refusal.param], [error, param]);
      assert.ok(refusal.message.length > 10);
    });
  }

  for (const { name } of REQUEST_FIELDS.filter((field) => field.action === 'refuse')) {
    test(`${name} is the configuration's, whatever its value`, () => {
      for (const value of ['"http://169.254.169.254"', 'null', '{}']) {
        const refusal = read(`{"model":"m","${name}":${value}}`) as GatewayError;
        assert.deepEqual([refusal.name, refusal.param], ['forbidden_field', name]);
        assert.ok(!refusal.message.includes('169.254'));
      }
    });
  }
});

test('a single capital anywhere in a name is refused', () => {
  for (const { name } of REQUEST_FIELDS) {
    for (const [at, letter] of name.split('').entries()) {
      if (letter === '_') continue;
      const other = name.slice(0, at) + letter.toUpperCase() + name.slice(at + 1);
      const refusal = read(`{"${other}":null}`) as GatewayError;
      assert.deepEqual([refusal.name, refusal.param], ['ambiguous_field', name], other);
    }
  }
});

test('each field is in the table once', () => {
  const names = REQUEST_FIELDS.map((field) => field.name);
  assert.equal(new Set(names).size, names.length);
  assert.ok(names.every((name) => /^[a-z_]{4,100}$/.test(name)));
});
