import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { asBytes } from '../../base/bytes.ts';
import { JsonObjectScanner } from '../../base/json-object-scanner.ts';
import { ENDPOINTS, type EndpointName } from '../endpoints.ts';
import { modelSource, planBodyEdits, type BodyEdit } from './body-edits.ts';
import { REQUEST_KEYS } from './request-fields.ts';

interface Options {
  readonly endpoint?: EndpointName;
  readonly upstreamModel?: string | null;
  readonly injectUsage?: boolean;
}

function scan(text: string): { scanner: JsonObjectScanner; slice: (start: number, end: number) => string } {
  const bytes = asBytes(Buffer.from(text));
  const scanner = new JsonObjectScanner(REQUEST_KEYS);
  scanner.push(bytes, 0, bytes.length);
  scanner.finish();
  assert.equal(scanner.failure, null);
  return { scanner, slice: (start, end) => bytes.utf8Slice(start, end) };
}

function apply(text: string, edits: readonly BodyEdit[]): string {
  const bytes = Buffer.from(text);
  let edited = '';
  let at = 0;
  for (const edit of edits) {
    assert.ok(edit.start >= at && edit.end >= edit.start, 'sorted, not overlapping');
    edited += bytes.toString('utf8', at, edit.start) + edit.source.utf8Slice();
    at = edit.end;
  }
  return edited + bytes.toString('utf8', at);
}

function edited(text: string, options: Options = {}): string {
  const { scanner, slice } = scan(text);
  const { endpoint = 'chat_completions', upstreamModel = null, injectUsage = false } = options;
  const model = upstreamModel === null ? null : modelSource(upstreamModel);
  return apply(text, planBodyEdits(scanner, slice, ENDPOINTS[endpoint], { model, injectUsage }));
}

const cases: Record<string, [before: string, after: string, options?: Options]> = {
  'nothing to do': ['{ "model" : "a", "x":1 }', '{ "model" : "a", "x":1 }'],
  model: ['{"model" : "ä","x":"model"}', '{"model" : "b\\"ü","x":"model"}', { upstreamModel: 'b"ü' }],
  'model null': ['{"model":null}', '{"model":"b"}', { upstreamModel: 'b' }],
  'no model': ['{"x":1}', '{"x":1}', { upstreamModel: 'b' }],
  'cut the first': ['{"tags":[1], "x":1}', '{ "x":1}'],
  'cut the last': ['{"x":1 , "tags":[1] }', '{"x":1  }'],
  'cut in the middle': ['{"x":1,"tags":[1],"y":2}', '{"x":1,"y":2}'],
  'cut the only one': ['{ "tags":[1] }', '{  }'],
  'cut all': ['{"tags":[1],"timeout":2,"mock_response":"x"}', '{}'],
  'cut the first two': ['{"tags":[1],"timeout":2,"x":1}', '{"x":1}'],
  'cut the first and the last': ['{"tags":[1],"x":1,"timeout":2}', '{"x":1}'],
  'cut every other': ['{"tags":[1],"x":1,"cache":{},"y":1,"priority":2}', '{"x":1,"y":1}'],
  'cut neighbours of the model': ['{"tags":[],"model":"a","timeout":1}', '{"model":"b"}', { upstreamModel: 'b' }],
  'user stays': ['{"user":"u","max_tokens":5}', '{"user":"u","max_tokens":5}'],
  'metadata of strings stays': ['{"metadata":{"a":"b"}}', '{"metadata":{"a":"b"}}'],
  'empty metadata stays': ['{"metadata":{}}', '{"metadata":{}}'],
  'metadata null stays': ['{"metadata":null}', '{"metadata":null}'],
  'metadata with others goes': ['{"x":1,"metadata":{"a":"b","tags":["t"]}}', '{"x":1}'],
  'metadata that is no object goes': ['{"x":1,"metadata":["a"]}', '{"x":1}'],
  'metadata goes where the protocol has none': ['{"metadata":{"a":"b"},"x":1}', '{"x":1}', { endpoint: 'embeddings' }],
  'Anthropic metadata stays': [
    '{"metadata":{"user_id":"u","n":1}}',
    '{"metadata":{"user_id":"u","n":1}}',
    { endpoint: 'messages' },
  ],
  'usage asked for after stream': [
    '{"stream":true,"x":1}',
    '{"stream":true,"stream_options":{"include_usage":true},"x":1}',
    { injectUsage: true },
  ],
  'usage beside a cut': [
    '{"tags":[],"stream":true ,"timeout":1}',
    '{"stream":true,"stream_options":{"include_usage":true} }',
    { injectUsage: true },
  ],
  'usage beside a cut, no space': [
    '{"stream":true,"timeout":1}',
    '{"stream":true,"stream_options":{"include_usage":true}}',
    { injectUsage: true },
  ],
  'usage into options null': [
    '{"stream":true,"stream_options":null}',
    '{"stream":true,"stream_options":{"include_usage":true}}',
    { injectUsage: true },
  ],
  'usage into empty options': [
    '{"stream_options":{ },"stream":true}',
    '{"stream_options":{"include_usage":true },"stream":true}',
    { injectUsage: true },
  ],
  'usage into other options, their bytes kept': [
    '{"stream":true,"stream_options":{ "include_obfuscation":false,"n":12345678901234567890}}',
    '{"stream":true,"stream_options":{"include_usage":true, "include_obfuscation":false,"n":12345678901234567890}}',
    { injectUsage: true },
  ],
  'usage where it was declined': [
    '{"stream":true,"stream_options":{"x":1,"include_usage":false}}',
    '{"stream":true,"stream_options":{"x":1,"include_usage":true}}',
    { injectUsage: true },
  ],
  'usage where it was declined twice': [
    '{"stream":true,"stream_options":{"include_usage":true,"include_usage":null}}',
    '{"stream":true,"stream_options":{"include_usage":true}}',
    { injectUsage: true },
  ],
  'usage that is asked for': [
    '{"stream":true,"stream_options":{"include_usage":true}}',
    '{"stream":true,"stream_options":{"include_usage":true}}',
    { injectUsage: true },
  ],
  'options that the provider will refuse': [
    '{"stream":true,"stream_options":5}',
    '{"stream":true,"stream_options":5}',
    { injectUsage: true },
  ],
  'no stream, no usage': ['{"x":1}', '{"x":1}', { injectUsage: true }],
  'a prototype key is a key': [
    '{"stream":true,"stream_options":{"__proto__":{"a":1},"include_usage":false}}',
    '{"stream":true,"stream_options":{"__proto__":{"a":1},"include_usage":true}}',
    { injectUsage: true },
  ],
  'all at once': [
    '{"timeout":5,"metadata":{"k":1},"stream":true,"model":"public","tags":["a"],"stream_options":{},"mock_response":"x"}',
    '{"stream":true,"model":"private","stream_options":{"include_usage":true}}',
    { injectUsage: true, upstreamModel: 'private' },
  ],
};

describe('edits', () => {
  for (const [name, [before, after, options]] of Object.entries(cases)) {
    test(name, () => {
      assert.equal(edited(before, options), after);
    });
  }
});
