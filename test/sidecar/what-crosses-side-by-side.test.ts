import assert from 'node:assert/strict';
import { setTimeout as sleep } from 'node:timers/promises';
import { after, before, it } from 'node:test';
import {
  deployment,
  keyRecord,
  sha256,
  snapshotOf,
  startSidecar,
  type SidecarHarness,
} from '../support/sidecar-harness.ts';
import { RawClient, requestBytes } from '../support/raw-client.ts';
import { jsonReply, ScriptedUpstream, sse, type UpstreamScript } from '../support/scripted-upstream.ts';

/*
 * Memory that is used again must not show: many requests at once, each held up somewhere (key look-up, connection, slow
 * provider, retry) while others come in, and every byte of each is still its own.
 */

const CONNECTIONS = 16;
const ROUNDS = 3;
const SIZES = [10, 900, 16_384, 20_000, 70_000, 200_000];

let first: ScriptedUpstream;
let second: ScriptedUpstream;
let gateway: SidecarHarness;

const filler = (id: string, size: number): string => `${id};`.repeat(Math.ceil(size / (id.length + 1))).slice(0, size);
const idOf = (head: string): string => /idempotency-key: (\S+)/.exec(head)![1]!;

before(async () => {
  first = await ScriptedUpstream.start(async (_request, answer) => {
    await sleep(Math.random() * 8);
    answer.write(jsonReply('{"error":"busy"}', 503));
  });
  second = await ScriptedUpstream.start(echo);
  gateway = await startSidecar({
    snapshot: snapshotOf([
      deployment('gpt', first.port, { id: 'first' }),
      deployment('gpt', second.port, { id: 'second', order: 1 }),
    ]),
    keys: [],
    complete: false,
    onMessage: (message, send) => {
      if (message.type !== 'key-lookup') return;
      setTimeout(() => {
        send({
          type: 'key-answer',
          id: message.id,
          hash: message.hash,
          record: { ...keyRecord('x'), hash: message.hash },
          failed: false,
        });
      }, 3);
    },
  });
});
after(async () => {
  first.stop();
  second.stop();
  await gateway.stop();
});

/** Answers with the id and as many bytes as were asked, in two pieces, as JSON or as a stream. */
const echo: UpstreamScript = async (request, answer) => {
  const id = idOf(request.head);
  const { size, stream } = JSON.parse(request.body) as { size: number; stream?: boolean };
  const text = filler(id, size);
  await sleep(Math.random() * 8);
  const bytes = stream === true ? streamOf(text) : jsonReply(`{"model":"up","text":"${text}"}`);
  const cut = Math.floor(bytes.length * Math.random());
  answer.write(bytes.subarray(0, cut));
  await sleep(Math.random() * 4);
  answer.write(bytes.subarray(cut));
};

function streamOf(text: string): Buffer {
  const events = sse(`{"model":"up","choices":[{"delta":{"content":"${text}"}}]}`, '[DONE]');
  return Buffer.from(
    `HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ncontent-length: ${events.length}\r\n\r\n${events}`,
  );
}

it('requests side by side keep their bytes, both ways and in every attempt', async () => {
  const expected = new Map<string, string>();
  await Promise.all(
    Array.from({ length: CONNECTIONS }, async (_unused, n) => {
      const client = new RawClient(gateway.port);
      for (let round = 0; round < ROUNDS; round += 1) {
        const id = `id-${n}-${round}`;
        const size = SIZES[(n + round) % SIZES.length]!;
        const stream = n % 2 === 0;
        const body = `{"text":"${filler(id, size)}","size":${size},"tags":["${id}"],"model":"gpt"${stream ? ',"stream":true' : ''}}`;
        const injected = stream ? ',"stream":true,"stream_options":{"include_usage":true}' : '';
        expected.set(id, `{"text":"${filler(id, size)}","size":${size},"model":"upstream-gpt"${injected}}`);
        const request = requestBytes({
          key: `sk-${id}`,
          headers: [`idempotency-key: ${id}`, `user-agent: ${id}/1`, `anthropic-beta: ${filler(id, 300)}`],
          body,
        });
        // In pieces, so that the others' come in between.
        const step = Math.max(200, Math.floor(request.length / 5));
        for (let at = 0; at < request.length; at += step) {
          client.send(request.subarray(at, at + step));
          if (round > 0) await sleep(Math.random() * 3);
        }
        const reply = await client.reply();
        assert.equal(reply.status, 200, reply.text);
        const answer = stream
          ? streamOf(filler(id, size))
              .toString()
              .replace(/^[^]*?\r\n\r\n/, '')
          : `{"model":"up","text":"${filler(id, size)}"}`;
        assert.ok(reply.text === answer.replace('"up"', '"gpt"'), `${id}: its own reply`);
      }
      client.close();
    }),
  );
  for (const upstream of [first, second]) {
    assert.equal(upstream.fault, null);
    assert.equal(upstream.requests.length, CONNECTIONS * ROUNDS);
    for (const request of upstream.requests) {
      const id = idOf(request.head);
      assert.ok(request.body === expected.get(id), `${id}: its own body`);
      assert.deepEqual(request.lines.slice(1), [
        `host: 127.0.0.1:${upstream.port}`,
        'accept-encoding: identity',
        'authorization: Bearer sk-provider-secret',
        `idempotency-key: ${id}`,
        `user-agent: ${id}/1`,
        `anthropic-beta: ${filler(id, 300)}`,
        'content-type: application/json',
        `content-length: ${Buffer.byteLength(request.body)}`,
      ]);
    }
  }
  for (const event of gateway.journal()) {
    const [id] = event.tags;
    assert.equal(event.key, sha256(`sk-${id}`), 'its own key');
  }
});
