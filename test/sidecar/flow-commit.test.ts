import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { chatClient, nothingInFlight, onlyEvent, startFlow, withFlow } from '../support/flow-support.ts';
import { ask, RawClient, requestBytes, type RawReply } from '../support/raw-client.ts';
import { deployment, TEST_KEY, type SidecarHarness } from '../support/sidecar-harness.ts';
import {
  jsonReply,
  ScriptedUpstream,
  sse,
  type UpstreamReply,
  type UpstreamScript,
} from '../support/scripted-upstream.ts';

type Family = 'openai' | 'anthropic';
const FAMILIES: readonly Family[] = ['openai', 'anthropic'];
const STREAM_HEAD = 'HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n';

/** What a stream of each protocol is made of. */
const TALK = {
  openai: {
    path: '/v1/chat/completions',
    error: sse('{"error":{"message":"overloaded","type":"server_error","code":503}}'),
    event: sse('{"choices":[{"delta":{"content":"hi"}}]}'),
    quiet: ': thinking\n\n: still thinking\n\n',
    end: sse('[DONE]'),
  },
  anthropic: {
    path: '/v1/messages',
    error: 'event: error\ndata: {"type":"error","error":{"type":"overloaded_error","message":"overloaded"}}\n\n',
    event:
      'event: content_block_delta\ndata: {"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":"hi"}}\n\n',
    quiet: ': thinking\n\nevent: ping\ndata: {"type": "ping"}\n\n',
    end: 'event: message_stop\ndata: {"type":"message_stop"}\n\n',
  },
} as const;

function chunk(text: string): string {
  return `${Buffer.byteLength(text).toString(16)}\r\n${text}\r\n`;
}

function whole(...parts: readonly string[]): string {
  return `${STREAM_HEAD}${parts.map(chunk).join('')}0\r\n\r\n`;
}

function start(family: Family, numRetries: number): (upstream: ScriptedUpstream) => Promise<SidecarHarness> {
  return ({ port }) =>
    startFlow([deployment('m', port, { family, provider: family })], {}, { settings: { numRetries } });
}

function askStream(gateway: SidecarHarness, family: Family): Promise<RawReply> {
  const body = '{"model":"m","stream":true}';
  return ask(gateway.port, { key: TEST_KEY, path: TALK[family].path, body });
}

/** The error in the last event of a stream that broke off, in the protocol of its client. */
function lastError(text: string, family: Family): string {
  const event = text.trimEnd().split('\n\n').at(-1)!;
  if (family === 'openai') {
    const { error } = JSON.parse(event.slice('data: '.length)) as { error: { message: string; code: string } };
    assert.equal(error.code, '502');
    return error.message;
  }
  assert.ok(event.startsWith('event: error\ndata: '), event);
  const value = JSON.parse(event.slice('event: error\ndata: '.length)) as { type: string; error: { message: string } };
  assert.equal(value.type, 'error');
  return value.error.message;
}

for (const family of FAMILIES) {
  const { error, event, quiet, end } = TALK[family];
  describe(`the commit point of a stream: ${family}`, { concurrency: true }, () => {
    it('an error as the first event is an attempt that failed: retried', async () => {
      const script: UpstreamScript = (_request, reply, index) => {
        reply.write(index === 0 ? whole(error) : whole(event, end));
      };
      await withFlow(script, start(family, 1), async (gateway, upstream) => {
        const reply = await askStream(gateway, family);
        assert.equal(reply.text, event + end);
        assert.equal(upstream.requests.length, 2);
        const { attempts, error: name } = await onlyEvent(gateway);
        assert.deepEqual(
          attempts.map((attempt) => [attempt.status, attempt.error]),
          [
            [200, 'upstream_interrupted'],
            [200, null],
          ],
        );
        assert.equal(name, null);
      });
    });

    it('comments and pings before it do not commit, however slowly they come', async () => {
      const script: UpstreamScript = async (_request, reply, index) => {
        if (index === 1) return reply.write(whole(quiet, event, end));
        reply.write(STREAM_HEAD);
        await sleep(20);
        reply.write(chunk(quiet));
        await sleep(20);
        reply.write(chunk(error));
      };
      await withFlow(script, start(family, 1), async (gateway) => {
        assert.equal((await askStream(gateway, family)).text, quiet + event + end);
      });
    });

    it('so is one that ends, is reset or turns to garbage before its first event', async () => {
      const breaks: readonly ((reply: UpstreamReply) => void)[] = [
        (reply) => reply.end(),
        (reply) => reply.reset(),
        (reply) => reply.write('zz not a chunk size\r\n'),
      ];
      const script: UpstreamScript = async (_request, reply, index) => {
        if (index === breaks.length) return reply.write(whole(event, end));
        reply.write(STREAM_HEAD + chunk(quiet));
        await sleep(20);
        breaks[index]!(reply);
      };
      await withFlow(script, start(family, breaks.length), async (gateway) => {
        const reply = await askStream(gateway, family);
        assert.equal(reply.text, event + end);
        assert.equal(reply.header('x-slipstream-attempts'), '4');
      });
    });

    it('with no attempt left the error goes to the client as it came', async () => {
      await withFlow(
        (_request, reply) => reply.write(whole(error)),
        start(family, 1),
        async (gateway, upstream) => {
          assert.equal((await askStream(gateway, family)).text, error);
          assert.equal(upstream.requests.length, 2);
        },
      );
    });

    for (const [how, breakOff] of [
      ['ends', (reply: UpstreamReply) => reply.end()],
      ['is reset', (reply: UpstreamReply) => reply.reset()],
      ['turns to garbage', (reply: UpstreamReply) => reply.write('zz\r\n')],
    ] as const) {
      it(`a stream that ${how} after its first event is not retried: an error event, then the end`, async () => {
        const script: UpstreamScript = async (_request, reply) => {
          reply.write(STREAM_HEAD + chunk(event));
          await sleep(30);
          breakOff(reply);
        };
        await withFlow(script, start(family, 2), async (gateway, upstream) => {
          const client = new RawClient(gateway.port);
          client.send(requestBytes({ key: TEST_KEY, path: TALK[family].path, body: '{"model":"m","stream":true}' }));
          const reply = await client.reply();
          assert.ok(reply.text.startsWith(event));
          assert.match(lastError(reply.text, family), /\w/);
          assert.equal((await client.ended()).length, 0, 'nothing follows, and the connection is closed');
          assert.equal(upstream.requests.length, 1);
          const recorded = await onlyEvent(gateway);
          assert.equal(recorded.error, 'upstream_interrupted');
          assert.equal(recorded.status, 200);
          await nothingInFlight(gateway.port);
        });
      });
    }

    it('a request sent right after a stream that broke off is answered on the same connection', async () => {
      const script: UpstreamScript = (_request, reply, index) => {
        reply.write(STREAM_HEAD + chunk(event));
        if (index === 0) setTimeout(() => reply.end(), 30);
        else reply.write(`${chunk(end)}0\r\n\r\n`);
      };
      await withFlow(script, start(family, 0), async (gateway) => {
        const bytes = requestBytes({ key: TEST_KEY, path: TALK[family].path, body: '{"model":"m","stream":true}' });
        const client = new RawClient(gateway.port).send(bytes);
        assert.match(lastError((await client.reply()).text, family), /\w/);
        assert.equal((await client.send(bytes).reply()).text, event + end);
        client.close();
      });
    });

    it('a break in the middle of an event: the error is an event of its own', async () => {
      const script: UpstreamScript = async (_request, reply) => {
        reply.write(STREAM_HEAD + chunk(event) + chunk(event.slice(0, 20)));
        await sleep(30);
        reply.reset();
      };
      await withFlow(script, start(family, 0), async (gateway) => {
        assert.match(lastError((await askStream(gateway, family)).text, family), /\w/);
      });
    });

    it('good events that came with the garbage are not lost', async () => {
      const script: UpstreamScript = async (_request, reply) => {
        reply.write(STREAM_HEAD + chunk(event));
        await sleep(30);
        reply.write(`${chunk(event)}zz\r\n`);
      };
      await withFlow(script, start(family, 0), async (gateway) => {
        assert.ok((await askStream(gateway, family)).text.startsWith(event + event));
      });
    });

    it('a stream that said it was over loses nothing with its connection', async () => {
      const script: UpstreamScript = async (_request, reply) => {
        reply.write(STREAM_HEAD + chunk(event) + chunk(end));
        await sleep(30);
        reply.reset();
      };
      await withFlow(script, start(family, 2), async (gateway) => {
        const reply = await askStream(gateway, family);
        assert.equal(reply.text, event + end);
        assert.equal((await onlyEvent(gateway)).error, null);
      });
    });
  });
}

describe('the commit point of other answers', { concurrency: true }, () => {
  it('a fallback takes over from a stream that began with an error', async () => {
    const good = await ScriptedUpstream.start((_request, reply) => reply.write(whole(TALK.openai.event)));
    const bad = await ScriptedUpstream.start((_request, reply) => reply.write(whole(TALK.openai.error)));
    const gateway = await startFlow(
      [deployment('m', bad.port), deployment('other', good.port)],
      {},
      { fallbacks: { m: ['other'] }, settings: { numRetries: 1 } },
    );
    try {
      const reply = await askStream(gateway, 'openai');
      assert.equal(reply.text, TALK.openai.event);
      assert.equal(bad.requests.length, 2);
      assert.equal(reply.header('x-litellm-attempted-fallbacks'), '1');
    } finally {
      await gateway.stop();
      good.stop();
      bad.stop();
    }
  });

  it('JSON that breaks off before anything of it has left is retried', async () => {
    const script: UpstreamScript = async (_request, reply, index) => {
      if (index === 2) return reply.write(jsonReply('{"n":3}'));
      reply.write('HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 100\r\n\r\n{"n":');
      await sleep(20);
      if (index === 0) reply.end();
      else reply.reset();
    };
    await withFlow(script, start('openai', 2), async (gateway) => {
      const reply = await ask(gateway.port, { key: TEST_KEY, body: '{"model":"m"}' });
      assert.equal(reply.text, '{"n":3}');
    });
  });

  const large = 'x'.repeat(200_000);
  for (const [framing, headers] of [
    ['a content-length', 'content-length: 1000000\r\n'],
    ['chunks', 'transfer-encoding: chunked\r\n'],
  ] as const) {
    for (const version of ['1.1', '1.0'] as const) {
      it(`after it, the client of HTTP/${version} sees that a reply with ${framing} was cut off`, async () => {
        const script: UpstreamScript = async (_request, reply) => {
          const body = `{"x":"${large}`;
          reply.write(`HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n${headers}\r\n`);
          reply.write(framing === 'chunks' ? chunk(body) : body);
          await sleep(30);
          reply.end();
        };
        await withFlow(script, start('openai', 2), async (gateway, upstream) => {
          const body = '{"model":"m"}';
          const head = `POST /v1/chat/completions HTTP/${version}\r\nhost: a\r\nauthorization: Bearer ${TEST_KEY}\r\n`;
          const client = new RawClient(gateway.port).send(`${head}content-length: ${body.length}\r\n\r\n${body}`);
          const received = await client.ended();
          const text = received.toString('latin1');
          assert.match(text, /^HTTP\/1\.1 200 /);
          assert.ok(!text.endsWith('0\r\n\r\n'));
          const length = /\r\ncontent-length: (\d+)/.exec(text);
          if (/\r\ntransfer-encoding: chunked/.test(text)) assert.equal(version, '1.1');
          else if (length !== null) assert.ok(Number(length[1]) > received.length);
          else assert.equal(client.error?.code, 'ECONNRESET', 'the end of the connection is not the end of the answer');
          assert.equal(upstream.requests.length, 1);
          assert.equal((await onlyEvent(gateway)).aborted, 'upstream_interrupted');
        });
      });
    }
  }

  it('a kept-alive connection that dies without a byte of reply: once more, fresh, uncounted', async () => {
    const script: UpstreamScript = (request, reply, index) => {
      if (index > 0 && request.connection === 0) reply.reset();
      else reply.write(jsonReply(`{"connection":${request.connection}}`));
    };
    await withFlow(script, start('openai', 0), async (gateway, upstream) => {
      const client = chatClient(gateway.port, 'm');
      assert.equal((await client.reply()).text, '{"connection":0}');
      client.send(requestBytes({ key: TEST_KEY, body: '{"model":"m"}' }));
      const reply = await client.reply();
      assert.equal(reply.text, '{"connection":1}');
      assert.equal(reply.header('x-slipstream-attempts'), '1');
      assert.equal(upstream.requests.length, 3);
      assert.deepEqual(
        gateway.journal().map(({ attempts }) => attempts.length),
        [1, 1],
      );
      client.close();
    });
  });

  it('but only once: a provider that always dies is a 502', async () => {
    const script: UpstreamScript = (_request, reply, index) => {
      if (index === 0) reply.write(jsonReply('{}'));
      else reply.reset();
    };
    await withFlow(script, start('openai', 0), async (gateway, upstream) => {
      const client = chatClient(gateway.port, 'm');
      await client.reply();
      client.send(requestBytes({ key: TEST_KEY, body: '{"model":"m"}' }));
      const reply = await client.reply();
      assert.equal(reply.status, 502);
      assert.equal(reply.header('x-slipstream-error'), 'upstream_closed');
      assert.equal(upstream.requests.length, 3);
      client.close();
    });
  });

  it('one that dies within its reply is no such case: it counts', async () => {
    const script: UpstreamScript = (_request, reply, index) => {
      if (index === 0) return reply.write(jsonReply('{}'));
      reply.socket.end('HTTP/1.1 200 OK\r\n');
    };
    await withFlow(script, start('openai', 0), async (gateway, upstream) => {
      const client = chatClient(gateway.port, 'm');
      await client.reply();
      client.send(requestBytes({ key: TEST_KEY, body: '{"model":"m"}' }));
      assert.equal((await client.reply()).status, 502);
      assert.equal(upstream.requests.length, 2);
      client.close();
    });
  });

  it('a request over the replay limit is not sent twice', async () => {
    const script: UpstreamScript = (_request, reply) => reply.write(jsonReply('{}', 500));
    await withFlow(script, start('openai', 2), async (gateway, upstream) => {
      const pad = 'x'.repeat(8_388_608);
      const big = await ask(gateway.port, { key: TEST_KEY, body: `{"model":"m","pad":"${pad}"}` });
      assert.equal(big.status, 500);
      assert.equal(upstream.requests.length, 1);
      assert.equal((await ask(gateway.port, { key: TEST_KEY, body: '{"model":"m"}' })).status, 500);
      assert.equal(upstream.requests.length, 4);
    });
  });
});
