import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { NO_COUNTS } from '../../src/domain/routing/error-class-counts.ts';
import { fails, hangs, OK, resets, withWorld } from '../support/failure-support.ts';
import { CLOCK_SLACK_MS, metric, nothingInFlight, since } from '../support/flow-support.ts';
import { eventually, RawClient, requestBytes } from '../support/raw-client.ts';
import { TEST_KEY } from '../support/sidecar-harness.ts';

const BACK_OFF = { initialMs: 200, maxMs: 9000, floorMs: 0 };

describe('retry_policy', { concurrency: true }, () => {
  it('says how often for each class of errors', async () => {
    const retryPolicy = { ...NO_COUNTS, badRequest: 1, authentication: 0, timeout: 0, rateLimit: 3, internal: 1 };
    const parts = { failure: { retryPolicy, areCooldownsOff: true }, timeouts: { firstByteMs: 50 } };
    await withWorld({ gpt: 'abcd' }, parts, async (world) => {
      for (const [script, order] of [
        [fails(400), 'ab'],
        [fails(401), 'a'],
        [hangs, 'a'],
        [fails(408), 'a'],
        [fails(429), 'abcd'],
        [fails(500), 'ab'],
        [fails(404), 'abcd'],
        [fails(409), 'abc'],
      ] as const) {
        for (const name of 'abcd') world.answers(name, script);
        assert.equal((await world.run('gpt')).order, order);
      }
    });
  });

  it('of a group comes before that for all, and what the request asks before both', async () => {
    const parts = {
      failure: { retryPolicy: { ...NO_COUNTS, internal: 0, rateLimit: 0 }, areCooldownsOff: true },
      groupRetryPolicies: { gpt: { ...NO_COUNTS, internal: 3 } },
    };
    await withWorld({ gpt: 'abcd', other: 'ef' }, parts, async (world) => {
      for (const name of 'abcdef') world.answers(name, fails(500));
      assert.equal((await world.run('gpt')).order, 'abcd');
      assert.equal((await world.run('other')).order, 'e');
      assert.equal((await world.run('gpt', { num_retries: 1 })).order, 'ab');
      assert.equal((await world.run('gpt', {}, ['x-litellm-num-retries: 0'])).order, 'a');
      for (const name of 'abcdef') world.answers(name, fails(429));
      assert.equal(
        (await world.run('gpt')).order,
        'a',
        'for what the group says nothing of, the policy for all counts',
      );
      for (const name of 'abcdef') world.answers(name, fails(400));
      assert.equal((await world.run('gpt', { num_retries: 3 })).order, 'a', 'a wrong request is not tried again');
    });
  });
});

describe('back-off', { concurrency: true }, () => {
  it('another deployment is asked at once, the same one after a wait that grows', async () => {
    await withWorld({ gpt: 'ab' }, { failure: { backOff: { ...BACK_OFF, initialMs: 9000 } } }, async (world) => {
      world.answers('a', fails(500));
      const startMs = performance.now();
      assert.equal((await world.run('gpt')).order, 'ab');
      assert.ok(since(startMs) < 4500, `${since(startMs)}`);
    });
    await withWorld({ alone: 'c' }, { failure: { backOff: BACK_OFF } }, async (world) => {
      const times: number[] = [];
      world.answers('c', (request, reply, index) => {
        times.push(performance.now());
        return (times.length < 3 ? fails(500) : OK)(request, reply, index);
      });
      const { reply, event } = await world.run('alone');
      assert.equal(reply.status, 200);
      const first = times[1]! - times[0]!;
      const second = times[2]! - times[1]!;
      assert.ok(first >= 100 - CLOCK_SLACK_MS && second >= 200 - CLOCK_SLACK_MS, `${first} ${second}`);
      assert.deepEqual(
        event.attempts.map(({ status }) => status),
        [500, 500, 200],
      );
      assert.equal(reply.header('x-litellm-attempted-retries'), '2');
    });
  });

  it('retry_after is the least; a timeout has waited enough', async () => {
    const parts = { failure: { backOff: { initialMs: 0, maxMs: 0, floorMs: 150 } }, timeouts: { firstByteMs: 100 } };
    await withWorld({ alone: 'a' }, parts, async (world) => {
      for (const script of [fails(500), hangs]) {
        const times: number[] = [];
        world.answers('a', (request, reply, index) => {
          times.push(performance.now());
          return (times.length === 1 ? script : OK)(request, reply, index);
        });
        assert.equal((await world.run('alone')).reply.status, 200);
        assert.ok(times[1]! - times[0]! >= 150 - CLOCK_SLACK_MS);
      }
    });
  });

  it('a wait that would outlast the call is not begun: the failure is the answer', async () => {
    await withWorld(
      { alone: 'a' },
      { failure: { backOff: { ...BACK_OFF, initialMs: 60_000, maxMs: 60_000 } } },
      async (world) => {
        world.answers('a', fails(503, [], '{"error":"mine"}'));
        const { reply, order } = await world.run('alone', { timeout: 5 });
        assert.equal(order, 'a');
        assert.equal(reply.status, 503);
        assert.equal(reply.text, '{"error":"mine"}');
      },
    );
  });

  it('ends when the client leaves; nothing is sent and nothing stays', async () => {
    await withWorld({ alone: 'a' }, { failure: { backOff: { ...BACK_OFF, initialMs: 800 } } }, async (world) => {
      world.answers('a', resets);
      const client = new RawClient(world.gateway.port).send(requestBytes({ key: TEST_KEY, body: '{"model":"alone"}' }));
      await eventually(() => world.asked.length === 1, 'it is sent');
      client.close();
      await sleep(900);
      assert.equal(world.asked.length, 1);
      await nothingInFlight(world.gateway.port);
      const [event] = world.gateway.journal();
      assert.equal(event?.aborted, 'client_gone');
      assert.equal(event?.attempts.length, 1);
    });
  });

  it('many that wait go on, each once', async () => {
    await withWorld(
      { alone: 'a' },
      { failure: { backOff: BACK_OFF, retryBudget: { ratio: 9, floor: 99 } } },
      async (world) => {
        let failed = 0;
        world.answers('a', (request, reply, index) => {
          failed += 1;
          return (failed <= 30 ? fails(500) : OK)(request, reply, index);
        });
        const clients = Array.from({ length: 30 }, () => new RawClient(world.gateway.port));
        const replies = clients.map((client) =>
          client.send(requestBytes({ key: TEST_KEY, body: '{"model":"alone"}' })).reply(),
        );
        for (const reply of await Promise.all(replies)) assert.equal(reply.status, 200);
        for (const client of clients) client.close();
        assert.equal(world.asked.length, 60);
      },
    );
  });
});

describe('the retry budget', { concurrency: true }, () => {
  const productBudget = { retryBudget: { ratio: 0.2, floor: 10 } };

  it('a provider that fails every request sees at most 1.3 times as many', async () => {
    for (const names of ['a', 'ab']) {
      await withWorld({ gpt: names }, { failure: productBudget, settings: { numRetries: 5 } }, async (world) => {
        for (const name of names) world.answers(name, fails(500));
        const requests = 200;
        const client = new RawClient(world.gateway.port);
        for (let count = 0; count < requests; count += 1) {
          const reply = await client.send(requestBytes({ key: TEST_KEY, body: '{"model":"gpt"}' })).reply();
          assert.equal(reply.status, 500);
        }
        client.close();
        const seen = world.asked.length;
        assert.ok(seen <= requests * 1.2 + 10 * names.length, `${seen} attempts of ${requests} requests`);
        assert.ok(seen > requests, 'some are retried');
        assert.ok((await metric(world.gateway.port, 'slipstream_retries_refused_total')) > 0);
      });
    }
  });

  it('does not stand in the way of a deployment that works', async () => {
    const failure = { ...productBudget, areCooldownsOff: true };
    await withWorld({ gpt: 'ab' }, { failure }, async (world) => {
      world.answers('a', fails(500));
      const client = new RawClient(world.gateway.port);
      for (let count = 0; count < 100; count += 1) {
        const reply = await client.send(requestBytes({ key: TEST_KEY, body: '{"model":"gpt"}' })).reply();
        assert.equal(reply.status, 200);
      }
      client.close();
      assert.equal(world.asked.length, 200);
    });
  });
});
