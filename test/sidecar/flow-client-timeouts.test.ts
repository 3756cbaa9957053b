import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { CLOCK_SLACK_MS, chatBytes, chatClient, nothingInFlight, since, startFlow } from '../support/flow-support.ts';
import { eventually, RawClient, requestBytes } from '../support/raw-client.ts';
import { deployment, TEST_KEY, type SidecarHarness } from '../support/sidecar-harness.ts';
import { jsonReply, ScriptedUpstream } from '../support/scripted-upstream.ts';

const LIMIT_MS = 300;

/** What is late ends after its time, never before. How much after is a matter of how busy the machine is. */
describe('what a client may take its time for', { concurrency: true }, () => {
  let upstream: ScriptedUpstream;
  let gateway: SidecarHarness;
  before(async () => {
    upstream = await ScriptedUpstream.start((request, reply) => {
      if (!request.body.includes('big')) return reply.write(jsonReply('{"model":"upstream-gpt"}'));
      const body = Buffer.alloc(32_000_000, 32);
      reply.write(`HTTP/1.1 200 OK\r\ncontent-type: audio/mpeg\r\ncontent-length: ${body.length}\r\n\r\n`);
      reply.write(body);
    });
    gateway = await startFlow([deployment('gpt', upstream.port)], {
      clientHeadMs: LIMIT_MS,
      clientBodyIdleMs: LIMIT_MS,
      clientIdleMs: LIMIT_MS,
      clientWriteIdleMs: LIMIT_MS,
    });
  });
  after(async () => {
    await gateway.stop();
    upstream.stop();
  });

  it('a connection without a byte is closed without a word', async () => {
    const from = performance.now();
    const client = new RawClient(gateway.port);
    assert.equal((await client.ended()).length, 0);
    assert.ok(since(from) >= LIMIT_MS - CLOCK_SLACK_MS);
  });

  it('a head that comes too slowly is refused with 408, however often a byte comes', async () => {
    const from = performance.now();
    const client = new RawClient(gateway.port);
    const drip = setInterval(() => client.send('x'), 20);
    client.send('POST /v1/chat/completions HTTP/1.1\r\nx-a: ');
    const reply = await client.reply();
    clearInterval(drip);
    assert.equal(reply.status, 408);
    assert.equal(reply.header('x-slipstream-error'), 'client_timeout');
    assert.equal(reply.header('connection'), 'close');
    assert.ok(since(from) >= LIMIT_MS - CLOCK_SLACK_MS);
    await client.ended();
  });

  it('the head of a later request has a time of its own', async () => {
    const client = chatClient(gateway.port, 'gpt');
    assert.equal((await client.reply()).status, 200);
    await sleep(LIMIT_MS / 2);
    const from = performance.now();
    client.send('POST /v1/chat');
    const reply = await client.reply();
    assert.equal(reply.status, 408);
    assert.ok(since(from) >= LIMIT_MS - CLOCK_SLACK_MS);
  });

  it('a body that stops is refused with 408 and recorded', async () => {
    const client = new RawClient(gateway.port);
    client.send(requestBytes({ key: TEST_KEY, headers: ['content-length: 100', 'x-litellm-tags: stopped'] }));
    client.send('{"model":');
    await sleep(20);
    const from = performance.now();
    client.send(' ');
    const reply = await client.reply();
    assert.equal(reply.status, 408);
    assert.equal(reply.header('x-slipstream-error'), 'client_timeout');
    assert.ok(since(from) >= LIMIT_MS - CLOCK_SLACK_MS);
    await client.ended();
    await eventually(() => gateway.journal().some((event) => event.error === 'client_timeout'), 'its event');
  });

  it('a body that keeps coming may take as long as it likes', async () => {
    const from = performance.now();
    const body = `{"model":"gpt"${' '.repeat(20)}}`;
    const client = new RawClient(gateway.port);
    client.send(requestBytes({ key: TEST_KEY, headers: [`content-length: ${body.length}`] }));
    for (const byte of body) {
      client.send(byte);
      await sleep(20);
    }
    assert.equal((await client.reply()).status, 200);
    assert.ok(since(from) > LIMIT_MS * 1.5, 'the test was slow enough to show it');
  });

  it('a kept-alive connection is closed when nothing comes for long', async () => {
    const from = performance.now(); // the gateway's wait begins with its answer, so later
    const client = chatClient(gateway.port, 'gpt');
    assert.equal((await client.reply()).status, 200);
    assert.equal((await client.ended()).length, 0);
    assert.ok(since(from) >= LIMIT_MS - CLOCK_SLACK_MS);
  });

  it('a client that stops reading is cut off, and its provider with it', async () => {
    const client = chatClient(gateway.port, 'gpt', ',"input":"big"', { path: '/v1/audio/speech' });
    client.socket.pause();
    const isOver = (): boolean =>
      gateway.journal().some((event) => event.endpoint === 'audio_speech' && event.aborted !== null);
    await eventually(isOver, 'it was cut off');
    client.socket.resume();
    const received = await client.ended();
    assert.ok(received.length < 32_000_000);
    await nothingInFlight(gateway.port);
  });
});

it('a client that reads slowly, but reads, is served to the end', async () => {
  // More than all buffers of the kernel hold, so that the client's pace is what counts.
  const body = Buffer.alloc(24_000_000, 97);
  const upstream = await ScriptedUpstream.start((_request, reply) => {
    reply.write(`HTTP/1.1 200 OK\r\ncontent-type: audio/mpeg\r\ncontent-length: ${body.length}\r\n\r\n`);
    reply.write(body);
  });
  // A pause of the client that is this long may only be its own: on a busy machine it is held up itself.
  const limitMs = 5 * LIMIT_MS;
  const gateway = await startFlow([deployment('gpt', upstream.port)], { clientWriteIdleMs: limitMs });
  try {
    const client = new RawClient(gateway.port);
    let received = 0;
    client.socket.removeAllListeners('data');
    client.socket.on('data', (chunk: Buffer) => {
      received += chunk.length;
      client.socket.pause();
      setTimeout(() => client.socket.resume(), 6);
    });
    client.send(chatBytes('gpt', '', { path: '/v1/audio/speech' }));
    const from = performance.now();
    await eventually(() => received > body.length || client.hasEnded, 'all of it');
    assert.ok(received > body.length, `cut off after ${received} bytes`);
    assert.ok(since(from) > limitMs);
    client.close();
  } finally {
    await gateway.stop();
    upstream.stop();
  }
});
