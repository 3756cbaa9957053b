import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { healthCheckRequest, type CheckedDeployment } from './health-check-request.ts';

const DEPLOYMENT: CheckedDeployment = { family: 'openai', provider: 'groq', model: 'm', mode: 'chat', maxTokens: 5 };

describe('the call of a health check', () => {
  for (const [more, endpoint, body] of [
    [{}, 'chat_completions', { model: 'm', messages: [{ role: 'user', content: 'Hi' }], max_tokens: 5 }],
    [
      { provider: 'openai' },
      'chat_completions',
      { model: 'm', messages: [{ role: 'user', content: 'Hi' }], max_completion_tokens: 5 },
    ],
    [
      { provider: 'azure', model: 'gpt-5-mini' },
      'chat_completions',
      { model: 'gpt-5-mini', messages: [{ role: 'user', content: 'Hi' }], max_completion_tokens: 5 },
    ],
    [{ mode: 'completion' }, 'completions', { model: 'm', prompt: 'Hi', max_tokens: 5 }],
    [{ mode: 'responses' }, 'responses', { model: 'm', input: 'Hi', max_output_tokens: 16 }],
    [{ mode: 'embedding' }, 'embeddings', { model: 'm', input: 'Hi' }],
    [{ mode: 'moderation' }, 'moderations', { model: 'm', input: 'Hi' }],
    [{ mode: 'rerank' }, 'rerank', { model: 'm', query: 'Hi', documents: ['Hi'] }],
    [
      { family: 'anthropic', provider: 'anthropic' },
      'messages',
      { model: 'm', max_tokens: 5, messages: [{ role: 'user', content: 'Hi' }] },
    ],
  ] as const) {
    it(`${JSON.stringify(more)} → ${endpoint}`, () => {
      const request = healthCheckRequest({ ...DEPLOYMENT, ...more }, 'Hi');
      assert.equal(request?.endpoint, endpoint);
      assert.deepEqual(JSON.parse(request.body), body);
    });
  }

  it('is not made where it would cost much, or where no model is known', () => {
    for (const more of [
      { mode: 'image_generation' },
      { mode: 'audio_speech' },
      { mode: 'whatever' },
      { model: '*' },
      { model: 'gpt-*' },
      { family: 'anthropic', mode: 'embedding' },
    ] as const) {
      assert.equal(healthCheckRequest({ ...DEPLOYMENT, ...more }, 'Hi'), null);
    }
  });
});
