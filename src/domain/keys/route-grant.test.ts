import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { compileRouteGrant, isRouteAllowed } from './route-grant.ts';

function may(allowed: readonly string[], path: string): boolean {
  const grant = compileRouteGrant(allowed);
  return grant === null || isRouteAllowed(grant, path);
}

describe('route grant', () => {
  it('of an empty list, or of all, allows everything', () => {
    assert.equal(compileRouteGrant([]), null);
    assert.equal(compileRouteGrant(['/v1/*', '/*']), null);
  });

  it('knows LiteLLM’s groups', () => {
    for (const [group, yes, no] of [
      ['llm_api_routes', ['/v1/chat/completions', '/chat/completions', '/v1/messages', '/v1/models/a'], '/key/info'],
      ['openai_routes', ['/v1/embeddings', '/v1/responses/resp_1/cancel', '/v1/realtime'], '/v1/messages'],
      ['anthropic_routes', ['/v1/messages', '/messages/count_tokens'], '/v1/chat/completions'],
      ['info_routes', ['/key/info', '/v1/models'], '/v1/chat/completions'],
      ['management_routes', ['/key/generate', '/team/info'], '/v1/chat/completions'],
    ] as const) {
      for (const path of yes) assert.equal(may([group], path), true, `${group} ${path}`);
      assert.equal(may([group], no), false, `${group} ${no}`);
    }
  });

  it('takes paths and patterns, with and without /v1', () => {
    assert.equal(may(['/v1/embeddings'], '/embeddings'), true);
    assert.equal(may(['/embeddings'], '/v1/embeddings'), true);
    assert.equal(may(['/embeddings'], '/v1/embeddings2'), false);
    assert.equal(may(['/chat/*'], '/v1/chat/completions'), true);
    assert.equal(may(['/chat/*'], '/v1/completions'), false);
    assert.equal(may(['no_such_group'], '/v1/chat/completions'), false);
  });
});
