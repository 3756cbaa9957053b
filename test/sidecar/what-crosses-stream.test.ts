import assert from 'node:assert/strict';
import { after, before, beforeEach, describe, it } from 'node:test';
import { deployment, snapshotOf, startSidecar, TEST_KEY, type SidecarHarness } from '../support/sidecar-harness.ts';
import { RawClient, requestBytes, type RawReply } from '../support/raw-client.ts';
import { chunkedReply, closeReply, reply, ScriptedUpstream, sse } from '../support/scripted-upstream.ts';

const TYPE = 'content-type: text/event-stream; charset=utf-8';
const chunk = (rest: string, model = 'upstream-gpt'): string =>
  `{"id":"c","object":"chat.completion.chunk","created":1,"model":"${model}",${rest}}`;
const delta = (text: string, model?: string): string =>
  chunk(`"choices":[{"index":0,"delta":{"content":"${text}"}}],"usage":null`, model);
const usageOnly = (model?: string): string =>
  chunk('"choices":[],"usage":{"prompt_tokens":11,"completion_tokens":7,"total_tokens":18}', model);
const USAGE = { inputTokens: 11, outputTokens: 7, cacheReadTokens: 0, cacheWriteTokens: 0, reasoningTokens: 0 };

let upstream: ScriptedUpstream;
let gateway: SidecarHarness;
let keeping: SidecarHarness;
let client: RawClient;

before(async () => {
  upstream = await ScriptedUpstream.start(() => undefined);
  const deployments = [
    deployment('gpt', upstream.port),
    deployment('bare', upstream.port, { injectsUsage: false, upstreamModel: 'bare' }),
    deployment('claude', upstream.port, { family: 'anthropic' }),
  ];
  gateway = await startSidecar({ snapshot: snapshotOf(deployments) });
  keeping = await startSidecar({ snapshot: snapshotOf(deployments, { settings: { replyModel: 'upstream' } }) });
});
beforeEach(() => {
  client = new RawClient(gateway.port);
});
after(async () => {
  client.close();
  upstream.stop();
  await gateway.stop();
  await keeping.stop();
});

interface StreamRequest {
  readonly body?: string;
  readonly path?: string;
  readonly minor?: 0 | 1;
}

async function stream(parts: StreamRequest = {}): Promise<RawReply> {
  if (client.hasEnded) client = new RawClient(gateway.port);
  const { body = '{"model":"gpt","stream":true}', path = '/v1/chat/completions', minor = 1 } = parts;
  const bytes = requestBytes({ key: TEST_KEY, path, body });
  const request = minor === 1 ? bytes : Buffer.from(bytes.toString('latin1').replace('HTTP/1.1', 'HTTP/1.0'), 'latin1');
  const answer = await client.send(request).reply();
  if (answer.header('connection') === 'close') await client.ended();
  return answer;
}

function answers(bytes: Buffer, ...cuts: readonly number[]): void {
  upstream.script = async (_request, answer) => {
    await answer.writeSplit(bytes, ...cuts);
    if (!/content-length|chunked/.test(bytes.toString('latin1', 0, bytes.indexOf('\r\n\r\n')))) answer.end();
  };
}

/** The same stream as providers frame it. */
function framings(events: string): readonly (readonly [name: string, bytes: Buffer])[] {
  return [
    ['chunked', chunkedReply([TYPE], events)],
    ['chunks of 40', chunkedReply([TYPE], events, 40)],
    ['close', closeReply([TYPE], events)],
    ['length', reply(200, [TYPE], events)],
  ];
}

const lastEvent = (): ReturnType<SidecarHarness['journal']>[number] | undefined => gateway.journal().at(-1);

describe('the injected usage chunk', () => {
  const sent = sse(delta('a'), delta('é 𝄞'), usageOnly(), '[DONE]');
  const relayed = sse(delta('a', 'gpt'), delta('é 𝄞', 'gpt'), '[DONE]');

  it('is read and taken out, every other byte stays', async () => {
    for (const [name, bytes] of framings(sent)) {
      answers(bytes);
      const answer = await stream();
      assert.equal(answer.text, relayed, name);
      assert.equal(answer.header('content-type'), 'text/event-stream; charset=utf-8');
      assert.deepEqual(lastEvent()?.usage, USAGE, name);
      assert.equal(lastEvent()?.stream, true);
    }
  });

  it('is taken out wherever the stream is cut', async () => {
    const short = (model: string): string => `{"model":"${model}","choices":[{"delta":{"content":"é"}}]}`;
    const usage = '{"model":"up","choices":[],"usage":{"prompt_tokens":11,"completion_tokens":7}}';
    const bytes = chunkedReply([TYPE], sse(short('up'), usage, '[DONE]'), 70);
    for (let cut = 1; cut < bytes.length; cut += 1) {
      answers(bytes, cut);
      const answer = await stream();
      assert.equal(answer.text, sse(short('gpt'), '[DONE]'), `cut at ${cut} of ${bytes.length}`);
      assert.deepEqual(lastEvent()?.usage, USAGE);
    }
  });

  it('is taken out when every byte comes alone', async () => {
    const bytes = chunkedReply([TYPE], sent, 100);
    answers(bytes, ...Array.from({ length: bytes.length - 1 }, (_unused, index) => index + 1));
    assert.equal((await stream()).text, relayed);
  });

  it('in the spellings that providers use for events', async () => {
    for (const events of [
      sent.replaceAll('\n', '\r\n'),
      sent.replaceAll('data: ', 'data:'),
      `: comment\n\n${sent}`,
      sent.replaceAll('data: ', 'event: chunk\nid: 1\ndata: '),
      sse(delta('a'), usageOnly().replace('"choices":[]', '"choices": [ ]'), '[DONE]'),
      sse(delta('a'), usageOnly().replaceAll(',"', ' ,\t"'), '[DONE]'),
    ]) {
      answers(chunkedReply([TYPE], events));
      const { text } = await stream();
      assert.ok(!text.includes('prompt_tokens'), text);
      assert.ok(text.includes('"content":"a"') && text.includes('[DONE]'));
      assert.deepEqual(lastEvent()?.usage, USAGE);
    }
  });

  it('also when the provider stops without [DONE] or without the last empty line', async () => {
    for (const events of [sse(delta('a'), usageOnly()), sse(delta('a'), usageOnly()).trimEnd()]) {
      answers(closeReply([TYPE], events));
      assert.equal((await stream()).text, sse(delta('a', 'gpt')));
      assert.deepEqual(lastEvent()?.usage, USAGE);
    }
  });

  it('only if choices are empty and usage is an object', async () => {
    const others = [
      chunk(
        '"choices":[{"index":0,"delta":{},"finish_reason":"stop"}],"usage":{"prompt_tokens":11,"completion_tokens":7}',
      ),
      chunk('"choices":[],"prompt_filter_results":[{}],"usage":null'),
      chunk('"choices":[]'),
      '{"usage":{"prompt_tokens":11,"completion_tokens":7}}',
    ];
    answers(chunkedReply([TYPE], sse(...others, '[DONE]')));
    assert.equal((await stream()).text, sse(...others, '[DONE]').replaceAll('upstream-gpt', 'gpt'));
    assert.deepEqual(lastEvent()?.usage, USAGE);
  });

  it('stays for a client that asked for it, and where nothing was injected', async () => {
    answers(chunkedReply([TYPE], sent));
    const asked = await stream({ body: '{"model":"gpt","stream":true,"stream_options":{"include_usage":true}}' });
    assert.equal(asked.text, sent.replaceAll('upstream-gpt', 'gpt'));
    answers(chunkedReply([TYPE], sent));
    const bare = await stream({ body: '{"model":"bare","stream":true}' });
    assert.equal(bare.text, sent.replaceAll('upstream-gpt', 'bare'));
    assert.deepEqual(lastEvent()?.usage, USAGE);
  });

  it('the same on completions', async () => {
    const text = '{"id":"c","object":"text_completion","model":"upstream-gpt","choices":[{"text":"a"}]}';
    answers(chunkedReply([TYPE], sse(text, usageOnly(), '[DONE]')));
    assert.equal((await stream({ path: '/v1/completions' })).text, sse(text, '[DONE]').replace('upstream-gpt', 'gpt'));
    assert.deepEqual(lastEvent()?.usage, USAGE);
  });
});

describe('model in each event', () => {
  it('is the name that the client asked for: chat', async () => {
    answers(chunkedReply([TYPE], sse(delta('a', 'up'), delta('{\\"model\\":\\"x\\"}', 'up'), '[DONE]'), 30));
    assert.equal((await stream()).text, sse(delta('a', 'gpt'), delta('{\\"model\\":\\"x\\"}', 'gpt'), '[DONE]'));
  });

  it('Responses and Anthropic, where it lies one level down', async () => {
    const usage = '"usage":{"input_tokens":3,"output_tokens":4}';
    const responses = [
      `event: response.created\ndata: {"type":"response.created","response":{"id":"resp_1","model":"up","status":"in_progress"}}\n\n`,
      `event: response.output_text.delta\ndata: {"type":"response.output_text.delta","delta":"\\"model\\":\\"up\\""}\n\n`,
      `event: response.completed\ndata: {"type":"response.completed","response":{"id":"resp_1","model":"up",${usage}}}\n\n`,
    ].join('');
    answers(chunkedReply([TYPE], responses, 50));
    const answer = await stream({ path: '/v1/responses' });
    assert.equal(answer.text, responses.replaceAll('"model":"up"', '"model":"gpt"'));
    assert.deepEqual(lastEvent()?.usage, { ...USAGE, inputTokens: 3, outputTokens: 4 });

    const messages = [
      `event: message_start\ndata: {"type":"message_start","message":{"id":"msg_1","model":"up","usage":{"input_tokens":9,"cache_read_input_tokens":5,"output_tokens":1}}}\n\n`,
      `event: ping\ndata: {"type": "ping"}\n\n`,
      `event: content_block_delta\ndata: {"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":"model"}}\n\n`,
      `event: message_delta\ndata: {"type":"message_delta","delta":{"stop_reason":"end_turn"},"usage":{"output_tokens":15}}\n\n`,
      `event: message_stop\ndata: {"type":"message_stop"}\n\n`,
    ].join('');
    answers(chunkedReply([TYPE], messages, 50));
    const claude = await stream({ path: '/v1/messages', body: '{"model":"claude","stream":true}' });
    assert.equal(claude.text, messages.replace('"model":"up"', '"model":"claude"'));
    assert.deepEqual(lastEvent()?.usage, { ...USAGE, inputTokens: 14, outputTokens: 15, cacheReadTokens: 5 });
  });

  it('stays where the setting says upstream; the usage chunk is still taken out', async () => {
    answers(chunkedReply([TYPE], sse(delta('a'), usageOnly(), '[DONE]')));
    client = new RawClient(keeping.port);
    assert.equal((await stream()).text, sse(delta('a'), '[DONE]'));
    client.close();
    client = new RawClient(gateway.port);
  });
});

describe('streams as the client gets them', () => {
  it('each event at once, before the next one has come', async () => {
    const gate = Promise.withResolvers<void>();
    upstream.script = async (_request, answer) => {
      answer.write(Buffer.from(`HTTP/1.1 200 OK\r\n${TYPE}\r\nconnection: close\r\n\r\n${sse(delta('first'))}`));
      await gate.promise;
      answer.write(sse(delta('second'), '[DONE]'));
      answer.end();
    };
    client.send(requestBytes({ key: TEST_KEY, body: '{"model":"gpt","stream":true}' }));
    const received = await client.until((bytes) => bytes.includes('first'));
    assert.ok(received.toString().endsWith('\n\n\r\n'), 'the whole event, with its empty line');
    gate.resolve();
    assert.equal((await client.reply()).text, sse(delta('first', 'gpt'), delta('second', 'gpt'), '[DONE]'));
  });

  it('comments and pings before the first event are held with the head, and not lost', async () => {
    const gate = Promise.withResolvers<void>();
    upstream.script = async (_request, answer) => {
      await answer.writeSplit(Buffer.from(`HTTP/1.1 200 OK\r\n${TYPE}\r\n\r\n: PROCESSING\n\n`), 30);
      await gate.promise;
      answer.write(sse(delta('a'), '[DONE]'));
      answer.end();
    };
    client.send(requestBytes({ key: TEST_KEY, body: '{"model":"gpt","stream":true}' }));
    await new Promise((resolve) => setTimeout(resolve, 20));
    assert.equal(client.received.length, 0, 'nothing leaves before it is known to be no error');
    gate.resolve();
    assert.equal((await client.reply()).text, `: PROCESSING\n\n${sse(delta('a', 'gpt'), '[DONE]')}`);
  });

  it('without a data event the first 64 KiB are held, not more', async () => {
    const comments = `: ${'x'.repeat(1000)}\n\n`.repeat(100);
    const gate = Promise.withResolvers<void>();
    upstream.script = async (_request, answer) => {
      answer.write(Buffer.from(`HTTP/1.1 200 OK\r\n${TYPE}\r\n\r\n${comments}`));
      await gate.promise;
      answer.end();
    };
    client.send(requestBytes({ key: TEST_KEY, body: '{"model":"gpt","stream":true}' }));
    await client.until((bytes) => bytes.length > 64 * 1024);
    gate.resolve();
    assert.equal((await client.reply()).text, comments);
  });

  it('to HTTP/1.0 without chunks, ended by the connection', async () => {
    upstream.script = async (_request, answer) => {
      const bytes = chunkedReply([TYPE], sse(delta('a'), usageOnly(), '[DONE]'));
      await answer.writeSplit(bytes, bytes.indexOf('\n\n') + 30);
    };
    const answer = await stream({ minor: 0 });
    assert.equal(answer.framing, 'close');
    assert.equal(answer.text, sse(delta('a', 'gpt'), '[DONE]'));
  });

  it('with the gateway’s headers', async () => {
    answers(chunkedReply([TYPE], sse(delta('a'), '[DONE]')));
    const answer = await stream();
    assert.equal(answer.header('x-slipstream-call-id'), lastEvent()?.id);
    assert.equal(answer.header('x-slipstream-attempts'), '1');
    assert.ok(Number(answer.header('x-slipstream-overhead-us')) > 0);
    assert.equal(answer.header('x-litellm-model-id'), `gpt-${upstream.port}`);
  });

  it('a JSON answer to a request for a stream is JSON', async () => {
    answers(reply(200, ['content-type: application/json'], '{"model":"up"}'));
    assert.equal((await stream()).text, '{"model":"gpt"}');
  });

  it('a large event passes', async () => {
    const large = sse(delta('x'.repeat(1_500_000)), usageOnly(), '[DONE]');
    answers(chunkedReply([TYPE], large, 60_000));
    const { text } = await stream();
    assert.ok(text === sse(delta('x'.repeat(1_500_000)), '[DONE]'), 'one too large to be edited keeps its model');
    assert.deepEqual(lastEvent()?.usage, USAGE);
  });
});

describe('a stream that breaks after commit', () => {
  const first = sse(delta('a'));

  it('ends with an error event in the client’s protocol, then the connection closes', async () => {
    for (const breaks of ['end', 'reset'] as const) {
      upstream.script = async (_request, answer) => {
        await answer.writeSplit(
          Buffer.from(
            `HTTP/1.1 200 OK\r\n${TYPE}\r\ntransfer-encoding: chunked\r\n\r\n${first.length.toString(16)}\r\n${first}\r\n`,
          ),
        );
        answer[breaks]();
      };
      const answer = await stream();
      assert.equal(answer.framing, 'chunked', 'and is complete as HTTP');
      const text = answer.text.slice(sse(delta('a', 'gpt')).length).trim();
      const { error } = JSON.parse(text.replace('data: ', '')) as { error: Record<string, unknown> };
      assert.equal(error['code'], '502');
      assert.equal(error['type'], 'APIConnectionError');
      await client.ended();
      assert.equal(lastEvent()?.status, 200);
      assert.equal(lastEvent()?.error, 'upstream_interrupted');
    }
  });

  it('in the middle of an event too: the error is an event of its own', async () => {
    upstream.script = async (_request, answer) => {
      await answer.writeSplit(
        Buffer.from(`HTTP/1.1 200 OK\r\n${TYPE}\r\ncontent-length: 99999\r\n\r\n${first}data: {"half":`),
      );
      answer.reset();
    };
    const events = (await stream()).text.split('\n\n').filter((event) => event !== '');
    assert.equal(events[0], sse(delta('a', 'gpt')).trimEnd());
    const last = events.at(-1) ?? '';
    assert.ok(last.startsWith('data: {"error":'), last);
  });

  it('on /v1/messages it is Anthropic’s error event', async () => {
    const start =
      'event: message_start\ndata: {"type":"message_start","message":{"model":"up","usage":{"input_tokens":9,"output_tokens":1}}}\n\n';
    upstream.script = async (_request, answer) => {
      await answer.writeSplit(Buffer.from(`HTTP/1.1 200 OK\r\n${TYPE}\r\ncontent-length: 99999\r\n\r\n${start}`));
      answer.reset();
    };
    const { text } = await stream({ path: '/v1/messages', body: '{"model":"claude","stream":true}' });
    const [, error = ''] = /\n\nevent: error\ndata: (.*)\n\n$/.exec(text) ?? [];
    const value = JSON.parse(error) as { type: string; error: { type: string } };
    assert.equal(value.type, 'error');
    assert.equal(value.error.type, 'api_error');
    assert.deepEqual(lastEvent()?.usage, { ...USAGE, inputTokens: 9, outputTokens: 1 }, 'partial usage is recorded');
  });

  it('after the provider said it was over, nothing is missing', async () => {
    upstream.script = async (_request, answer) => {
      await answer.writeSplit(
        Buffer.from(
          `HTTP/1.1 200 OK\r\n${TYPE}\r\ncontent-length: 99999\r\n\r\n${sse(delta('a'), usageOnly(), '[DONE]')}`,
        ),
      );
      answer.reset();
    };
    assert.equal((await stream()).text, sse(delta('a', 'gpt'), '[DONE]'));
    assert.equal(lastEvent()?.error, null);
    assert.deepEqual(lastEvent()?.usage, USAGE);
  });

  it('JSON that breaks off is never taken for whole', async () => {
    const large = `{"model":"up","x":"${'y'.repeat(200_000)}`;
    for (const minor of [1, 0] as const) {
      upstream.script = async (_request, answer) => {
        await answer.writeSplit(
          Buffer.from(`HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 999999\r\n\r\n${large}`),
        );
        await new Promise((resolve) => setTimeout(resolve, 10));
        answer.reset();
      };
      const bytes = requestBytes({ key: TEST_KEY, body: '{"model":"gpt"}' }).toString('latin1');
      const own = new RawClient(gateway.port);
      own.send(minor === 1 ? bytes : bytes.replace('HTTP/1.1', 'HTTP/1.0'));
      const received = (await own.ended()).toString('latin1');
      assert.ok(received.startsWith('HTTP/1.1 200'), received.slice(0, 50));
      if (minor === 1) assert.ok(!received.endsWith('0\r\n\r\n'), 'no last chunk');
      else assert.equal(own.error?.code, 'ECONNRESET', 'an end that is no end');
      assert.equal(lastEvent()?.aborted, 'upstream_interrupted');
      assert.equal(lastEvent()?.error, 'upstream_interrupted');
    }
  });
});
