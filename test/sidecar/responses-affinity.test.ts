import assert from 'node:assert/strict';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, beforeEach, describe, it } from 'node:test';
import {
  deployment,
  keyRecord,
  MASTER_KEY,
  snapshotOf,
  startSidecar,
  type SidecarHarness,
} from '../support/sidecar-harness.ts';
import { ask, RawClient, requestBytes, type RawReply } from '../support/raw-client.ts';
import { chunkedReply, jsonReply, reply, ScriptedUpstream, type UpstreamScript } from '../support/scripted-upstream.ts';

/** Keys of two teams, of a user without team, and one of nobody. */
const KEYS = [
  keyRecord('sk-a1', { teamId: 'A', userId: 'u1' }),
  keyRecord('sk-a2', { teamId: 'A', userId: 'u2' }),
  keyRecord('sk-b', { teamId: 'B', userId: 'u1' }),
  keyRecord('sk-u', { userId: 'u3' }),
  keyRecord('sk-u-too', { userId: 'u3' }),
  keyRecord('sk-nobody'),
];

let one: ScriptedUpstream;
let two: ScriptedUpstream;
let gateway: SidecarHarness;
let made = 0;

/** Makes responses `resp_<n>`, answers for them by id. */
const provider =
  (name: string): UpstreamScript =>
  (request, answer) => {
    const [method] = request.lines[0]!.split(' ');
    if (method === 'POST' && !request.lines[0]!.includes('/cancel')) {
      made += 1;
      answer.write(jsonReply(`{"id":"resp_${made}","object":"response","model":"up","output":["${name}"]}`));
    } else {
      answer.write(jsonReply(`{"from":"${name}"}`));
    }
  };

const snapshot = () =>
  snapshotOf(
    [
      deployment('gpt', one.port, { id: 'one' }),
      deployment('gpt', two.port, { id: 'two', headers: [['authorization', 'Bearer sk-second-account']] }),
      deployment('mini', one.port, { id: 'mini-one' }),
      deployment('elsewhere', two.port, { id: 'else', headers: [['authorization', 'Bearer sk-third-account']] }),
      deployment('any/*', one.port, { id: 'star', upstreamModel: '*' }),
    ],
    { settings: { numRetries: 0 } },
  );

before(async () => {
  one = await ScriptedUpstream.start(provider('one'));
  two = await ScriptedUpstream.start(provider('two'));
  gateway = await startSidecar({ snapshot: snapshot(), keys: KEYS });
});
beforeEach(() => {
  one.script = provider('one');
  two.script = provider('two');
});
after(async () => {
  one.stop();
  two.stop();
  await gateway.stop();
});

const post = (key: string, body: object, port = gateway.port): Promise<RawReply> =>
  ask(port, { path: '/v1/responses', key, body: JSON.stringify({ model: 'gpt', ...body }) });
const by = (method: string, key: string, path: string, port = gateway.port): Promise<RawReply> =>
  ask(port, { method, key, path: `/v1/responses/${path}` });

/** Makes responses until there is one of each deployment; their ids by deployment. */
async function makeBoth(key: string): Promise<Record<'one' | 'two', string>> {
  const ids: Partial<Record<'one' | 'two', string>> = {};
  for (let n = 0; n < 100 && Object.keys(ids).length < 2; n += 1) {
    const answer = await post(key, {});
    const { id } = JSON.parse(answer.text) as { id: string };
    ids[answer.header('x-slipstream-model-id') as 'one' | 'two'] = id;
  }
  return ids as Record<'one' | 'two', string>;
}

async function outcome(pending: Promise<RawReply>): Promise<string> {
  const answer = await pending;
  return answer.status === 200
    ? String(/"(?:from|output)":\[?"(\w+)"/.exec(answer.text)?.[1])
    : `${answer.status} ${answer.header('x-slipstream-error')}`;
}

describe('a response by its id', () => {
  it('is asked for where it was made: get, delete, cancel, input items', async () => {
    const ids = await makeBoth('sk-a1');
    for (const name of ['one', 'two'] as const) {
      for (let n = 0; n < 5; n += 1) {
        assert.equal(await outcome(by('GET', 'sk-a1', ids[name])), name);
        assert.equal(await outcome(by('POST', 'sk-a1', `${ids[name]}/cancel`)), name);
        assert.equal(await outcome(by('GET', 'sk-a1', `${ids[name]}/input_items?limit=2`)), name);
      }
      assert.equal(await outcome(by('DELETE', 'sk-a1', ids[name])), name);
    }
  });

  it('crosses with the deployment’s credential, its path and its query', async () => {
    const ids = await makeBoth('sk-a1');
    await by('GET', 'sk-a1', `${ids.two}?include[]=x`);
    assert.equal(
      two.last.bytes,
      `GET /v1/responses/${ids.two}?include[]=x HTTP/1.1\r\nhost: 127.0.0.1:${two.port}\r\naccept-encoding: identity\r\n` +
        'authorization: Bearer sk-second-account\r\n\r\n',
    );
    await ask(gateway.port, {
      method: 'GET',
      key: 'sk-a1',
      path: `/responses/${ids.one}`,
      headers: ['openai-beta: x', 'x-other: y'],
    });
    assert.equal(
      one.last.bytes,
      `GET /v1/responses/${ids.one} HTTP/1.1\r\nhost: 127.0.0.1:${one.port}\r\naccept-encoding: identity\r\n` +
        'authorization: Bearer sk-provider-secret\r\nopenai-beta: x\r\n\r\n',
    );
    await ask(gateway.port, { method: 'POST', key: 'sk-a1', path: `/v1/responses/${ids.one}/cancel`, body: '' });
    assert.equal(one.last.lines[0], `POST /v1/responses/${ids.one}/cancel HTTP/1.1`);
    assert.ok(one.last.lines.includes('content-length: 0'));
  });

  it('is there for its owner only: the team, else the user, else the key', async () => {
    for (const [maker, mayToo, mayNot] of [
      ['sk-a1', ['sk-a1', 'sk-a2', MASTER_KEY], ['sk-b', 'sk-u', 'sk-nobody']],
      ['sk-u', ['sk-u', 'sk-u-too', MASTER_KEY], ['sk-a1', 'sk-nobody']],
      ['sk-nobody', ['sk-nobody', MASTER_KEY], ['sk-a1', 'sk-u']],
      [MASTER_KEY, [MASTER_KEY], ['sk-a1', 'sk-u', 'sk-nobody']],
    ] as const) {
      const { one: id } = await makeBoth(maker);
      for (const key of mayToo) assert.equal(await outcome(by('GET', key, id)), 'one', `${maker} → ${key}`);
      for (const key of mayNot) {
        const count = one.requests.length + two.requests.length;
        assert.equal(await outcome(by('GET', key, id)), '404 response_not_found', `${maker} → ${key}`);
        assert.equal(await outcome(by('DELETE', key, id)), '404 response_not_found');
        assert.equal(await outcome(by('POST', key, `${id}/cancel`)), '404 response_not_found');
        assert.equal(await outcome(post(key, { previous_response_id: id })), '404 response_not_found');
        assert.equal(one.requests.length + two.requests.length, count, 'nothing was sent to a provider');
      }
    }
  });

  it('that nobody made is a 404; it needs a key', async () => {
    for (const id of ['resp_unknown', 'resp_%2e%2e', '..%2fmodels', '__proto__']) {
      assert.equal(await outcome(by('GET', 'sk-a1', id)), '404 response_not_found', id);
    }
    const answer = await ask(gateway.port, { method: 'GET', path: '/v1/responses/resp_1' });
    assert.equal(answer.status, 401);
  });

  it('is in the journal as what it is', async () => {
    const { two: id } = await makeBoth('sk-a1');
    await by('GET', 'sk-a1', id);
    const event = gateway.journal().at(-1);
    assert.equal(event?.endpoint, 'responses_by_id');
    assert.equal(event.deployment, 'two');
    assert.equal(event.group, 'gpt');
    assert.equal(event.team, 'A');
    assert.equal(event.status, 200);
  });

  it('x-litellm headers and retries work on it', async () => {
    const { one: id } = await makeBoth('sk-a1');
    let fail = true;
    one.script = (request, answer, index) => {
      if (!fail) return provider('one')(request, answer, index);
      fail = false;
      answer.write(jsonReply('{}', 503));
    };
    const request = { method: 'GET', key: 'sk-a1', path: `/v1/responses/${id}` };
    const answer = await ask(gateway.port, { ...request, headers: ['x-litellm-num-retries: 1'] });
    assert.equal(answer.status, 200);
    assert.equal(answer.header('x-slipstream-attempts'), '2');
  });
});

describe('previous_response_id', () => {
  it('goes to the deployment that made it', async () => {
    const ids = await makeBoth('sk-a1');
    for (const name of ['one', 'two'] as const) {
      for (let n = 0; n < 8; n += 1)
        assert.equal(await outcome(post('sk-a2', { previous_response_id: ids[name] })), name);
    }
    assert.equal(
      (JSON.parse(one.last.body) as { previous_response_id: string }).previous_response_id,
      ids.one,
      'and crosses',
    );
  });

  it('with another model: where that is served by the same account, else not at all', async () => {
    const ids = await makeBoth('sk-a1');
    const answer = await post('sk-a1', { model: 'mini', previous_response_id: ids.one });
    assert.equal(answer.status, 200, answer.text);
    assert.equal(answer.header('x-slipstream-model-id'), 'mini-one');
    assert.equal(
      (JSON.parse(one.last.body) as { model: string }).model,
      'upstream-mini',
      'never the model of the other group',
    );
    assert.equal(
      await outcome(post('sk-a1', { model: 'elsewhere', previous_response_id: ids.one })),
      '404 response_not_found',
    );
    assert.equal(
      await outcome(post('sk-a1', { model: 'elsewhere', previous_response_id: ids.two })),
      '404 response_not_found',
    );
  });

  it('null and empty are none; on other endpoints it is the provider’s business', async () => {
    for (const previous of [null, ''])
      assert.equal((await post('sk-a1', { previous_response_id: previous })).status, 200);
    const chat = await ask(gateway.port, { key: 'sk-a1', body: '{"model":"gpt","previous_response_id":"x"}' });
    assert.equal(chat.status, 200);
  });
});

describe('which responses are remembered', () => {
  async function followed(id: string): Promise<string> {
    return outcome(by('GET', 'sk-a1', id));
  }

  it('streamed ones, from the moment the client sees the id', async () => {
    const gate = Promise.withResolvers<void>();
    const event = (type: string) =>
      `event: ${type}\ndata: {"type":"${type}","response":{"id":"resp_stream","model":"up"}}\n\n`;
    const script: UpstreamScript = async (request, answer, index) => {
      if (!request.body.includes('"stream":true')) return provider('any')(request, answer, index);
      answer.write(`HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n\r\n${event('response.created')}`);
      await gate.promise;
      answer.write(event('response.completed'));
      answer.end();
    };
    one.script = script;
    two.script = script;
    const client = new RawClient(gateway.port);
    client.send(
      requestBytes({ path: '/v1/responses', key: 'sk-a1', body: '{"model":"gpt","stream":true,"background":true}' }),
    );
    await client.until((bytes) => bytes.includes('resp_stream'));
    assert.equal(await followed('resp_stream'), 'any', 'a stream can be cancelled while it runs');
    gate.resolve();
    await client.reply();
    client.close();
    assert.equal(await followed('resp_stream'), 'any');
  });

  it('compressed, chunked and large ones', async () => {
    const { gzipSync } = await import('node:zlib');
    const filler = 'x'.repeat(150_000);
    for (const [id, bytes] of [
      [
        'resp_gzip',
        reply(200, ['content-type: application/json', 'content-encoding: gzip'], gzipSync('{"id":"resp_gzip"}')),
      ],
      ['resp_chunked', chunkedReply(['content-type: application/json'], '{"id":"resp_chunked"}', 3)],
      ['resp_large', jsonReply(`{"output":"${filler}","id":"resp_large"}`)],
    ] as const) {
      const script: UpstreamScript = (request, answer, index) =>
        request.lines[0]!.startsWith('POST') ? answer.write(bytes) : provider('any')(request, answer, index);
      one.script = script;
      two.script = script;
      assert.equal((await post('sk-a1', {})).status, 200);
      assert.equal(await followed(id), 'any', id);
    }
  });

  it('not those of failures, nor ids of other endpoints', async () => {
    const script: UpstreamScript = (request, answer) => {
      answer.write(jsonReply(`{"id":"resp_no"}`, request.lines[0]!.includes('responses') ? 400 : 200));
    };
    one.script = script;
    two.script = script;
    assert.equal((await post('sk-a1', {})).status, 400);
    await ask(gateway.port, { key: 'sk-a1', body: '{"model":"gpt"}' });
    assert.equal(await followed('resp_no'), '404 response_not_found');
  });

  it('of a wildcard’s deployment too', async () => {
    const answer = await post('sk-a1', { model: 'any/thing' });
    const { id } = JSON.parse(answer.text) as { id: string };
    assert.equal(await followed(id), 'one');
    assert.equal(gateway.journal().at(-1)?.group, 'any/*');
  });

  it('on every worker', async () => {
    const threads = await startSidecar({
      snapshot: { ...snapshot(), settings: { ...snapshot().settings, threads: 2 } },
      keys: KEYS,
    });
    const clients = Array.from({ length: 4 }, () => new RawClient(threads.port));
    const made = await clients[0]!
      .send(requestBytes({ path: '/v1/responses', key: 'sk-a1', body: '{"model":"gpt"}' }))
      .reply();
    const { id } = JSON.parse(made.text) as { id: string };
    const request = requestBytes({ method: 'GET', path: `/v1/responses/${id}`, key: 'sk-a1' });
    for (const client of clients) {
      let status = 404;
      for (let n = 0; n < 500 && status === 404; n += 1) ({ status } = await client.send(request).reply('GET'));
      assert.equal(status, 200);
    }
    for (const client of clients) client.close();
    await threads.stop();
  });
});

describe('after a restart', () => {
  it('with the same data directory all is as before, also after a torn line', async () => {
    const first = await startSidecar({ snapshot: snapshot(), keys: KEYS });
    const { port } = first;
    const ids: Record<string, string> = {};
    for (let n = 0; n < 100 && Object.keys(ids).length < 2; n += 1) {
      const answer = await post('sk-a1', {}, port);
      ids[answer.header('x-slipstream-model-id')!] = (JSON.parse(answer.text) as { id: string }).id;
    }
    await first.stop({ keepData: true });
    const log = join(first.dataDirectory, 'responses.ndjson');
    writeFileSync(log, `${readFileSync(log, 'utf8')}["resp_torn","on`);

    const second = await startSidecar({ snapshot: snapshot(), keys: KEYS, dataDirectory: first.dataDirectory });
    const late = await post('sk-a1', {}, second.port);
    const { id } = JSON.parse(late.text) as { id: string };
    for (const name of ['one', 'two']) {
      assert.equal(await outcome(by('GET', 'sk-a1', ids[name]!, second.port)), name);
      assert.equal(await outcome(by('GET', 'sk-b', ids[name]!, second.port)), '404 response_not_found');
      assert.equal(await outcome(post('sk-a1', { previous_response_id: ids[name] }, second.port)), name);
    }
    await second.stop({ keepData: true });

    const third = await startSidecar({ snapshot: snapshot(), keys: KEYS, dataDirectory: first.dataDirectory });
    assert.equal((await by('GET', 'sk-a1', id, third.port)).status, 200, 'what was made after the torn line is known');
    assert.equal(new Set(third.journal().map((event) => event.id)).size, third.journal().length);
    await third.stop();
  });

  it('a deployment that is no longer there: 404', async () => {
    const ids = await makeBoth('sk-a1');
    const before = snapshot();
    gateway.send({
      type: 'snapshot',
      snapshot: { ...before, deployments: before.deployments.filter(({ id }) => id !== 'two') },
    });
    let last = '';
    for (let n = 0; n < 500 && last !== '404 response_not_found'; n += 1)
      last = await outcome(by('GET', 'sk-a1', ids.two));
    assert.equal(last, '404 response_not_found');
    assert.equal(await outcome(by('GET', 'sk-a1', ids.one)), 'one');
  });
});
