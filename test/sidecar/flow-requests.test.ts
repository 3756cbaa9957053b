import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { chatBytes, chatClient, nothingInFlight, startFlow } from '../support/flow-support.ts';
import { ask, eventually, RawClient, requestBytes } from '../support/raw-client.ts';
import { deployment, MASTER_KEY, TEST_KEY, type SidecarHarness } from '../support/sidecar-harness.ts';
import { chunkedReply, closeReply, jsonReply, ScriptedUpstream, sse } from '../support/scripted-upstream.ts';

const CONTINUE = 'HTTP/1.1 100 Continue\r\n\r\n';

/** How a request may arrive, and in which order answers leave. */
describe('requests', () => {
  let upstream: ScriptedUpstream;
  let gateway: SidecarHarness;
  before(async () => {
    upstream = await ScriptedUpstream.start(async (request, reply) => {
      const {
        n = 0,
        wait = 0,
        kind = 'json',
      } = JSON.parse(request.body) as { n?: number; wait?: number; kind?: string };
      if (wait > 0) await sleep(wait);
      const body = `{"n":${n}}`;
      if (kind === 'stream') reply.write(chunkedReply(['content-type: text/event-stream'], sse(body, '[DONE]')));
      else if (kind === 'chunks') reply.write(chunkedReply(['content-type: application/json'], body, 3));
      else if (kind === 'close') {
        reply.write(closeReply(['content-type: application/json'], body));
        reply.end();
      } else if (kind === 'large') reply.write(jsonReply(`{"n":${n},"pad":"${'x'.repeat(300_000)}"}`));
      else reply.write(jsonReply(body));
    });
    gateway = await startFlow([deployment('gpt', upstream.port)]);
  });
  after(async () => {
    await gateway.stop();
    upstream.stop();
  });

  it('400 KB, in pieces of every kind, reach the provider byte for byte', async () => {
    const body = `{"model":"gpt","pad":"${'é'.repeat(200_000)}"}`;
    const bytes = requestBytes({ key: TEST_KEY, body });
    for (const size of [bytes.length, 65_536, 10_007, 1_000]) {
      const client = new RawClient(gateway.port);
      for (let at = 0; at < bytes.length; at += size) {
        client.send(bytes.subarray(at, at + size));
        if (size > 5_000) await sleep(0);
      }
      assert.equal((await client.reply()).status, 200);
      assert.equal(upstream.last.body, body.replace('"gpt"', '"upstream-gpt"'));
      client.close();
    }
  });

  it('400 KB in chunks get a content-length upstream', async () => {
    const body = `{"pad":"${'x'.repeat(400_000)}","model":"gpt"}`;
    const client = new RawClient(gateway.port);
    client.send(requestBytes({ key: TEST_KEY, headers: ['transfer-encoding: chunked'] }));
    for (let at = 0; at < body.length; at += 9_999) {
      const part = body.slice(at, at + 9_999);
      client.send(`${part.length.toString(16)};ext=1\r\n${part}\r\n`);
    }
    client.send('0\r\nx-trailer: 1\r\n\r\n');
    assert.equal((await client.reply()).status, 200);
    assert.equal(upstream.last.body, body.replace('"gpt"', '"upstream-gpt"'));
    assert.ok(!upstream.last.head.includes('trailer'));
    client.close();
  });

  it('40 MB are refused with 413 by their length alone, and the connection closed', async () => {
    const before = upstream.requests.length;
    const client = new RawClient(gateway.port);
    client.send(requestBytes({ key: TEST_KEY, headers: ['content-length: 40000000'] }));
    const reply = await client.reply();
    assert.equal(reply.status, 413);
    assert.equal(reply.header('x-slipstream-error'), 'body_too_large');
    assert.equal(reply.header('connection'), 'close');
    assert.equal(upstream.requests.length, before);
    client.close();
  });

  it('40 MB that are being sent all the same: the answer is not lost in a reset', async () => {
    for (const framing of ['content-length: 40000000', 'transfer-encoding: chunked']) {
      const client = new RawClient(gateway.port);
      client.send(requestBytes({ key: TEST_KEY, headers: [framing] }));
      for (let at = 0; at < 40; at += 1) {
        const part = `${at === 0 ? '{"model":"gpt","pad":"' : ''}${'x'.repeat(1_000_000)}`;
        client.send(framing.startsWith('t') ? `${part.length.toString(16)}\r\n${part}\r\n` : part);
        await sleep(0);
      }
      assert.equal((await client.reply()).status, 413);
      client.close();
    }
    await nothingInFlight(gateway.port);
  });

  describe('Expect: 100-continue', () => {
    const expecting = (key: string, more: readonly string[] = []): Buffer =>
      requestBytes({ key, headers: ['expect: 100-continue', 'content-length: 15', ...more] });

    it('the client is told to go on after authentication, and never by the provider', async () => {
      const client = new RawClient(gateway.port).send(expecting(TEST_KEY));
      await client.until((received) => received.includes('\r\n\r\n'));
      assert.equal(client.received.toString(), CONTINUE);
      client.received = Buffer.alloc(0);
      client.send('{"model":"gpt"}');
      assert.equal((await client.reply()).status, 200);
      assert.ok(!/expect/i.test(upstream.last.head));
      client.close();
    });

    it('and not before: bad key, no key, too much', async () => {
      for (const [bytes, status] of [
        [expecting('sk-nobody'), 401],
        [requestBytes({ headers: ['expect: 100-continue', 'content-length: 15'] }), 401],
        [requestBytes({ key: TEST_KEY, headers: ['expect: 100-continue', 'content-length: 40000000'] }), 413],
        [requestBytes({ key: TEST_KEY, headers: ['expect: 200-ok', 'content-length: 15'] }), 417],
        [
          requestBytes({ key: TEST_KEY, path: '/v1/models', headers: ['expect: 100-continue', 'content-length: 15'] }),
          405,
        ],
      ] as const) {
        const client = new RawClient(gateway.port).send(bytes);
        const reply = await client.reply();
        assert.equal(reply.status, status);
        // The body may come or not: only the end of the connection leaves no doubt.
        assert.equal(reply.header('connection'), 'close');
        await client.ended();
      }
    });

    it('not with a body that is there already, nor with HTTP/1.0', async () => {
      const client = new RawClient(gateway.port).send(
        `POST /v1/chat/completions HTTP/1.0\r\nauthorization: Bearer ${TEST_KEY}\r\nexpect: 100-continue\r\ncontent-length: 15\r\n\r\n{"model":"gpt"}`,
      );
      assert.equal((await client.reply()).status, 200);
      client.close();
    });

    it('twice on one connection', async () => {
      const client = new RawClient(gateway.port);
      for (let round = 0; round < 2; round += 1) {
        client.send(expecting(TEST_KEY));
        await client.until((received) => received.toString() === CONTINUE);
        client.received = Buffer.alloc(0);
        client.send('{"model":"gpt"}');
        assert.equal((await client.reply()).status, 200);
      }
      client.close();
    });
  });

  it('pipelined requests of every kind are answered in their order, one at a time', async () => {
    const client = new RawClient(gateway.port);
    const kinds = ['json', 'stream', 'chunks', 'close', 'large'] as const;
    const asked: string[] = [];
    let bytes = Buffer.alloc(0);
    for (let n = 0; n < 40; n += 1) {
      const kind = kinds[n % kinds.length]!;
      const parts = [
        chatBytes(
          'gpt',
          `,"n":${n},"kind":"${kind}","wait":${n % 3 === 0 ? 15 : 0}${kind === 'stream' ? ',"stream":true' : ''}`,
        ),
        requestBytes({ method: 'GET', path: '/health/liveness' }),
        requestBytes({ method: 'HEAD', path: '/v1/models', key: TEST_KEY }),
        requestBytes({ path: '/v1/chat/completions', key: 'sk-wrong', body: '{"model":"gpt"}' }),
        requestBytes({ key: TEST_KEY, body: '{"model":"nobody"}' }),
      ];
      bytes = Buffer.concat([bytes, ...parts]);
      asked.push(`200 ${n}`, '200 alive', '200 head', '401', '400');
    }
    const sending = (async () => {
      for (let at = 0; at < bytes.length; at += 777) {
        client.send(bytes.subarray(at, at + 777));
        if (at % 5 === 0) await sleep(1);
      }
    })();
    const got: string[] = [];
    for (let n = 0; n < asked.length; n += 1) {
      const isHead = n % 5 === 2;
      const { status, text } = await client.reply(isHead ? 'HEAD' : 'POST');
      const number = /"n":(\d+)/.exec(text)?.[1];
      if (isHead) got.push(`${status} head`);
      else if (status === 200) got.push(`200 ${number ?? 'alive'}`);
      else got.push(String(status));
    }
    await sending;
    assert.deepEqual(got, asked);
    assert.equal(client.received.length, 0);
    client.close();
    await nothingInFlight(gateway.port);
  });

  it('a pipelined request that is malformed is answered in its turn, then the connection is closed', async () => {
    const client = new RawClient(gateway.port);
    client.send(Buffer.concat([chatBytes('gpt', ',"wait":30'), Buffer.from('NONSENSE\r\n\r\n'), chatBytes('gpt')]));
    assert.equal((await client.reply()).status, 200);
    assert.equal((await client.reply()).status, 400);
    assert.equal((await client.ended()).length, 0);
  });

  describe('HTTP/1.0', () => {
    const old = (header: string, body: string): string =>
      `POST /v1/chat/completions HTTP/1.0\r\nauthorization: Bearer ${TEST_KEY}\r\n${header}content-length: ${body.length}\r\n\r\n${body}`;

    it('closes by default', async () => {
      const client = new RawClient(gateway.port).send(old('', '{"model":"gpt"}'));
      const reply = await client.reply();
      assert.equal(reply.text, '{"n":0}');
      assert.equal(reply.header('connection'), 'close');
      await client.ended();
    });

    it('keeps the connection where asked to', async () => {
      const client = new RawClient(gateway.port);
      for (let n = 0; n < 3; n += 1) {
        client.send(old('connection: keep-alive\r\n', `{"model":"gpt","n":${n},"kind":"chunks"}`));
        const reply = await client.reply();
        assert.equal(reply.text, `{"n":${n}}`);
        assert.equal(reply.framing, 'length');
        assert.equal(reply.header('connection'), 'keep-alive');
      }
      client.close();
    });

    it('a stream has no chunks and ends with the connection', async () => {
      const client = new RawClient(gateway.port);
      client.send(old('connection: keep-alive\r\n', '{"model":"gpt","stream":true,"kind":"stream"}'));
      const reply = await client.reply();
      assert.equal(reply.header('transfer-encoding'), null);
      assert.equal(reply.text, sse('{"n":0}', '[DONE]'));
      if (reply.framing === 'close') {
        assert.equal(reply.header('connection'), 'close');
        await client.ended();
      }
      client.close();
    });
  });

  it('HEAD: the head of a GET without its body', async () => {
    for (const path of ['/v1/models', '/v1/models/gpt', '/health/liveness', '/health/readiness', '/metrics']) {
      const client = new RawClient(gateway.port);
      const lengths: (string | null)[] = [];
      for (const method of ['GET', 'HEAD']) {
        client.send(requestBytes({ method, path, key: MASTER_KEY }));
        const reply = await client.reply(method);
        assert.equal(reply.status, 200);
        lengths.push(reply.header('content-length'));
      }
      if (path !== '/metrics') assert.equal(lengths[0], lengths[1]);
      await sleep(2);
      assert.equal(client.received.length, 0);
      client.close();
    }
  });

  it('HEAD and OPTIONS of what they are not for, at once and with what is allowed', async () => {
    for (const method of ['OPTIONS', 'HEAD', 'GET', 'DELETE', 'PATCH']) {
      const reply = await ask(gateway.port, { method, key: null });
      assert.equal(reply.status, 405);
      assert.equal(reply.header('allow'), 'POST');
      if (method === 'HEAD') assert.equal(reply.body.length, 0);
    }
    assert.equal(
      (await ask(gateway.port, { method: 'OPTIONS', path: '/v1/models', key: null })).header('allow'),
      'GET, HEAD',
    );
  });

  it('an upgrade to anything else is answered as the request it is; one of a realtime that is none with 426', async () => {
    const client = new RawClient(gateway.port).send(
      chatBytes('gpt', '', { headers: ['connection: upgrade', 'upgrade: h2c', 'http2-settings: AAMAAABk'] }),
    );
    assert.equal((await client.reply()).status, 200);
    assert.ok(!/upgrade|http2/i.test(upstream.last.head));
    client.close();
    const plain = await ask(gateway.port, { method: 'GET', path: '/v1/realtime?model=gpt', key: TEST_KEY });
    assert.equal(plain.status, 426);
  });

  it('a client that sends its request byte by byte is served', async () => {
    const client = new RawClient(gateway.port);
    for (const byte of chatBytes('gpt', ',"n":7')) client.socket.write(Buffer.of(byte));
    assert.equal((await client.reply()).text, '{"n":7}');
    client.close();
  });

  it('many clients at once, each gets its own', async () => {
    const clients = Array.from({ length: 200 }, (_, n) => chatClient(gateway.port, 'gpt', `,"n":${n},"wait":${n % 7}`));
    const texts = await Promise.all(clients.map(async (client) => (await client.reply()).text));
    assert.deepEqual(
      texts,
      clients.map((_client, n) => `{"n":${n}}`),
    );
    for (const client of clients) client.close();
    await eventually(() => gateway.journal().length > 200, 'all are recorded');
    await nothingInFlight(gateway.port);
  });
});
