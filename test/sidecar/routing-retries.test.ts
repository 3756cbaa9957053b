import assert from 'node:assert/strict';
import { after, before, beforeEach, describe, it } from 'node:test';
import type { UsageEvent } from '../../src/contract/usage-event.ts';
import {
  deployment,
  snapshotOf,
  startSidecar,
  TEST_KEY,
  type SidecarHarness,
  type SnapshotParts,
} from '../support/sidecar-harness.ts';
import { RawClient, requestBytes, type RawReply } from '../support/raw-client.ts';
import { jsonReply, ScriptedUpstream, sse, type UpstreamScript } from '../support/scripted-upstream.ts';
import { closedPort } from '../support/closed-port.ts';

/** Deployments a, b, c of group `gpt`, d of `backup`, e of `last`; each at a provider of its own. */
const NAMES = ['a', 'b', 'c', 'd', 'e'] as const;
type Name = (typeof NAMES)[number];
const OK: UpstreamScript = (_request, answer) => {
  answer.write(jsonReply('{"model":"up"}'));
};

const upstreams = {} as Record<Name, ScriptedUpstream>;
let gateway: SidecarHarness;
let client: RawClient;
/** In which order the providers were asked. */
let asked: Name[] = [];

before(async () => {
  for (const name of NAMES) upstreams[name] = await ScriptedUpstream.start(OK);
  gateway = await startSidecar({ snapshot: snapshot() });
});
beforeEach(() => {
  client = new RawClient(gateway.port);
  asked = [];
  for (const name of NAMES) answers(name, OK);
});
after(async () => {
  client.close();
  for (const name of NAMES) upstreams[name].stop();
  await gateway.stop();
});

function snapshot(parts: SnapshotParts = {}) {
  const at = (group: string, name: Name, order: number) => deployment(group, upstreams[name].port, { id: name, order });
  return snapshotOf(
    // By their order they are tried in turn, so that a test can say who comes next.
    [
      at('gpt', 'a', 0),
      at('gpt', 'b', 1),
      at('gpt', 'c', 2),
      at('alone', 'a', 0),
      at('backup', 'd', 0),
      at('last', 'e', 0),
    ].map((entry) => (entry.groupName === 'alone' ? { ...entry, id: 'a-alone' } : entry)),
    { fallbacks: { gpt: ['backup', 'last'], alone: ['backup'] }, ...parts },
  );
}

function answers(name: Name, script: UpstreamScript): void {
  upstreams[name].script = (request, reply, index) => {
    asked.push(name);
    return script(request, reply, index);
  };
}

const fails =
  (status: number, body = `{"error":{"message":"${status}"}}`): UpstreamScript =>
  (_request, reply) => {
    reply.write(jsonReply(body, status, [`x-from: ${status}`]));
  };
const resets: UpstreamScript = (_request, reply) => {
  reply.reset();
};
const closes: UpstreamScript = (_request, reply) => {
  reply.end();
};
const babbles: UpstreamScript = (_request, reply) => {
  reply.write('not HTTP at all\r\n\r\n');
};
const times = (count: number, first: UpstreamScript, then: UpstreamScript = OK): UpstreamScript => {
  let n = 0;
  return (request, reply, index) => {
    n += 1;
    return (n <= count ? first : then)(request, reply, index);
  };
};

interface Result {
  readonly reply: RawReply;
  readonly event: UsageEvent;
  readonly order: string;
}

async function run(more: object = {}, headers: readonly string[] = [], model = 'gpt'): Promise<Result> {
  if (client.hasEnded) client = new RawClient(gateway.port);
  const body = JSON.stringify({ model, ...more });
  const reply = await client.send(requestBytes({ key: TEST_KEY, headers, body })).reply();
  if (reply.header('connection') === 'close') await client.ended();
  const event = gateway.journal().at(-1);
  assert.ok(event !== undefined && event.id === reply.header('x-slipstream-call-id'));
  return { reply, event, order: asked.join('') };
}

describe('before commit', () => {
  it('each of these is tried again, at another deployment', async () => {
    const failures: [string, UpstreamScript][] = [
      ...[408, 409, 429, 500, 501, 502, 503, 504, 529, 599].map((status): [string, UpstreamScript] => [
        String(status),
        fails(status),
      ]),
      ['reset', resets],
      ['closed without a byte', closes],
      ['no HTTP', babbles],
      [
        'cut off head',
        (_request, reply) => {
          reply.write('HTTP/1.1 200 OK\r\ncontent-');
          reply.end();
        },
      ],
      [
        'cut off body',
        (_request, reply) => {
          reply.write('HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 100\r\n\r\n{"model":');
          reply.end();
        },
      ],
      [
        'switched protocols unasked',
        (_request, reply) => {
          reply.write('HTTP/1.1 101 Switching Protocols\r\nupgrade: x\r\nconnection: upgrade\r\n\r\n');
        },
      ],
      [
        'a length that is none',
        (_request, reply) => {
          reply.write('HTTP/1.1 200 OK\r\ncontent-length: -5\r\n\r\n');
        },
      ],
    ];
    for (const [name, script] of failures) {
      asked = [];
      answers('a', script);
      const { reply, event, order } = await run();
      assert.equal(reply.status, 200, name);
      assert.equal(reply.text, '{"model":"gpt"}', name);
      assert.equal(order, 'ab', name);
      assert.equal(reply.header('x-slipstream-attempts'), '2');
      assert.equal(reply.header('x-litellm-attempted-retries'), '1');
      assert.equal(reply.header('x-litellm-attempted-fallbacks'), '0');
      assert.equal(reply.header('x-slipstream-model-id'), 'b');
      const [first, second] = event.attempts;
      assert.equal(event.attempts.length, 2);
      assert.equal(first?.deployment, 'a');
      assert.ok(first.status >= 400 || first.error !== null, `${name}: ${JSON.stringify(first)}`);
      assert.deepEqual([second?.deployment, second?.status, second?.error], ['b', 200, null]);
      assert.equal(event.deployment, 'b');
      assert.equal(event.status, 200);
      assert.equal(event.error, null);
    }
  });

  it('each attempt gets the same request, with the name of its own model', async () => {
    answers('a', fails(500));
    await run({ timeout: 60, x: 'é' });
    assert.equal(upstreams.a.last.body, '{"model":"upstream-gpt","x":"é"}');
    assert.equal(upstreams.b.last.body, upstreams.a.last.body);
    answers('b', fails(500));
    answers('c', fails(500));
    await run({ x: 1 });
    assert.equal(upstreams.d.last.body, '{"model":"upstream-backup","x":1}');
  });

  it('a deployment that refuses connections', async (t) => {
    const one = await startSidecar({
      snapshot: snapshotOf([
        deployment('gpt', await closedPort(), { id: 'gone' }),
        deployment('gpt', upstreams.b.port, { id: 'b', order: 1 }),
      ]),
    });
    t.after(() => one.stop());
    const own = new RawClient(one.port);
    const reply = await own.send(requestBytes({ key: TEST_KEY, body: '{"model":"gpt"}' })).reply();
    own.close();
    assert.equal(reply.status, 200);
    assert.deepEqual(
      one.journal()[0]?.attempts.map(({ deployment: id, status, error }) => [id, status, error]),
      [
        ['gone', 0, 'upstream_unreachable'],
        ['b', 200, null],
      ],
    );
  });

  it('num_retries bounds the attempts in a group: 2 by configuration', async () => {
    for (const name of ['a', 'b', 'c', 'd', 'e'] as const) answers(name, fails(500));
    assert.equal((await run({ disable_fallbacks: true })).order, 'abc');
    asked = [];
    assert.equal((await run({ disable_fallbacks: true, num_retries: 1 })).order, 'ab');
    asked = [];
    assert.equal((await run({ disable_fallbacks: true, num_retries: 0 })).order, 'a');
    asked = [];
    assert.equal((await run({ disable_fallbacks: true }, ['x-litellm-num-retries: 0'])).order, 'a');
    asked = [];
    assert.equal(
      (await run({ disable_fallbacks: true, num_retries: 1 }, ['x-litellm-num-retries: 0'])).order,
      'ab',
      'the body wins',
    );
    asked = [];
    const { order } = await run({ disable_fallbacks: true, num_retries: 5 });
    assert.match(order, /^abc[abc]{3}$/, 'when all were tried, any of them again');
  });

  it('a group of one is tried again itself', async () => {
    answers('a', times(2, fails(503)));
    const { reply, order } = await run({}, [], 'alone');
    assert.equal(reply.status, 200);
    assert.equal(order, 'aaa');
    assert.equal(reply.header('x-litellm-attempted-retries'), '2');
  });

  it('what the client did wrong is not tried again, and passes unchanged', async () => {
    for (const status of [400, 402, 405, 410, 413, 415, 422, 424, 451, 499]) {
      asked = [];
      const body = `{"error": {"message":"${status} é", "model":"upstream-gpt"} ,"model":"upstream-gpt"}\n`;
      answers('a', fails(status, body));
      const { reply, event, order } = await run();
      assert.equal(order, 'a');
      assert.equal(reply.status, status);
      assert.equal(reply.text, body);
      assert.equal(event.status, status);
      assert.deepEqual(
        event.attempts.map((attempt) => attempt.status),
        [status],
      );
    }
  });

  it('a stream whose first event is an error is tried again', async () => {
    const stream =
      (events: string): UpstreamScript =>
      (_request, reply) => {
        reply.write(
          `HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ncontent-length: ${events.length}\r\n\r\n${events}`,
        );
      };
    const error = '{"error":{"message":"overloaded"}}';
    const good = sse('{"model":"gpt","choices":[{"delta":{"content":"x"}}]}', '[DONE]');
    for (const bad of [
      sse(error),
      `: comment\n\n${sse(error)}`,
      `event: error\n${sse('{"type":"error"}')}`,
      sse(error, '[DONE]'),
    ]) {
      asked = [];
      answers('a', stream(bad));
      answers('b', stream(good));
      const { reply, order, event } = await run({ stream: true });
      assert.equal(order, 'ab', bad);
      assert.equal(reply.text, good);
      assert.deepEqual(
        event.attempts.map(({ error: name }) => name),
        ['upstream_interrupted', null],
      );
    }
    asked = [];
    answers('a', stream(sse('{"model":"gpt","choices":[]}', error)));
    const late = await run({ stream: true });
    assert.equal(late.order, 'a', 'a later one is the client’s to see');
    assert.ok(late.reply.text.includes('overloaded'));
  });

  it('when all such streams fail the last one is relayed', async () => {
    const bad = sse('{"error":{"message":"overloaded"}}');
    for (const name of ['a', 'b', 'c', 'd', 'e'] as const) {
      answers(name, (_request, reply) => {
        reply.write(
          `HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ncontent-length: ${bad.length}\r\n\r\n${bad}`,
        );
      });
    }
    const { reply } = await run({ stream: true, num_retries: 0 });
    assert.equal(reply.status, 200);
    assert.equal(reply.text, bad);
  });

  it('a body too large to be kept is sent once', async () => {
    const small = await startSidecar({
      snapshot: snapshot({
        limits: { maxBodyBytes: 1_000_000, maxJsonBodyBytes: 1_000_000, maxReplayBytes: 1000 },
      }),
    });
    answers('a', fails(500));
    const own = new RawClient(small.port);
    const send = async (size: number): Promise<number> =>
      (await own.send(requestBytes({ key: TEST_KEY, body: `{"model":"gpt","x":"${'y'.repeat(size)}"}` })).reply())
        .status;
    assert.equal(await send(900), 200);
    assert.equal(await send(2000), 500);
    own.close();
    assert.equal(asked.join(''), 'aba');
    await small.stop();
  });
});

describe('a reused connection', () => {
  it('that dies without a byte is repeated once, fresh, uncounted', async () => {
    const { reply: first } = await run({}, [], 'alone');
    assert.equal(first.status, 200);
    const before = upstreams.a.connectionCount;
    asked = [];
    answers('a', times(1, closes));
    const { reply, order, event } = await run({}, [], 'alone');
    assert.equal(reply.status, 200);
    assert.equal(order, 'aa');
    assert.equal(upstreams.a.connectionCount, before + 1);
    assert.equal(reply.header('x-slipstream-attempts'), '1');
    assert.equal(event.attempts.length, 1);
  });

  it('a fresh one that dies counts, also after that repetition', async () => {
    await run({}, [], 'alone');
    asked = [];
    answers('a', closes);
    const { reply, order, event } = await run({ num_retries: 0, disable_fallbacks: true }, [], 'alone');
    assert.equal(reply.status, 502);
    assert.equal(order, 'aa', 'the reused one and a fresh one, then no more');
    assert.deepEqual(
      event.attempts.map(({ error }) => error),
      ['upstream_closed'],
    );
  });
});

describe('401, 403 and 404 of a deployment', () => {
  for (const status of [401, 403, 404]) {
    it(`${status}: not there again, another of the group, then fallbacks`, async () => {
      answers('a', fails(status));
      assert.equal((await run()).order, 'ab');
      asked = [];
      answers('b', fails(status));
      answers('c', fails(status));
      const { reply, order } = await run();
      assert.equal(order, 'abcd');
      assert.equal(reply.status, 200);
      assert.equal(reply.header('x-litellm-attempted-fallbacks'), '1');
      asked = [];
      assert.equal((await run({ num_retries: 0 })).order, 'abcd', 'these are no retries');
      asked = [];
      assert.equal((await run({}, [], 'alone')).order, 'ad');
    });
  }

  it('401 and 403 keep their status, but the body is ours: theirs can quote our credential', async () => {
    for (const status of [401, 403]) {
      const quote = '{"error":{"message":"Incorrect API key provided: sk-provider-secret"}}';
      for (const name of ['a', 'b', 'c'] as const) answers(name, fails(status, quote));
      const { reply, event } = await run({ disable_fallbacks: true });
      assert.equal(reply.status, status);
      assert.ok(!reply.raw.includes('sk-provider-secret'));
      assert.equal(reply.header('x-slipstream-error'), 'upstream_refused_credential');
      const { error } = JSON.parse(reply.text) as { error: Record<string, unknown> };
      assert.equal(error['code'], String(status));
      assert.equal(error['type'], 'AuthenticationError');
      assert.equal(event.status, status);
      assert.equal(event.error, 'upstream_refused_credential');
    }
  });

  it('404 passes unchanged', async () => {
    for (const name of ['a', 'b', 'c'] as const) answers(name, fails(404, '{"error":"no such model"}'));
    const { reply } = await run({ disable_fallbacks: true });
    assert.equal(reply.status, 404);
    assert.equal(reply.text, '{"error":"no such model"}');
    assert.equal(reply.header('x-from'), '404');
  });
});

describe('fallbacks', () => {
  it('come after the group, in their order', async () => {
    for (const name of ['a', 'b', 'c'] as const) answers(name, fails(500));
    const { reply, order, event } = await run();
    assert.equal(order, 'abcd');
    assert.equal(reply.text, '{"model":"up"}', 'after a fallback the reply keeps its model');
    assert.equal(reply.header('x-litellm-attempted-fallbacks'), '1');
    assert.equal(reply.header('x-litellm-attempted-retries'), '2');
    assert.equal(reply.header('x-litellm-model-group'), 'backup');
    assert.equal(event.model, 'gpt');
    assert.equal(event.group, 'backup');
    asked = [];
    answers('d', fails(500));
    assert.equal((await run({ num_retries: 0 })).order, 'ade');
  });

  it('all failing: the last reply is relayed', async () => {
    for (const name of ['a', 'b', 'c', 'd'] as const) answers(name, fails(500));
    answers('e', fails(503, '{"error":"the very last"}'));
    const { reply, event } = await run({ num_retries: 0 });
    assert.equal(reply.status, 503);
    assert.equal(reply.text, '{"error":"the very last"}');
    assert.equal(reply.header('x-from'), '503');
    assert.equal(reply.header('x-slipstream-attempts'), '3');
    assert.equal(reply.header('x-litellm-attempted-fallbacks'), '2');
    assert.deepEqual(
      event.attempts.map(({ deployment: id, status }) => `${id} ${status}`),
      ['a 500', 'd 500', 'e 503'],
    );
    assert.equal(event.deployment, 'e');
    assert.equal(event.status, 503);
  });

  it('of the request replace those of the configuration; an empty list means none', async () => {
    for (const name of ['a', 'b', 'c'] as const) answers(name, fails(500));
    assert.equal((await run({ num_retries: 0, fallbacks: ['last'] })).order, 'ae');
    asked = [];
    assert.equal((await run({ num_retries: 0, fallbacks: [{ model: 'last' }] })).order, 'ae');
    asked = [];
    assert.equal(
      (await run({ num_retries: 0, fallbacks: ['nothing', 'backup'] })).order,
      'ad',
      'unknown ones are passed over',
    );
    asked = [];
    assert.equal((await run({ num_retries: 0, fallbacks: [] })).order, 'a');
    asked = [];
    assert.equal((await run({ num_retries: 0 }, ['x-litellm-fallbacks: last, backup'])).order, 'ae', 'as a header');
  });

  it('can be switched off by the request, its own too', async () => {
    for (const name of ['a', 'b', 'c'] as const) answers(name, fails(500));
    assert.equal((await run({ num_retries: 0, disable_fallbacks: true })).order, 'a');
    asked = [];
    assert.equal((await run({ num_retries: 0, disable_fallbacks: true, fallbacks: ['last'] })).order, 'a');
    asked = [];
    assert.equal((await run({ num_retries: 0 }, ['x-litellm-disable-fallbacks: true'])).order, 'a', 'as a header');
  });

  it('have retries of their own, and no fallbacks of their own', async () => {
    for (const name of ['a', 'b', 'c', 'd', 'e'] as const) answers(name, fails(500));
    const { order } = await run({ num_retries: 1, fallbacks: ['alone'] });
    assert.equal(order, 'abaa', 'alone has a fallback, which is not taken');
  });

  it('default fallbacks serve groups without their own; max_fallbacks bounds them', async () => {
    const one = await startSidecar({
      snapshot: snapshot({
        fallbacks: { last: ['backup'] },
        defaultFallbacks: ['last', 'backup'],
        settings: { maxFallbacks: 1, numRetries: 0 },
      }),
    });
    for (const name of ['a', 'b', 'c', 'd', 'e'] as const) answers(name, fails(500));
    const own = new RawClient(one.port);
    const order = async (model: string, more: object = {}): Promise<string> => {
      asked = [];
      await own.send(requestBytes({ key: TEST_KEY, body: JSON.stringify({ model, ...more }) })).reply();
      return asked.join('');
    };
    assert.equal(await order('gpt'), 'ae');
    assert.equal(await order('last'), 'ed');
    assert.equal(await order('gpt', { fallbacks: ['backup', 'last'] }), 'ad');
    own.close();
    await one.stop();
  });

  it('of another protocol are passed over: that would need translation', async () => {
    answers('a', fails(500));
    const one = await startSidecar({
      snapshot: snapshotOf(
        [
          deployment('gpt', upstreams.a.port, { id: 'a' }),
          deployment('claude', upstreams.c.port, { id: 'c', family: 'anthropic' }),
          deployment('backup', upstreams.d.port, { id: 'd' }),
        ],
        { fallbacks: { gpt: ['claude', 'backup'] }, settings: { numRetries: 0 } },
      ),
    });
    const own = new RawClient(one.port);
    const reply = await own.send(requestBytes({ key: TEST_KEY, body: '{"model":"gpt"}' })).reply();
    own.close();
    assert.equal(reply.status, 200);
    assert.equal(asked.join(''), 'ad');
    assert.equal(reply.header('x-litellm-attempted-fallbacks'), '1');
    await one.stop();
  });

  it('a 400 of the provider goes nowhere else', async () => {
    answers('a', fails(400));
    assert.equal((await run()).order, 'a');
  });
});

describe('the error of the gateway when no reply is left to relay', () => {
  for (const [name, script, status, error] of [
    ['unreachable or closed', resets, 502, 'upstream_closed'],
    ['garbage', babbles, 502, 'upstream_invalid_reply'],
  ] as const) {
    it(name, async () => {
      for (const each of NAMES) answers(each, script);
      const { reply, event } = await run({ num_retries: 0 });
      assert.equal(reply.status, status);
      assert.equal(reply.header('x-slipstream-error'), error);
      assert.equal(reply.header('x-slipstream-attempts'), '3');
      const body = JSON.parse(reply.text) as { error: { message: string; code: string; type: string } };
      assert.equal(body.error.code, String(status));
      assert.equal(body.error.type, 'APIConnectionError');
      assert.match(
        body.error.message,
        /Received Model Group=gpt\nAvailable Model Group Fallbacks=\['backup', 'last'\]$/,
      );
      assert.equal(event.error, error);
      assert.equal(event.status, status);
      assert.deepEqual(
        event.attempts.map((attempt) => attempt.error),
        [error, error, error],
      );
    });
  }
});
