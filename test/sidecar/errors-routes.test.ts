import assert from 'node:assert/strict';
import { createServer, type IncomingMessage, type Server } from 'node:http';
import { after, before, describe, it } from 'node:test';
import {
  deployment,
  MASTER_KEY,
  snapshotOf,
  startSidecar,
  TEST_KEY,
  type SidecarHarness,
} from '../support/sidecar-harness.ts';
import { ask, RawClient, requestBytes, type RawReply } from '../support/raw-client.ts';
import { jsonReply, ScriptedUpstream } from '../support/scripted-upstream.ts';

let upstream: ScriptedUpstream;
let gateway: SidecarHarness;

before(async () => {
  upstream = await ScriptedUpstream.start((_request, answer) => {
    answer.write(jsonReply('{}'));
  });
  gateway = await startSidecar({ snapshot: snapshotOf([deployment('gpt', upstream.port)]) });
});
after(async () => {
  upstream.stop();
  await gateway.stop();
});

describe('methods that a route does not serve', () => {
  const POST_ONLY = [
    'chat/completions',
    'completions',
    'embeddings',
    'responses',
    'moderations',
    'images/generations',
    'audio/speech',
    'rerank',
    'messages',
    'messages/count_tokens',
  ];
  const routes: (readonly [path: string, allow: string])[] = [
    ...POST_ONLY.flatMap((path) => [[`/v1/${path}`, 'POST'] as const, [`/${path}`, 'POST'] as const]),
    ['/v1/models', 'GET, HEAD'],
    ['/v1/models/gpt', 'GET, HEAD'],
    ['/v1/responses/resp_1', 'GET, DELETE'],
    ['/v1/responses/resp_1/cancel', 'POST'],
    ['/v1/responses/resp_1/input_items', 'GET'],
    ['/v1/realtime', 'GET'],
    ['/metrics', 'GET, HEAD'],
    ['/health/liveliness', 'GET, HEAD'],
    ['/health/liveness', 'GET, HEAD'],
    ['/health/readiness', 'GET, HEAD'],
  ];

  it('get 405 with allow, at once and without a key', async () => {
    const client = new RawClient(gateway.port);
    for (const [path, allow] of routes) {
      for (const method of ['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS', 'TRACE', 'PROPFIND']) {
        if (allow.split(', ').includes(method)) continue;
        const reply = await client.send(requestBytes({ method, path })).reply(method);
        assert.equal(reply.status, 405, `${method} ${path}`);
        assert.equal(reply.header('allow'), allow, `${method} ${path}`);
        assert.equal(reply.header('x-slipstream-error'), 'method_not_allowed');
        assert.equal(reply.body.length === 0, method === 'HEAD');
        assert.ok(Number(reply.header('content-length')) > 0);
      }
    }
    assert.equal((await client.send(requestBytes({ key: TEST_KEY, body: '{"model":"gpt"}' })).reply()).status, 200);
    client.close();
    assert.equal(upstream.requests.length, 1);
  });

  it('methods are case-sensitive', async () => {
    const reply = await ask(gateway.port, { method: 'post', key: TEST_KEY, body: '{"model":"gpt"}' });
    assert.equal(reply.status, 405);
  });

  it('OPTIONS * is answered too', async () => {
    const client = new RawClient(gateway.port);
    const reply = await client.send('OPTIONS * HTTP/1.1\r\nhost: x\r\n\r\n').reply();
    client.close();
    assert.ok([200, 204, 405].includes(reply.status), String(reply.status));
    assert.ok(reply.header('allow') !== null);
  });
});

describe('upgrades', () => {
  const websocket = [
    'connection: upgrade',
    'upgrade: websocket',
    'sec-websocket-version: 13',
    'sec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==',
  ];

  it('realtime without one, or with another, is a 426 that says which', async () => {
    for (const headers of [[], ['connection: upgrade', 'upgrade: h2c'], ['upgrade: websocket']]) {
      const reply = await ask(gateway.port, { method: 'GET', path: '/v1/realtime?model=gpt', key: TEST_KEY, headers });
      assert.equal(reply.status, 426);
      assert.equal(reply.header('x-slipstream-error'), 'upgrade_unsupported');
      assert.equal(reply.header('upgrade'), 'websocket', 'RFC 9110 §15.5.22');
      assert.ok(reply.header('connection')?.includes('upgrade'));
    }
  });

  it('elsewhere is ignored or refused, at once', async () => {
    const h2c = await ask(gateway.port, {
      key: TEST_KEY,
      headers: ['connection: Upgrade, HTTP2-Settings', 'upgrade: h2c', 'http2-settings: AAMAAABk'],
      body: '{"model":"gpt"}',
    });
    assert.equal(h2c.status, 200, 'as curl --http2 sends every request');
    assert.ok(!/upgrade|http2/i.test(upstream.last.head));
    const responses = await ask(gateway.port, {
      method: 'GET',
      path: '/v1/responses',
      key: TEST_KEY,
      headers: websocket,
    });
    assert.equal(responses.status, 405);
  });

  it('a realtime model that is unknown, missing, or not for this key', async () => {
    for (const [path, status, name] of [
      ['/v1/realtime?model=nothing', 400, 'unknown_model'],
      ['/v1/realtime', 400, 'missing_model'],
      ['/v1/realtime?model=', 400, 'missing_model'],
    ] as const) {
      const reply = await ask(gateway.port, { method: 'GET', path, key: TEST_KEY, headers: websocket });
      assert.equal(`${reply.status} ${reply.header('x-slipstream-error')}`, `${status} ${name}`);
    }
  });
});

describe('/metrics', () => {
  const metrics = (key: string | null, port = gateway.port): Promise<RawReply> =>
    ask(port, { method: 'GET', path: '/metrics', key });

  it('needs a key', async () => {
    for (const key of [null, 'sk-unknown']) assert.equal((await metrics(key)).status, 401);
    for (const key of [TEST_KEY, MASTER_KEY]) {
      const reply = await metrics(key);
      assert.equal(reply.status, 200);
      assert.equal(reply.header('content-type'), 'text/plain; version=0.0.4; charset=utf-8');
      assert.match(reply.text, /^# HELP slipstream_/m);
      assert.ok(!reply.text.includes(TEST_KEY) && !reply.text.includes('sk-provider-secret'));
    }
  });

  it('unless the configuration says otherwise', async () => {
    const open = await startSidecar({
      snapshot: snapshotOf([deployment('gpt', upstream.port)], { settings: { metricsRequireKey: false } }),
    });
    assert.equal((await metrics(null, open.port)).status, 200);
    assert.equal((await metrics('sk-unknown', open.port)).status, 200);
    const head = await ask(open.port, { method: 'HEAD', path: '/metrics' });
    assert.equal(head.status, 200);
    await open.stop();
  });

  it('sums all workers', async () => {
    const two = await startSidecar({
      snapshot: snapshotOf([deployment('gpt', upstream.port)], { settings: { threads: 2 } }),
    });
    const clients = Array.from({ length: 6 }, () => new RawClient(two.port));
    await Promise.all(
      clients.map((client) => client.send(requestBytes({ key: TEST_KEY, body: '{"model":"gpt"}' })).reply()),
    );
    const { text } = await metrics(TEST_KEY, two.port);
    assert.match(text, /^slipstream_requests_total\{model_group="gpt",status="2xx"\} 6$/m);
    for (const client of clients) client.close();
    await two.stop();
  });
});

describe('health', () => {
  it('needs no key', async () => {
    for (const path of ['/health/liveliness', '/health/liveness']) {
      const reply = await ask(gateway.port, { method: 'GET', path });
      assert.equal(reply.status, 200);
      assert.equal(reply.text, '"I\'m alive!"');
    }
    const ready = await ask(gateway.port, { method: 'GET', path: '/health/readiness' });
    assert.equal(ready.status, 200);
    assert.equal((JSON.parse(ready.text) as { status: string }).status, 'connected');
  });

  it('readiness is 503 while draining, and every answer closes its connection', async () => {
    const draining = await startSidecar({ snapshot: snapshotOf([deployment('gpt', upstream.port)]) });
    const probe = new RawClient(draining.port);
    const user = new RawClient(draining.port);
    const readiness = requestBytes({ method: 'GET', path: '/health/readiness' });
    assert.equal((await probe.send(readiness).reply('GET')).status, 200);
    assert.equal(
      (await user.send(requestBytes({ key: TEST_KEY, body: '{"model":"gpt"}' })).reply()).header('connection'),
      null,
    );
    await draining.sidecar.beginDrain();
    const notReady = await probe.send(readiness).reply('GET');
    assert.equal(notReady.status, 503);
    assert.equal(notReady.header('connection'), 'close');
    const last = await user.send(requestBytes({ key: TEST_KEY, body: '{"model":"gpt"}' })).reply();
    assert.equal(last.status, 200);
    assert.equal(last.header('connection'), 'close');
    await Promise.all([probe.ended(), user.ended()]);
    await draining.stop();
  });
});

describe('everything else', () => {
  let admin: Server;
  let seen: { method: string | undefined; url: string | undefined; raw: string[]; body: string }[] = [];
  before(async () => {
    admin = createServer((request, response) => {
      void bodyOf(request).then((body) => {
        seen.push({ method: request.method, url: request.url, raw: request.rawHeaders, body });
        response.writeHead(request.url === '/gone' ? 404 : 200, {
          'content-type': 'text/html',
          'x-slipstream-anything': 'forged',
          'set-cookie': 'session=1',
        });
        response.end(`admin:${request.url ?? ''}`);
      });
    });
    await new Promise<void>((resolve) => admin.listen(gateway.adminSocketPath, resolve));
  });
  after(() => {
    admin.close();
    admin.closeAllConnections();
  });

  it('goes to the control plane with its key, which that checks itself', async () => {
    seen = [];
    const reply = await ask(gateway.port, {
      method: 'POST',
      path: '/key/generate?x=1',
      key: 'sk-whatever',
      headers: ['x-custom: 1', 'connection: keep-alive, x-hop', 'x-hop: 1', 'accept-encoding: br', 'cookie: a=b'],
      body: '{"models":[]}',
    });
    assert.equal(reply.status, 200);
    assert.equal(reply.text, 'admin:/key/generate?x=1');
    assert.equal(reply.header('content-type'), 'text/html');
    assert.equal(seen.length, 1);
    assert.equal(seen[0]?.method, 'POST');
    assert.equal(seen[0]?.body, '{"models":[]}');
    const names = seen[0].raw.filter((_value, index) => index % 2 === 0).map((name) => name.toLowerCase());
    for (const name of ['authorization', 'x-custom', 'accept-encoding', 'cookie', 'host'])
      assert.ok(names.includes(name), name);
    assert.ok(!names.includes('x-hop'));
    assert.equal(
      gateway.journal().some((event) => event.key.includes('whatever')),
      false,
    );
  });

  it('its cookies come back: there it is the gateway’s own', async () => {
    const reply = await ask(gateway.port, { method: 'GET', path: '/ui/' });
    assert.equal(reply.header('set-cookie'), 'session=1');
    assert.equal((await ask(gateway.port, { method: 'GET', path: '/gone' })).status, 404);
    const head = await ask(gateway.port, { method: 'HEAD', path: '/ui/' });
    assert.equal(head.status, 200);
    assert.equal(head.body.length, 0);
  });

  it('is a 503 with the control plane away', async () => {
    const lone = await startSidecar({ snapshot: snapshotOf([deployment('gpt', upstream.port)]) });
    const reply = await ask(lone.port, { method: 'GET', path: '/anything', key: MASTER_KEY });
    assert.equal(reply.status, 503);
    assert.equal(reply.header('x-slipstream-error'), 'control_unavailable');
    assert.ok(Number(reply.header('retry-after')) >= 1);
    await lone.stop();
  });
});

async function bodyOf(request: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = [];
  for await (const chunk of request) chunks.push(chunk as Buffer);
  return Buffer.concat(chunks).toString();
}
