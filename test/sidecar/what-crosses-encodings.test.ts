import assert from 'node:assert/strict';
import { after, before, beforeEach, describe, it } from 'node:test';
import { brotliCompressSync, deflateSync, gzipSync, zstdCompressSync, constants } from 'node:zlib';
import { deployment, snapshotOf, startSidecar, TEST_KEY, type SidecarHarness } from '../support/sidecar-harness.ts';
import { RawClient, requestBytes, type RawReply } from '../support/raw-client.ts';
import { closeReply, chunkedReply, jsonReply, reply, ScriptedUpstream, sse } from '../support/scripted-upstream.ts';

const MAX_JSON_BYTES = 1_000_000;
const ENCODERS: Readonly<Record<string, (data: Uint8Array) => Buffer>> = {
  gzip: (data) => gzipSync(data),
  deflate: (data) => deflateSync(data),
  br: (data) => brotliCompressSync(data, { params: { [constants.BROTLI_PARAM_QUALITY]: 3 } }),
  zstd: (data) => zstdCompressSync(data),
};
const USAGE = { inputTokens: 11, outputTokens: 7, cacheReadTokens: 0, cacheWriteTokens: 0, reasoningTokens: 0 };
const REPLY = '{"id":"r","model":"upstream-gpt","usage":{"prompt_tokens":11,"completion_tokens":7,"total_tokens":18}}';

let upstream: ScriptedUpstream;
let gateway: SidecarHarness;
let client: RawClient;

before(async () => {
  upstream = await ScriptedUpstream.start((_request, answer) => {
    answer.write(jsonReply(REPLY));
  });
  gateway = await startSidecar({
    snapshot: snapshotOf(
      [deployment('gpt', upstream.port), deployment('claude', upstream.port, { family: 'anthropic' })],
      { limits: { maxJsonBodyBytes: MAX_JSON_BYTES } },
    ),
  });
});
beforeEach(() => {
  client = new RawClient(gateway.port);
  upstream.script = (_request, answer) => {
    answer.write(jsonReply(REPLY));
  };
});
after(async () => {
  client.close();
  upstream.stop();
  await gateway.stop();
});

async function ask(body: string | Uint8Array, headers: readonly string[]): Promise<RawReply> {
  if (client.hasEnded) client = new RawClient(gateway.port);
  const answer = await client.send(requestBytes({ key: TEST_KEY, body, headers })).reply();
  if (answer.header('connection') === 'close') await client.ended();
  return answer;
}

async function refused(body: string | Uint8Array, ...headers: string[]): Promise<string> {
  const count = upstream.requests.length;
  const refusal = await ask(body, headers);
  assert.equal(upstream.requests.length, count, 'nothing was sent to the provider');
  const good = await ask('{"model":"gpt"}', []);
  assert.equal(good.status, 200, 'the next good request works');
  return `${refusal.status} ${refusal.header('x-slipstream-error')}`;
}

describe('content-encoding of requests', () => {
  const plain = '{"messages":["é"],"tags":["a"],"model":"gpt"}';
  const crossed = '{"messages":["é"],"model":"upstream-gpt"}';

  it('is undone before anything looks at the body; the provider gets it plain', async () => {
    for (const [encoding, encode] of Object.entries(ENCODERS)) {
      for (const header of [`content-encoding: ${encoding}`, `Content-Encoding: ${encoding.toUpperCase()}`]) {
        assert.equal((await ask(encode(Buffer.from(plain)), [header])).status, 200, header);
        assert.equal(upstream.last.body, crossed);
        assert.ok(!/content-encoding/i.test(upstream.last.head));
        assert.ok(upstream.last.lines.includes(`content-length: ${Buffer.byteLength(crossed)}`));
      }
    }
    assert.equal((await ask(ENCODERS['gzip']!(Buffer.from(plain)), ['content-encoding: x-gzip'])).status, 200);
    assert.equal((await ask(plain, ['content-encoding: identity'])).status, 200);
    assert.equal(upstream.last.body, crossed);
  });

  it('works for a body in many reads', async () => {
    const text = Array.from({ length: 30_000 }, (_unused, index) => (index * 7919) % 104_729).join(' ');
    const large = `{"messages":[${JSON.stringify(text)}],"model":"gpt"}`;
    for (const [encoding, encode] of Object.entries(ENCODERS)) {
      const packed = encode(Buffer.from(large));
      const request = requestBytes({ key: TEST_KEY, body: packed, headers: [`content-encoding: ${encoding}`] });
      for (let at = 0; at < request.length; at += 20_000) {
        client.send(request.subarray(at, at + 20_000));
        await new Promise((resolve) => setImmediate(resolve));
      }
      assert.equal((await client.reply()).status, 200);
      assert.equal(upstream.last.body, large.replace('"gpt"', '"upstream-gpt"'));
    }
  });

  it('what is checked is the decoded body', async () => {
    for (const [encoding, encode] of Object.entries(ENCODERS)) {
      const header = `content-encoding: ${encoding}`;
      assert.equal(await refused(encode(Buffer.from('{"model":"gpt","api_base":"x"}')), header), '400 forbidden_field');
      assert.equal(await refused(encode(Buffer.from('{"model":"gpt","Model":"x"}')), header), '400 ambiguous_field');
      assert.equal(await refused(encode(Buffer.from('[]')), header), '400 invalid_json');
      assert.equal(await refused(encode(Buffer.alloc(0)), header), '400 invalid_json');
    }
  });

  it('unknown ones, and more than one layer, are refused with 415', async () => {
    const twice = gzipSync(gzipSync(plain));
    for (const value of ['compress', 'aws-chunked', 'gzip, gzip', 'gzip,br', 'identity, gzip', '"gzip"', '']) {
      assert.equal(await refused(twice, `content-encoding: ${value}`), '415 unsupported_content_encoding', value);
    }
    assert.equal(
      await refused(twice, 'content-encoding: gzip', 'content-encoding: gzip'),
      '415 unsupported_content_encoding',
      'in two lines',
    );
    assert.equal(
      await refused(gzipSync(plain), 'content-encoding: identity', 'content-encoding: gzip'),
      '415 unsupported_content_encoding',
    );
  });

  it('a second layer that is not announced is not undone', async () => {
    assert.equal(await refused(gzipSync(gzipSync(plain)), 'content-encoding: gzip'), '400 invalid_json');
  });

  it('garbage, and what is cut off, is a 400', async () => {
    for (const [encoding, encode] of Object.entries(ENCODERS)) {
      const header = `content-encoding: ${encoding}`;
      const packed = encode(Buffer.from(plain.repeat(3)));
      assert.equal(await refused(Buffer.from(plain), header), '400 invalid_content_encoding', encoding);
      assert.equal(await refused(Buffer.alloc(0), header), '400 invalid_content_encoding', encoding);
      assert.equal(
        await refused(packed.subarray(0, packed.length - 9), header),
        '400 invalid_content_encoding',
        `${encoding}, cut`,
      );
    }
  });

  it('a bomb is a 413, whatever it would become', async () => {
    const size = 64 * 1024 * 1024;
    for (const [encoding, encode] of Object.entries(ENCODERS)) {
      const bomb = encode(Buffer.alloc(size, ' '));
      assert.ok(bomb.length < 200_000, `${encoding}: ${bomb.length}`);
      assert.equal(await refused(bomb, `content-encoding: ${encoding}`), '413 body_too_large', encoding);
    }
    const most = `{"model":"gpt","x":"${' '.repeat(MAX_JSON_BYTES - 22)}"}`;
    assert.equal(most.length, MAX_JSON_BYTES);
    assert.equal((await ask(gzipSync(most), ['content-encoding: gzip'])).status, 200, 'the limit itself is allowed');
    assert.equal(await refused(gzipSync(`${most} `), 'content-encoding: gzip'), '413 body_too_large');
  });
});

describe('content-encoding of replies', () => {
  const lastUsage = (): unknown => gateway.journal().at(-1)?.usage;

  it('is relayed untouched, and the usage is read from a copy', async () => {
    for (const [encoding, encode] of Object.entries(ENCODERS)) {
      const packed = encode(Buffer.from(REPLY));
      const headers = ['content-type: application/json', `content-encoding: ${encoding}`];
      for (const bytes of [
        reply(200, headers, packed),
        chunkedReply(headers, packed, 5),
        closeReply(headers, packed),
      ]) {
        upstream.script = (_request, answer) => {
          answer.write(bytes);
          if (!/content-length|chunked/.test(bytes.toString('latin1', 0, 150))) answer.end();
        };
        const answer = await ask('{"model":"gpt"}', ['accept-encoding: gzip']);
        assert.deepEqual(answer.body, packed, `${encoding} ${answer.framing}`);
        assert.equal(answer.header('content-encoding'), encoding);
        assert.deepEqual(lastUsage(), USAGE);
      }
    }
  });

  it('the same for streams', async () => {
    const events = sse(
      '{"model":"upstream-gpt","choices":[{"delta":{"content":"a"}}]}',
      '{"model":"upstream-gpt","choices":[],"usage":{"prompt_tokens":11,"completion_tokens":7}}',
      '[DONE]',
    );
    for (const [encoding, encode] of Object.entries(ENCODERS)) {
      const packed = encode(Buffer.from(events));
      upstream.script = (_request, answer) => {
        answer.write(chunkedReply(['content-type: text/event-stream', `content-encoding: ${encoding}`], packed, 9));
      };
      const answer = await ask('{"model":"gpt","stream":true}', []);
      assert.deepEqual(answer.body, packed);
      assert.deepEqual(lastUsage(), USAGE);
    }
  });

  it('one that does not decode still reaches the client as it is', async () => {
    for (const encoding of ['gzip', 'compress', 'gzip, br']) {
      upstream.script = (_request, answer) => {
        answer.write(reply(200, ['content-type: application/json', `content-encoding: ${encoding}`], REPLY));
      };
      const answer = await ask('{"model":"gpt"}', []);
      assert.equal(answer.text, REPLY);
      assert.equal(lastUsage(), null);
      assert.equal(gateway.journal().at(-1)?.usageSource, 'none');
    }
  });

  it('identity is no encoding', async () => {
    upstream.script = (_request, answer) => {
      answer.write(jsonReply(REPLY, 200, ['content-encoding: identity']));
    };
    const answer = await ask('{"model":"gpt"}', []);
    assert.equal(answer.text, REPLY.replace('upstream-gpt', 'gpt'));
    assert.deepEqual(lastUsage(), USAGE);
  });
});
