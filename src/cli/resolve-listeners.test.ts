import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, describe, it } from 'node:test';
import { type ConfiguredListener, NO_TLS_WISHES } from '../contract/listener.ts';
import type { ConfiguredProcesses } from './child-messages.ts';
import { parseCommand } from './command-line.ts';
import { SIDECAR_COMMAND, START_COMMAND } from './commands.ts';
import { makeCertificate } from './mock/certificate-maker.ts';
import { resolveListeners } from './resolve-listeners.ts';
import { StartError } from './start-error.ts';
import { refuseOpenDemo, resolveStartSettings } from './start-settings.ts';

const directory = mkdtempSync(join(tmpdir(), 'slipstream-resolve-'));
after(() => rmSync(directory, { recursive: true, force: true }));
const [certFile, keyFile] = [join(directory, 'a.crt'), join(directory, 'a.key')];
const { certPem, keyPem } = makeCertificate({ name: 'a' });
writeFileSync(certFile, certPem);
writeFileSync(keyFile, keyPem);

const NOTHING: ConfiguredProcesses = {
  host: null,
  port: 4000,
  listeners: null,
  tls: NO_TLS_WISHES,
  proxyProtocol: false,
  sidecar: true,
  threads: null,
};
const LISTEN: readonly ConfiguredListener[] = [
  { target: { type: 'tcp', host: '10.0.0.1', port: 1 }, tls: null, proxyProtocol: null },
];

interface Given {
  readonly argv?: readonly string[];
  readonly env?: Readonly<Record<string, string>>;
  readonly configured?: Partial<ConfiguredProcesses> | null;
  readonly isDemo?: boolean;
}

async function resolve({ argv = [], env = {}, configured = {}, isDemo = false }: Given) {
  const settings = resolveStartSettings(SIDECAR_COMMAND, parseCommand(SIDECAR_COMMAND, argv), env);
  const all = configured === null ? null : { ...NOTHING, ...configured };
  return (await resolveListeners(settings, all, isDemo)).specs;
}

/** `host:port`, `unix:path` or `systemd`, with `+tls` and `+proxy`. */
async function places(given: Given): Promise<readonly string[]> {
  return (await resolve(given)).map(({ target, tls, proxyProtocol }) => {
    const where =
      target.type === 'tcp'
        ? `${target.host}:${target.port}`
        : target.type === 'unix'
          ? `unix:${target.path}`
          : target.type;
    return `${where}${tls === null ? '' : '+tls'}${proxyProtocol ? '+proxy' : ''}`;
  });
}

describe('where to listen', () => {
  const table: [string, Given, readonly string[]][] = [
    ['the default', {}, ['0.0.0.0:4000']],
    ['the demo', { configured: null, isDemo: true }, ['127.0.0.1:4000']],
    ['slipstream.host and port', { configured: { host: '10.0.0.1', port: 2 } }, ['10.0.0.1:2']],
    ['slipstream.listen', { configured: { listeners: LISTEN, host: '10.0.0.2', port: 2 } }, ['10.0.0.1:1']],
    ['--port before slipstream.listen', { argv: ['--port', '3'], configured: { listeners: LISTEN } }, ['0.0.0.0:3']],
    ['PORT before slipstream.listen', { env: { PORT: '3' }, configured: { listeners: LISTEN } }, ['0.0.0.0:3']],
    [
      '--listen before all',
      { argv: ['--listen', '[::1]:5,unix:/s', '--port', '3'], configured: { listeners: LISTEN } },
      ['::1:5', 'unix:/s'],
    ],
    ['SLIPSTREAM_LISTEN', { env: { SLIPSTREAM_LISTEN: '1.1.1.1:1, :2' } }, ['1.1.1.1:1', '0.0.0.0:2']],
    ['a certificate', { argv: ['--ssl_certfile_path', certFile, '--tls-key', keyFile] }, ['0.0.0.0:4000+tls']],
    ["LiteLLM's variables", { env: { SSL_CERTFILE_PATH: certFile, SSL_KEYFILE_PATH: keyFile } }, ['0.0.0.0:4000+tls']],
    [
      'https:// among others',
      { argv: ['--listen', 'https://:1,:2', '--tls-cert', certFile, '--tls-key', keyFile] },
      ['0.0.0.0:1+tls', '0.0.0.0:2'],
    ],
    ['PROXY protocol by variable', { env: { SLIPSTREAM_PROXY_PROTOCOL: 'on' } }, ['0.0.0.0:4000+proxy']],
    [
      'a listener with a word of its own about it',
      { configured: { proxyProtocol: true, listeners: [{ ...LISTEN[0]!, proxyProtocol: false }, LISTEN[0]!] } },
      ['10.0.0.1:1', '10.0.0.1:1+proxy'],
    ],
    [
      'systemd takes the place of all',
      { env: { LISTEN_PID: String(process.pid), LISTEN_FDS: '1' }, configured: { listeners: LISTEN } },
      ['systemd'],
    ],
    [
      'systemd beside others where it is named',
      { env: { LISTEN_PID: String(process.pid), LISTEN_FDS: '1' }, argv: ['--listen', 'systemd,:1'] },
      ['systemd', '0.0.0.0:1'],
    ],
  ];
  for (const [name, given, expected] of table) {
    it(name, async () => assert.deepEqual(await places(given), expected));
  }
});

describe('TLS', () => {
  it('of a listener is completed by flags, then by slipstream.tls', async () => {
    const listeners = [{ ...LISTEN[0]!, tls: { ...NO_TLS_WISHES, minVersion: 'TLSv1.3' as const } }];
    const tls = { ...NO_TLS_WISHES, certFile: '/never.crt', keyFile };
    const [spec] = await resolve({ argv: ['--tls-cert', certFile], configured: { listeners, tls } });
    assert.deepEqual(spec?.tls, { certFile, keyFile, caFile: null, clientAuth: 'none', minVersion: 'TLSv1.3' });
  });

  it('asks clients for certificates where their authority is named', async () => {
    const env = { SLIPSTREAM_TLS_CA_FILE: certFile, SLIPSTREAM_TLS_MIN_VERSION: '1.3' };
    const [spec] = await resolve({ argv: ['--tls-cert', certFile, '--tls-key', keyFile], env });
    assert.deepEqual([spec?.tls?.clientAuth, spec?.tls?.minVersion], ['required', 'TLSv1.3']);
  });

  const bad: [string, Given, RegExp][] = [
    ['no key', { argv: ['--tls-cert', certFile] }, /needs tls\.key_file/],
    ['no certificate', { argv: ['--tls-key', keyFile] }, /needs tls\.cert_file/],
    ['files the wrong way round', { argv: ['--tls-cert', keyFile, '--tls-key', certFile] }, /no certificate in PEM/],
    [
      'client certificates of nobody',
      { argv: ['--tls-cert', certFile, '--tls-key', keyFile], env: { SLIPSTREAM_TLS_CLIENT_AUTH: 'required' } },
      /needs tls\.ca_file/,
    ],
  ];
  for (const [name, given, reason] of bad) {
    it(`${name} is a reason not to start`, async () => {
      await assert.rejects(resolve(given), (error) => error instanceof StartError && reason.test(error.message));
    });
  }
});

it('the demo listens on this machine only', () => {
  const settings = (listen: string) =>
    resolveStartSettings(START_COMMAND, parseCommand(START_COMMAND, ['--listen', listen]), {});
  refuseOpenDemo(START_COMMAND, settings('127.0.0.1:0,unix:/s'));
  assert.throws(() => refuseOpenDemo(START_COMMAND, settings('127.0.0.1:0,0.0.0.0:1')), /not on "0\.0\.0\.0"/);
});
