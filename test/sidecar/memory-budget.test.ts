import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { after, before, beforeEach, describe, it } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { brotliCompressSync, gzipSync } from 'node:zlib';
import { chatBytes, chatClient, metric, nothingInFlight, startFlow } from '../support/flow-support.ts';
import { ask, eventually, RawClient, requestBytes } from '../support/raw-client.ts';
import { deployment, TEST_KEY, type SidecarHarness } from '../support/sidecar-harness.ts';
import { jsonReply, ScriptedUpstream, type UpstreamReply } from '../support/scripted-upstream.ts';

const MIB = 1024 * 1024;
/** Three requests of 1 MiB take 3 to 4 MiB: blocks are not filled to the last byte where a body comes in small reads. */
const BUDGET_BYTES = 6 * MIB;

describe('the budget of bytes in flight', () => {
  let upstream: ScriptedUpstream;
  let gateway: SidecarHarness;
  let held: UpstreamReply[] = [];
  before(async () => {
    upstream = await ScriptedUpstream.start((request, reply) => {
      if (!request.body.includes('"big"')) {
        held.push(reply);
        return;
      }
      reply.write('HTTP/1.1 200 OK\r\ncontent-type: audio/mpeg\r\ncontent-length: 32000000\r\n\r\n');
      reply.write(Buffer.alloc(32_000_000));
    });
    gateway = await startFlow([deployment('gpt', upstream.port)], {}, { limits: { maxInFlightBytes: BUDGET_BYTES } });
  });
  beforeEach(() => {
    held = [];
  });
  after(async () => {
    await gateway.stop();
    upstream.stop();
  });
  const padded = (bytes: number): string => `,"pad":"${'x'.repeat(bytes)}"`;
  const bytesHeld = async (isRight: (bytes: number) => boolean): Promise<void> => {
    for (let look = 0; look < 100; look += 1) {
      if (isRight(await metric(gateway.port, 'slipstream_in_flight_bytes'))) return;
      await sleep(20);
    }
    assert.ok(isRight(await metric(gateway.port, 'slipstream_in_flight_bytes')), 'bytes held');
  };
  /** Requests of 1 MiB each, which the provider holds. */
  const fill = async (count: number): Promise<RawClient[]> => {
    const clients: RawClient[] = [];
    while (clients.length < count) {
      clients.push(chatClient(gateway.port, 'gpt', padded(MIB - 100_000)));
      await eventually(() => held.length === clients.length, 'the provider has it');
    }
    return clients;
  };
  const allIsOver = async (clients: readonly RawClient[]): Promise<void> => {
    for (const client of clients) client.close();
    await nothingInFlight(gateway.port);
    await bytesHeld((bytes) => bytes === 0);
  };

  it('refuses a body that does not fit in what is left before it is read; small ones go on', async () => {
    const clients = await fill(3);
    const large = new RawClient(gateway.port);
    large.send(requestBytes({ key: TEST_KEY, headers: [`content-length: ${3.5 * MIB}`, 'expect: 100-continue'] }));
    const refused = await large.reply();
    assert.equal(refused.status, 503);
    assert.equal(refused.header('retry-after'), '1');
    assert.equal(refused.header('x-slipstream-error'), 'overloaded');
    assert.equal(await metric(gateway.port, 'slipstream_admission_refused_total{reason="memory"}'), 1);
    const small = chatClient(gateway.port, 'gpt');
    await eventually(() => held.length === 4, 'a small one is served');
    held[3]!.write(jsonReply('{}'));
    assert.equal((await small.reply()).status, 200);
    held[0]!.write(jsonReply('{}'));
    assert.equal((await clients[0]!.reply()).status, 200);
    const again = chatClient(gateway.port, 'gpt', padded(MIB - 100_000));
    await eventually(() => held.length === 5, 'there is room again');
    await allIsOver([...clients, large, small, again]);
  });

  it('refuses one of unknown length when it has grown beyond what is left', async () => {
    const clients = await fill(3);
    const client = new RawClient(gateway.port);
    client.send(requestBytes({ key: TEST_KEY, headers: ['transfer-encoding: chunked'] }));
    const chunk = Buffer.concat([Buffer.from('10000\r\n'), Buffer.alloc(65_536, 32), Buffer.from('\r\n')]);
    client.send('10\r\n{"model":"gpt"  \r\n');
    for (let sent = 0; sent < 4 * MIB; sent += 65_536) client.send(chunk);
    assert.equal((await client.reply()).status, 503);
    assert.equal(held.length, 3);
    await allIsOver([...clients, client]);
  });

  it('tells a client whose request can never fit that it is too large', async () => {
    const body = requestBytes({ key: TEST_KEY, headers: [`content-length: ${BUDGET_BYTES + 1}`] });
    const client = new RawClient(gateway.port).send(body);
    assert.equal((await client.reply()).status, 413);
    await allIsOver([client]);
  });

  it('bounds what a small compressed body may become', async () => {
    const pack = (encode: (plain: Uint8Array) => Buffer, pad: Uint8Array): Buffer =>
      encode(Buffer.concat([Buffer.from('{"model":"gpt","x":"'), pad, Buffer.from('"}')]));
    const send = (body: Buffer, coding: string) =>
      ask(gateway.port, { key: TEST_KEY, headers: [`content-encoding: ${coding}`], body });
    const spaces = Buffer.alloc(16 * MIB, 32);
    const bomb = await send(pack(brotliCompressSync, spaces), 'br');
    assert.equal(bomb.status, 413, 'a thousand times larger');
    assert.match(bomb.text, /over 200 times larger after decoding/);
    // 16 MiB of the same 20 KB: no bomb by its ratio, yet more than there is room for.
    const block = Buffer.from(randomBytes(10_000).toString('hex'));
    const large = pack(gzipSync, Buffer.concat(Array.from({ length: 800 }, () => block)));
    assert.equal((await send(large, 'gzip')).status, 503);
    const repetitive = chatClient(gateway.port, 'gpt', '', {
      headers: ['content-encoding: gzip'],
      body: pack(gzipSync, Buffer.concat(Array.from({ length: 100 }, () => block))),
    });
    await eventually(() => held.length === 1, 'one that is only repetitive is served');
    repetitive.close();
    await allIsOver([]);
  });

  it('counts what clients do not take, and cuts off those first for whom it is held in vain', async () => {
    const clients = Array.from({ length: 5 }, () => {
      const client = new RawClient(gateway.port);
      client.socket.pause();
      return client.send(chatBytes('gpt', ',"input":"big"', { path: '/v1/audio/speech' }));
    });
    await bytesHeld((bytes) => bytes > 5 * 32_000);
    const filler = await fill(3);
    const rest: RawClient[] = [];
    for (let index = 0; index < 60; index += 1) {
      rest.push(chatClient(gateway.port, 'gpt', padded(60_000)));
      await sleep(2);
    }
    const areCut = (): boolean => gateway.journal().filter(({ aborted }) => aborted !== null).length >= 5;
    await eventually(areCut, 'those that stand still are cut off');
    await allIsOver([...clients, ...filler, ...rest]);
  });

  it('counts heads that do not become whole', async () => {
    const head = `POST /v1/chat/completions HTTP/1.1\r\nx-pad: ${'x'.repeat(30_000)}`;
    const clients = Array.from({ length: 280 }, () => new RawClient(gateway.port).send(head));
    const areRefused = (): boolean => clients.some(({ received }) => received.toString('latin1').includes(' 503 '));
    await eventually(areRefused, 'some of them are refused');
    await allIsOver(clients);
  });
});
