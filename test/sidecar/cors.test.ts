import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { startFlow, withFlow } from '../support/flow-support.ts';
import { ask, type RawReply } from '../support/raw-client.ts';
import { reply } from '../support/scripted-upstream.ts';
import { deployment, TEST_KEY } from '../support/sidecar-harness.ts';

type Ask = (method: string, headers: readonly string[], path?: string, key?: string | null) => Promise<RawReply>;

function withCors(allowedOrigins: readonly string[], body: (request: Ask) => Promise<void>): Promise<void> {
  return withFlow(
    (_request, answer) =>
      answer.write(
        reply(
          200,
          [
            'content-type: application/json',
            'Access-Control-Expose-Headers: x-request-id',
            'access-control-allow-origin: x',
          ],
          '{"model":"up"}',
        ),
      ),
    (upstream) =>
      startFlow([deployment('m', upstream.port)], {}, { settings: { cors: { allowedOrigins, maxAgeMs: 60_000 } } }),
    (gateway) =>
      body((method, headers, path = '/v1/chat/completions', key = TEST_KEY) =>
        ask(gateway.port, { method, path, key, headers, ...(method === 'POST' ? { body: '{"model":"m"}' } : {}) }),
      ),
  );
}

const PAGE = 'https://app.example.com';
const PREFLIGHT = ['access-control-request-method: POST', 'access-control-request-headers: authorization,content-type'];

describe('CORS off', () => {
  it('a preflight gets 405, and what a provider says about CORS passes', () =>
    withCors([], async (request) => {
      const refused = await request('OPTIONS', [`origin: ${PAGE}`, ...PREFLIGHT], undefined, null);
      assert.equal(refused.status, 405);
      assert.doesNotMatch(refused.head, /access-control/i);
      const answer = await request('POST', [`origin: ${PAGE}`]);
      assert.equal(answer.header('access-control-allow-origin'), 'x');
      assert.equal(answer.header('vary'), null);
    }));
});

describe('CORS for named origins', () => {
  it('a preflight is answered on every path, without a key', () =>
    withCors([PAGE], async (request) => {
      for (const path of ['/v1/chat/completions', '/v1/models', '/key/generate', '/nowhere']) {
        const answer = await request('OPTIONS', [`Origin: ${PAGE}`, ...PREFLIGHT], path, null);
        assert.equal(answer.status, 204, path);
        assert.equal(answer.header('access-control-allow-origin'), PAGE);
        assert.equal(answer.header('access-control-allow-headers'), 'authorization,content-type');
        assert.match(answer.header('access-control-allow-methods') ?? '', /POST/);
        assert.equal(answer.header('access-control-max-age'), '60');
        assert.equal(answer.header('vary'), 'origin');
      }
    }));

  it('one of another origin is refused', () =>
    withCors([PAGE], async (request) => {
      for (const origin of ['https://evil.example', 'null', `${PAGE}.evil.example`, 'http://app.example.com']) {
        const answer = await request('OPTIONS', [`origin: ${origin}`, ...PREFLIGHT], undefined, null);
        assert.equal(answer.status, 403, origin);
        assert.equal(answer.header('x-slipstream-error'), 'origin_not_allowed');
        assert.equal(answer.header('access-control-allow-origin'), null);
      }
    }));

  it('answers say who may read them: relayed ones, our own, and errors', () =>
    withCors([PAGE], async (request) => {
      const answers = [
        await request('POST', [`origin: ${PAGE}`]),
        await request('GET', [`origin: ${PAGE}`], '/v1/models'),
        await request('POST', [`origin: ${PAGE}`], undefined, 'sk-unknown'),
      ];
      assert.deepEqual(
        answers.map(({ status }) => status),
        [200, 200, 401],
      );
      for (const answer of answers) {
        assert.equal(answer.header('access-control-allow-origin'), PAGE);
        assert.equal(answer.header('access-control-expose-headers'), '*');
        assert.equal(answer.header('vary'), 'origin');
      }
      const other = await request('POST', ['origin: https://evil.example']);
      assert.equal(other.header('access-control-allow-origin'), null);
      assert.equal(other.header('vary'), 'origin');
      const none = await request('POST', []);
      assert.equal(none.status, 200);
      assert.equal(none.header('vary'), 'origin');
    }));

  it('an OPTIONS that is no preflight is what it was', () =>
    withCors([PAGE], async (request) => {
      assert.equal((await request('OPTIONS', [`origin: ${PAGE}`])).status, 405);
      assert.equal((await request('OPTIONS', PREFLIGHT)).status, 405);
    }));
});

it('CORS for any origin', () =>
  withCors(['*'], async (request) => {
    const preflight = await request('OPTIONS', ['origin: null', ...PREFLIGHT], undefined, null);
    assert.equal(preflight.status, 204);
    assert.equal(preflight.header('access-control-allow-origin'), '*');
    assert.equal((await request('POST', ['origin: https://any.example'])).header('access-control-allow-origin'), '*');
  }));
