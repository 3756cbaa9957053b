import assert from 'node:assert/strict';
import { connect } from 'node:net';
import { after, before, describe, it } from 'node:test';
import { gzipSync } from 'node:zlib';
import { startMock, type RunningMock } from '../../src/cli/mock/mock-server.ts';
import { MODES, startGateway, type Gateway } from '../support/gateway.ts';

const KEY = 'sk-client-0123456789abcdef';
const PROVIDER_SECRET = 'sk-provider-secret-0123456789';
const GOOD_BODY = '{"model":"chat","messages":[{"role":"user","content":"hello"}]}';

/** One thing a client can get wrong, and what it must hear. */
interface BadInput {
  readonly name: string;
  readonly request: string | Buffer;
  readonly status: number;
  /** `x-slipstream-error`. */
  readonly error: string;
  /** Framing is in doubt: the gateway must close the connection. Otherwise the next request on it must work. */
  readonly closes?: boolean;
  /** What the message must name. */
  readonly says?: RegExp;
  /** Which envelope; OpenAI's unless said. */
  readonly envelope?: 'anthropic';
}

function post(body: string | Buffer, options: { path?: string; headers?: string; key?: string | null } = {}): Buffer {
  const key = options.key === null ? '' : `authorization: Bearer ${options.key ?? KEY}\r\n`;
  const bytes = Buffer.from(body);
  return Buffer.concat([
    Buffer.from(
      `POST ${options.path ?? '/v1/chat/completions'} HTTP/1.1\r\nhost: gateway\r\n${key}content-type: application/json\r\n` +
        `${options.headers ?? ''}content-length: ${bytes.length}\r\n\r\n`,
    ),
    bytes,
  ]);
}

function raw(...lines: string[]): string {
  return lines.map((line) => `${line}\r\n`).join('');
}

const AUTH = `authorization: Bearer ${KEY}`;

const CASES: readonly BadInput[] = [
  // Framing
  {
    name: 'CL.TE',
    request: `${raw('POST /v1/chat/completions HTTP/1.1', 'host: a', AUTH, 'content-length: 5', 'transfer-encoding: chunked', '')}0\r\n\r\n`,
    status: 400,
    error: 'malformed_request',
    closes: true,
  },
  {
    name: 'two content-lengths',
    request: `${raw('POST /v1/chat/completions HTTP/1.1', 'host: a', AUTH, 'content-length: 2', 'content-length: 3', '')}{}`,
    status: 400,
    error: 'malformed_request',
    closes: true,
  },
  {
    name: 'signed content-length',
    request: `${raw('POST /v1/chat/completions HTTP/1.1', 'host: a', AUTH, 'content-length: +2', '')}{}`,
    status: 400,
    error: 'malformed_request',
    closes: true,
  },
  {
    name: 'obs-fold',
    request: raw('GET /v1/models HTTP/1.1', 'host: a', 'x-a: 1', ' 2', ''),
    status: 400,
    error: 'malformed_request',
    closes: true,
  },
  {
    name: 'bare LF',
    request: 'GET /v1/models HTTP/1.1\nhost: a\n\n',
    status: 400,
    error: 'malformed_request',
    closes: true,
  },
  {
    name: 'space before colon',
    request: raw('GET /v1/models HTTP/1.1', 'host : a', ''),
    status: 400,
    error: 'malformed_request',
    closes: true,
  },
  {
    name: 'NUL in a header value',
    request: raw('GET /v1/models HTTP/1.1', 'host: a', 'x-a: \0', ''),
    status: 400,
    error: 'malformed_request',
    closes: true,
  },
  {
    name: 'no host',
    request: raw('GET /v1/models HTTP/1.1', ''),
    status: 400,
    error: 'malformed_request',
    closes: true,
  },
  {
    name: 'bad chunk size',
    request: `${raw('POST /v1/chat/completions HTTP/1.1', 'host: a', AUTH, 'transfer-encoding: chunked', '')}0x2\r\n{}\r\n0\r\n\r\n`,
    status: 400,
    error: 'malformed_request',
    closes: true,
  },
  {
    name: 'a TLS hello',
    request: Buffer.from('16030100a5010000a10303', 'hex'),
    status: 400,
    error: 'malformed_request',
    closes: true,
  },
  {
    name: 'HTTP/2 preface',
    request: 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n',
    status: 505,
    error: 'http_version_unsupported',
    closes: true,
  },
  {
    name: 'head too large',
    request: raw('GET /v1/models HTTP/1.1', 'host: a', `x-a: ${'a'.repeat(80_000)}`, ''),
    status: 431,
    error: 'request_head_too_large',
    closes: true,
  },
  {
    name: 'too many headers',
    request: raw('GET /v1/models HTTP/1.1', 'host: a', ...Array.from({ length: 200 }, (_, i) => `x-${i}: 1`), ''),
    status: 431,
    error: 'request_head_too_large',
    closes: true,
  },
  {
    name: 'unknown expectation',
    request: raw('GET /v1/models HTTP/1.1', 'host: a', AUTH, 'expect: miracles', ''),
    status: 417,
    error: 'expectation_failed',
    closes: true,
  },
  {
    name: 'a body said to be too large',
    request: raw('POST /v1/chat/completions HTTP/1.1', 'host: a', AUTH, 'content-length: 999999999', ''),
    status: 413,
    error: 'body_too_large',
    closes: true,
  },
  // Key
  { name: 'no key', request: post(GOOD_BODY, { key: null }), status: 401, error: 'missing_key' },
  { name: 'unknown key', request: post(GOOD_BODY, { key: 'sk-nobody' }), status: 401, error: 'invalid_key' },
  {
    name: "a key's hash",
    request: post(GOOD_BODY, { key: 'd3a3a7bf0b1c44ac1c9d1e2b4c5d6e7f8091a2b3c4d5e6f708192a3b4c5d6e7f' }),
    status: 401,
    error: 'invalid_key',
  },
  {
    name: 'no key, Anthropic',
    request: post(GOOD_BODY, { key: null, path: '/v1/messages' }),
    status: 401,
    error: 'missing_key',
    envelope: 'anthropic',
  },
  // Body
  { name: 'empty body', request: post(''), status: 400, error: 'invalid_json' },
  { name: 'not JSON', request: post('hello'), status: 400, error: 'invalid_json' },
  { name: 'an array', request: post('[]'), status: 400, error: 'invalid_json' },
  { name: 'cut off', request: post(GOOD_BODY.slice(0, -1)), status: 400, error: 'invalid_json' },
  { name: 'bytes after the end', request: post(`${GOOD_BODY}{}`), status: 400, error: 'invalid_json' },
  { name: 'byte order mark', request: post(`\uFEFF${GOOD_BODY}`), status: 400, error: 'invalid_json' },
  {
    name: 'model twice',
    request: post('{"model":"chat","model":"other","messages":[]}'),
    status: 400,
    error: 'ambiguous_field',
    says: /model/,
  },
  {
    name: 'model twice, one escaped',
    request: post('{"model":"chat","mod\\u0065l":"other","messages":[]}'),
    status: 400,
    error: 'ambiguous_field',
    says: /model/,
  },
  {
    name: 'Model',
    request: post('{"Model":"chat","messages":[]}'),
    status: 400,
    error: 'ambiguous_field',
    says: /model/i,
  },
  {
    name: 'api_base',
    request: post('{"model":"chat","api_base":"http://evil","messages":[]}'),
    status: 400,
    error: 'forbidden_field',
    says: /api_base/,
  },
  {
    name: 'api_key',
    request: post('{"model":"chat","api_key":"x","messages":[]}'),
    status: 400,
    error: 'forbidden_field',
    says: /api_key/,
  },
  { name: 'no model', request: post('{"messages":[]}'), status: 400, error: 'missing_model', says: /model/ },
  {
    name: 'model is a number',
    request: post('{"model":7,"messages":[]}'),
    status: 400,
    error: 'invalid_field',
    says: /model/,
  },
  {
    name: 'unknown model',
    request: post('{"model":"nowhere","messages":[]}'),
    status: 400,
    error: 'unknown_model',
    says: /nowhere/,
  },
  {
    name: 'stream is a text',
    request: post('{"model":"chat","stream":"yes","messages":[]}'),
    status: 400,
    error: 'invalid_field',
    says: /stream/,
  },
  {
    name: 'timeout is negative',
    request: post('{"model":"chat","timeout":-1,"messages":[]}'),
    status: 400,
    error: 'invalid_field',
    says: /timeout/,
  },
  {
    name: 'wrong protocol',
    request: post('{"model":"claude","messages":[]}'),
    status: 400,
    error: 'wrong_protocol',
    says: /\/v1\/messages/,
  },
  {
    name: 'unknown content-encoding',
    request: post(GOOD_BODY, { headers: 'content-encoding: compress\r\n' }),
    status: 415,
    error: 'unsupported_content_encoding',
    says: /gzip/,
  },
  {
    name: 'not what content-encoding says',
    request: post(GOOD_BODY, { headers: 'content-encoding: gzip\r\n' }),
    status: 400,
    error: 'invalid_content_encoding',
  },
  {
    name: 'a bomb',
    request: post(gzipSync(Buffer.alloc(64 * 1024 * 1024)), { headers: 'content-encoding: gzip\r\n' }),
    status: 413,
    error: 'body_too_large',
    closes: true,
  },
  {
    name: 'x-litellm-timeout is no number',
    request: post(GOOD_BODY, { headers: 'x-litellm-timeout: soon\r\n' }),
    status: 400,
    error: 'invalid_field',
    says: /x-litellm-timeout/,
  },
  // Route
  {
    name: 'method not allowed',
    request: raw('DELETE /v1/chat/completions HTTP/1.1', 'host: a', AUTH, ''),
    status: 405,
    error: 'method_not_allowed',
  },
  {
    name: 'no such response',
    request: raw('GET /v1/responses/resp_none HTTP/1.1', 'host: a', AUTH, ''),
    status: 404,
    error: 'response_not_found',
    says: /resp_none/,
  },
  {
    name: 'realtime without upgrade',
    request: raw('GET /v1/realtime?model=chat HTTP/1.1', 'host: a', AUTH, ''),
    status: 426,
    error: 'upgrade_unsupported',
  },
];

for (const mode of MODES) {
  describe(`bad input, ${mode}`, () => {
    let mock: RunningMock;
    let gateway: Gateway;

    before(async () => {
      mock = await startMock({ host: '127.0.0.1', port: 0 });
      gateway = await startGateway({ mode, config: config(mock.url) });
    });
    after(async () => {
      const output = gateway.output();
      assert.equal(await gateway.stop(), 0);
      await mock.close();
      for (const secret of [KEY, PROVIDER_SECRET]) assert.ok(!output.includes(secret), 'no secret in any output');
    });

    for (const testCase of CASES) {
      it(testCase.name, async () => {
        const followUp = testCase.closes === true ? '' : post(GOOD_BODY);
        const reply = await exchange(gateway.port, testCase.request, followUp);
        const [first, second] = splitReplies(reply.text);
        assert.match(first.head, new RegExp(`^HTTP/1\\.1 ${testCase.status} `), first.head);
        assert.match(first.head, new RegExp(`x-slipstream-error: ${testCase.error}\\r\\n`));
        const body = JSON.parse(first.body) as ErrorBody;
        assert.ok(typeof body.error.message === 'string' && body.error.message.length > 0);
        if (testCase.envelope === 'anthropic') assert.equal(body.type, 'error');
        else assert.equal(body.error.code, String(testCase.status));
        if (testCase.says !== undefined) assert.match(body.error.message, testCase.says);
        assert.ok(!reply.text.includes(PROVIDER_SECRET));
        if (testCase.closes === true) {
          assert.match(first.head, /connection: close\r\n/);
          assert.ok(reply.closed, 'the gateway closes the connection');
        } else {
          assert.match(second.head, /^HTTP\/1\.1 200 /, 'the next request on this connection works');
        }
        // And one on a connection of its own.
        const good = await exchange(gateway.port, post(GOOD_BODY), '');
        assert.match(good.text, /^HTTP\/1\.1 200 /);
      });
    }

    it('an unknown route is answered by the control plane in the same envelope', async () => {
      const reply = await exchange(
        gateway.port,
        raw('GET /nowhere HTTP/1.1', 'host: a', 'authorization: Bearer sk-master-0123456789abcdef', ''),
        '',
      );
      assert.match(reply.text, /^HTTP\/1\.1 404 /);
      assert.equal((JSON.parse(splitReplies(reply.text)[0].body) as ErrorBody).error.code, '404');
    });
  });
}

interface ErrorBody {
  readonly type?: string;
  readonly error: { readonly message: string; readonly code?: string };
}

function config(mockUrl: string): string {
  return `
model_list:
  - { model_name: chat, litellm_params: { model: openai/mock-up, api_base: "${mockUrl}/v1", api_key: ${PROVIDER_SECRET} } }
  - { model_name: claude, litellm_params: { model: anthropic/mock-claude, api_base: "${mockUrl}", api_key: ${PROVIDER_SECRET} } }
general_settings: { master_key: sk-master-0123456789abcdef }
slipstream: { keys: [ { key: ${KEY} } ] }
`;
}

/**
 * Sends `request`; when its reply is whole, `followUp` on the same connection. Resolves when as many replies are whole as
 * were asked for (then the connection is left after a moment in which a close would show), or when it is closed.
 */
function exchange(
  port: number,
  request: string | Buffer,
  followUp: string | Buffer,
): Promise<{ text: string; closed: boolean }> {
  return new Promise((resolve, reject) => {
    const socket = connect(port, '127.0.0.1');
    let text = '';
    let sentFollowUp = followUp.length === 0;
    const patience = setTimeout(() => {
      socket.destroy();
      reject(new Error(`no whole reply in 5 s: ${text}`));
    }, 5_000);
    const finish = (closed: boolean): void => {
      clearTimeout(patience);
      socket.destroy();
      resolve({ text, closed });
    };
    socket.on('connect', () => socket.write(request));
    socket.on('data', (chunk: Buffer) => {
      text += chunk.toString('latin1');
      if (wholeReplies(text) === 1 && !sentFollowUp) {
        sentFollowUp = true;
        socket.write(followUp);
      } else if (wholeReplies(text) >= (followUp.length === 0 ? 1 : 2) && !/connection: close\r\n/.test(text)) {
        finish(false);
      }
    });
    socket.on('error', () => undefined);
    socket.on('close', () => finish(true));
  });
}

function splitReplies(text: string): [Reply, Reply] {
  const first = takeReply(text);
  return [first, takeReply(text.slice(first.length))];
}

interface Reply {
  readonly head: string;
  readonly body: string;
  readonly length: number;
}

function takeReply(text: string): Reply {
  const end = text.indexOf('\r\n\r\n') + 4;
  const head = text.slice(0, end);
  const length = Number(/content-length: (\d+)\r\n/i.exec(head)?.[1] ?? 0);
  return { head, body: text.slice(end, end + length), length: end + length };
}

function wholeReplies(text: string): number {
  let count = 0;
  let rest = text;
  while (rest.includes('\r\n\r\n')) {
    const reply = takeReply(rest);
    if (rest.length < reply.length) break;
    count += 1;
    rest = rest.slice(reply.length);
  }
  return count;
}
