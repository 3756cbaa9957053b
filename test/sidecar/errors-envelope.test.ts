import assert from 'node:assert/strict';
import { after, before, beforeEach, describe, it } from 'node:test';
import { ERROR_TABLE, type ErrorName } from '../../src/domain/errors/error-table.ts';
import {
  deployment,
  keyRecord,
  snapshotOf,
  startSidecar,
  TEST_KEY,
  type SidecarHarness,
} from '../support/sidecar-harness.ts';
import { RawClient, requestBytes, type RawReply, type RequestParts } from '../support/raw-client.ts';
import { jsonReply, ScriptedUpstream, type UpstreamScript } from '../support/scripted-upstream.ts';
import { closedPort } from '../support/closed-port.ts';

const CHAT = '/v1/chat/completions';
const MESSAGES = '/v1/messages';

let upstream: ScriptedUpstream;
let gateway: SidecarHarness;
let script: UpstreamScript;

before(async () => {
  upstream = await ScriptedUpstream.start((request, answer, index) => script(request, answer, index));
  const gone = await closedPort();
  const anthropic = { family: 'anthropic', basePath: '' } as const;
  gateway = await startSidecar({
    snapshot: snapshotOf(
      [
        deployment('gpt', upstream.port),
        deployment('claude', upstream.port, anthropic),
        deployment('gpt-gone', gone),
        deployment('claude-gone', gone, anthropic),
      ],
      {
        settings: { numRetries: 0 },
        limits: { maxHeadBytes: 4096, maxHeaders: 40, maxBodyBytes: 20_000, maxJsonBodyBytes: 10_000 },
      },
    ),
    keys: [
      keyRecord(TEST_KEY),
      keyRecord('sk-limited', { models: ['none'] }),
      keyRecord('sk-blocked', { blocked: true }),
      keyRecord('sk-expired', { expiresAtMs: 1 }),
    ],
  });
});
beforeEach(() => {
  script = (_request, answer) => {
    answer.write(jsonReply('{}'));
  };
});
after(async () => {
  upstream.stop();
  await gateway.stop();
});

interface Case {
  readonly name: ErrorName;
  readonly status?: number;
  readonly request: Buffer | ((model: string, path: string) => Buffer);
  readonly script?: UpstreamScript;
  readonly param?: string;
}

const send =
  (parts: RequestParts, body?: string) =>
  (model: string, path: string): Buffer =>
    requestBytes({ key: TEST_KEY, path, body: body ?? JSON.stringify({ model }), ...parts });

/** All that can be told of a client's or provider's fault once the route is known. */
const CASES: readonly Case[] = [
  { name: 'missing_key', request: send({ key: null }) },
  { name: 'invalid_key', request: send({ key: 'sk-unknown' }) },
  { name: 'blocked_key', request: send({ key: 'sk-blocked' }) },
  { name: 'expired_key', request: send({ key: 'sk-expired' }) },
  { name: 'model_access_denied', request: send({ key: 'sk-limited' }), param: 'model' },
  { name: 'unknown_model', request: send({}, '{"model":"nothing"}'), param: 'model' },
  { name: 'missing_model', request: send({}, '{}'), param: 'model' },
  { name: 'invalid_json', request: send({}, '{') },
  { name: 'invalid_json', request: (_model, path) => requestBytes({ key: TEST_KEY, path }) },
  { name: 'ambiguous_field', request: send({}, '{"model":"a","model":"b"}'), param: 'model' },
  { name: 'forbidden_field', request: send({}, '{"model":"a","api_base":"b"}'), param: 'api_base' },
  { name: 'invalid_field', request: send({}, '{"model":"a","timeout":"b"}'), param: 'timeout' },
  { name: 'method_not_allowed', request: send({ method: 'PUT' }) },
  { name: 'expectation_failed', request: send({ headers: ['expect: 200-ok'] }) },
  { name: 'unsupported_content_encoding', request: send({ headers: ['content-encoding: compress'] }) },
  { name: 'invalid_content_encoding', request: send({ headers: ['content-encoding: gzip'] }) },
  { name: 'body_too_large', request: send({}, `{"x":"${'y'.repeat(10_000)}"}`) },
  {
    name: 'body_too_large',
    request: (_model, path) =>
      Buffer.from(
        `POST ${path} HTTP/1.1\r\nhost: x\r\nx-api-key: ${TEST_KEY}\r\ntransfer-encoding: chunked\r\n\r\n2ee0\r\n${'z'.repeat(12_000)}`,
      ),
  },
  {
    name: 'malformed_request',
    request: (_model, path) =>
      Buffer.from(
        `POST ${path} HTTP/1.1\r\nhost: x\r\nx-api-key: ${TEST_KEY}\r\ntransfer-encoding: chunked\r\n\r\nxyz\r\n`,
      ),
  },
  {
    name: 'upstream_unreachable',
    request: (model, path) => requestBytes({ key: TEST_KEY, path, body: `{"model":"${model}-gone"}` }),
  },
  { name: 'upstream_timeout', request: send({ headers: ['x-litellm-timeout: 0.03'] }), script: () => undefined },
  {
    name: 'upstream_closed',
    request: send({}),
    script: (_request, answer) => {
      answer.reset();
    },
  },
  {
    name: 'upstream_invalid_reply',
    request: send({}),
    script: (_request, answer) => {
      answer.write('HTTP/1.1 200 OK\r\ncontent-length: 5\r\ntransfer-encoding: chunked\r\n\r\n');
    },
  },
  {
    name: 'upstream_refused_credential',
    status: 403,
    request: send({}),
    script: (_request, answer) => {
      answer.write(jsonReply('{"error":"sk-provider-secret"}', 403));
    },
  },
];

async function run({ request, script: upstreamScript }: Case, model: string, path: string): Promise<RawReply> {
  if (upstreamScript !== undefined) script = upstreamScript;
  const client = new RawClient(gateway.port);
  const reply = await client.send(typeof request === 'function' ? request(model, path) : request).reply();
  script = (_request, answer) => {
    answer.write(jsonReply('{}'));
  };
  // The next good request works: on this connection, unless the answer said that it closes.
  const closes = reply.header('connection') === 'close';
  if (closes) await client.ended();
  const next = closes ? new RawClient(gateway.port) : client;
  const good = await next.send(requestBytes({ key: TEST_KEY, path, body: JSON.stringify({ model }) })).reply();
  assert.equal(good.status, 200, `after that a good request: ${good.text}`);
  client.close();
  next.close();
  return reply;
}

describe('errors in the client’s protocol', () => {
  for (const each of CASES) {
    it(`${each.name}, OpenAI and Anthropic`, async () => {
      const spec = ERROR_TABLE[each.name];
      const status = each.status ?? spec.status;
      for (const [model, path] of [
        ['gpt', CHAT],
        ['claude', MESSAGES],
      ] as const) {
        const reply = await run(each, model, path);
        assert.equal(`${reply.status} ${reply.header('x-slipstream-error')}`, `${status} ${each.name}`, reply.text);
        assert.equal(reply.header('content-type'), 'application/json');
        assert.equal(reply.header('content-length'), String(reply.body.length));
        assert.equal(reply.header('x-slipstream-call-id'), reply.header('x-litellm-call-id'));
        assert.match(reply.header('x-slipstream-call-id') ?? '', /^[0-9a-f-]{36}$/);
        if (spec.closes) assert.equal(reply.header('connection'), 'close');
        const body = JSON.parse(reply.text) as { error: { message: string } };
        const { message } = body.error;
        assert.ok(message.length > 10, message);
        if (path === CHAT) {
          assert.deepEqual(body, {
            error: { message, type: spec.openaiType, param: each.param ?? null, code: String(status) },
          });
        } else {
          assert.deepEqual(body, { type: 'error', error: { type: spec.anthropicType, message } });
        }
      }
    });
  }

  it('on /messages without /v1, and on count_tokens, too', async () => {
    for (const path of ['/messages', '/v1/messages/count_tokens', '/messages/count_tokens']) {
      const reply = await run({ name: 'invalid_key', request: send({ key: 'sk-unknown' }) }, 'claude', path);
      assert.equal((JSON.parse(reply.text) as { type: string }).type, 'error');
    }
  });
});

describe('requests that are no requests', () => {
  const head = `POST ${CHAT} HTTP/1.1\r\nhost: x\r\n`;
  for (const [what, bytes, status, name] of [
    ['two lengths', `${head}content-length: 1\r\ncontent-length: 1\r\n\r\nx`, 400, 'malformed_request'],
    [
      'length and chunked',
      `${head}content-length: 1\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n`,
      400,
      'malformed_request',
    ],
    ['a length that is none', `${head}content-length: +1\r\n\r\nx`, 400, 'malformed_request'],
    ['a folded line', `${head}x: 1\r\n y\r\n\r\n`, 400, 'malformed_request'],
    ['a bare LF', `POST ${CHAT} HTTP/1.1\nhost: x\n\n`, 400, 'malformed_request'],
    ['a NUL', `${head}x: \0\r\n\r\n`, 400, 'malformed_request'],
    ['no host', `POST ${CHAT} HTTP/1.1\r\n\r\n`, 400, 'malformed_request'],
    ['another coding', `${head}transfer-encoding: gzip, chunked\r\n\r\n`, 501, 'malformed_request'],
    ['a target too long', `POST /${'x'.repeat(5000)} HTTP/1.1\r\nhost: x\r\n\r\n`, 414, 'request_head_too_large'],
    ['a head too large', `${head}x: ${'y'.repeat(5000)}\r\n\r\n`, 431, 'request_head_too_large'],
    ['too many headers', `${head}${'x: y\r\n'.repeat(50)}\r\n`, 431, 'request_head_too_large'],
    ['HTTP/2.0', `POST ${CHAT} HTTP/2.0\r\nhost: x\r\n\r\n`, 505, 'http_version_unsupported'],
    ['HTTP/2’s preface', 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n', 505, 'http_version_unsupported'],
    ['TLS', Buffer.from('16030100f8010000f40303', 'hex'), 400, 'malformed_request'],
    ['CONNECT', 'CONNECT example.com:443 HTTP/1.1\r\nhost: example.com:443\r\n\r\n', 400, 'malformed_request'],
  ] as const) {
    it(`${what}: ${status}, then the connection closes`, async () => {
      const client = new RawClient(gateway.port);
      const reply = await client.send(bytes).reply();
      assert.equal(`${reply.status} ${reply.header('x-slipstream-error')}`, `${status} ${name}`);
      assert.equal(reply.header('connection'), 'close');
      assert.equal((JSON.parse(reply.text) as { error: { code: string } }).error.code, String(status));
      assert.equal((await client.ended()).length, 0, 'nothing follows');
      client.close();
    });
  }
});
