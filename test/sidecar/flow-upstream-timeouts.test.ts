import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import type { TimeoutName } from '../../src/contract/timeouts.ts';
import {
  CLOCK_SLACK_MS,
  chatBytes,
  chatClient,
  nothingInFlight,
  onlyEvent,
  since,
  startFlow,
  withFlow,
} from '../support/flow-support.ts';
import { ask, eventually, RawClient } from '../support/raw-client.ts';
import { deployment, snapshotOf, startSidecar, TEST_KEY, type SnapshotParts } from '../support/sidecar-harness.ts';
import { jsonReply, ScriptedUpstream, sse, type UpstreamScript } from '../support/scripted-upstream.ts';

const LIMIT_MS = 600;
const STREAM_HEAD =
  'HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\nconnection: close\r\ntransfer-encoding: chunked\r\n\r\n';
const NO_RETRIES: SnapshotParts = { settings: { numRetries: 0 } };

function chunk(text: string): string {
  return `${Buffer.byteLength(text).toString(16)}\r\n${text}\r\n`;
}

/** One provider with `script`, one timeout that is short; the others have their defaults. */
function one(
  name: TimeoutName,
  script: UpstreamScript,
  body: Parameters<typeof withFlow>[2],
  parts: SnapshotParts = NO_RETRIES,
): Promise<void> {
  return withFlow(
    script,
    (upstream) => startFlow([deployment('gpt', upstream.port)], { [name]: LIMIT_MS }, parts),
    body,
  );
}

describe('what a provider may take its time for', { concurrency: true }, () => {
  it('firstByte: no answer in time is 408, the provider is let go', async () => {
    let closed = 0;
    const script: UpstreamScript = (_request, { socket }) => {
      socket.once('close', () => (closed += 1));
    };
    await one('firstByteMs', script, async (gateway) => {
      const from = performance.now();
      const reply = await ask(gateway.port, { key: TEST_KEY, body: '{"model":"gpt"}' });
      assert.equal(reply.status, 408);
      assert.equal(reply.header('x-slipstream-error'), 'upstream_timeout');
      assert.ok(since(from) >= LIMIT_MS - CLOCK_SLACK_MS);
      await eventually(() => closed === 1, 'its connection is closed');
      const event = await onlyEvent(gateway);
      assert.equal(event.status, 408);
      assert.deepEqual(
        event.attempts.map(({ status, error }) => ({ status, error })),
        [{ status: 0, error: 'upstream_timeout' }],
      );
    });
  });

  it('firstByte: retried, each attempt with a time of its own', async () => {
    const script: UpstreamScript = (_request, reply, index) => {
      if (index === 2) reply.write(jsonReply('{}'));
    };
    await one(
      'firstByteMs',
      script,
      async (gateway, upstream) => {
        const from = performance.now();
        const reply = await ask(gateway.port, { key: TEST_KEY, body: '{"model":"gpt"}' });
        assert.equal(reply.status, 200);
        assert.equal(reply.header('x-slipstream-attempts'), '3');
        assert.equal(upstream.requests.length, 3);
        assert.ok(since(from) >= 2 * LIMIT_MS - CLOCK_SLACK_MS);
      },
      {},
    );
  });

  it('firstByte does not bound the rest of an answer', async () => {
    const script: UpstreamScript = async (_request, reply) => {
      reply.write('HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 2\r\n\r\n{');
      await sleep(2 * LIMIT_MS);
      reply.write('}');
    };
    await one('firstByteMs', script, async (gateway) => {
      assert.equal((await ask(gateway.port, { key: TEST_KEY, body: '{"model":"gpt"}' })).text, '{}');
    });
  });

  it('firstByte: what is left of a failed attempt does not count for the next one, which waits for a connection', async () => {
    const slow = await ScriptedUpstream.start(async (_request, reply) => {
      await sleep(LIMIT_MS * 0.7);
      reply.write(jsonReply('{}', 503));
    });
    const busy = await ScriptedUpstream.start(async (_request, reply, index) => {
      if (index === 0) await sleep(LIMIT_MS * 0.7 + LIMIT_MS);
      reply.write(jsonReply('{"n":1}'));
    });
    const single = deployment('busy', busy.port);
    const gateway = await startFlow(
      [deployment('gpt', slow.port), { ...single, timeoutMs: 60_000, origin: { ...single.origin, maxConnections: 1 } }],
      { firstByteMs: LIMIT_MS },
      { ...NO_RETRIES, fallbacks: { gpt: ['busy'] } },
    );
    try {
      const occupying = chatClient(gateway.port, 'busy');
      await eventually(() => busy.requests.length === 1, 'the only connection is taken');
      const reply = await ask(gateway.port, { key: TEST_KEY, body: '{"model":"gpt"}' });
      assert.equal(reply.status, 200, reply.text);
      assert.equal(reply.header('x-litellm-attempted-fallbacks'), '1');
      assert.equal((await occupying.reply()).status, 200);
    } finally {
      await gateway.stop();
      slow.stop();
      busy.stop();
    }
  });

  it('streamFirstEvent: head, comments and pings are no event', async () => {
    const script: UpstreamScript = async (_request, reply) => {
      const { socket } = reply;
      reply.write(STREAM_HEAD);
      while (!socket.destroyed) {
        reply.write(chunk(': still thinking\n\nevent: ping\ndata: {"type": "ping"}\n\n'));
        await sleep(20);
      }
    };
    const start = (upstream: ScriptedUpstream): ReturnType<typeof startFlow> =>
      startFlow(
        [deployment('claude', upstream.port, { family: 'anthropic', provider: 'anthropic' })],
        { streamFirstEventMs: LIMIT_MS },
        NO_RETRIES,
      );
    await withFlow(script, start, async (gateway) => {
      const from = performance.now();
      const body = '{"model":"claude","stream":true}';
      const reply = await ask(gateway.port, { key: TEST_KEY, path: '/v1/messages', body });
      assert.equal(reply.status, 408);
      assert.ok(since(from) >= LIMIT_MS - CLOCK_SLACK_MS);
      assert.equal((await onlyEvent(gateway)).error, 'upstream_timeout');
    });
  });

  it('streamFirstEvent does not bound what follows the first event', async () => {
    const script: UpstreamScript = async (_request, reply) => {
      reply.write(STREAM_HEAD + chunk(sse('{"n":1}')));
      await sleep(2 * LIMIT_MS);
      reply.write(`${chunk(sse('{"n":2}', '[DONE]'))}0\r\n\r\n`);
    };
    await one('streamFirstEventMs', script, async (gateway) => {
      const reply = await ask(gateway.port, { key: TEST_KEY, body: '{"model":"gpt","stream":true}' });
      assert.equal(reply.text, sse('{"n":1}', '{"n":2}', '[DONE]'));
    });
  });

  it('streamIdle: a stream that falls silent ends with an error event, and says so in its event', async () => {
    const script: UpstreamScript = async (_request, reply) => {
      reply.write(STREAM_HEAD);
      // A comment is a sign of life.
      for (const text of [sse('{"n":1}'), ': a\n\n', ': b\n\n', ': c\n\n']) {
        reply.write(chunk(text));
        await sleep(LIMIT_MS / 2);
      }
    };
    await one('streamIdleMs', script, async (gateway) => {
      const from = performance.now();
      const client = chatClient(gateway.port, 'gpt', ',"stream":true');
      const reply = await client.reply();
      assert.ok(since(from) >= LIMIT_MS * 2.5 - CLOCK_SLACK_MS);
      assert.equal(reply.status, 200);
      const last = reply.text.trimEnd().split('\n\n').at(-1)!;
      const error = JSON.parse(last.replace('data: ', '')) as { error: { message: string; code: string } };
      assert.match(error.error.message, /did not|in time|silent|within/);
      await client.ended();
      const event = await onlyEvent(gateway);
      assert.equal(event.error, 'upstream_interrupted');
      assert.equal(event.status, 200);
    });
  });

  it('request: the call as a whole, retries and fallbacks included, ends in time', async () => {
    const script: UpstreamScript = async (_request, reply) => {
      await sleep(LIMIT_MS * 0.4);
      reply.write(jsonReply('{}', 500));
    };
    await one(
      'requestMs',
      script,
      async (gateway, upstream) => {
        const from = performance.now();
        const reply = await ask(gateway.port, { key: TEST_KEY, body: '{"model":"gpt"}' });
        assert.equal(reply.status, 408);
        assert.equal(reply.header('x-slipstream-error'), 'upstream_timeout');
        assert.ok(since(from) >= LIMIT_MS - CLOCK_SLACK_MS);
        assert.ok(upstream.requests.length >= 2 && upstream.requests.length <= 4);
        await nothingInFlight(gateway.port);
      },
      { settings: { numRetries: 10 } },
    );
  });

  it('request: an answer that trickles in is cut off, visibly', async () => {
    const script: UpstreamScript = async (_request, reply) => {
      const { socket } = reply;
      reply.write('HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 1000000\r\n\r\n{"a":"');
      while (!socket.destroyed) {
        reply.write('x');
        await sleep(10);
      }
    };
    await one('requestMs', script, async (gateway) => {
      const from = performance.now();
      const client = chatClient(gateway.port, 'gpt');
      await client.until((received) => received.includes('{"a":"'));
      const received = await client.ended();
      assert.match(received.toString('latin1'), /^HTTP\/1\.1 200 OK\r\n[^]*transfer-encoding: chunked\r\n/);
      assert.ok(!received.includes('0\r\n\r\n'), 'the last chunk never came');
      assert.ok(since(from) >= LIMIT_MS - CLOCK_SLACK_MS);
      assert.equal((await onlyEvent(gateway)).aborted, 'upstream_interrupted');
    });
  });

  it('request does not bound a stream after its first event', async () => {
    const script: UpstreamScript = async (_request, reply) => {
      reply.write(STREAM_HEAD);
      for (let n = 0; n < 8; n += 1) {
        reply.write(chunk(sse(`{"n":${n}}`)));
        await sleep(LIMIT_MS / 4);
      }
      reply.write(`${chunk(sse('[DONE]'))}0\r\n\r\n`);
    };
    await one('requestMs', script, async (gateway) => {
      const reply = await ask(gateway.port, { key: TEST_KEY, body: '{"model":"gpt","stream":true}' });
      assert.ok(reply.text.endsWith(sse('{"n":7}', '[DONE]')));
    });
  });

  it('the client may ask for less, in its body or a header', async () => {
    await one(
      'connectMs',
      () => undefined,
      async (gateway) => {
        for (const parts of [
          { body: '{"model":"gpt","timeout":0.3}' },
          { body: '{"model":"gpt"}', headers: ['x-litellm-timeout: 0.3'] },
          { body: '{"model":"gpt","stream":true}', headers: ['x-litellm-stream-timeout: 0.3'] },
        ]) {
          const from = performance.now();
          assert.equal((await ask(gateway.port, { key: TEST_KEY, ...parts })).status, 408);
          assert.ok(since(from) >= 300 - CLOCK_SLACK_MS);
        }
      },
    );
  });

  it('connect: a handshake that does not come to an end', async () => {
    // Accepts and never says a word: TLS waits.
    const script: UpstreamScript = () => undefined;
    const upstream = await ScriptedUpstream.start(script);
    const plain = deployment('gpt', upstream.port);
    const gateway = await startFlow(
      [{ ...plain, origin: { ...plain.origin, scheme: 'https' } }],
      { connectMs: LIMIT_MS },
      NO_RETRIES,
    );
    try {
      const from = performance.now();
      const reply = await ask(gateway.port, { key: TEST_KEY, body: '{"model":"gpt"}' });
      assert.equal(reply.status, 408);
      assert.equal(reply.header('x-slipstream-error'), 'upstream_timeout');
      assert.match(reply.text, /127\.0\.0\.1/);
      assert.ok(since(from) >= LIMIT_MS - CLOCK_SLACK_MS);
    } finally {
      await gateway.stop();
      upstream.stop();
    }
  });

  it('poolWait: at the connection limit of an origin', async () => {
    const upstream = await ScriptedUpstream.start(() => undefined);
    const plain = deployment('gpt', upstream.port);
    const gateway = await startFlow(
      [{ ...plain, origin: { ...plain.origin, maxConnections: 1 } }],
      { poolWaitMs: LIMIT_MS },
      NO_RETRIES,
    );
    try {
      const first = chatClient(gateway.port, 'gpt');
      await eventually(() => upstream.requests.length === 1, 'the only connection is taken');
      const from = performance.now();
      const reply = await ask(gateway.port, { key: TEST_KEY, body: '{"model":"gpt"}' });
      assert.equal(reply.status, 408);
      assert.match(reply.text, /none of the 1 connections became free/);
      assert.ok(since(from) >= LIMIT_MS - CLOCK_SLACK_MS);
      first.close();
    } finally {
      await gateway.stop();
      upstream.stop();
    }
  });

  it('upstreamIdle: a connection that nobody needs is closed, and none is before', async () => {
    let closedMs = 0;
    const script: UpstreamScript = (_request, reply) => {
      reply.socket.once('close', () => (closedMs = performance.now()));
      reply.write(jsonReply('{}'));
    };
    await one('upstreamIdleMs', script, async (gateway, upstream) => {
      const client = new RawClient(gateway.port);
      let from = 0;
      // More than the limit in all, with time for a machine that is busy.
      for (let n = 0; n < 6; n += 1) {
        assert.equal((await client.send(chatBytes('gpt')).reply()).status, 200);
        from = performance.now();
        await sleep(LIMIT_MS / 4);
      }
      assert.equal(upstream.connectionCount, 1);
      await eventually(() => closedMs > 0, 'it is closed');
      assert.ok(closedMs - from >= LIMIT_MS - 50);
    });
  });

  it('authLookup: a control plane that does not answer is 503, never 401', async () => {
    const upstream = await ScriptedUpstream.start(() => undefined);
    const gateway = await startSidecar({
      snapshot: snapshotOf([deployment('gpt', upstream.port)], { timeouts: { authLookupMs: LIMIT_MS } }),
      complete: false,
    });
    try {
      const from = performance.now();
      const reply = await ask(gateway.port, { key: 'sk-nobody-knows-0123456789', body: '{"model":"gpt"}' });
      assert.equal(reply.status, 503);
      assert.equal(reply.header('x-slipstream-error'), 'control_unavailable');
      assert.ok(since(from) >= LIMIT_MS - CLOCK_SLACK_MS);
    } finally {
      await gateway.stop();
      upstream.stop();
    }
  });
});
