import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { fails, OK, withWorld } from '../support/failure-support.ts';
import { chunkedReply, jsonReply, sse, type UpstreamScript } from '../support/scripted-upstream.ts';
import { ask } from '../support/raw-client.ts';
import { TEST_KEY } from '../support/sidecar-harness.ts';

const TOO_LONG =
  '{ "error": {"message":"This model\'s maximum context length is 8192 tokens", "type":"invalid_request_error","code":"context_length_exceeded"} }\n';
const REFUSED = '{"error":{"code":"content_filter","message":"é was filtered","innererror":{}}}';
const GROUPS = { gpt: 'ab', large: 'c', safe: 'd', backup: 'e' };
const FALLBACKS = {
  fallbacks: { gpt: ['backup'] },
  contextWindowFallbacks: { gpt: ['large'] },
  contentPolicyFallbacks: { gpt: ['safe'] },
};

describe('fallbacks by kind of error', { concurrency: true }, () => {
  it('a prompt too long goes to the groups for that, refused content to those for that, all else to the others', async () => {
    await withWorld(GROUPS, FALLBACKS, async (world) => {
      for (const [script, order] of [
        [fails(400, [], TOO_LONG), 'ac'],
        [fails(413, [], TOO_LONG), 'ac'],
        [fails(422, [], TOO_LONG), 'ac'],
        [fails(400, [], REFUSED), 'ad'],
        [fails(403, [], REFUSED), 'ad'],
        [fails(500), 'abae'],
        [fails(400), 'a'],
      ] as const) {
        world.answers('a', script);
        world.answers('b', script);
        const { reply, order: asked } = await world.run('gpt');
        assert.equal(asked, order);
        if (order !== 'a') {
          assert.equal(reply.status, 200);
          assert.equal(reply.header('x-litellm-attempted-fallbacks'), '1');
        }
      }
      assert.ok(!world.gateway.logs.some((line) => line.includes('benched')), 'none of this is the deployment’s fault');
    });
  });

  it('Anthropic’s words are known too', async () => {
    const specs = { a: { family: 'anthropic' }, b: { family: 'anthropic' } } as const;
    const parts = { contextWindowFallbacks: { claude: ['long'] }, specs };
    await withWorld({ claude: 'a', long: 'b' }, parts, async (world) => {
      const error = '{"type":"error","error":{"type":"invalid_request_error","message":"prompt is too long: 2 > 1"}}';
      world.answers('a', fails(400, [], error));
      const body = '{"model":"claude","max_tokens":1,"messages":[]}';
      const reply = await ask(world.gateway.port, { key: TEST_KEY, path: '/v1/messages', body });
      assert.equal(reply.status, 200);
      assert.equal(world.asked.join(''), 'ab');
    });
  });

  it('a stream that begins with such an error goes there too', async () => {
    await withWorld(GROUPS, FALLBACKS, async (world) => {
      world.answers('a', (_request, reply) => {
        const events = `: hello\n\n${sse('{"error":{"code":"context_length_exceeded","message":"x"}}')}`;
        reply.write(chunkedReply(['content-type: text/event-stream'], events));
      });
      world.answers('c', (_request, reply) => {
        reply.write(chunkedReply(['content-type: text/event-stream'], sse('{"choices":[]}', '[DONE]')));
      });
      const { order, event } = await world.run('gpt', { stream: true });
      assert.equal(order, 'ac');
      assert.equal(event.group, 'large');
    });
  });

  it('without a list for the kind the general ones serve; without one for the group nothing does', async () => {
    await withWorld(GROUPS, { fallbacks: { gpt: ['backup'] } }, async (world) => {
      world.answers('a', fails(400, [], TOO_LONG));
      assert.equal((await world.run('gpt')).order, 'ae');
      assert.equal(
        (await world.run('gpt', { fallbacks: ['safe'] })).order,
        'ad',
        'those of the request are for all kinds',
      );
      assert.equal((await world.run('gpt', { disable_fallbacks: true })).order, 'a');
    });
    const other = { fallbacks: { gpt: ['backup'] }, contextWindowFallbacks: { safe: ['large'] } };
    await withWorld(GROUPS, other, async (world) => {
      world.answers('a', fails(400, [], TOO_LONG));
      assert.equal((await world.run('gpt')).order, 'a');
    });
    await withWorld(GROUPS, { contextWindowFallbacks: { '*': ['large'] } }, async (world) => {
      world.answers('a', fails(400, [], TOO_LONG));
      assert.equal((await world.run('gpt')).order, 'ac', '* stands for any group');
    });
  });

  it('the last error passes unchanged, byte for byte', async () => {
    await withWorld(GROUPS, FALLBACKS, async (world) => {
      for (const [status, body, headers] of [
        [400, TOO_LONG, ['x-mine: 1']],
        [400, REFUSED, []],
        [422, '{"detail":[{"loc":["body"],"msg":"é"}]}', []],
        [413, 'x'.repeat(200_000), []],
      ] as const) {
        for (const name of 'abcd') world.answers(name, fails(status, headers, body));
        const { reply, event } = await world.run('gpt');
        assert.equal(reply.status, status);
        assert.equal(reply.text, body);
        if (headers.length > 0) assert.equal(reply.header('x-mine'), '1');
        assert.equal(event.error, null);
        assert.equal(event.status, status);
      }
    });
  });

  it('in chunks, slowly, split anywhere, compressed, or endless: an error body is judged or passes', async () => {
    await withWorld(GROUPS, FALLBACKS, async (world) => {
      const head = 'HTTP/1.1 400 Bad Request\r\ncontent-type: application/json\r\n';
      const chunk = (text: string): string => `${Buffer.byteLength(text).toString(16)}\r\n${text}\r\n`;
      const whole = `${head}transfer-encoding: chunked\r\n\r\n${chunk(TOO_LONG.slice(0, 40))}${chunk(TOO_LONG.slice(40))}0\r\n\r\n`;
      for (let cut = 10; cut < whole.length; cut += 23) {
        world.answers('a', (_request, reply) => reply.writeSplit(Buffer.from(whole), cut));
        assert.equal((await world.run('gpt')).order, 'ac', `cut at ${cut}`);
      }
      world.answers('a', (_request, reply) => {
        reply.write(`${head}connection: close\r\n\r\n${TOO_LONG}`);
        reply.end();
      });
      assert.equal((await world.run('gpt')).order, 'ac', 'ended by the connection');
      const large = 'y'.repeat(3_000_000);
      world.answers('a', fails(400, [], large));
      const { reply, order } = await world.run('gpt');
      assert.equal(order, 'a');
      assert.equal(reply.text, large);
      world.answers('a', (_request, answer) => {
        answer.write(jsonReply('', 400));
      });
      assert.equal((await world.run('gpt')).reply.status, 400);
    });
  });

  it('what a refusal cost stands with its attempt', async () => {
    await withWorld(GROUPS, FALLBACKS, async (world) => {
      const body = `${TOO_LONG.trimEnd().slice(0, -1)},"usage":{"prompt_tokens":7,"completion_tokens":0}}`;
      world.answers('a', fails(400, [], body));
      world.answers('c', (_request, reply) => {
        reply.write(jsonReply('{"usage":{"prompt_tokens":3,"completion_tokens":4}}'));
      });
      const { event, order } = await world.run('gpt');
      assert.equal(order, 'ac');
      assert.equal(event.attempts[0]?.usage?.inputTokens, 7);
      assert.equal(event.attempts[1]?.usage, null);
      assert.deepEqual([event.usage?.inputTokens, event.usage?.outputTokens], [3, 4]);
    });
  });

  it('a 403 for its content keeps its status, and its text is withheld', async () => {
    await withWorld({ gpt: 'a' }, {}, async (world) => {
      world.answers('a', fails(403, [], '{"error":{"code":"content_filter","message":"sk-provider-secret"}}'));
      const { reply } = await world.run('gpt');
      assert.equal(reply.status, 403);
      assert.equal(reply.header('x-slipstream-error'), 'upstream_refused_content');
      assert.ok(!reply.raw.includes('sk-provider-secret'));
      world.answers('a', OK);
      assert.equal((await world.run('gpt')).order, 'a', 'not benched');
    });
  });
});

describe('which fallbacks', { concurrency: true }, () => {
  it('a deployment by its id, though it is benched', async () => {
    const parts = { fallbacks: { gpt: ['d'] }, failure: { allowedFails: 0, cooldownMs: 60_000 } };
    await withWorld({ gpt: 'a', backup: 'cd' }, parts, async (world) => {
      world.answers('a', fails(401));
      world.answers('d', fails(401));
      assert.equal((await world.run('gpt')).order, 'ad');
      world.answers('d', OK);
      const { order, event } = await world.run('gpt');
      assert.equal(order, 'd');
      assert.equal(event.group, 'backup');
      assert.equal(event.deployment, 'd');
      assert.equal((await world.run('gpt', { fallbacks: ['c'] })).order, 'c', 'the request may name one too');
    });
  });

  it('at most max_fallbacks, counted over all kinds', async () => {
    const parts = {
      ...FALLBACKS,
      contextWindowFallbacks: { gpt: ['large', 'safe', 'backup'] },
      settings: { maxFallbacks: 2 },
    };
    await withWorld(GROUPS, parts, async (world) => {
      for (const name of 'acde') world.answers(name, fails(400, [], TOO_LONG));
      const { order, reply } = await world.run('gpt');
      assert.equal(order, 'acd');
      assert.equal(reply.text, TOO_LONG);
      assert.equal(reply.header('x-litellm-attempted-fallbacks'), '2');
    });
  });

  it('one kind after another: each failure is asked what it is', async () => {
    await withWorld(GROUPS, FALLBACKS, async (world) => {
      world.answers('a', fails(400, [], TOO_LONG));
      world.answers('c', fails(400, [], REFUSED));
      const script: UpstreamScript = OK;
      world.answers('d', script);
      assert.equal((await world.run('gpt')).order, 'acd');
    });
  });
});
