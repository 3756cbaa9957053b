import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { deployment, keyRecord, snapshotOf, startSidecar, type SidecarHarness } from '../support/sidecar-harness.ts';
import { ask, type RawReply } from '../support/raw-client.ts';
import { jsonReply, ScriptedUpstream } from '../support/scripted-upstream.ts';

const KEYS = [
  keyRecord('sk-plain'),
  keyRecord('sk-aliases', { models: ['claude'], aliases: { fast: 'gpt', nowhere: 'no-such-model' } }),
  keyRecord('sk-embeds', { allowedRoutes: ['/v1/embeddings', '/models'] }),
  keyRecord('sk-llm', { allowedRoutes: ['llm_api_routes'] }),
  keyRecord('sk-tagged', { tags: ['prod', 'team-a'] }),
  keyRecord('sk-manages', { allowedRoutes: ['management_routes'] }),
];

let upstream: ScriptedUpstream;
let gateway: SidecarHarness;

before(async () => {
  upstream = await ScriptedUpstream.start((_request, answer) => {
    answer.write(jsonReply('{"model":"upstream-gpt"}'));
  });
  gateway = await startSidecar({
    snapshot: snapshotOf([
      deployment('gpt', upstream.port),
      deployment('claude', upstream.port, { family: 'anthropic', headers: [] }),
    ]),
    keys: KEYS,
  });
});
after(async () => {
  upstream.stop();
  await gateway.stop();
});

function call(key: string, model: string, path = '/v1/chat/completions'): Promise<RawReply> {
  return ask(gateway.port, { path, headers: [`authorization: Bearer ${key}`], body: JSON.stringify({ model }) });
}

function errorName(reply: RawReply): string | null {
  return reply.header('x-slipstream-error');
}

describe('aliases of a key', () => {
  it('lead to a model that it may not name itself, and stay the name it sees', async () => {
    const reply = await call('sk-aliases', 'fast');
    assert.equal(reply.status, 200);
    assert.deepEqual(JSON.parse(reply.body.toString()), { model: 'fast' });
    assert.match(upstream.requests.at(-1)?.body.toString() ?? '', /"model":"upstream-gpt"/);
    assert.equal(gateway.journal().at(-1)?.group, 'gpt');
    assert.equal((await call('sk-aliases', 'gpt')).status, 403);
  });

  it('are nobody else’s', async () => {
    assert.equal(errorName(await call('sk-plain', 'fast')), 'unknown_model');
  });

  it('that lead nowhere are unknown models, as are names that every object has', async () => {
    assert.equal(errorName(await call('sk-aliases', 'nowhere')), 'unknown_model');
    assert.equal((await call('sk-aliases', 'constructor')).status, 403);
    assert.equal(errorName(await call('sk-plain', 'constructor')), 'unknown_model');
  });

  it('stand in the list of models', async () => {
    const list = async (key: string): Promise<string[]> => {
      const reply = await ask(gateway.port, {
        method: 'GET',
        path: '/v1/models',
        headers: [`authorization: Bearer ${key}`],
      });
      return (JSON.parse(reply.body.toString()) as { data: { id: string }[] }).data.map(({ id }) => id);
    };
    assert.deepEqual(await list('sk-aliases'), ['claude', 'fast']);
    assert.deepEqual(await list('sk-plain'), ['gpt', 'claude']);
  });
});

describe('tags of a key', () => {
  it('are those of its requests, besides the request’s own', async () => {
    const tagsOf = async (headers: readonly string[]): Promise<readonly string[] | undefined> => {
      const before = gateway.journal().length;
      await ask(gateway.port, { headers: ['authorization: Bearer sk-tagged', ...headers], body: '{"model":"gpt"}' });
      return gateway.journal()[before]?.tags;
    };
    assert.deepEqual(await tagsOf([]), ['prod', 'team-a']);
    assert.deepEqual(await tagsOf(['x-litellm-tags: batch, prod']), ['batch', 'prod', 'team-a']);
  });
});

describe('allowed routes of a key', () => {
  it('let through what they name, with and without /v1', async () => {
    assert.equal((await call('sk-embeds', 'gpt', '/v1/embeddings')).status, 200);
    assert.equal((await call('sk-embeds', 'gpt', '/embeddings')).status, 200);
    assert.equal((await call('sk-llm', 'gpt')).status, 200);
  });

  it('refuse all else with 403, before anything is sent to a provider', async () => {
    const before = upstream.requests.length;
    for (const reply of [
      await call('sk-embeds', 'gpt'),
      await call('sk-manages', 'gpt'),
      await ask(gateway.port, {
        method: 'GET',
        path: '/v1/models',
        headers: ['authorization: Bearer sk-manages'],
      }),
    ]) {
      assert.deepEqual([reply.status, errorName(reply)], [403, 'route_not_allowed']);
    }
    assert.equal(upstream.requests.length, before);
  });
});
