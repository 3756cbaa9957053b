import assert from 'node:assert/strict';
import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, statSync, writeFileSync } from 'node:fs';
import { connect } from 'node:net';
import { join } from 'node:path';
import { after, before, describe, it, type TestContext } from 'node:test';
import { connect as connectTls } from 'node:tls';
import { makeCertificate } from '../../src/cli/mock/certificate-maker.ts';
import { startMock } from '../../src/cli/mock/mock-server.ts';
import { chatBytes } from '../support/flow-support.ts';
import { ask, RawClient } from '../support/raw-client.ts';
import {
  CONFIG_ENV,
  makeDirectory,
  MASTER_KEY,
  SlipstreamProcess,
  writeConfig,
} from '../supervisor/slipstream-process.ts';

const authority = makeCertificate({ name: 'authority', isAuthority: true });

let mock: Awaited<ReturnType<typeof startMock>>;
before(async () => {
  mock = await startMock({ host: '127.0.0.1', port: 0 });
});
after(() => mock.close());

interface Given {
  readonly yaml?: string;
  readonly args?: readonly string[];
  readonly prefix?: readonly string[];
}

function start(t: TestContext, directory: string, given: Given): SlipstreamProcess {
  const config = writeConfig(directory, mock.url, given.yaml);
  const args = ['start', '--config', config, '--data-dir', join(directory, 'data'), ...(given.args ?? [])];
  return new SlipstreamProcess(t, args, { env: CONFIG_ENV, ...(given.prefix ? { prefix: given.prefix } : {}) });
}

/** Status of a chat over an open connection. */
async function chatOver(client: RawClient): Promise<number> {
  const { status } = await client.send(chatBytes('m', '', { key: MASTER_KEY })).reply();
  client.close();
  return status;
}

const portIn = (url: string | undefined): number => Number(/:(\d+)$/.exec(url ?? '')?.[1] ?? 0);

for (const mode of [[], ['--no-sidecar']]) {
  describe(mode.length === 0 ? 'two processes' : 'one process', { concurrency: 3 }, () => {
    it('listens where slipstream.listen says, and takes its Unix socket away at the end', async (t) => {
      const directory = makeDirectory(t);
      const path = join(directory, 'gateway.sock');
      const yaml = `slipstream: { listen: ["127.0.0.1:0", { address: "unix:${path}", mode: "0600" }, "127.0.0.1:0"] }\n`;
      const gateway = start(t, directory, { yaml, args: mode });
      const first = portIn(await gateway.ready());
      const [, second] = await gateway.says(/ready: \S+\n {2}and unix:\S+\n {2}and (\S+)/);
      assert.equal(statSync(path).mode & 0o777, 0o600);
      assert.equal(await chatOver(new RawClient(first)), 200);
      assert.equal(await chatOver(new RawClient(portIn(second))), 200);
      assert.equal(await chatOver(new RawClient(connect(path))), 200);
      assert.equal(await gateway.stop(), 0);
      assert.equal(existsSync(path), false);
    });

    it('--listen wins over --port and the configuration', async (t) => {
      const directory = makeDirectory(t);
      const path = join(directory, 'gateway.sock');
      const yaml = 'slipstream: { listen: ["127.0.0.1:1"] }\n';
      const args = [...mode, '--port', '1', '--listen', `unix:${path}`];
      const gateway = start(t, directory, { yaml, args });
      await gateway.says(new RegExp(`ready: unix:${path}`));
      assert.equal(await chatOver(new RawClient(connect(path))), 200);
      assert.equal(await gateway.stop(), 0);
    });

    it("serves HTTPS by LiteLLM's flags, takes a new certificate on SIGHUP, and shows its key to nobody", async (t) => {
      const directory = makeDirectory(t);
      const [certFile, keyFile] = [join(directory, 'server.crt'), join(directory, 'server.key')];
      const write = (name: string): void => {
        const { certPem, keyPem } = makeCertificate({ name, altNames: ['127.0.0.1'], issuer: authority });
        writeFileSync(certFile, certPem);
        writeFileSync(keyFile, keyPem);
      };
      const subject = async (port: number): Promise<string> => {
        const socket = connectTls({ port, host: '127.0.0.1', ca: authority.certPem });
        await once(socket, 'secureConnect');
        const { subject: found } = socket.getPeerCertificate();
        assert.equal(await chatOver(new RawClient(socket)), 200);
        return String(found.CN);
      };
      write('first');
      const flags = ['--ssl_certfile_path', certFile, '--ssl_keyfile_path', keyFile];
      const args = [...mode, '--host', '127.0.0.1', '--port', '0', ...flags];
      const gateway = start(t, directory, { args });
      const port = portIn((await gateway.says(/ is ready: (https:\S+)/))[1]);
      assert.equal(await subject(port), 'first');
      write('second');
      gateway.child.kill('SIGHUP');
      await gateway.says(/certificate taken into use/);
      assert.equal(await subject(port), 'second');
      assert.equal(await gateway.stop(), 0);
      assert.doesNotMatch(gateway.stdout + gateway.stderr, /PRIVATE|BEGIN/);
    });

    const hasActivator = spawnSync('systemd-socket-activate', ['--version']).status === 0;
    it('takes the sockets of systemd instead of its own', { skip: !hasActivator && 'no systemd here' }, async (t) => {
      const directory = makeDirectory(t);
      const port = 20_000 + Math.floor(Math.random() * 10_000);
      const path = join(directory, 'systemd.sock');
      const env = Object.entries(CONFIG_ENV).flatMap(([name, value]) => [`--setenv=${name}=${value}`]);
      const prefix = ['systemd-socket-activate', '-l', `127.0.0.1:${port}`, '-l', path, ...env];
      const gateway = start(t, directory, { yaml: 'slipstream: { listen: ["127.0.0.1:1"] }\n', args: mode, prefix });
      await gateway.says(/Listening on .*systemd\.sock/);
      // The first connection is what starts it.
      const first = new RawClient(port);
      assert.equal(await chatOver(first), 200);
      assert.equal(await chatOver(new RawClient(connect(path))), 200);
      assert.equal(await gateway.stop(), 0);
    });
  });
}

it('a killed sidecar is followed by one on the same sockets, with no connection refused; an upgrade hands over every listener', async (t) => {
  const directory = makeDirectory(t);
  const path = join(directory, 'gateway.sock');
  const [certFile, keyFile] = [join(directory, 'server.crt'), join(directory, 'server.key')];
  const { certPem, keyPem } = makeCertificate({ name: 'server', altNames: ['127.0.0.1'], issuer: authority });
  writeFileSync(certFile, certPem);
  writeFileSync(keyFile, keyPem);
  const yaml = `slipstream:
  threads: 2
  tls: { cert_file: ${certFile}, key_file: ${keyFile} }
  listen: ["127.0.0.1:0", "unix:${path}", "https://127.0.0.1:0"]
`;
  const gateway = start(t, directory, { yaml });
  const plain = portIn(await gateway.ready());
  const secure = portIn((await gateway.says(/and (https:\S+)/))[1]);
  const askAll = async (): Promise<void> => {
    assert.equal(await chatOver(new RawClient(plain)), 200);
    assert.equal(await chatOver(new RawClient(connect(path))), 200);
    const socket = connectTls({ port: secure, host: '127.0.0.1', ca: authority.certPem });
    await once(socket, 'secureConnect');
    assert.equal(await chatOver(new RawClient(socket)), 200);
  };
  await askAll();
  const killed = gateway.childNamed('sidecar');
  assert.ok(killed !== false);
  process.kill(killed, 'SIGKILL');
  await askAll();
  const before = gateway.childNamed('sidecar');
  assert.notEqual(before, killed);
  const launcher = join(import.meta.dirname, '../../bin/slipstream.js');
  const upgrade = spawn(process.execPath, [launcher, 'upgrade', '--data-dir', join(directory, 'data')]);
  const [code] = (await once(upgrade, 'exit')) as [number];
  assert.equal(code, 0);
  await askAll();
  assert.ok(existsSync(path));
  assert.notEqual(gateway.childNamed('sidecar'), before);
  assert.equal(await gateway.stop(), 0);
  assert.equal(existsSync(path), false);
});

describe('TLS that can not be had is one line and exit 1', { concurrency: 2 }, () => {
  const table: [string, string, RegExp][] = [
    ['a missing key', 'tls: { cert_file: /none.crt }', /TLS needs tls\.key_file/],
    ['a missing file', 'tls: { cert_file: /none.crt, key_file: /none.key }', /TLS: cannot read \/none\.crt \(ENOENT\)/],
    ['https:// without a certificate', 'listen: ["https://127.0.0.1:0"]', /TLS needs tls\.cert_file/],
  ];
  for (const [name, setting, reason] of table) {
    it(name, async (t) => {
      const gateway = start(t, makeDirectory(t), { yaml: `slipstream: { ${setting} }\n` });
      assert.equal((await gateway.exited).code, 1);
      const lines = gateway.stderr.split('\n').filter((line) => line.startsWith('slipstream:'));
      assert.equal(lines.length, 1, gateway.stderr);
      assert.match(lines[0] ?? '', reason);
    });
  }
});

it('an address that is taken is one line and exit 1', async (t) => {
  const directory = makeDirectory(t);
  const first = start(t, directory, { args: ['--host', '127.0.0.1', '--port', '0'] });
  const port = portIn(await first.ready());
  const other = makeDirectory(t);
  const second = start(t, other, { yaml: `slipstream: { listen: ["127.0.0.1:0", "127.0.0.1:${port}"] }\n` });
  assert.equal((await second.exited).code, 1);
  const lines = second.stderr.split('\n').filter((line) => line.startsWith('slipstream:'));
  assert.deepEqual(lines.length, 1, second.stderr);
  assert.match(lines[0] ?? '', new RegExp(`port ${port} is already in use`));
  assert.equal((await ask(port, { method: 'GET', path: '/health/liveness' })).status, 200);
  assert.equal(await first.stop(), 0);
});
