import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, describe, it } from 'node:test';
import { readConfiguredProcesses } from '../../src/cli/configured-processes.ts';
import { compileYaml, GENERAL, MASTER_KEY } from './compile-yaml.ts';

const directory = mkdtempSync(join(tmpdir(), 'slipstream-listener-settings-'));
after(() => rmSync(directory, { recursive: true, force: true }));

const errorsOf = (text: string): readonly string[] => compileYaml(GENERAL + text).errors;

async function configured(text: string, env: Record<string, string> = {}) {
  const path = join(directory, 'config.yaml');
  writeFileSync(path, text);
  const found = await readConfiguredProcesses(path, env);
  assert.ok(found !== null);
  return found;
}

describe('slipstream.listen', () => {
  it('takes addresses and maps', async () => {
    const { listeners } = await configured(`
slipstream:
  port: 4100
  tls: { cert_file: /c.crt, key_file: /c.key }
  listen:
    - "127.0.0.1"
    - 4000
    - "https://[::]:4443"
    - { address: "unix:/run/s.sock", mode: "0600", proxy_protocol: yes }
    - { address: "0.0.0.0:4444", tls: { ca_file: /ca.crt, client_auth: optional, min_version: 1.3 } }
    - { address: "http://0.0.0.0:1", tls: false, proxy_protocol: no }
`);
    const none = { certFile: null, keyFile: null, caFile: null, clientAuth: null, minVersion: null };
    const tcp = (host: string, port: number) => ({ type: 'tcp', host, port });
    assert.deepEqual(listeners, [
      { target: tcp('127.0.0.1', 4100), tls: null, proxyProtocol: null },
      { target: tcp('0.0.0.0', 4000), tls: null, proxyProtocol: null },
      { target: tcp('::', 4443), tls: none, proxyProtocol: null },
      { target: { type: 'unix', path: '/run/s.sock', mode: 0o600 }, tls: null, proxyProtocol: true },
      {
        target: tcp('0.0.0.0', 4444),
        tls: { ...none, caFile: '/ca.crt', clientAuth: 'optional', minVersion: 'TLSv1.3' },
        proxyProtocol: null,
      },
      { target: tcp('0.0.0.0', 1), tls: null, proxyProtocol: false },
    ]);
  });

  it("LiteLLM's variables name certificate and key; ours win", async () => {
    const litellm = { SSL_CERTFILE_PATH: '/l.crt', SSL_KEYFILE_PATH: '/l.key' };
    const { tls } = await configured('slipstream: { port: 1 }\n', litellm);
    assert.deepEqual([tls.certFile, tls.keyFile], ['/l.crt', '/l.key']);
    const ours = await configured('slipstream: { port: 1 }\n', { ...litellm, SLIPSTREAM_TLS_CERT_FILE: '/o.crt' });
    assert.equal(ours.tls.certFile, '/o.crt');
  });

  const bad: [string, RegExp][] = [
    ['listen: "0.0.0.0:1"', /slipstream\.listen: must be a list/],
    ['listen: []', /must be a list/],
    ['listen: ["a b"]', /slipstream\.listen\[0\]/],
    ['listen: ["0.0.0.0:1", "::1:4000"]', /slipstream\.listen\[1\]: an IPv6 address/],
    ['listen: [{ address: "0.0.0.0:1", mode: "0600" }]', /only Unix sockets have a mode/],
    ['listen: [{ address: "unix:/s", mode: "rw" }]', /octal/],
    ['listen: [{ address: "http://0.0.0.0:1", tls: true }]', /tls and http:\/\/ differ/],
    ['listen: [{ address: "https://0.0.0.0:1", tls: false }]', /tls and https:\/\/ differ/],
    ['listen: [{ address: "0.0.0.0:1", port: 3 }]', /slipstream\.listen\[0\]\.port: there is no such setting/],
    ['listen: [{ mode: "0600" }]', /address: is missing/],
    ['tls: { min_version: 1.1 }', /must be 1\.2 or 1\.3/],
    ['tls: { client_auth: maybe }', /must be one of/],
  ];
  for (const [text, message] of bad) {
    it(`refuses ${text}`, () => {
      const errors = errorsOf(`slipstream: { ${text} }`);
      assert.equal(errors.length, 1, errors.join('\n'));
      assert.match(errors[0] ?? '', message);
    });
  }
});

describe('trusted proxies and CORS', () => {
  const settingsOf = (text: string, env: Record<string, string> = {}) => {
    const { config, errors, warnings } = compileYaml(GENERAL + text, { env });
    assert.deepEqual(errors, []);
    return { ...config.snapshot.settings, warnings };
  };

  it('are empty where nothing is said', () => {
    const { clientAddress, cors } = settingsOf('');
    assert.deepEqual(clientAddress, { trustedProxies: [], record: true });
    assert.deepEqual(cors, { allowedOrigins: [], maxAgeMs: 600_000 });
  });

  it('are taken from the file, or from a variable with commas', () => {
    const file = settingsOf('slipstream: { trusted_proxies: [10.0.0.0/8, unix], record_client_address: false }');
    assert.deepEqual(file.clientAddress, { trustedProxies: ['10.0.0.0/8', 'unix'], record: false });
    const env = settingsOf('', { SLIPSTREAM_TRUSTED_PROXIES: '10.0.0.0/8, ::1' });
    assert.deepEqual(env.clientAddress.trustedProxies, ['10.0.0.0/8', '::1']);
    const { cors } = settingsOf('slipstream: { cors: { allowed_origins: [https://App.example.com], max_age: 5 } }');
    assert.deepEqual(cors, { allowedOrigins: ['https://app.example.com'], maxAgeMs: 5_000 });
  });

  it('use_x_forwarded_for: false believes nobody, true alone is warned about', () => {
    const off = settingsOf('slipstream: { trusted_proxies: [10.0.0.0/8], use_x_forwarded_for: false }');
    assert.deepEqual(off.clientAddress.trustedProxies, []);
    const alone = compileYaml(`general_settings: { master_key: ${MASTER_KEY}, use_x_forwarded_for: true }\n`);
    assert.ok(alone.warnings.some((line) => /use_x_forwarded_for: has no effect without/.test(line)));
  });

  it('refuse what is neither', () => {
    assert.match(errorsOf('slipstream: { trusted_proxies: [example.com] }')[0] ?? '', /addresses, CIDR blocks/);
    assert.match(errorsOf('slipstream: { cors: { allowed_origins: [example.com] } }')[0] ?? '', /must be origins/);
  });
});
