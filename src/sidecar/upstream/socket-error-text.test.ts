import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { errorCode, socketErrorText } from './socket-error-text.ts';

const coded = (code: unknown): Error => Object.assign(new Error('secret of the peer'), { code });

describe('socketErrorText', () => {
  for (const [code, text] of [
    ['ECONNREFUSED', 'connection refused'],
    ['CERT_HAS_EXPIRED', 'its certificate has expired'],
    ['ERR_SSL_TLSV13_ALERT_CERTIFICATE_REQUIRED', 'it asks for a client certificate'],
    ['ERR_SSL_SSL/TLS_ALERT_BAD_CERTIFICATE', 'it refused the client certificate'],
    ['ERR_SSL_TLSV1_ALERT_UNKNOWN_CA', 'it does not trust the client certificate'],
    ['ERR_SSL_WRONG_VERSION_NUMBER', 'it does not answer in TLS'],
    ['ERR_SSL_TLSV1_ALERT_INTERNAL_ERROR', 'TLS error tlsv1 alert internal error'],
    ['ERR_SSL_BAD_SIGNATURE', 'TLS error bad signature'],
    ['EWHATEVER', 'EWHATEVER'],
    [7, 'unknown socket error'],
    [undefined, 'unknown socket error'],
  ] as const) {
    it(`${String(code)} is "${text}"`, () => {
      assert.equal(socketErrorText(coded(code)), text);
      assert.equal(errorCode(coded(code)), typeof code === 'string' ? code : null);
    });
  }

  it('has words for what is no error at all', () => {
    for (const value of [null, undefined, 'text', 1]) {
      assert.equal(socketErrorText(value), 'unknown socket error');
      assert.equal(errorCode(value), null);
    }
  });
});
