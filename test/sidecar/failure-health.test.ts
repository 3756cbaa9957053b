import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { fails, hangs, OK, resets, withWorld, type FailureWorld } from '../support/failure-support.ts';
import { nothingInFlight } from '../support/flow-support.ts';
import { ask, eventually, RawClient, requestBytes } from '../support/raw-client.ts';
import { MASTER_KEY, productFailure, TEST_KEY } from '../support/sidecar-harness.ts';

interface Endpoint {
  readonly model: string;
  readonly model_id: string;
  readonly model_group: string;
  readonly api_base: string;
  readonly checked_at: string;
  readonly error?: string;
}

interface Health {
  readonly status: number;
  readonly healthy: readonly Endpoint[];
  readonly unhealthy: readonly Endpoint[];
  readonly unchecked: readonly Endpoint[];
  readonly raw: string;
}

async function health(world: FailureWorld, query = '', key = MASTER_KEY): Promise<Health> {
  const reply = await ask(world.gateway.port, { method: 'GET', path: `/health${query}`, key });
  const body = JSON.parse(reply.text) as Record<string, Endpoint[] & number>;
  assert.equal(body['healthy_count'], body['healthy_endpoints']?.length);
  assert.equal(body['unhealthy_count'], body['unhealthy_endpoints']?.length);
  return {
    status: reply.status,
    healthy: body['healthy_endpoints'] ?? [],
    unhealthy: body['unhealthy_endpoints'] ?? [],
    unchecked: body['unchecked_endpoints'] ?? [],
    raw: reply.raw.toString('latin1'),
  };
}

const ids = (endpoints: readonly Endpoint[]): string => endpoints.map((endpoint) => endpoint.model_id).join('');
const checks = (rest: object) => ({ healthChecks: { ...productFailure().healthChecks, ...rest } });

describe('/health', { concurrency: true }, () => {
  it('makes a real call to each deployment and says what came of it', async () => {
    const check = { mode: 'chat', model: null, timeoutMs: 100, maxTokens: 5, isBackgroundOff: false };
    const specs = {
      d: { healthCheck: check },
      e: { healthCheck: { ...check, mode: 'embedding', timeoutMs: 1000 } },
      f: { healthCheck: { ...check, mode: 'image_generation' } },
      g: { family: 'anthropic', provider: 'anthropic', basePath: '' },
    } as const;
    await withWorld({ gpt: 'abcd', embed: 'e', image: 'f', claude: 'g' }, { specs }, async (world) => {
      world.answers('b', fails(401, [], '{"error":{"message":"Incorrect API key provided: sk-provider-secret"}}'));
      world.answers('c', resets);
      world.answers('d', hangs);
      const { status, healthy, unhealthy, unchecked, raw } = await health(world);
      assert.equal(status, 200);
      assert.equal(ids(healthy), 'aeg');
      assert.equal(ids(unhealthy), 'bcd');
      assert.equal(ids(unchecked), 'f');
      assert.deepEqual(
        unhealthy.map(({ error }) => error),
        ['the provider answered with status 401', 'no connection, or it was lost', 'no answer within 0.1 s'],
      );
      assert.ok(!raw.includes('sk-provider-secret'));
      const [first] = healthy;
      assert.equal(first?.model, 'openai/upstream-gpt');
      assert.equal(first.model_group, 'gpt');
      assert.equal(first.api_base, `http://127.0.0.1:${world.upstreams['a']!.port}/v1`);
      assert.ok(Date.parse(first.checked_at) > 0);
      const { last } = world.upstreams['a']!;
      assert.equal(last.lines[0], 'POST /v1/chat/completions HTTP/1.1');
      assert.ok(last.lines.includes('authorization: Bearer sk-provider-secret'));
      assert.deepEqual(JSON.parse(last.body), {
        model: 'upstream-gpt',
        messages: [{ role: 'user', content: 'Reply with OK.' }],
        max_completion_tokens: 5,
      });
      assert.equal(world.upstreams['e']!.last.lines[0], 'POST /v1/embeddings HTTP/1.1');
      assert.equal(world.upstreams['g']!.last.lines[0], 'POST /v1/messages HTTP/1.1');
      assert.equal(world.upstreams['f']!.requests.length, 0);
      assert.deepEqual(world.gateway.journal(), [], 'these are no requests of a client');
    });
  });

  it('of one model or one deployment: 503 when it is down, 404 when there is none', async () => {
    await withWorld({ gpt: 'ab', other: 'c' }, {}, async (world) => {
      world.answers('a', fails(500));
      const half = await health(world, '?model=gpt');
      assert.equal(half.status, 200, 'one of two works');
      assert.deepEqual([ids(half.healthy), ids(half.unhealthy)], ['b', 'a']);
      assert.ok(!world.asked.includes('c'));
      const down = await health(world, '?model_id=a');
      assert.equal(down.status, 503);
      assert.equal(ids(down.unhealthy), 'a');
      for (const query of ['?model=nobody', '?model_id=nobody']) {
        const reply = await ask(world.gateway.port, { method: 'GET', path: `/health${query}`, key: MASTER_KEY });
        assert.equal(reply.status, 404);
      }
    });
  });

  it('needs the master key, and GET', async () => {
    await withWorld({ gpt: 'a' }, {}, async (world) => {
      const { port } = world.gateway;
      assert.equal((await ask(port, { method: 'GET', path: '/health', key: TEST_KEY })).status, 403);
      assert.equal((await ask(port, { method: 'GET', path: '/health' })).status, 401);
      assert.equal((await ask(port, { method: 'POST', path: '/health', key: MASTER_KEY, body: '{}' })).status, 405);
      assert.equal(world.asked.length, 0);
    });
  });

  it('asks each deployment once for many that want to know; a client that leaves costs nothing', async () => {
    await withWorld({ gpt: 'a' }, {}, async (world) => {
      world.answers('a', async (request, reply, index) => {
        await sleep(100);
        return OK(request, reply, index);
      });
      const leaver = new RawClient(world.gateway.port).send(
        requestBytes({ method: 'GET', path: '/health', key: MASTER_KEY, body: '' }),
      );
      const all = Promise.all([health(world), health(world), health(world)]);
      await sleep(30);
      leaver.close();
      for (const { healthy } of await all) assert.equal(ids(healthy), 'a');
      assert.equal(world.asked.length, 1);
      await nothingInFlight(world.gateway.port);
    });
  });

  it('a check that fails does not steer requests unless it should', async () => {
    await withWorld({ gpt: 'ab' }, {}, async (world) => {
      world.answers('a', fails(500));
      assert.equal(ids((await health(world)).unhealthy), 'a');
      world.answers('a', OK);
      assert.equal((await world.run('gpt')).order, 'a');
    });
  });
});

describe('background_health_checks', { concurrency: true }, () => {
  it('ask all again and again; /health tells the last result without a call', async () => {
    const off = { mode: 'chat', model: null, timeoutMs: 1000, maxTokens: 5, isBackgroundOff: true };
    const parts = { failure: checks({ inBackground: true, intervalMs: 300 }), specs: { b: { healthCheck: off } } };
    await withWorld({ gpt: 'ab' }, parts, async (world) => {
      world.answers('a', fails(500));
      await eventually(() => world.asked.length >= 2, 'two rounds');
      assert.ok(!world.asked.includes('b'), 'it is switched off for b');
      const asked = world.asked.length;
      const { healthy, unhealthy } = await health(world);
      assert.equal(ids(unhealthy), 'a');
      assert.equal(ids(healthy), 'b', 'which is asked now');
      assert.ok(world.asked.filter((name) => name === 'a').length <= asked + 1);
    });
  });

  it('one worker asks for all', async () => {
    const parts = { failure: checks({ inBackground: true, intervalMs: 60_000 }), settings: { threads: 2 } };
    await withWorld({ gpt: 'ab' }, parts, async (world) => {
      await eventually(() => world.asked.length >= 2, 'a round');
      await sleep(300);
      assert.equal([...world.asked].sort().join(''), 'ab');
    });
  });

  it('with enable_health_check_routing: no requests for what fails, unless all do', async () => {
    const failure = checks({ inBackground: true, intervalMs: 200, steerRouting: true });
    await withWorld({ gpt: 'ab' }, { failure }, async (world) => {
      world.answers('a', fails(500));
      await eventually(() => world.gateway.logs.some((line) => line.includes('unhealthy')), 'a is benched');
      world.answers('a', (request, reply, index) =>
        (request.body.includes('Reply with OK') ? fails(500) : OK)(request, reply, index),
      );
      assert.equal((await world.run('gpt')).event.deployment, 'b');
      world.answers('a', OK);
      await eventually(() => world.gateway.logs.some((line) => line.includes('is back')), 'a is back');
      assert.equal((await world.run('gpt')).event.deployment, 'a');
      for (const name of 'ab') world.answers(name, fails(503));
      await eventually(
        () => world.gateway.logs.filter((line) => line.includes('is benched')).length >= 3,
        'both are benched',
      );
      assert.equal((await world.run('gpt')).reply.status, 503, 'and asked all the same');
    });
  });

  it('408 and 429 steer nothing where they are to be ignored', async () => {
    const failure = checks({ inBackground: true, intervalMs: 100, steerRouting: true, ignoreTransient: true });
    await withWorld({ gpt: 'ab' }, { failure }, async (world) => {
      world.answers('a', fails(429, ['retry-after: 60']));
      await eventually(() => world.asked.length >= 2, 'checked');
      await sleep(30);
      assert.ok(!world.gateway.logs.some((line) => line.includes('benched')));
    });
  });
});
