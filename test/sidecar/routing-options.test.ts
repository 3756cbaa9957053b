import assert from 'node:assert/strict';
import { after, before, beforeEach, describe, it } from 'node:test';
import { deployment, snapshotOf, startSidecar, TEST_KEY, type SidecarHarness } from '../support/sidecar-harness.ts';
import { RawClient, requestBytes, type RawReply } from '../support/raw-client.ts';
import { jsonReply, ScriptedUpstream, sse, type UpstreamScript } from '../support/scripted-upstream.ts';

const OK: UpstreamScript = (_request, answer) => {
  answer.write(jsonReply('{}'));
};

let one: ScriptedUpstream;
let two: ScriptedUpstream;
let gateway: SidecarHarness;
let client: RawClient;

before(async () => {
  one = await ScriptedUpstream.start(OK);
  two = await ScriptedUpstream.start(OK);
  const pair = (group: string, first: object, second: object) => [
    deployment(group, one.port, { id: `${group}-1`, ...first }),
    deployment(group, two.port, { id: `${group}-2`, ...second }),
  ];
  gateway = await startSidecar({
    snapshot: snapshotOf([
      ...pair('gpt', {}, { order: 1 }),
      ...pair('even', {}, {}),
      ...pair('weighted', { weight: 9 }, { weight: 1 }),
      ...pair('off', { weight: 0 }, { weight: 1 }),
      ...pair('zero', { weight: 0 }, { weight: 0 }),
      ...pair('ordered', { order: 2, weight: 100 }, { order: 1 }),
      ...pair('hasty', { timeoutMs: 30, streamTimeoutMs: 30 }, { order: 1 }),
    ]),
  });
});
beforeEach(() => {
  client = new RawClient(gateway.port);
  one.script = OK;
  two.script = OK;
});
after(async () => {
  client.close();
  one.stop();
  two.stop();
  await gateway.stop();
});

async function ask(body: object, ...headers: string[]): Promise<RawReply> {
  if (client.hasEnded) client = new RawClient(gateway.port);
  const reply = await client
    .send(requestBytes({ key: TEST_KEY, headers, body: JSON.stringify({ model: 'gpt', ...body }) }))
    .reply();
  if (reply.header('connection') === 'close') await client.ended();
  return reply;
}

describe('weighted shuffle', () => {
  const ROUNDS = 400;

  /** How often the first of the two was chosen. */
  async function share(model: string): Promise<number> {
    const before = one.requests.length;
    const request = requestBytes({ key: TEST_KEY, body: JSON.stringify({ model }) });
    client.send(Buffer.concat(Array.from({ length: ROUNDS }, () => request)));
    for (let n = 0; n < ROUNDS; n += 1) assert.equal((await client.reply()).status, 200);
    return (one.requests.length - before) / ROUNDS;
  }

  // Bounds six standard deviations away: √(p(1−p)/400) is 0.025 for a half, 0.015 for 0.9.
  it('chooses evenly, or by weight', async () => {
    const even = await share('even');
    assert.ok(Math.abs(even - 0.5) < 0.15, String(even));
    const weighted = await share('weighted');
    assert.ok(Math.abs(weighted - 0.9) < 0.09, String(weighted));
  });

  it('a weight of 0 gets nothing, unless all have it', async () => {
    assert.equal(await share('off'), 0);
    const zero = await share('zero');
    assert.ok(Math.abs(zero - 0.5) < 0.15, String(zero));
  });

  it('a lower order comes first, whatever the weights', async () => {
    assert.equal(await share('ordered'), 0);
    two.script = (_request, answer) => {
      answer.write(jsonReply('{}', 500));
    };
    assert.equal(
      (await ask({ model: 'ordered' })).header('x-slipstream-model-id'),
      'ordered-1',
      'the next order when the first is out',
    );
  });

  it('a retry goes to one that was not tried yet', async () => {
    let fail = true;
    const failFirst: UpstreamScript = (request, answer, index) => {
      if (fail) answer.write(jsonReply('{}', 500));
      else return OK(request, answer, index);
      fail = false;
    };
    one.script = failFirst;
    two.script = failFirst;
    for (let n = 0; n < 30; n += 1) {
      fail = true;
      const before = [one.requests.length, two.requests.length];
      const reply = await ask({ model: 'weighted', num_retries: 1 });
      assert.equal(reply.status, 200);
      assert.deepEqual(
        [one.requests.length, two.requests.length],
        before.map((count) => count + 1),
      );
    }
  });
});

describe('how long the provider may take', () => {
  const never: UpstreamScript = () => undefined;

  it('timeout, of the body or the header, bounds the whole call: no retry after it', async () => {
    one.script = never;
    two.script = never;
    for (const [body, headers] of [
      [{ timeout: 0.3 }, []],
      [{}, ['x-litellm-timeout: 0.3']],
      [{ timeout: 0.3 }, ['x-litellm-timeout: 60']],
      [{ stream: true, timeout: 0.3 }, []],
    ] as const) {
      const before = one.requests.length + two.requests.length;
      const reply = await ask(body, ...headers);
      assert.equal(reply.status, 408);
      assert.equal(reply.header('x-slipstream-error'), 'upstream_timeout');
      const { error } = JSON.parse(reply.text) as { error: Record<string, unknown> };
      assert.equal(error['type'], 'Timeout');
      assert.equal(one.requests.length + two.requests.length, before + 1);
      assert.equal(gateway.journal().at(-1)?.error, 'upstream_timeout');
    }
  });

  it('stream_timeout bounds the wait for the first event only; that of the deployment too, and is tried again', async () => {
    one.script = never;
    for (const [body, headers] of [
      [{ stream: true, stream_timeout: 0.05 }, []],
      [{ stream: true }, ['x-litellm-stream-timeout: 0.05']],
      [{ stream: true, model: 'hasty' }, []],
      [{ model: 'hasty' }, []],
    ] as const) {
      const events = sse('{"choices":[{"delta":{}}]}', '[DONE]');
      two.script = async (request, answer) => {
        if (!request.body.includes('"stream":true')) {
          answer.write(jsonReply('{}'));
          return;
        }
        answer.write(
          `HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ncontent-length: ${events.length}\r\n\r\n${events.slice(0, 30)}`,
        );
        await new Promise((resolve) => setTimeout(resolve, 20));
        answer.write(events.slice(30));
      };
      const reply = await ask(body, ...headers);
      assert.equal(reply.status, 200, JSON.stringify([body, headers]));
      assert.equal(reply.header('x-slipstream-attempts'), '2');
      assert.deepEqual(
        gateway
          .journal()
          .at(-1)
          ?.attempts.map(({ status, error }) => [status, error]),
        [
          [0, 'upstream_timeout'],
          [200, null],
        ],
      );
    }
  });
});

describe('x-litellm-* headers', () => {
  it('tags go to the event; those of the body win', async () => {
    await ask({}, 'x-litellm-tags: a, b ,,c');
    assert.deepEqual(gateway.journal().at(-1)?.tags, ['a', 'b', 'c']);
    await ask({ tags: ['x'], metadata: { tags: ['y', 'x'] }, litellm_metadata: { tags: ['z'] } }, 'x-litellm-tags: a');
    assert.deepEqual(gateway.journal().at(-1)?.tags, ['x', 'y', 'z']);
  });

  it('that are no numbers, or out of range, are a 400', async () => {
    for (const header of [
      'x-litellm-timeout: soon',
      'x-litellm-timeout: -1',
      'x-litellm-timeout: 0',
      'x-litellm-timeout:',
      'x-litellm-timeout: Infinity',
      'x-litellm-timeout: 0x10',
      'x-litellm-stream-timeout: 1s',
      'x-litellm-num-retries: many',
      'x-litellm-num-retries: 1.5',
      'x-litellm-num-retries: -1',
    ]) {
      const before = one.requests.length;
      const reply = await ask({}, header);
      assert.equal(`${reply.status} ${reply.header('x-slipstream-error')}`, '400 invalid_field', header);
      assert.equal(one.requests.length, before);
      const { error } = JSON.parse(reply.text) as { error: { message: string } };
      assert.ok(error.message.includes(header.slice(0, header.indexOf(':'))), 'it is named');
    }
    assert.equal(
      (await ask({}, 'x-litellm-timeout: 1e3', 'x-litellm-num-retries: 0', 'X-LiteLLM-Unknown: 1')).status,
      200,
    );
  });

  it('a number of retries is capped', async () => {
    const fail: UpstreamScript = (_request, answer) => {
      answer.write(jsonReply('{}', 500));
    };
    one.script = fail;
    two.script = fail;
    for (const reply of [await ask({ num_retries: 100 }), await ask({}, 'x-litellm-num-retries: 1000')]) {
      assert.equal(reply.status, 500);
      assert.equal(reply.header('x-slipstream-attempts'), '11');
    }
  });
});

describe('a group without deployments', () => {
  it('is a 429 that says when to come back', async () => {
    const empty = {
      ...snapshotOf([deployment('gpt', one.port)]),
      groups: [{ name: 'gpt', deploymentIds: [], limits: null }],
    };
    const bare = await startSidecar({ snapshot: empty });
    const own = new RawClient(bare.port);
    const reply = await own.send(requestBytes({ key: TEST_KEY, body: '{"model":"gpt"}' })).reply();
    own.close();
    assert.equal(reply.status, 429);
    assert.equal(reply.header('x-slipstream-error'), 'no_deployments');
    assert.equal(reply.header('retry-after'), '5');
    const { error } = JSON.parse(reply.text) as { error: { message: string } };
    assert.match(
      error.message,
      /^No deployments available for selected model, Try again in 5 seconds\. Received Model Group=gpt\n/,
    );
    await bare.stop();
  });
});
