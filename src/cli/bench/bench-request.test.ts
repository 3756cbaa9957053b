import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { BODY_KINDS, buildRequest } from './bench-request.ts';
import { UPSTREAM_MODEL } from './gateway-config.ts';
import { NONCE_DIGITS } from './load-spec.ts';

const TARGET = { host: '127.0.0.1', port: 1, basePath: '/v1', key: 'k', model: UPSTREAM_MODEL };

function bodyOf(bytes: string): string {
  return bytes.slice(bytes.indexOf('\r\n\r\n') + 4);
}

describe('buildRequest', () => {
  for (const body of BODY_KINDS) {
    for (const bodyBytes of [900, 901, 5_000, 400_000]) {
      it(`${body} of exactly ${bodyBytes} bytes, as its head says`, () => {
        const { bytes } = buildRequest(TARGET, { bodyBytes, body, stream: false });
        const text = bodyOf(bytes);
        assert.equal(text.length, bodyBytes);
        assert.match(bytes, new RegExp(`\r\ncontent-length: ${bodyBytes}\r\n`));
        const json = JSON.parse(text) as { model: string; messages: unknown[] };
        assert.equal(json.model, UPSTREAM_MODEL);
        assert.ok(json.messages.length > 0);
      });
    }
  }

  it('tool results are dense with escapes', () => {
    const { bytes } = buildRequest(TARGET, { bodyBytes: 50_000, body: 'tool-json', stream: false });
    assert.ok(bodyOf(bytes).split('\\').length > 5_000);
  });

  it('another model changes nothing else in the body', () => {
    const shape = { bodyBytes: 1_000, body: 'prose', stream: true } as const;
    const upstream = bodyOf(buildRequest(TARGET, shape).bytes);
    const through = bodyOf(buildRequest({ ...TARGET, model: 'other' }, shape).bytes);
    assert.equal(through.replace('"other"', `"${UPSTREAM_MODEL}"`), upstream);
  });

  it('the nonce is where it is said to be', () => {
    const { bytes, nonceAt } = buildRequest(TARGET, { bodyBytes: 300, body: 'prose', stream: false });
    assert.equal(bytes.slice(nonceAt - 6, nonceAt + NONCE_DIGITS + 1), `nonce-${'0'.repeat(NONCE_DIGITS)}"`);
  });
});
