import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { ENDPOINT_NAMES, ENDPOINTS, type EndpointName } from '../../src/domain/endpoints.ts';
import { fails, withWorld, type FailureWorld } from '../support/failure-support.ts';
import { ask, RawClient, requestBytes, type RawReply } from '../support/raw-client.ts';
import { jsonReply, type UpstreamScript } from '../support/scripted-upstream.ts';
import { TEST_KEY } from '../support/sidecar-harness.ts';

const HEAD = 'HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n';
const OVERLOADED = '{"error":{"message":"overloaded","code":503}}';

interface Talk {
  readonly event: string;
  readonly error: string;
}

/** The first real event of each stream, and how it tells an error. */
const TALK: Partial<Record<EndpointName, Talk>> = {
  chat_completions: { event: 'data: {"choices":[{"delta":{}}]}\n\n', error: `data: ${OVERLOADED}\n\n` },
  completions: { event: 'data: {"choices":[{"text":"x"}]}\n\n', error: `data: ${OVERLOADED}\n\n` },
  responses: {
    event: 'event: response.created\ndata: {"type":"response.created","response":{"id":"r1"}}\n\n',
    error: 'event: error\ndata: {"type":"error","code":"server_error","message":"overloaded"}\n\n',
  },
  images_generations: {
    event: 'event: image_generation.partial_image\ndata: {"type":"image_generation.partial_image"}\n\n',
    error: 'event: error\ndata: {"type":"error","error":{"message":"overloaded"}}\n\n',
  },
  messages: {
    event: 'event: message_start\ndata: {"type":"message_start","message":{}}\n\n',
    error: 'event: error\ndata: {"type":"error","error":{"type":"overloaded_error","message":"overloaded"}}\n\n',
  },
};
const STREAMING = ENDPOINT_NAMES.filter((name) => ENDPOINTS[name].streams);

const streams =
  (...parts: readonly string[]): UpstreamScript =>
  (_request, reply) => {
    const body = parts.join('');
    reply.write(`${HEAD}content-length: ${Buffer.byteLength(body)}\r\n\r\n${body}`);
  };

async function withEndpoint(
  name: EndpointName,
  body: (world: FailureWorld, send: (more?: string) => Promise<RawReply>) => Promise<void>,
): Promise<void> {
  const { family } = ENDPOINTS[name];
  const specs = { a: { family }, b: { family } };
  const failure = { areCooldownsOff: true };
  await withWorld(
    { m: 'ab' },
    { specs, failure, timeouts: { streamFirstEventMs: 300, streamIdleMs: 300 } },
    async (world) => {
      const send = (more = '"stream":true'): Promise<RawReply> =>
        ask(world.gateway.port, { key: TEST_KEY, path: `/v1${ENDPOINTS[name].path}`, body: `{"model":"m",${more}}` });
      await body(world, send);
    },
  );
}

describe('the commit point, on every endpoint', { concurrency: true }, () => {
  it('each that streams is looked at', () => {
    assert.deepEqual(Object.keys(TALK), STREAMING);
  });

  for (const name of STREAMING) {
    const { event, error } = TALK[name]!;

    it(`${name}: before it an error, a break or a silence is a failed attempt`, async () => {
      await withEndpoint(name, async (world, send) => {
        world.answers('b', streams(event));
        for (const script of [
          streams(error),
          streams(': wait\n\n', error),
          (_request, reply) => {
            reply.write(`${HEAD}content-length: 500\r\n\r\n: wait\n\n`);
            reply.reset();
          },
          (_request, reply) => {
            reply.write(`${HEAD}content-length: 500\r\n\r\n: wait\n\n`);
          },
        ] satisfies UpstreamScript[]) {
          world.forget();
          world.answers('a', script);
          const reply = await send();
          assert.equal(world.asked.at(-1), 'b');
          assert.equal(reply.text, event);
        }
      });
    });

    it(`${name}: after it an error event in its protocol, then the end`, async () => {
      await withEndpoint(name, async (world, send) => {
        world.answers('a', async (_request, reply) => {
          reply.write(`${HEAD}transfer-encoding: chunked\r\n\r\n${event.length.toString(16)}\r\n${event}\r\n`);
          await sleep(30);
          reply.reset();
        });
        const { text, status } = await send();
        assert.equal(status, 200);
        assert.equal(world.asked.join(''), 'a', 'nothing is tried again');
        assert.ok(text.startsWith(event));
        const last = text.trimEnd().split('\n\n').at(-1)!.trim();
        const data = JSON.parse(last.slice(last.indexOf('data: ') + 6)) as {
          type?: string;
          message?: string;
          error: { message: string };
        };
        assert.match(data.error.message, /lost|closed/);
        const isTyped = ENDPOINTS[name].usage === 'openai-responses' || ENDPOINTS[name].family === 'anthropic';
        assert.equal(last.startsWith('event: error\n'), isTyped);
        assert.equal(data.type, isTyped ? 'error' : undefined);
        if (ENDPOINTS[name].usage === 'openai-responses') assert.equal(data.message, data.error.message);
      });
    });

    it(`${name}: what is held is bounded by 64 KiB`, async () => {
      await withEndpoint(name, async (world) => {
        const padding = `: ${'x'.repeat(1021)}\n\n`;
        world.answers('a', (_request, reply) => {
          reply.write(`${HEAD}content-length: 9999999\r\n\r\n${padding.repeat(70)}`);
        });
        const body = '{"model":"m","stream":true}';
        const client = new RawClient(world.gateway.port).send(
          requestBytes({ key: TEST_KEY, path: `/v1${ENDPOINTS[name].path}`, body }),
        );
        // Committed: the head leaves, and silence ends the stream instead of moving the request elsewhere.
        const reply = await client.reply();
        client.close();
        assert.equal(reply.status, 200);
        assert.ok(reply.text.length >= 64 * 1024);
        assert.equal(world.asked.join(''), 'a');
      });
    });
  }

  for (const name of ENDPOINT_NAMES) {
    it(`${name}, not streamed: an error, a broken body and garbage go elsewhere`, async () => {
      await withEndpoint(name, async (world, send) => {
        world.answers('b', (_request, reply) => {
          reply.write(jsonReply('{"b":1}'));
        });
        for (const script of [
          fails(503),
          (_request, reply) => {
            reply.write('HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 100\r\n\r\n{"a":');
            reply.reset();
          },
          (_request, reply) => {
            reply.write('garbage\r\n\r\n');
          },
        ] satisfies UpstreamScript[]) {
          world.forget();
          world.answers('a', script);
          const reply = await send('"n":1');
          assert.equal(world.asked.join(''), 'ab');
          assert.equal(reply.text, '{"b":1}');
        }
      });
    });
  }
});
