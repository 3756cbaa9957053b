import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import {
  deployment,
  keyRecord,
  MASTER_KEY,
  snapshotOf,
  startSidecar,
  TEST_KEY,
  type SidecarHarness,
} from '../support/sidecar-harness.ts';
import { ask, RawClient, requestBytes, type RawReply } from '../support/raw-client.ts';
import { jsonReply, ScriptedUpstream } from '../support/scripted-upstream.ts';

interface Model {
  readonly id: string;
}

let upstream: ScriptedUpstream;
let gateway: SidecarHarness;

before(async () => {
  upstream = await ScriptedUpstream.start((_request, answer) => {
    answer.write(jsonReply('{"model":"up"}'));
  });
  const { port } = upstream;
  const deployments = [
    deployment('gpt', port),
    deployment('small', port, { provider: 'groq' }),
    deployment('org/slashed model', port),
    deployment('secret', port),
    deployment('claude', port, { family: 'anthropic', provider: 'anthropic' }),
    deployment('openai/*', port, { upstreamModel: '*' }),
    deployment('openai/gpt-*', port, { upstreamModel: 'prefix-*-suffix', id: 'gpt-star' }),
    deployment('fixed-*', port, { upstreamModel: 'always-this' }),
  ];
  const snapshot = snapshotOf(deployments, {
    aliases: {
      fast: { group: 'small', hidden: false },
      unseen: { group: 'gpt', hidden: true },
      'to-secret': { group: 'secret', hidden: false },
      'to-star': { group: 'openai/named', hidden: false },
      dangling: { group: 'nothing', hidden: false },
    },
  });
  gateway = await startSidecar({
    // As the control plane sends them: most specific first.
    snapshot: { ...snapshot, wildcards: snapshot.wildcards.toSorted((a, b) => b.name.length - a.name.length) },
    keys: [
      keyRecord(TEST_KEY),
      keyRecord('sk-gpt', { models: ['gpt'] }),
      keyRecord('sk-gpt-2', { models: ['gpt'] }),
      keyRecord('sk-fast', { models: ['fast'] }),
      keyRecord('sk-small', { models: ['small'] }),
      keyRecord('sk-star', { models: ['openai/*'] }),
      keyRecord('sk-one', { models: ['openai/gpt-4'] }),
      keyRecord('sk-all', { models: ['all-proxy-models'] }),
      keyRecord('sk-none', { models: ['no-default-models'] }),
    ],
  });
});
after(async () => {
  upstream.stop();
  await gateway.stop();
});

async function listed(key: string, path = '/v1/models'): Promise<string[]> {
  const reply = await ask(gateway.port, { method: 'GET', path, key });
  assert.equal(reply.status, 200, reply.text);
  return (JSON.parse(reply.text) as { data: Model[] }).data.map(({ id }) => id);
}

describe('the model list', () => {
  const all = ['gpt', 'small', 'org/slashed model', 'secret', 'claude', 'fast', 'to-secret', 'to-star'];

  it('has OpenAI’s shape', async () => {
    for (const path of ['/v1/models', '/models']) {
      const reply = await ask(gateway.port, { method: 'GET', path, key: 'sk-small' });
      assert.equal(reply.header('content-type'), 'application/json');
      assert.deepEqual(JSON.parse(reply.text), {
        data: [
          { id: 'small', object: 'model', created: 1_677_610_602, owned_by: 'groq' },
          { id: 'fast', object: 'model', created: 1_677_610_602, owned_by: 'groq' },
        ],
        object: 'list',
      });
    }
  });

  it('names groups and visible aliases, each once; wildcards only when asked for', async () => {
    assert.deepEqual(await listed(TEST_KEY), all);
    assert.deepEqual(await listed(MASTER_KEY), all);
    assert.deepEqual(await listed('sk-all'), all);
    const wildcards = ['openai/gpt-*', 'openai/*', 'fixed-*'];
    assert.deepEqual(await listed(TEST_KEY, '/v1/models?return_wildcard_routes=True'), [...all, ...wildcards]);
    assert.deepEqual(await listed(TEST_KEY, '/v1/models?return_wildcard_routes=false'), all);
  });

  it('only what the key may use', async () => {
    assert.deepEqual(await listed('sk-gpt'), ['gpt']);
    assert.deepEqual(await listed('sk-fast'), ['fast']);
    assert.deepEqual(await listed('sk-none'), []);
    assert.deepEqual(await listed('sk-star', '/v1/models?return_wildcard_routes=true'), [
      'to-star',
      'openai/gpt-*',
      'openai/*',
    ]);
  });

  it('needs a key', async () => {
    const reply = await ask(gateway.port, { method: 'GET', path: '/v1/models' });
    assert.equal(reply.status, 401);
    assert.equal(reply.header('x-slipstream-error'), 'missing_key');
  });

  it('is no usage: nothing in the journal', async () => {
    const before = gateway.journal().length;
    await listed(TEST_KEY);
    assert.equal(gateway.journal().length, before);
  });

  it('answers HEAD without the body', async () => {
    const client = new RawClient(gateway.port);
    const request = (method: string): Buffer => requestBytes({ method, path: '/v1/models', key: TEST_KEY });
    const head = await client.send(request('HEAD')).reply('HEAD');
    const get = await client.send(request('GET')).reply('GET');
    client.close();
    assert.equal(head.status, 200);
    assert.equal(head.header('content-length'), get.header('content-length'));
    assert.ok(Number(head.header('content-length')) > 100);
  });
});

describe('one model', () => {
  const one = (id: string, key = TEST_KEY): Promise<RawReply> =>
    ask(gateway.port, { method: 'GET', path: `/v1/models/${id}`, key });

  it('by its name, encoded or not', async () => {
    for (const id of ['gpt', 'org%2Fslashed%20model', 'org/slashed%20model', 'fast']) {
      const reply = await one(id);
      assert.equal(reply.status, 200, reply.text);
      assert.equal((JSON.parse(reply.text) as Model).id, decodeURIComponent(id));
    }
    assert.equal((await ask(gateway.port, { method: 'GET', path: '/models/gpt', key: TEST_KEY })).status, 200);
  });

  it('that is not there, or not for this key, is a 404', async () => {
    for (const [id, key] of [
      ['nothing', TEST_KEY],
      ['secret', 'sk-gpt'],
      ['%', TEST_KEY],
      ['unseen', 'sk-small'],
      ['dangling', TEST_KEY],
    ] as const) {
      const reply = await one(id, key);
      assert.equal(reply.status, 404, id);
      assert.equal(reply.header('x-slipstream-error'), 'unknown_model');
      assert.equal((JSON.parse(reply.text) as { error: { code: string } }).error.code, '404');
    }
  });
});

describe('the model of a request', () => {
  async function served(model: string, key = TEST_KEY): Promise<string> {
    const reply = await ask(gateway.port, { key, body: JSON.stringify({ model }) });
    if (reply.status !== 200) return `${reply.status} ${reply.header('x-slipstream-error')}`;
    assert.equal(
      (JSON.parse(reply.text) as { model: string }).model,
      model,
      'the reply has the name that was asked for',
    );
    assert.equal(gateway.journal().at(-1)?.model, model);
    return (JSON.parse(upstream.last.body) as { model: string }).model;
  }

  it('alias, exact name, then wildcards from the most specific', async () => {
    assert.equal(await served('gpt'), 'upstream-gpt');
    assert.equal(await served('fast'), 'upstream-small');
    assert.equal(gateway.journal().at(-1)?.group, 'small');
    assert.equal(await served('unseen'), 'upstream-gpt', 'hidden is not refused');
    assert.equal(await served('openai/o3'), 'o3');
    assert.equal(gateway.journal().at(-1)?.group, 'openai/*');
    assert.equal(await served('openai/gpt-5'), 'prefix-5-suffix');
    assert.equal(await served('openai/gpt-'), 'prefix--suffix');
    assert.equal(await served('fixed-anything'), 'always-this');
    assert.equal(await served('to-star'), 'named', 'an alias may lead to a wildcard');
    assert.equal(await served('org/slashed model'), 'upstream-org/slashed model');
  });

  it('an unknown one is a 400', async () => {
    for (const model of ['nothing', 'GPT', 'gpt ', 'dangling', 'openai', '__proto__', 'constructor']) {
      assert.equal(await served(model), '400 unknown_model', model);
    }
  });

  it('of another protocol is a 400 that names the route that works', async () => {
    const reply = await ask(gateway.port, { key: TEST_KEY, body: '{"model":"claude"}' });
    assert.equal(reply.status, 400);
    assert.equal(reply.header('x-slipstream-error'), 'wrong_protocol');
    assert.match(reply.text, /\/v1\/messages/);
    const other = await ask(gateway.port, { key: TEST_KEY, path: '/v1/messages', body: '{"model":"gpt"}' });
    assert.equal(other.status, 400);
    assert.match(other.text, /\/v1\/chat\/completions/);
    assert.equal((JSON.parse(other.text) as { type: string }).type, 'error', 'in Anthropic’s envelope');
  });

  it('only those that the key may use, by any of the names', async () => {
    for (const [key, model, expected] of [
      ['sk-gpt', 'gpt', 'upstream-gpt'],
      ['sk-gpt', 'unseen', 'upstream-gpt'], // an alias of it
      ['sk-gpt', 'small', '403 model_access_denied'],
      ['sk-gpt', 'to-secret', '403 model_access_denied'],
      ['sk-gpt', 'openai/gpt-4', '403 model_access_denied'],
      ['sk-gpt', 'nothing', '403 model_access_denied'], // what exists is not told
      ['sk-fast', 'fast', 'upstream-small'],
      ['sk-fast', 'small', '403 model_access_denied'], // the alias is what it was given
      ['sk-star', 'openai/o3', 'o3'],
      ['sk-star', 'openai/gpt-4', 'prefix-4-suffix'],
      ['sk-star', 'gpt', '403 model_access_denied'],
      ['sk-one', 'openai/gpt-4', 'prefix-4-suffix'],
      ['sk-one', 'openai/gpt-5', '403 model_access_denied'],
      ['sk-all', 'secret', 'upstream-secret'],
      ['sk-none', 'gpt', '403 model_access_denied'],
      [MASTER_KEY, 'secret', 'upstream-secret'],
    ] as const) {
      for (let n = 0; n < 2; n += 1) assert.equal(await served(model, key), expected, `${key} ${model}`);
    }
  });

  it('the refusal says what the key may use', async () => {
    const reply = await ask(gateway.port, { key: 'sk-gpt', body: '{"model":"secret"}' });
    const { error } = JSON.parse(reply.text) as { error: Record<string, unknown> };
    assert.equal(error['type'], 'key_model_access_denied');
    assert.equal(error['code'], '403');
    assert.equal(error['param'], 'model');
    assert.match(String(error['message']), /models=\["gpt"\]\. Tried to access secret/);
  });

  it('fallbacks that the client sends are checked like its model', async () => {
    const ask403 = async (
      key: string,
      fallbacks: readonly unknown[],
      headers: readonly string[] = [],
    ): Promise<string> => {
      const body = JSON.stringify(headers.length > 0 ? { model: 'gpt' } : { model: 'gpt', fallbacks });
      const reply = await ask(gateway.port, { key, headers, body });
      return `${reply.status} ${reply.header('x-slipstream-error') ?? ''}`;
    };
    assert.equal(await ask403('sk-gpt', [], ['x-litellm-fallbacks: gpt, secret']), '403 model_access_denied');
    assert.equal(await ask403('sk-gpt', ['gpt', 'secret']), '403 model_access_denied');
    assert.equal(await ask403('sk-gpt', [{ model: 'secret' }]), '403 model_access_denied');
    assert.equal(await ask403('sk-gpt', ['to-secret']), '403 model_access_denied');
    assert.equal(await ask403('sk-gpt-2', ['unseen']), '200 ', 'an alias of what it may use');
    assert.equal(await served('unseen', 'sk-gpt-2'), 'upstream-gpt', 'and the answers do not influence each other');
    assert.equal(await ask403('sk-all', ['secret']), '200 ');
  });
});

describe('names that no header can carry', () => {
  it('reach headers encoded, and everything else as they are', async (test) => {
    const name = 'моdèl – 1\r\nx-injected: 1';
    const odd = await startSidecar({
      snapshot: snapshotOf([deployment(name, upstream.port, { id: 'id – ü\r\nx-injected: 2', upstreamModel: name })]),
    });
    test.after(() => odd.stop());
    const reply = await ask(odd.port, { key: TEST_KEY, body: JSON.stringify({ model: name }) });
    assert.equal(reply.status, 200, reply.text);
    assert.equal(reply.header('x-injected'), null);
    assert.equal(decodeURIComponent(reply.header('x-litellm-model-group') ?? ''), name);
    assert.equal(decodeURIComponent(reply.header('x-slipstream-model-id') ?? ''), 'id – ü\r\nx-injected: 2');
    assert.equal(odd.journal()[0]?.deployment, 'id – ü\r\nx-injected: 2');
    assert.equal(odd.journal()[0]?.model, name);
    assert.equal((JSON.parse(upstream.last.body) as { model: string }).model, name);
    const missing = await ask(odd.port, { key: TEST_KEY, body: JSON.stringify({ model: `${name}?` }) });
    assert.equal(missing.status, 400);
    assert.equal(missing.header('x-injected'), null);
    const metrics = await ask(odd.port, { method: 'GET', path: '/metrics', key: TEST_KEY });
    assert.match(metrics.text, /моdèl – 1/);
    assert.ok(!/^x-injected/m.test(metrics.text));
  });
});

describe('an alias that a new configuration leads elsewhere', () => {
  it('is checked anew', async (test) => {
    const deployments = [deployment('open', upstream.port), deployment('closed', upstream.port)];
    const to = (group: string) => snapshotOf(deployments, { aliases: { name: { group, hidden: false } } });
    const moving = await startSidecar({ snapshot: to('open'), keys: [keyRecord('sk-open', { models: ['open'] })] });
    test.after(() => moving.stop());
    const client = new RawClient(moving.port);
    const status = async (): Promise<number> =>
      (await client.send(requestBytes({ key: 'sk-open', body: '{"model":"name"}' })).reply()).status;
    assert.equal(await status(), 200);
    moving.send({ type: 'snapshot', snapshot: to('closed') });
    let last = 200;
    for (let n = 0; n < 500 && last === 200; n += 1) last = await status();
    assert.equal(last, 403);
    client.close();
  });
});
