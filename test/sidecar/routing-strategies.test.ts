// Each strategy by what three providers get of the traffic, through real sockets.
import assert from 'node:assert/strict';
import { after, afterEach, before, beforeEach, describe, it } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Worker as Thread } from 'node:worker_threads';
import type { DeploymentSpec, StrategySpec } from '../../src/contract/snapshot.ts';
import type { Price } from '../../src/domain/pricing/price.ts';
import type { RoutingStrategy } from '../../src/domain/routing/routing-strategy.ts';
import { chatBytes, startFlow } from '../support/flow-support.ts';
import { eventually, RawClient, requestBytes, type RawReply } from '../support/raw-client.ts';
import { jsonReply, sse } from '../support/scripted-upstream.ts';
import { ROUTING, TEST_KEY, type SidecarHarness } from '../support/sidecar-harness.ts';
import { ThreeUpstreams } from '../support/three-upstreams.ts';

const price = (picoUsd: number): Price => ({ prices: { input: picoUsd, output: picoUsd }, steps: [], tiers: {} });

const ANTHROPIC: Partial<DeploymentSpec> = { family: 'anthropic' };

let upstreams: ThreeUpstreams;
let gateway: SidecarHarness;
let client: RawClient;

before(async () => {
  upstreams = await ThreeUpstreams.start();
  const named = (name: RoutingStrategy): StrategySpec => ({ ...ROUTING.strategy, name });
  gateway = await startFlow(
    [
      ...upstreams.deployments('busy'),
      ...upstreams.deployments('ordered', [{ order: 2 }, { order: 1 }, { order: 1 }]),
      ...upstreams.deployments('fast'),
      ...upstreams.deployments('near'),
      ...upstreams.deployments('streams'),
      ...upstreams.deployments('used'),
      ...upstreams.deployments('left', [ANTHROPIC, ANTHROPIC, ANTHROPIC]),
      ...upstreams.deployments('limited', [{ rpm: 2 }, { tpm: 40 }, {}]),
      ...upstreams.deployments('cheapest', [{ price: price(1), rpm: 3 }, { price: price(2) }, {}]),
      ...upstreams.deployments('cheap', [{ price: price(5) }, { price: price(1) }, {}]),
      ...upstreams.deployments('two'),
      ...upstreams.deployments('healthy'),
    ],
    {},
    {
      settings: {
        routing: {
          ...ROUTING,
          groupStrategies: {
            busy: named('least-busy'),
            ordered: named('least-busy'),
            fast: named('latency-based-routing'),
            near: { ...named('latency-based-routing'), latencyBuffer: 1000 },
            streams: named('latency-based-routing'),
            used: named('usage-based-routing'),
            left: named('usage-based-routing'),
            limited: named('usage-based-routing'),
            cheap: named('cost-based-routing'),
            cheapest: named('cost-based-routing'),
            two: named('power-of-two'),
            healthy: named('power-of-two'),
          },
        },
      },
    },
  );
});
beforeEach(() => {
  upstreams.reset();
  client = new RawClient(gateway.port);
});
afterEach(async () => {
  client.close();
  await upstreams.release();
});
after(async () => {
  upstreams.stop();
  await gateway.stop();
});

function ask(model: string, more = ''): Promise<RawReply> {
  return client.send(chatBytes(model, more)).reply();
}

/** `times` requests one after the other, and what each provider got of them. */
async function run(model: string, times: number, more = ''): Promise<number[]> {
  const start = upstreams.counts;
  for (let time = 0; time < times; time += 1) assert.equal((await ask(model, more)).status, 200);
  return upstreams.counts.map((count, index) => count - start[index]!);
}

/** The minute in which usage is counted must not end in between. */
async function withinOneMinute(body: () => Promise<void>): Promise<void> {
  const leftMs = 60_000 - (Date.now() % 60_000);
  if (leftMs < 2_000) await sleep(leftMs + 200);
  await body();
}

describe('least-busy', () => {
  it('keeps the requests in progress equal, whatever was before', async () => {
    for (let n = 0; n < 6; n += 1) await upstreams.hold(gateway.port, 'busy');
    assert.deepEqual(upstreams.counts, [2, 2, 2]);
    await upstreams.release(1);
    assert.deepEqual(await run('busy', 5), [0, 5, 0]);
    await upstreams.hold(gateway.port, 'busy');
    await upstreams.hold(gateway.port, 'busy');
    assert.equal(upstreams.held[1]!.length, 2);
  });

  it('counts within the lowest order only', async () => {
    for (let n = 0; n < 4; n += 1) await upstreams.hold(gateway.port, 'ordered');
    assert.deepEqual(upstreams.counts, [0, 2, 2]);
  });

  it('counts over all worker threads; what a thread that ended had in progress is over', async () => {
    const threads: Thread[] = [];
    const onWorker = (thread: Thread): void => void threads.push(thread);
    process.on('worker', onWorker);
    const strategy: StrategySpec = { ...ROUTING.strategy, name: 'least-busy' };
    const settings = { threads: 2, routing: { ...ROUTING, strategy } };
    const threaded = await startFlow(upstreams.deployments('busy'), {}, { settings });
    try {
      // Every connection goes to the thread with the fewest: six held ones lie on both.
      for (let n = 0; n < 6; n += 1) await upstreams.hold(threaded.port, 'busy');
      assert.deepEqual(upstreams.counts, [2, 2, 2]);
      await upstreams.release(1);
      for (const thread of threads.slice()) await thread.terminate();
      await eventually(() => threads.length === 4, 'others take their places');
      for (let n = 0; n < 3; n += 1) await upstreams.hold(threaded.port, 'busy');
      assert.deepEqual(upstreams.counts, [3, 3, 3]);
    } finally {
      process.off('worker', onWorker);
      upstreams.forget();
      await threaded.stop();
    }
  });
});

describe('latency-based-routing', () => {
  /** Provider `index` takes `ms` for its answer. */
  function slow(index: number, ms: number): void {
    upstreams.all[index]!.script = async (_request, reply) => {
      await sleep(ms);
      reply.write(jsonReply('{}'));
    };
  }

  it('tries each once, then stays with the fastest', async () => {
    slow(0, 150);
    slow(1, 150);
    assert.deepEqual(await run('fast', 3), [1, 1, 1]);
    assert.deepEqual(await run('fast', 10), [0, 0, 10]);
  });

  it('with a buffer chooses among all that are fast enough', async () => {
    slow(0, 20);
    await run('near', 3);
    const counts = await run('near', 40);
    assert.ok(
      counts.every((count) => count > 0),
      counts.join(),
    );
  });

  it('takes streams by their first event, other requests by the whole answer', async () => {
    /** First event after `firstMs`, the end after `restMs` more. */
    const stream = (index: number, firstMs: number, restMs: number): void => {
      upstreams.all[index]!.script = async (request, reply) => {
        if (request.body.includes('"stream":true')) {
          await sleep(firstMs);
          const head = 'HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\nconnection: close\r\n\r\n';
          reply.write(`${head}${sse('{"choices":[{"delta":{"content":"a"}}]}')}`);
          await sleep(restMs);
          reply.write(sse('[DONE]'));
          reply.end();
        } else {
          await sleep(firstMs + restMs);
          reply.write(jsonReply('{}'));
        }
      };
    };
    stream(0, 0, 180);
    stream(1, 100, 0);
    stream(2, 120, 120);
    assert.deepEqual(await run('streams', 3, ',"stream":true'), [1, 1, 1]);
    assert.deepEqual(await run('streams', 3), [1, 1, 1]);
    assert.deepEqual(await run('streams', 2, ',"stream":true'), [2, 0, 0]);
    assert.deepEqual(await run('streams', 2), [0, 2, 0]);
  });
});

describe('usage-based-routing', () => {
  const uses = (index: number, tokens: number): void => {
    upstreams.all[index]!.script = (_request, reply) => {
      reply.write(jsonReply(`{"usage":{"prompt_tokens":${tokens},"completion_tokens":0,"total_tokens":${tokens}}}`));
    };
  };

  it('keeps the tokens of the minute equal', async () => {
    await withinOneMinute(async () => {
      uses(0, 100_000);
      uses(1, 10_000);
      uses(2, 20_000);
      const counts = await run('used', 14);
      // 100,000 against 9 × 10,000 or so against 4 × 20,000 or so.
      assert.equal(counts[0], 1);
      assert.ok(Math.abs(counts[1]! * 10_000 - counts[2]! * 20_000) <= 20_000, counts.join());
    });
  });

  it('counts what a stream had used that its client left', async () => {
    await withinOneMinute(async () => {
      upstreams.all[0]!.script = (_request, reply) => {
        const start = { type: 'message_start', message: { usage: { input_tokens: 50_000, output_tokens: 1 } } };
        const head = 'HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\nconnection: close\r\n\r\n';
        reply.write(`${head}event: message_start\ndata: ${JSON.stringify(start)}\n\n`);
      };
      uses(1, 10);
      uses(2, 10);
      const bytes = requestBytes({ key: TEST_KEY, path: '/v1/messages', body: '{"model":"left","stream":true}' });
      while (upstreams.counts[0] === 0) {
        const own = new RawClient(gateway.port).send(bytes);
        await eventually(() => own.received.length > 0, 'an answer begins');
        own.close();
      }
      await eventually(() => gateway.journal().at(-1)?.aborted === 'client_gone', 'its event');
      for (let n = 0; n < 6; n += 1) {
        const reply = await client.send(bytes).reply();
        assert.notEqual(reply.header('x-slipstream-model-id'), 'left-0');
      }
    });
  });

  it('leaves out whose limits are reached', async () => {
    await withinOneMinute(async () => {
      uses(0, 1);
      uses(1, 40);
      uses(2, 1000);
      const counts = await run('limited', 10);
      assert.deepEqual(counts, [2, 1, 7], 'two requests a minute, 40 tokens a minute, no limit');
    });
  });
});

describe('cost-based-routing', () => {
  it('takes the cheapest; the next cheapest when that fails; no price is the dearest', async () => {
    assert.deepEqual(await run('cheap', 5), [0, 5, 0]);
    upstreams.all[1]!.script = (_request, reply) => reply.write(jsonReply('{}', 500));
    const reply = await ask('cheap');
    assert.deepEqual([reply.status, reply.header('x-slipstream-model-id')], [200, 'cheap-0']);
  });
});

describe('limits of deployments', () => {
  it('lead on to the next cheapest', async () => {
    await withinOneMinute(async () => {
      assert.deepEqual(await run('cheapest', 8), [3, 5, 0]);
    });
  });
});

describe('power-of-two', () => {
  it('goes round what does not answer', async () => {
    upstreams.all[0]!.script = (_request, reply) => void upstreams.held[0]!.push(reply);
    // Held requests are on connections of their own, since a connection's next request waits for its answer.
    for (let n = 0; n < 24; n += 1) {
      const own = new RawClient(gateway.port);
      own.send(chatBytes('two'));
      const before = upstreams.held[0]!.length;
      while (own.received.length === 0 && upstreams.held[0]!.length === before) await sleep(1);
      if (own.received.length > 0) own.close();
    }
    const [first, second, third] = upstreams.counts;
    assert.equal(first, 1, 'one request finds out, none follows it');
    assert.ok(second! > 0 && third! > 0);
    for (const reply of upstreams.held[0]!.splice(0)) reply.write(jsonReply('{}'));
  });

  it('goes round what fails fast', async () => {
    upstreams.all[0]!.script = (_request, reply) => reply.write(jsonReply('{}', 503));
    const counts = await run('healthy', 24);
    assert.equal(counts[0], 1);
    assert.ok(counts[1]! > 2 && counts[2]! > 2, counts.join());
  });
});
