import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { fails, hangs, OK, resets, withWorld, type FailureWorld } from '../support/failure-support.ts';
import { metric } from '../support/flow-support.ts';
import { eventually, RawClient, requestBytes } from '../support/raw-client.ts';
import { TEST_KEY } from '../support/sidecar-harness.ts';
import type { UpstreamScript } from '../support/scripted-upstream.ts';

/** Bench lines in the log. */
function benches(world: FailureWorld): string[] {
  return world.gateway.logs
    .filter((line) => line.includes('a deployment is'))
    .map((line) => {
      const { message, msg, deployment, reason } = JSON.parse(line) as Record<string, string>;
      return `${deployment} ${String(message ?? msg).endsWith('benched') ? `benched ${reason}` : 'back'}`;
    });
}

async function runs(world: FailureWorld, count: number, model = 'gpt'): Promise<string[]> {
  const orders: string[] = [];
  for (let index = 0; index < count; index += 1) orders.push((await world.run(model)).order);
  return orders;
}

describe('a deployment that fails', { concurrency: true }, () => {
  for (const [name, script, reason] of [
    ['500', fails(500), 'server'],
    ['529', fails(529), 'server'],
    ['reset', resets, 'connection'],
    [
      'no HTTP',
      (_request, reply) => {
        reply.write('not HTTP at all\r\n\r\n');
      },
      'server',
    ],
    ['408', fails(408), 'timeout'],
  ] as readonly (readonly [string, UpstreamScript, string])[]) {
    it(`${name}: three in a minute are borne, the fourth benches it`, async () => {
      await withWorld({ gpt: 'ab' }, { failure: { cooldownMs: 60_000 } }, async (world) => {
        world.answers('a', script);
        assert.deepEqual(await runs(world, 6), ['ab', 'ab', 'ab', 'ab', 'b', 'b']);
        assert.deepEqual(benches(world), [`a benched ${reason}`]);
      });
    });
  }

  it('a timeout counts; one that the client chose does not', async () => {
    const parts = { failure: { cooldownMs: 60_000, allowedFails: 0 }, timeouts: { firstByteMs: 400 } };
    await withWorld({ gpt: 'ab' }, parts, async (world) => {
      world.answers('a', hangs);
      assert.equal((await world.run('gpt', { timeout: 0.6 })).reply.status, 408);
      assert.deepEqual(await runs(world, 2), ['ab', 'b']);
      assert.deepEqual(benches(world), ['a benched timeout']);
    });
  });

  it('what the client did wrong never counts, nor a client that leaves', async () => {
    await withWorld({ gpt: 'ab' }, { failure: { allowedFails: 0 } }, async (world) => {
      for (const status of [400, 402, 409, 413, 422]) {
        world.answers('a', fails(status));
        for (let count = 0; count < 3; count += 1) assert.equal((await world.run('gpt')).order[0], 'a', `${status}`);
      }
      world.answers('a', hangs);
      const client = new RawClient(world.gateway.port).send(requestBytes({ key: TEST_KEY, body: '{"model":"gpt"}' }));
      await sleep(50);
      client.close();
      await sleep(50);
      world.answers('a', OK);
      assert.equal((await world.run('gpt')).order, 'a');
      assert.deepEqual(benches(world), []);
    });
  });

  it('a stream that breaks after commit counts, one that began with an error too', async () => {
    const head = 'HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n\r\n';
    for (const script of [
      async (_request, reply) => {
        reply.write(`${head}data: {"choices":[]}\n\n`);
        await sleep(20);
        reply.reset();
      },
      (_request, reply) => {
        reply.write(`${head}data: {"error":{"message":"overloaded"}}\n\n`);
        reply.end();
      },
    ] satisfies UpstreamScript[]) {
      await withWorld({ gpt: 'ab' }, { failure: { allowedFails: 0, cooldownMs: 60_000 } }, async (world) => {
        world.answers('a', script);
        await world.run('gpt', { stream: true });
        assert.equal((await world.run('gpt')).order, 'b');
      });
    }
  });

  it('401 and 403 bench it at once, and for longer than others', async () => {
    for (const status of [401, 403]) {
      await withWorld({ gpt: 'ab' }, { failure: { cooldownMs: 1 } }, async (world) => {
        world.answers('a', fails(status));
        assert.deepEqual(await runs(world, 1), ['ab']);
        await sleep(30);
        assert.deepEqual(await runs(world, 2), ['b', 'b']);
        assert.deepEqual(benches(world), ['a benched credential']);
      });
    }
  });

  it('404 benches it at once; not where the client chose the name', async () => {
    await withWorld({ gpt: 'ab' }, { failure: { cooldownMs: 60_000 } }, async (world) => {
      world.answers('a', fails(404));
      assert.deepEqual(await runs(world, 2), ['ab', 'b']);
    });
    const specs = { a: { upstreamModel: '*' }, b: { upstreamModel: '*' } };
    await withWorld({ 'x/*': 'ab' }, { specs, failure: { cooldownMs: 60_000 } }, async (world) => {
      world.answers('a', fails(404));
      assert.deepEqual(await runs(world, 2, 'x/nonsense'), ['ab', 'ab']);
    });
  });

  it('allowed_fails_policy, cooldown_time of a deployment, disable_cooldowns', async () => {
    const none = {
      badRequest: null,
      authentication: null,
      timeout: null,
      rateLimit: null,
      contentPolicy: null,
      internal: null,
    };
    const parts = {
      failure: { cooldownMs: 60_000, allowedFailsPolicy: { ...none, internal: 1, rateLimit: 2, authentication: 1 } },
    };
    for (const [status, expected] of [
      [500, ['ab', 'ab', 'b']],
      [429, ['ab', 'ab', 'ab', 'b']],
      [401, ['ab', 'ab', 'b']],
    ] as const) {
      await withWorld({ gpt: 'ab' }, parts, async (world) => {
        world.answers('a', fails(status));
        assert.deepEqual(await runs(world, expected.length), expected);
      });
    }
    await withWorld(
      { gpt: 'ab' },
      { failure: { cooldownMs: 60_000, allowedFails: 0 }, specs: { a: { cooldownMs: 1 } } },
      async (world) => {
        world.answers('a', fails(500));
        await runs(world, 1);
        await sleep(20);
        assert.deepEqual(await runs(world, 1), ['ab'], 'its own cooldown is over');
      },
    );
    await withWorld({ gpt: 'ab' }, { failure: { areCooldownsOff: true, allowedFails: 0 } }, async (world) => {
      world.answers('a', fails(500));
      assert.deepEqual(await runs(world, 5), ['ab', 'ab', 'ab', 'ab', 'ab']);
    });
  });
});

describe('429', { concurrency: true }, () => {
  it('benches at once, until the time that the provider says', async () => {
    for (const header of [
      'retry-after: 60',
      'retry-after-ms: 60000',
      'x-ratelimit-remaining-tokens: 0\r\nx-ratelimit-reset-tokens: 1m0s',
      `anthropic-ratelimit-requests-remaining: 0\r\nanthropic-ratelimit-requests-reset: ${new Date(Date.now() + 60_000).toISOString()}`,
    ]) {
      await withWorld({ gpt: 'ab' }, { failure: { cooldownMs: 1 } }, async (world) => {
        world.answers('a', fails(429, [header]));
        assert.deepEqual(await runs(world, 1), ['ab']);
        await sleep(20);
        assert.deepEqual(await runs(world, 1), ['b'], header);
        assert.deepEqual(benches(world), ['a benched retry_after']);
      });
    }
  });

  it('without a time it is the cooldown', async () => {
    await withWorld({ gpt: 'ab' }, { failure: { cooldownMs: 500 } }, async (world) => {
      world.answers('a', fails(429));
      assert.deepEqual(await runs(world, 2), ['ab', 'b']);
      world.answers('a', OK);
      await sleep(520);
      assert.deepEqual(await runs(world, 2), ['a', 'a']);
      assert.deepEqual(benches(world), ['a benched rate_limit', 'a back']);
    });
  });
});

describe('when all deployments of a group are out', { concurrency: true }, () => {
  it('those benched by 5xx are tried, the least bad first', async () => {
    await withWorld({ gpt: 'ab' }, { failure: { cooldownMs: 60_000, allowedFails: 0 } }, async (world) => {
      world.answers('a', fails(500));
      world.answers('b', fails(500));
      assert.deepEqual(await runs(world, 1), ['ab']);
      assert.deepEqual(await runs(world, 1), ['ab'], 'a was benched first');
      world.answers('b', OK);
      assert.deepEqual(await runs(world, 2), ['ab', 'b'], 'one that works is back at once');
      assert.deepEqual(benches(world), ['a benched server', 'b benched server', 'b back']);
    });
  });

  it('those under retry-after or with a refused credential are not: 429 with the soonest', async () => {
    await withWorld({ gpt: 'ab' }, {}, async (world) => {
      world.answers('a', fails(429, ['retry-after: 20']));
      world.answers('b', fails(401));
      const first = await world.run('gpt');
      assert.equal(first.order, 'ab');
      const { reply, order, event } = await world.run('gpt');
      assert.equal(order, '', 'nobody was asked');
      assert.equal(reply.status, 429);
      assert.equal(reply.header('x-slipstream-error'), 'no_deployments');
      const seconds = Number(reply.header('retry-after'));
      assert.ok(seconds > 10 && seconds <= 20, `${seconds}`);
      const { error } = JSON.parse(reply.text) as { error: { message: string; type: string } };
      assert.ok(
        error.message.startsWith(`No deployments available for selected model, Try again in ${seconds} seconds.`),
      );
      assert.equal(error.type, 'RateLimitError');
      assert.deepEqual(event.attempts, []);
      assert.equal(event.status, 429);
    });
  });

  it('fallbacks come before that', async () => {
    await withWorld({ gpt: 'a', backup: 'b' }, { fallbacks: { gpt: ['backup'] } }, async (world) => {
      world.answers('a', fails(429, ['retry-after: 20']));
      assert.deepEqual(await runs(world, 1), ['ab']);
      const { reply, order } = await world.run('gpt');
      assert.equal(order, 'b');
      assert.equal(reply.header('x-litellm-attempted-fallbacks'), '1');
      world.answers('b', fails(429, ['retry-after: 9']));
      assert.equal((await world.run('gpt')).reply.status, 429);
      const refused = await world.run('gpt');
      assert.equal(refused.order, '');
      assert.ok(Number(refused.reply.header('retry-after')) > 9, 'of the group that was asked for');
    });
  });

  it('a group of one is not benched by 5xx, timeouts or a bare 429; by retry-after it is', async () => {
    await withWorld({ gpt: 'a' }, { failure: { allowedFails: 0 }, settings: { numRetries: 0 } }, async (world) => {
      for (const script of [fails(500), resets, fails(408), fails(429), fails(404)]) {
        world.answers('a', script);
        // A kept connection that is reset is repeated once, fresh.
        for (const order of await runs(world, 3)) assert.match(order, /^aa?$/);
      }
      assert.deepEqual(benches(world), []);
      world.answers('a', fails(429, ['retry-after: 20'], '{"error":"slow down"}'));
      const { reply } = await world.run('gpt');
      assert.equal(reply.text, '{"error":"slow down"}', 'the provider’s own answer passes');
      assert.equal(reply.header('retry-after'), '20');
      assert.deepEqual(await runs(world, 1), ['']);
    });
  });
});

describe('half open', { concurrency: true }, () => {
  it('one request at a time probes; its success ends the bench', async () => {
    await withWorld({ gpt: 'ab' }, { failure: { cooldownMs: 400, allowedFails: 0 } }, async (world) => {
      world.answers('a', fails(500));
      assert.deepEqual(await runs(world, 1), ['ab']);
      let release: () => void = () => undefined;
      world.answers('a', (request, reply, index) => {
        release = () => void OK(request, reply, index);
      });
      const clients = Array.from({ length: 20 }, () => new RawClient(world.gateway.port));
      await sleep(430);
      world.forget();
      const all = Promise.all(
        clients.map((client) => client.send(requestBytes({ key: TEST_KEY, body: '{"model":"gpt"}' })).reply()),
      );
      await eventually(() => world.asked.length === 20, 'all are sent');
      assert.equal(world.asked.filter((name) => name === 'a').length, 1);
      release();
      assert.ok((await all).every((reply) => reply.status === 200));
      for (const client of clients) client.close();
      world.answers('a', OK);
      assert.deepEqual(await runs(world, 2), ['a', 'a']);
      assert.deepEqual(benches(world), ['a benched server', 'a back']);
    });
  });

  it('its failure benches again, quietly; a client that leaves passes the place on', async () => {
    await withWorld({ gpt: 'ab' }, { failure: { cooldownMs: 500, allowedFails: 0 } }, async (world) => {
      world.answers('a', fails(500));
      assert.deepEqual(await runs(world, 2), ['ab', 'b']);
      await sleep(520);
      assert.deepEqual(await runs(world, 2), ['ab', 'b']);
      assert.deepEqual(benches(world), ['a benched server'], 'no line for a probe that failed');
      await sleep(520);
      world.answers('a', hangs);
      world.forget();
      const client = new RawClient(world.gateway.port).send(requestBytes({ key: TEST_KEY, body: '{"model":"gpt"}' }));
      await eventually(() => world.asked.length === 1, 'it probes');
      assert.deepEqual(await runs(world, 1), ['b']);
      client.close();
      await eventually(() => world.gateway.journal().some((event) => event.aborted === 'client_gone'), 'it has left');
      world.answers('a', OK);
      assert.deepEqual(await runs(world, 2), ['a', 'a']);
    });
  });

  it('a 400 to the probe shows that the deployment works', async () => {
    await withWorld({ gpt: 'ab' }, { failure: { cooldownMs: 50, allowedFails: 0 } }, async (world) => {
      world.answers('a', fails(500));
      await runs(world, 1);
      await sleep(70);
      world.answers('a', fails(400));
      assert.deepEqual(await runs(world, 2), ['a', 'a']);
    });
  });

  it('with two threads there is one probe', async () => {
    const parts = { failure: { cooldownMs: 200, allowedFails: 0 }, settings: { threads: 2 } };
    await withWorld({ gpt: 'ab' }, parts, async (world) => {
      world.answers('a', fails(500));
      await world.run('gpt');
      world.answers('a', hangs);
      const clients = Array.from({ length: 24 }, () => new RawClient(world.gateway.port));
      await sleep(230);
      world.forget();
      for (const client of clients) client.send(requestBytes({ key: TEST_KEY, body: '{"model":"gpt"}' }));
      await eventually(() => world.asked.length >= 24, 'all are sent');
      assert.equal(world.asked.filter((name) => name === 'a').length, 1);
      assert.equal(world.asked.length, 24);
      for (const client of clients) client.close();
    });
  });
});

describe('what the outside sees', () => {
  it('a gauge per deployment and a count per reason', async () => {
    await withWorld({ gpt: 'ab' }, { failure: { cooldownMs: 60_000, allowedFails: 0 } }, async (world) => {
      const { port } = world.gateway;
      assert.equal(await metric(port, 'slipstream_deployment_state'), 0);
      world.answers('a', fails(500));
      await world.run('gpt');
      assert.equal(await metric(port, 'slipstream_deployment_state'), 2);
      assert.equal(await metric(port, 'slipstream_deployment_benched_total'), 1);
    });
  });
});
