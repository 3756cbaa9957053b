import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { classifyErrorBody } from './classify-error-body.ts';

const json = (value: unknown): string => JSON.stringify(value);

describe('what an error body says', () => {
  const cases: readonly (readonly [string, string, string])[] = [
    [
      'OpenAI: context',
      json({
        error: {
          message: "This model's maximum context length is 8192 tokens.",
          type: 'invalid_request_error',
          param: 'messages',
          code: 'context_length_exceeded',
        },
      }),
      'context_window',
    ],
    [
      'Anthropic: context',
      json({
        type: 'error',
        error: { type: 'invalid_request_error', message: 'prompt is too long: 208310 tokens > 200000 maximum' },
      }),
      'context_window',
    ],
    [
      'Anthropic: input and max_tokens',
      json({
        type: 'error',
        error: {
          type: 'invalid_request_error',
          message: 'input length and `max_tokens` exceed context limit: 199000 + 8192 > 200000',
        },
      }),
      'context_window',
    ],
    [
      'vLLM',
      json({ object: 'error', message: "This model's maximum context length is 4096 tokens", code: 400 }),
      'context_window',
    ],
    [
      'Gemini, in a list',
      json([
        {
          error: {
            code: 400,
            message: 'The input token count (1200000) exceeds the maximum number of tokens allowed (1048576).',
            status: 'INVALID_ARGUMENT',
          },
        },
      ]),
      'context_window',
    ],
    [
      'OpenAI: policy',
      json({
        error: {
          code: 'content_policy_violation',
          message: 'Your request was rejected',
          type: 'invalid_request_error',
        },
      }),
      'content_policy',
    ],
    [
      'Azure: filter',
      json({
        error: {
          message: 'The response was filtered',
          code: 'content_filter',
          status: 400,
          innererror: { code: 'ResponsibleAIPolicyViolation' },
        },
      }),
      'content_policy',
    ],
    [
      'Azure: only inside',
      json({ error: { message: 'x', innererror: { code: 'ResponsibleAIPolicyViolation' } } }),
      'content_policy',
    ],
    [
      'Anthropic: policy',
      json({
        type: 'error',
        error: { type: 'invalid_request_error', message: 'Output blocked by content filtering policy' },
      }),
      'content_policy',
    ],
    [
      'OpenRouter: moderation, in a 403',
      json({ error: { code: 403, message: 'Your input was flagged', metadata: { reasons: ['violence'] } } }),
      'content_policy',
    ],
    ['a text', 'Error: prompt is too long', 'context_window'],
    ['half a JSON text', '{"error":{"code":"context_length_exceeded","mess', 'context_window'],
    [
      'some other wrong request',
      json({ error: { message: 'bad temperature', type: 'invalid_request_error' } }),
      'invalid_request',
    ],
    ['overloaded', json({ type: 'error', error: { type: 'overloaded_error', message: 'Overloaded' } }), 'other'],
    ['an error that is a text', json({ error: 'prompt is too long' }), 'context_window'],
    ['nothing', '', 'other'],
    ['no object', '3', 'other'],
    ['very deep', `${'{"error":'.repeat(200)}"prompt is too long"${'}'.repeat(200)}`, 'other'],
    [
      'a quote of the prompt elsewhere does not decide',
      json({ error: { message: 'bad', type: 'invalid_request_error', input: 'context_length_exceeded' } }),
      'invalid_request',
    ],
  ];
  for (const [name, body, expected] of cases) {
    it(name, () => {
      assert.equal(classifyErrorBody(body), expected);
    });
  }
});
