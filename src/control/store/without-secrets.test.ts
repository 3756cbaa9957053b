import assert from 'node:assert/strict';
import { test } from 'node:test';
import { withoutSecrets } from './without-secrets.ts';

test('texts of fields that are named like secrets are hidden, all else stays', () => {
  const row = {
    hash: 'a'.repeat(64),
    key_alias: 'ci',
    metadata: {
      app: 'x',
      logging: [{ callback_vars: { langfuse_secret_key: 'sk-lf', langfuse_host: 'h', LANGFUSE_PUBLIC_KEY: 'pk' } }],
      api_key: 'sk-1',
      password: null,
      tokens: 5,
    },
    spend_nano: 5n,
  };
  assert.deepEqual(withoutSecrets(row), {
    ...row,
    metadata: {
      app: 'x',
      logging: [{ callback_vars: { langfuse_secret_key: '(hidden)', langfuse_host: 'h', LANGFUSE_PUBLIC_KEY: 'pk' } }],
      api_key: '(hidden)',
      password: null,
      tokens: 5,
    },
  });
});
