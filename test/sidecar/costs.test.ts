import assert from 'node:assert/strict';
import { after, before, beforeEach, describe, it } from 'node:test';
import { abortedEvent } from '../../src/contract/journal-reader.ts';
import { DEFAULT_JOURNAL_SETTINGS } from '../../src/contract/snapshot.ts';
import { type OpenEvent, spentNano, type UsageEvent } from '../../src/contract/usage-event.ts';
import type { Price, Prices } from '../../src/domain/pricing/price.ts';
import { chatClient, startFlow } from '../support/flow-support.ts';
import { ask, eventually, RawClient, requestBytes, type RawReply } from '../support/raw-client.ts';
import { chunkedReply, jsonReply, ScriptedUpstream, sse, type UpstreamScript } from '../support/scripted-upstream.ts';
import { deployment, MASTER_KEY, TEST_KEY, type SidecarHarness } from '../support/sidecar-harness.ts';

const USAGE = '"usage":{"prompt_tokens":100,"completion_tokens":50,"prompt_tokens_details":{"cached_tokens":40}}';
/** 60 × 2.5 + 40 × 1.25 + 50 × 10 = 700 µ$ */
const USD = '0.000700000';
const NANO = 700_000;

const OK: UpstreamScript = (_request, answer) => answer.write(jsonReply(`{"model":"up",${USAGE}}`));

const EVENTS = ['content-type: text/event-stream'] as const;

function priced(prices: Prices, rest: Partial<Price> = {}): Price {
  return { prices, steps: [], tiers: {}, ...rest };
}

const PRICE = priced(
  { input: 2_500_000, output: 10_000_000, cacheRead: 1_250_000 },
  { tiers: { flex: { prices: { input: 1_250_000, output: 5_000_000, cacheRead: 625_000 }, steps: [] } } },
);

let upstream: ScriptedUpstream;
let gateway: SidecarHarness;

before(async () => {
  upstream = await ScriptedUpstream.start(OK);
  const { port } = upstream;
  const claude = { family: 'anthropic', provider: 'anthropic', basePath: '' } as const;
  gateway = await startFlow([
    deployment('priced', port, { price: PRICE }),
    deployment('unpriced', port),
    deployment('free', port, { price: priced({ input: 0, output: 0 }) }),
    deployment('by-call', port, { price: priced({ request: 2_000_000_000 }) }),
    deployment('by-time', port, { price: priced({ second: 1_000_000_000 }) }),
    deployment('tts', port, { price: priced({ character: 15_000_000 }) }),
    deployment('painter', port, { price: priced({ image: 40_000_000_000, input: 1000, request: 1_000_000 }) }),
    deployment('any/*', port, { upstreamModel: '*', modelPrices: { 'gpt-x': PRICE } }),
    deployment('claude', port, {
      ...claude,
      price: priced({ input: 3_000_000, output: 15_000_000, cacheWrite1h: 6e6 }),
    }),
  ]);
});
beforeEach(() => {
  upstream.script = OK;
});
after(async () => {
  upstream.stop();
  await gateway.stop();
});

async function run(
  model: string,
  more = '',
  path = '/v1/chat/completions',
): Promise<{ reply: RawReply; event: UsageEvent }> {
  const before = gateway.journal().length;
  const reply = await ask(gateway.port, { key: TEST_KEY, path, body: `{"model":"${model}"${more}}` });
  const events = gateway.journal().slice(before);
  assert.equal(events.length, 1, 'exactly one');
  return { reply, event: events[0]! };
}

function told({ reply, event }: { reply: RawReply; event: UsageEvent }): unknown[] {
  return [reply.header('x-litellm-response-cost'), event.costNano];
}

/** A reply of `bytes` bytes and a usage. */
function replyOf(bytes: number): string {
  const json = `{"model":"up",${USAGE},"x":""}`;
  return json.replace('"x":""', `"x":"${'y'.repeat(bytes - json.length)}"`);
}

describe('the cost of an answer', () => {
  it('stands in its head and in its event, to the digit', async () => {
    assert.deepEqual(told(await run('priced')), [USD, NANO]);
  });

  it('nothing is told where no price is known, and 0 where it is free', async () => {
    assert.deepEqual(told(await run('unpriced')), [null, null]);
    assert.deepEqual(told(await run('free')), ['0.000000000', 0]);
  });

  it('is that of the model that the client named, where it may', async () => {
    assert.deepEqual(told(await run('any/gpt-x')), [USD, NANO]);
    assert.deepEqual(told(await run('any/gpt-y')), [null, null]);
  });

  it('is that of the tier that served', async () => {
    upstream.script = (_request, answer) => answer.write(jsonReply(`{${USAGE},"service_tier":"flex"}`));
    const { reply, event } = await run('priced');
    assert.deepEqual(told({ reply, event }), ['0.000350000', NANO / 2]);
    assert.equal(event.usage?.details?.serviceTier, 'flex');
  });

  it('counts what Anthropic puts beside the input', async () => {
    upstream.script = (_request, answer) => {
      answer.write(
        jsonReply(
          '{"usage":{"input_tokens":10,"cache_creation_input_tokens":5,"cache_creation":{"ephemeral_1h_input_tokens":5},"output_tokens":2}}',
        ),
      );
    };
    assert.deepEqual(told(await run('claude', ',"max_tokens":5', '/v1/messages')), ['0.000090000', 90_000]);
  });

  it('of a stream stands in its event alone', async () => {
    const chunk = `{"choices":[{"delta":{"content":"x"}}]}`;
    upstream.script = (_request, answer) =>
      answer.write(chunkedReply(EVENTS, sse(chunk, `{"choices":[],${USAGE}}`, '[DONE]')));
    assert.deepEqual(told(await run('priced', ',"stream":true')), [null, NANO]);
  });

  it('of a stream that breaks off is that of its estimate', async () => {
    const whole = chunkedReply(EVENTS, sse('{"choices":[{"delta":{"content":"x"}}]}'));
    upstream.script = (_request, answer) => {
      answer.write(whole.subarray(0, whole.length - '0\r\n\r\n'.length));
      answer.end();
    };
    const { event } = await run('priced', ',"stream":true');
    assert.equal(event.usageSource, 'estimated');
    const { inputTokens, outputTokens } = event.usage!;
    assert.equal(event.costNano, inputTokens * 2500 + outputTokens * 10_000);
  });

  it('there is none of an error without usage, also where calls are charged', async () => {
    upstream.script = (_request, answer) => answer.write(jsonReply('{"error":{"message":"no"}}', 400));
    assert.deepEqual(told(await run('priced')), [null, null]);
    assert.deepEqual(told(await run('by-call')), [null, null]);
  });

  it('by the call and by its time needs no usage', async () => {
    upstream.script = (_request, answer) => answer.write(jsonReply('{"ok":true}'));
    assert.deepEqual(told(await run('by-call')), ['0.002000000', 2_000_000]);
    const { reply, event } = await run('by-time');
    assert.equal(reply.header('x-litellm-response-cost'), `0.${String(event.costNano).padStart(9, '0')}`);
    assert.ok(
      event.costNano! <= Math.ceil(event.durationMs) * 1_000_000,
      `${event.costNano} in ${event.durationMs} ms`,
    );
  });
});

describe('a request that takes long', () => {
  it('has in its open line what it costs so far, which is its cost should its process end', async () => {
    const whole = chunkedReply(EVENTS, sse('{"choices":[{"delta":{"content":"x"}}]}'));
    upstream.script = (_request, answer) => answer.write(whole.subarray(0, whole.length - '0\r\n\r\n'.length));
    const journal = { ...DEFAULT_JOURNAL_SETTINGS, openAfterMs: 50 };
    const other = await startFlow([deployment('a', upstream.port, { price: PRICE })], {}, { settings: { journal } });
    try {
      const client = chatClient(other.port, 'a', ',"stream":true');
      await eventually(() => other.journalText().includes('"open"'), 'there is an open line');
      const { usage, costNano } = abortedEvent(JSON.parse(other.journalText()) as OpenEvent);
      assert.equal(costNano, usage!.inputTokens * 2500 + 10_000);
      client.close();
    } finally {
      await other.stop();
    }
  });
});

describe('what is charged by the piece', () => {
  it('the characters of a text to be spoken, told before the sound comes', async () => {
    upstream.script = (_request, answer) =>
      answer.write(chunkedReply(['content-type: audio/mpeg'], 'x'.repeat(100_000)));
    const told15 = told(await run('tts', ',"input":"Grüße \\u0041 👋"', '/v1/audio/speech'));
    assert.deepEqual(told15, ['0.000135000', 135_000]);
    upstream.script = (_request, answer) => answer.write(jsonReply('{"error":{}}', 400));
    assert.deepEqual(told(await run('tts', ',"input":"x"', '/v1/audio/speech')), [null, null]);
  });

  it('the images asked for, beside all else', async () => {
    upstream.script = (_request, answer) => answer.write(jsonReply('{"created":1,"data":[]}'));
    assert.deepEqual(told(await run('painter', ',"n":2', '/v1/images/generations')), ['0.080001000', 80_001_000]);
    assert.deepEqual(told(await run('painter', '', '/v1/images/generations')), ['0.040001000', 40_001_000]);
    upstream.script = (_request, answer) => answer.write(jsonReply('{"usage":{"input_tokens":7,"output_tokens":0}}'));
    assert.deepEqual(told(await run('painter', '', '/v1/images/generations')), ['0.040001007', 40_001_007]);
  });

  it('of requests that ask for none, nothing of it', async () => {
    upstream.script = (_request, answer) => answer.write(jsonReply('{"ok":true}'));
    assert.deepEqual(told(await run('tts', ',"input":"x","n":3')), [null, null]);
    assert.deepEqual(told(await run('painter', ',"n":3')), ['0.000001000', 1000]);
  });
});

describe('failed attempts', () => {
  it('have a cost of their own where their replies say what they used', async () => {
    let asked = 0;
    upstream.script = (_request, answer) => {
      asked += 1;
      answer.write(
        asked === 1 ? jsonReply(`{"error":{"code":"content_filter"},${USAGE}}`, 400) : jsonReply(`{${USAGE}}`),
      );
    };
    const other = await startFlow(
      [
        deployment('a', upstream.port, { price: PRICE }),
        deployment('b', upstream.port, { price: priced({ input: 1e6 }) }),
      ],
      {},
      { contentPolicyFallbacks: { a: ['b'] } },
    );
    try {
      const reply = await ask(other.port, { key: TEST_KEY, body: '{"model":"a"}' });
      const event = other.journal().at(-1)!;
      assert.deepEqual([asked, reply.status], [2, 200]);
      assert.deepEqual(
        event.attempts.map(({ costNano }) => costNano),
        [NANO, null],
      );
      assert.deepEqual([told({ reply, event }), spentNano(event)], [['0.000100000', 100_000], NANO + 100_000]);
    } finally {
      await other.stop();
    }
  });
});

describe('long answers', () => {
  const chunked = (text: string): Buffer => chunkedReply(['content-type: application/json'], text);

  for (const [name, frame] of [
    ['with a length', (text: string) => jsonReply(text)],
    ['chunked', chunked],
  ] as const) {
    it(`tell their cost up to 256 KiB, ${name}`, async () => {
      for (const [bytes, cost] of [
        [70_000, USD],
        [260_000, USD],
        [3_000_000, null],
      ] as const) {
        const text = replyOf(bytes);
        upstream.script = (_request, answer) => answer.write(frame(text));
        const { reply, event } = await run('priced', ',"n":1');
        assert.equal(reply.text, text.replace('"up"', '"priced"'));
        assert.deepEqual(told({ reply, event }), [cost, NANO], String(bytes));
      }
    });
  }

  it('are not held for a cost that nobody knows', async () => {
    const text = replyOf(200_000);
    upstream.script = (_request, answer) => {
      answer.write(`HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: ${text.length}\r\n\r\n`);
      answer.write(text.slice(0, 100_000));
    };
    const client = new RawClient(gateway.port).send(requestBytes({ key: TEST_KEY, body: '{"model":"unpriced"}' }));
    await client.until((bytes) => bytes.length > 50_000);
    client.close();
  });

  it('count in the budget of bytes while they are held', async () => {
    const inFlight = async (): Promise<number> => {
      const { text } = await ask(gateway.port, { method: 'GET', path: '/metrics', key: MASTER_KEY });
      return Number(/^slipstream_in_flight_bytes (\d+)$/m.exec(text)?.[1]);
    };
    const becomes = async (isRight: (bytes: number) => boolean): Promise<void> => {
      const deadline = performance.now() + 5_000;
      while (!isRight(await inFlight())) assert.ok(performance.now() < deadline, 'bytes in flight');
    };
    const text = replyOf(200_000);
    let finish = (): void => {};
    upstream.script = (_request, answer) => {
      answer.write(`HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: ${text.length}\r\n\r\n`);
      answer.write(text.slice(0, 150_000));
      finish = () => answer.write(text.slice(150_000));
    };
    const isIdle = (bytes: number): boolean => bytes < 10_000;
    await becomes(isIdle); // what other tests held is given back
    const client = new RawClient(gateway.port).send(requestBytes({ key: TEST_KEY, body: '{"model":"priced"}' }));
    await becomes((bytes) => bytes >= 192 * 1024);
    finish();
    assert.equal((await client.reply()).header('x-litellm-response-cost'), USD);
    client.close();
    await becomes(isIdle);
  });
});
