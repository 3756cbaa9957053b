import assert from 'node:assert/strict';
import { after, before, beforeEach, describe, it } from 'node:test';
import {
  deployment,
  keyRecord,
  MASTER_KEY,
  sha256,
  snapshotOf,
  startSidecar,
  TEST_KEY,
  type SidecarHarness,
} from '../support/sidecar-harness.ts';
import { ask, RawClient, requestBytes, type RawReply } from '../support/raw-client.ts';
import { jsonReply, ScriptedUpstream } from '../support/scripted-upstream.ts';

const BODY = '{"model":"gpt"}';
const PROVIDER_SECRET = 'sk-provider-secret';
const now = Date.now();
const KEYS = {
  blocked: keyRecord('sk-blocked', { blocked: true }),
  expired: keyRecord('sk-expired', { expiresAtMs: now - 1 }),
  expiring: keyRecord('sk-expiring', { expiresAtMs: now + 3_600_000 }),
  test: keyRecord(TEST_KEY, { userId: 'u-1', teamId: 't-1' }),
};

let upstream: ScriptedUpstream;
let gateway: SidecarHarness;

before(async () => {
  upstream = await ScriptedUpstream.start(() => undefined);
  gateway = await startSidecar({
    snapshot: snapshotOf(
      [
        deployment('gpt', upstream.port),
        deployment('claude', upstream.port, { family: 'anthropic', headers: [['x-api-key', PROVIDER_SECRET]] }),
      ],
      { settings: { keyHeaderName: 'x-company-key' } },
    ),
    keys: Object.values(KEYS),
  });
});
beforeEach(() => {
  upstream.script = (_request, answer) => {
    answer.write(jsonReply('{}'));
  };
});
after(async () => {
  upstream.stop();
  await gateway.stop();
});

/** The answer, and the hash of the key it was counted for. */
async function askWith(...headers: string[]): Promise<{ reply: RawReply; key: string | undefined }> {
  const before = gateway.journal().length;
  const reply = await ask(gateway.port, { headers, body: BODY });
  const events = gateway.journal().slice(before);
  return { reply, key: events[0]?.key };
}

describe('where a key is read', () => {
  const carriers = [
    'x-litellm-api-key: KEY',
    'X-Company-Key: KEY',
    'Authorization: Bearer KEY',
    'api-key: KEY',
    'X-Api-Key: KEY',
    'x-goog-api-key: KEY',
    'Ocp-Apim-Subscription-Key: KEY',
  ];

  it('each carrier works, and none of them reaches the provider', async () => {
    for (const carrier of [
      ...carriers,
      'authorization: bEARER KEY',
      'x-litellm-api-key: Bearer KEY',
      'x-company-key: Bearer KEY',
    ]) {
      const { reply, key } = await askWith(carrier.replace('KEY', TEST_KEY));
      assert.equal(reply.status, 200, carrier);
      assert.equal(key, sha256(TEST_KEY), carrier);
      assert.ok(!upstream.last.bytes.includes(TEST_KEY), carrier);
      assert.deepEqual(
        upstream.last.lines.filter((line) => /key|authorization/i.test(line)),
        [`authorization: Bearer ${PROVIDER_SECRET}`],
        carrier,
      );
    }
  });

  it('the first found wins, in this order; the others count for nothing', async () => {
    for (let first = 0; first < carriers.length; first += 1) {
      for (let second = first + 1; second < carriers.length; second += 1) {
        if (first === 0 && second === 1) continue; // two names for the same place
        const good = carriers[first]!.replace('KEY', TEST_KEY);
        const bad = carriers[second]!.replace('KEY', 'sk-unknown');
        for (const headers of [
          [good, bad],
          [bad, good],
        ]) {
          assert.equal((await askWith(...headers)).reply.status, 200, headers.join(' | '));
        }
        const worse = carriers[first]!.replace('KEY', 'sk-unknown');
        const unused = carriers[second]!.replace('KEY', TEST_KEY);
        assert.equal((await askWith(worse, unused)).reply.status, 401, `${worse} | ${unused}`);
      }
    }
  });

  it('an authorization of another scheme is none', async () => {
    assert.equal((await askWith('authorization: Basic eDp5', `x-api-key: ${TEST_KEY}`)).reply.status, 200);
    assert.equal((await askWith('authorization: Bearer', `x-api-key: ${TEST_KEY}`)).reply.status, 200);
    assert.equal((await askWith(`authorization: ${TEST_KEY}`)).reply.status, 401);
  });

  it('not in the query', async () => {
    for (const query of [`?key=${TEST_KEY}`, `?api_key=${TEST_KEY}`, `?api-key=${TEST_KEY}`]) {
      const reply = await ask(gateway.port, { path: `/v1/chat/completions${query}`, body: BODY });
      assert.equal(reply.status, 401);
      assert.equal(reply.header('x-slipstream-error'), 'missing_key');
    }
  });
});

describe('who may pass', () => {
  it('no key, or an unknown one: 401', async () => {
    for (const [header, name] of [
      ['x-nothing: 1', 'missing_key'],
      ['x-api-key:', 'missing_key'],
      ['authorization: Bearer sk-unknown', 'invalid_key'],
      [`authorization: Bearer ${TEST_KEY}x`, 'invalid_key'],
      [`authorization: Bearer ${TEST_KEY.slice(0, -1)}`, 'invalid_key'],
      [`authorization: Bearer ${TEST_KEY.toUpperCase()}`, 'invalid_key'],
    ] as const) {
      const { reply, key } = await askWith(header);
      assert.equal(reply.status, 401, header);
      assert.equal(reply.header('x-slipstream-error'), name, header);
      assert.equal(key, undefined, 'no usage event');
    }
  });

  it('a key’s hash never authenticates', async () => {
    for (const hash of [sha256(TEST_KEY), sha256(MASTER_KEY), sha256(TEST_KEY).toUpperCase(), 'master']) {
      assert.equal((await askWith(`authorization: Bearer ${hash}`)).reply.status, 401);
    }
  });

  it('the master key', async () => {
    const { reply, key } = await askWith(`authorization: Bearer ${MASTER_KEY}`);
    assert.equal(reply.status, 200);
    assert.equal(key, 'master');
    assert.ok(!upstream.last.bytes.includes(MASTER_KEY));
  });

  it('blocked and expired keys do not, and the answer says which', async () => {
    for (const [key, name, type] of [
      ['sk-blocked', 'blocked_key', 'auth_error'],
      ['sk-expired', 'expired_key', 'expired_key'],
    ] as const) {
      const { reply, key: counted } = await askWith(`authorization: Bearer ${key}`);
      assert.equal(reply.status, 401);
      assert.equal(reply.header('x-slipstream-error'), name);
      assert.equal((JSON.parse(reply.text) as { error: { type: string } }).error.type, type);
      assert.equal(counted, undefined);
    }
    assert.equal((await askWith('authorization: Bearer sk-expiring')).reply.status, 200);
  });

  it('a key expires while the gateway runs', async () => {
    const key = 'sk-short-lived';
    const record = keyRecord(key, { expiresAtMs: Date.now() + 150 });
    gateway.send({ type: 'key-changes', fromSequence: 0, toSequence: 1, changes: [{ hash: record.hash, record }] });
    const client = new RawClient(gateway.port);
    const request = requestBytes({ key, body: BODY });
    let status = (await client.send(request).reply()).status;
    for (let tries = 0; tries < 100 && status === 401 && Date.now() < record.expiresAtMs!; tries += 1) {
      status = (await client.send(request).reply()).status;
    }
    assert.equal(status, 200);
    await new Promise((resolve) => setTimeout(resolve, record.expiresAtMs! - Date.now() + 1));
    const refused = await client.send(request).reply();
    client.close();
    assert.equal(refused.status, 401);
    assert.equal(refused.header('x-slipstream-error'), 'expired_key');
  });

  it('a refused request does not cost its connection', async () => {
    const client = new RawClient(gateway.port);
    assert.equal((await client.send(requestBytes({ key: 'sk-unknown', body: BODY })).reply()).status, 401);
    assert.equal((await client.send(requestBytes({ key: TEST_KEY, body: BODY })).reply()).status, 200);
    client.close();
  });
});

describe('keys of realtime', () => {
  const upgrade = (protocols: string | null, ...more: string[]): Buffer =>
    requestBytes({
      method: 'GET',
      path: '/v1/realtime?model=gpt&key=leak&x=1',
      headers: [
        'connection: Upgrade',
        'upgrade: websocket',
        'sec-websocket-version: 13',
        'sec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==',
        ...(protocols === null ? [] : [`sec-websocket-protocol: ${protocols}`]),
        ...more,
      ],
    });

  async function open(request: Buffer, chosen: string): Promise<RawReply> {
    upstream.script = (_request, answer) => {
      answer.write(
        `HTTP/1.1 101 Switching Protocols\r\nupgrade: websocket\r\nconnection: upgrade\r\nsec-websocket-protocol: ${chosen}\r\n\r\n`,
      );
    };
    const client = new RawClient(gateway.port);
    const reply = await client.send(request).reply('GET');
    client.close();
    return reply;
  }

  it('one in a subprotocol is replaced by the provider’s, and does not come back', async () => {
    const protocol = `realtime, openai-insecure-api-key.${TEST_KEY}, openai-beta.realtime-v1`;
    const reply = await open(upgrade(protocol), 'realtime');
    assert.equal(reply.status, 101, reply.raw.toString());
    assert.equal(reply.header('sec-websocket-protocol'), 'realtime');
    assert.deepEqual(upstream.last.lines, [
      'GET /v1/realtime?model=upstream-gpt&x=1 HTTP/1.1',
      `host: 127.0.0.1:${upstream.port}`,
      'accept-encoding: identity',
      `authorization: Bearer ${PROVIDER_SECRET}`,
      'sec-websocket-version: 13',
      'sec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==',
      `sec-websocket-protocol: realtime, openai-beta.realtime-v1, openai-insecure-api-key.${PROVIDER_SECRET}`,
      'connection: upgrade',
      'upgrade: websocket',
    ]);
  });

  it('the provider’s key never comes back, even if the provider chooses its subprotocol', async () => {
    const reply = await open(
      upgrade(`openai-insecure-api-key.${TEST_KEY}`),
      `openai-insecure-api-key.${PROVIDER_SECRET}`,
    );
    assert.equal(reply.status, 101);
    assert.ok(!reply.raw.includes(PROVIDER_SECRET), reply.raw.toString());
    assert.equal(
      reply.header('sec-websocket-protocol'),
      `openai-insecure-api-key.${TEST_KEY}`,
      'what the client offered',
    );
  });

  it('the header wins over the subprotocol, and no key is refused', async () => {
    const both = upgrade('openai-insecure-api-key.sk-unknown', `authorization: Bearer ${TEST_KEY}`);
    assert.equal((await open(both, 'realtime')).status, 101);
    const none = new RawClient(gateway.port);
    assert.equal((await none.send(upgrade('realtime')).reply('GET')).status, 401);
    none.close();
    const other = await ask(gateway.port, {
      headers: [`sec-websocket-protocol: openai-insecure-api-key.${TEST_KEY}`],
      body: BODY,
    });
    assert.equal(other.status, 401, 'only there');
  });
});
