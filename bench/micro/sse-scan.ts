// Microseconds per event of reading a provider's stream on its way to the client.
//   node bin/slipstream.js node -- bench/micro/sse-scan.ts
import { asBytes, type Bytes } from '../../src/base/bytes.ts';
import type { UsageShape } from '../../src/domain/endpoints.ts';
import { StreamReplyReader } from '../../src/domain/reply/stream-reply-reader.ts';

const EVENTS = 2000;
const ROUNDS = 31;

const openaiEvent = (n: number, usage: string): string =>
  `data: {"id":"chatcmpl-BxYz0123456789abcdefghijklmn","object":"chat.completion.chunk","created":1763800000,` +
  `"model":"gpt-4o-2024-08-06","service_tier":"default","system_fingerprint":"fp_0123456789",` +
  `"choices":[{"index":0,"delta":{"content":" word${n % 10}"},"logprobs":null,"finish_reason":null}]${usage}}\n\n`;
const shortOpenaiEvent = (n: number): string =>
  `data: {"id":"chatcmpl-0123456789","object":"chat.completion.chunk","created":1763800000,"model":"llama-3.1-8b",` +
  `"choices":[{"index":0,"delta":{"content":" w${n % 10}"},"finish_reason":null}]}\n\n`;
const anthropicEvent = (n: number): string =>
  `event: content_block_delta\ndata: {"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":" word${n % 10}"}}\n\n`;
const responsesEvent = (n: number): string =>
  `event: response.output_text.delta\ndata: {"type":"response.output_text.delta","sequence_number":${n},` +
  `"item_id":"msg_0123456789abcdef0123456789abcdef","output_index":0,"content_index":0,"delta":" word${n % 10}","logprobs":[]}\n\n`;
const everyUsage = ',"usage":{"prompt_tokens":12,"completion_tokens":5,"total_tokens":17}';

interface Case {
  readonly name: string;
  readonly shape: UsageShape;
  readonly event: (n: number) => string;
  readonly replyModel: string | null;
  readonly drops: boolean;
}

const cases: Case[] = [
  { name: 'OpenAI, spliced', shape: 'openai', event: (n) => openaiEvent(n, ''), replyModel: 'gpt-4o', drops: false },
  {
    name: 'OpenAI, spliced, usage:null',
    shape: 'openai',
    event: (n) => openaiEvent(n, ',"usage":null'),
    replyModel: 'gpt-4o',
    drops: true,
  },
  { name: 'OpenAI short, spliced', shape: 'openai', event: shortOpenaiEvent, replyModel: 'fast', drops: true },
  {
    name: 'OpenAI, usage in each, spliced',
    shape: 'openai',
    event: (n) => openaiEvent(n, everyUsage),
    replyModel: 'gpt-4o',
    drops: true,
  },
  { name: 'OpenAI, bytes through', shape: 'openai', event: (n) => openaiEvent(n, ''), replyModel: null, drops: false },
  { name: 'Anthropic, spliced', shape: 'anthropic', event: anthropicEvent, replyModel: 'claude', drops: false },
  { name: 'Responses, spliced', shape: 'openai-responses', event: responsesEvent, replyModel: 'gpt-4o', drops: false },
];

function medianMicroseconds(run: () => number): number {
  const rounds: number[] = [];
  let sink = 0;
  for (let round = 0; round < ROUNDS; round += 1) {
    const startedAt = process.hrtime.bigint();
    sink += run();
    rounds.push(Number(process.hrtime.bigint() - startedAt) / EVENTS / 1000);
  }
  if (sink < 0) throw new Error('unreachable');
  return rounds.sort((a, b) => a - b)[ROUNDS >> 1] ?? 0;
}

/** One run over the stream, cut into chunks; answers the bytes relayed. */
function relay(reader: StreamReplyReader, chunks: readonly Bytes[], test: Case, replyModel: Bytes | null): number {
  reader.reset({ shape: test.shape, replyModel, dropUsageOnlyEvents: test.drops });
  let relayed = 0;
  for (const chunk of chunks) {
    const out: Bytes[] = [];
    reader.push(chunk, 0, chunk.length, out);
    for (const piece of out) relayed += piece.length;
  }
  return relayed;
}

console.log(`µs per event, median of ${ROUNDS} rounds of ${EVENTS} events`);
console.log(`${''.padEnd(34)} bytes  one per chunk  16 KiB chunks  cut in half  JSON.parse + stringify`);
for (const test of cases) {
  const events = Array.from({ length: EVENTS }, (_, n) => test.event(n));
  const whole = asBytes(Buffer.from(events.join('')));
  const single = events.map((event) => asBytes(Buffer.from(event)));
  const large: Bytes[] = [];
  for (let at = 0; at < whole.length; at += 16_384) large.push(whole.subarray(at, at + 16_384));
  const size = Math.round(whole.length / EVENTS);
  const halves: Bytes[] = [];
  for (let at = 0; at < whole.length; at += size)
    halves.push(whole.subarray(Math.max(0, at - (size >> 1)), at + (size >> 1)));
  const replyModel = test.replyModel === null ? null : asBytes(Buffer.from(JSON.stringify(test.replyModel)));
  const reader = new StreamReplyReader();
  const figures = [single, large, halves].map((chunks) =>
    medianMicroseconds(() => relay(reader, chunks, test, replyModel)),
  );
  const parse = medianMicroseconds(() => {
    let length = 0;
    for (const event of events) length += JSON.stringify(JSON.parse(event.slice(event.indexOf('{')))).length;
    return length;
  });
  console.log(
    `${test.name.padEnd(34)} ${String(size).padStart(5)} ${figures.map((figure) => figure.toFixed(3).padStart(13)).join(' ')} ${parse.toFixed(3).padStart(13)}`,
  );
}
