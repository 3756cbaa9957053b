import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { PROVIDERS, UNSUPPORTED_PROVIDERS } from './catalogue.ts';
import { resolveProvider } from './resolve-provider.ts';

describe('provider', () => {
  const cases: readonly (readonly [model: string, custom: string | null, hasApiBase: boolean, expected: string])[] = [
    ['openai/gpt-4o', null, false, 'openai:gpt-4o'],
    ['gpt-4o', null, false, 'openai:gpt-4o'],
    ['*', null, false, 'openai:*'],
    ['claude-sonnet-4-5', null, false, 'anthropic:claude-sonnet-4-5'],
    ['claude-x', null, true, 'anthropic:claude-x'],
    ['my-model', null, true, 'openai:my-model'],
    ['groq/*', null, false, 'groq:*'],
    ['openrouter/anthropic/claude-x', null, false, 'openrouter:anthropic/claude-x'],
    ['openai/org/name', null, true, 'openai:org/name'],
    ['org/name', null, true, 'openai:org/name'],
    ['org/name', null, false, 'unsupported:org'],
    ['azure/x', null, true, 'unsupported:azure'],
    ['x', 'azure', true, 'unsupported:azure'],
    ['x', 'groq', false, 'groq:x'],
    ['groq/x', 'groq', false, 'groq:x'],
    ['openai/x', 'groq', false, 'groq:openai/x'],
    ['fireworks_ai/llama', null, false, 'fireworks_ai:accounts/fireworks/models/llama'],
    ['fireworks_ai/accounts/me/models/x', null, false, 'fireworks_ai:accounts/me/models/x'],
    ['fireworks_ai/*', null, false, 'fireworks_ai:*'],
  ];
  for (const [model, custom, hasApiBase, expected] of cases) {
    it(`of ${model}${custom === null ? '' : ` as ${custom}`}${hasApiBase ? ' at an address' : ''}`, () => {
      const resolution = resolveProvider(model, custom, hasApiBase);
      const model_ = resolution.kind === 'resolved' ? `:${resolution.model}` : '';
      assert.equal(
        resolution.kind === 'resolved' ? resolution.name + model_ : `unsupported:${resolution.name}`,
        expected,
      );
    });
  }
});

describe('catalogue', () => {
  it('has addresses that are URLs without a slash at the end, and names that are not both supported and not', () => {
    for (const [name, spec] of PROVIDERS) {
      assert.ok(!UNSUPPORTED_PROVIDERS.has(name), name);
      assert.ok(!name.includes('/'));
      if (spec.baseUrl === null) continue;
      assert.match(spec.baseUrl, /^https?:\/\/[a-z0-9.:/-]+[a-z0-9]$/, name);
    }
  });

  it('needs a key only over TLS', () => {
    for (const [name, spec] of PROVIDERS) {
      if (!spec.keyless && spec.baseUrl !== null) assert.match(spec.baseUrl, /^https:/, name);
    }
  });
});
