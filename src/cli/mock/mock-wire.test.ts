import assert from 'node:assert/strict';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { gunzipSync } from 'node:zlib';
import { WebSocket } from 'ws';
import { RawClient } from '../../../test/support/raw-client.ts';
import { MOCK_FAULTS, type MockFault } from './mock-options.ts';
import { startMock, type RunningMock } from './mock-server.ts';

const directory = mkdtempSync(join(tmpdir(), 'slipstream-mock-'));
const logFile = join(directory, 'mock.ndjson');
const outcomes: string[] = [];
let mock: RunningMock;

before(async () => {
  mock = await startMock({
    log: logFile,
    onEnd: (request, outcome) => outcomes.push(`${request.nonce ?? ''} ${outcome}`),
  });
});
after(async () => {
  await mock.close();
  rmSync(directory, { recursive: true });
});

function request(
  model: string,
  options: { nonce?: string; stream?: boolean; version?: string; head?: string } = {},
): string {
  const body = JSON.stringify({ model, messages: [], ...(options.stream === true ? { stream: true } : {}) });
  const nonce = options.nonce === undefined ? '' : `X-Nonce: ${options.nonce}\r\n`;
  return (
    `POST /v1/chat/completions HTTP/${options.version ?? '1.1'}\r\nHost: mock\r\n${nonce}${options.head ?? ''}` +
    `Content-Length: ${body.length}\r\n\r\n${body}`
  );
}

/** Waits for what another event of the same loop will bring about. */
async function until(isTrue: () => boolean): Promise<void> {
  for (let i = 0; i < 500 && !isTrue(); i++) await sleep(5);
  assert.ok(isTrue());
}

describe('requests on the wire', () => {
  const chunkedBody = '{"model":"chunked","messages":[]}';
  const chunked =
    'POST /v1/chat/completions HTTP/1.1\r\nHost: mock\r\nX-Nonce: nn\r\nTransfer-Encoding: chunked\r\n\r\n' +
    `5;name=value\r\n${chunkedBody.slice(0, 5)}\r\n${(chunkedBody.length - 5).toString(16)}\r\n${chunkedBody.slice(5)}\r\n` +
    '0\r\nTrailer: x\r\n\r\n';

  for (const [name, bytes] of [
    ['with a content-length', request('plain', { nonce: 'nn' })],
    ['chunked, with an extension and a trailer', chunked],
  ] as const) {
    it(`${name}, cut at every byte, has the same reply`, async () => {
      const whole = await new RawClient(mock.port).send(bytes).reply();
      assert.equal(whole.status, 200);
      const cuts = Array.from({ length: bytes.length - 1 }, (_, i) => i + 1);
      await Promise.all(
        cuts.map(async (cut) => {
          const client = new RawClient(mock.port).send(bytes.slice(0, cut));
          await sleep(20);
          const reply = await client.send(bytes.slice(cut)).reply();
          assert.equal(reply.raw.toString('latin1'), whole.raw.toString('latin1'), `cut at ${cut}`);
          client.socket.destroy();
        }),
      );
    });
  }

  it('pipelined are answered in order, also when the first waits', async () => {
    const requests = [
      request('a?ttft=30', { nonce: 'one' }),
      request('b', { nonce: 'two', stream: true }),
      request('c', { nonce: 'three' }),
    ];
    const client = new RawClient(mock.port).send(requests.join(''));
    for (const nonce of ['one', 'two', 'three']) assert.equal((await client.reply()).header('x-nonce'), nonce);
    client.socket.destroy();
  });

  it('of HTTP/1.0 have a reply without chunks that ends the connection', async () => {
    const client = new RawClient(mock.port).send(request('a', { version: '1.0', stream: true }));
    const reply = await client.reply();
    assert.equal(reply.framing, 'close');
    assert.ok(reply.text.endsWith('data: [DONE]\n\n'));
  });

  it('with connection: close get that and nothing after', async () => {
    const both = request('a', { head: 'Connection: close\r\n' }) + request('b');
    const client = new RawClient(mock.port).send(both);
    assert.equal((await client.reply()).header('connection'), 'close');
    assert.equal((await client.ended()).length, 0);
  });

  it('that expect 100-continue get it', async () => {
    const bytes = request('a', { head: 'Expect: 100-continue\r\n' });
    const head = bytes.slice(0, bytes.indexOf('\r\n\r\n') + 4);
    const client = new RawClient(mock.port).send(head);
    await client.until((received) => received.includes('100 Continue\r\n\r\n'));
    client.received = Buffer.alloc(0);
    assert.equal((await client.send(bytes.slice(head.length)).reply()).status, 200);
    client.socket.destroy();
  });

  for (const [name, head] of [
    ['both framings', 'POST / HTTP/1.1\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n'],
    ['two lengths', 'POST / HTTP/1.1\r\nContent-Length: 1\r\nContent-Length: 1\r\n\r\n'],
    ['a length that is no number', 'POST / HTTP/1.1\r\nContent-Length: +1\r\n\r\n'],
    ['no version', 'GET /\r\n\r\n'],
  ] as const) {
    it(`with ${name} are refused and the connection closed`, async () => {
      const client = new RawClient(mock.port).send(head);
      assert.equal((await client.reply()).status, 400);
      await client.ended();
    });
  }
});

describe('faults', () => {
  /** What the client sees, by fault: bytes until the end, or until `isSilent` of them. */
  const seen: Readonly<Record<MockFault, (received: string, hasEnded: boolean, error: string) => void>> = {
    reset: (received, _, error) => assert.deepEqual([received, error], ['', 'ECONNRESET']),
    close: (received, hasEnded) => assert.deepEqual([received, hasEnded], ['', true]),
    hang: (received, hasEnded) => assert.deepEqual([received, hasEnded], ['', false]),
    garbage: (received, hasEnded) => assert.ok(!received.startsWith('HTTP') && hasEnded),
    'head-only': (received, hasEnded) => assert.ok(received.endsWith('\r\n\r\n') && !hasEnded),
    half: (received, hasEnded) => assert.deepEqual([share(received), hasEnded], [0.5, false]),
    'close-mid': (received, hasEnded) => assert.deepEqual([share(received), hasEnded], [0.5, true]),
    'reset-mid': (received, _, error) => assert.deepEqual([share(received), error], [0.5, 'ECONNRESET']),
    'bad-length': (received) => assert.ok(share(received) > 1),
    'no-length': (received, hasEnded) =>
      assert.ok(!received.includes('content-length') && hasEnded && isWhole(received)),
    gzip: (received) => assert.ok(received.includes('content-encoding: gzip') && share(received) === 1),
    interim: (received) => assert.match(received, /^HTTP\/1.1 103 [^]*\r\nHTTP\/1.1 100 [^]*\r\nHTTP\/1.1 200 OK\r\n/),
    'error-first': (received) => assert.ok(isWhole(received)),
    'error-mid': (received) => assert.ok(isWhole(received)),
    comments: (received) => assert.ok(isWhole(received)),
  };

  for (const fault of MOCK_FAULTS) {
    it(`${fault} in a JSON reply`, async () => {
      const client = new RawClient(mock.port).send(request(`a?error=${fault}&bytes=1000`));
      await Promise.race([client.ended(), sleep(80)]); // by then what is not to end has not
      const look = (): void =>
        seen[fault](client.received.toString('latin1'), client.hasEnded, client.error?.code ?? '');
      const isSeen = (): boolean => {
        try {
          look();
          return true;
        } catch {
          return false; // not yet
        }
      };
      for (let waitedMs = 0; waitedMs < 5_000 && !isSeen(); waitedMs += 20) await sleep(20);
      look();
      client.socket.destroy();
    });
  }

  it('gzip decodes to the reply', async () => {
    const client = new RawClient(mock.port);
    const plain = await client.send(request('a?bytes=900', { nonce: 'x' })).reply();
    const packed = await client.send(request('a?bytes=900', { nonce: 'x', head: 'x-mock-error: gzip\r\n' })).reply();
    assert.equal(gunzipSync(packed.body).toString(), plain.text);
    client.socket.destroy();
  });

  it('in streams: an error event first or half way, a cut, a comment', async () => {
    const stream = async (fault: string): Promise<string> => {
      const client = new RawClient(mock.port).send(request(`a?error=${fault}&tokens=10`, { stream: true }));
      await Promise.race([client.ended(), sleep(80)]);
      client.socket.destroy();
      return client.received.toString('latin1');
    };
    const count = (text: string, part: string): number => text.split(part).length - 1;
    const first = await stream('error-first');
    assert.ok(first.includes('data: {"error":{') && count(first, '"content"') === 0);
    const mid = await stream('error-mid');
    assert.ok(mid.includes('data: {"error":{') && mid.endsWith('0\r\n\r\n'));
    assert.equal(count(mid, '"delta":{"content":'), 5);
    const cut = await stream('close-mid');
    assert.ok(!cut.includes('[DONE]') && !cut.endsWith('0\r\n\r\n'));
    assert.equal(count(cut, '"delta":{"content":'), 5);
    assert.match(await stream('comments'), /\r\n: keep-alive\n\n/);
    assert.ok((await stream('half')).length > 0);
  });

  /** Part of the body that came, by its content-length. */
  function share(received: string): number {
    const body = received.slice(received.indexOf('\r\n\r\n') + 4);
    return body.length / Number(/content-length: (\d+)/.exec(received)?.[1]);
  }

  function isWhole(received: string): boolean {
    return received.endsWith('}') && received.includes('"chat.completion"');
  }
});

describe('streams', () => {
  it('are as slow as they are read: nothing piles up', async () => {
    const client = new RawClient(mock.port);
    client.socket.pause();
    client.send(request('a?tokens=200000', { stream: true, nonce: 'slow' }));
    await sleep(150);
    assert.ok(!outcomes.includes('slow sent'), 'the stream waits for its reader');
    client.socket.destroy();
    await until(() => outcomes.includes('slow aborted'));
  });

  it('end when the client goes, and that is seen', async () => {
    const client = new RawClient(mock.port).send(request('a?interval=10&tokens=1000', { stream: true, nonce: 'gone' }));
    await client.until((received) => received.includes('"content"'));
    client.socket.destroy();
    await until(() => outcomes.includes('gone aborted'));
  });

  it('with a pace come frame by frame', async () => {
    const client = new RawClient(mock.port).send(request('a?interval=15&tokens=4', { stream: true }));
    const reply = await client.reply();
    const clocks = [...reply.text.matchAll(/"content":"[^"]+"[^]*?"t": *(\d+)/g)].map((match) => Number(match[1]));
    assert.equal(clocks.length, 4);
    // A timer is never early by more than its resolution; how late it is says nothing.
    for (let i = 1; i < 4; i++) assert.ok(Number(clocks[i]) - Number(clocks[i - 1]) > 13e6);
    client.socket.destroy();
  });
});

describe('the log', () => {
  it('has one line for each request, with nonce, status and how it ended', async () => {
    const client = new RawClient(mock.port);
    await client.send(request('a', { nonce: 'log-1' })).reply();
    await client.send(request('a?status=503', { nonce: 'log-2' })).reply();
    client.socket.destroy();
    const lines = (): Record<string, unknown>[] =>
      readFileSync(logFile, 'utf8')
        .trim()
        .split('\n')
        .map((line) => JSON.parse(line) as Record<string, unknown>)
        .filter(({ nonce }) => String(nonce).startsWith('log-'));
    await until(() => lines().length === 2);
    assert.deepEqual(
      lines().map(({ nonce, status, outcome }) => [nonce, status, outcome]),
      [
        ['log-1', 200, 'sent'],
        ['log-2', 503, 'sent'],
      ],
    );
  });
});

describe('realtime', () => {
  it('echoes text, binary and long messages, answers pings and closes', async () => {
    const socket = new WebSocket(`${mock.url.replace('http', 'ws')}/v1/realtime?model=a`, ['realtime', 'secret']);
    await once(socket, 'open');
    assert.equal(socket.protocol, 'realtime');
    for (const message of ['grüße', 'x'.repeat(126), Buffer.alloc(70_000, 7)]) {
      socket.send(message);
      const [echo, isBinary] = (await once(socket, 'message')) as [Buffer, boolean];
      assert.equal(isBinary, typeof message !== 'string');
      assert.deepEqual(echo, Buffer.from(message as string));
    }
    socket.ping('p');
    assert.equal(String(((await once(socket, 'pong')) as [Buffer])[0]), 'p');
    socket.close(1000);
    assert.equal(((await once(socket, 'close')) as [number])[0], 1000);
  });

  it('refuses an upgrade elsewhere', async () => {
    const client = new RawClient(mock.port).send(
      'GET /v1/models HTTP/1.1\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n',
    );
    assert.equal((await client.reply('GET')).status, 400);
  });
});

describe('the server', () => {
  it('counts requests, and says when its port is taken', async () => {
    const before = mock.requestCount();
    const client = new RawClient(mock.port);
    await client.send(request('a')).reply();
    client.socket.destroy();
    assert.equal(mock.requestCount(), before + 1);
    const taken = createServer().listen(0, '127.0.0.1');
    await once(taken, 'listening');
    const { port } = taken.address() as { port: number };
    await assert.rejects(startMock({ port }), { code: 'EADDRINUSE' });
    taken.close();
  });

  it('close() ends every connection', async () => {
    const other = await startMock();
    const client = new RawClient(other.port).send(request('a?error=hang'));
    await until(() => other.requestCount() === 1);
    await other.close();
    await client.ended();
  });
});
