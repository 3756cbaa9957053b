import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, it, type TestContext } from 'node:test';
import { startMock } from '../../src/cli/mock/mock-server.ts';
import {
  chat,
  CONFIG_ENV,
  makeDirectory,
  MASTER_KEY,
  PROVIDER_KEY,
  readProc,
  SlipstreamProcess,
  writeConfig,
} from './slipstream-process.ts';
import { closedPort } from '../support/closed-port.ts';

let mock: Awaited<ReturnType<typeof startMock>>;
before(async () => {
  mock = await startMock({ host: '127.0.0.1', port: 0 });
});
after(() => mock.close());

interface Given {
  readonly yaml?: string;
  readonly env?: Readonly<Record<string, string>>;
  readonly args?: readonly string[];
}

function start(t: TestContext, given: Given): SlipstreamProcess {
  const directory = makeDirectory(t);
  const config = writeConfig(directory, mock.url, given.yaml);
  const args = ['start', '--config', config, '--data-dir', join(directory, 'data'), ...(given.args ?? [])];
  return new SlipstreamProcess(t, args, { env: { ...CONFIG_ENV, ...given.env } });
}

async function portOf(gateway: SlipstreamProcess): Promise<number> {
  return Number(new URL(await gateway.ready()).port);
}

interface Expected {
  readonly port: 'yaml' | 'litellm' | 'ours' | 'flag';
  readonly children: number;
}

describe('host and port: flag, SLIPSTREAM_*, PORT, configuration', { concurrency: 2 }, () => {
  // Each row also decides, in another way, whether there are child processes: ports are to be the same in both modes.
  const rows: readonly (readonly [name: string, sidecar: string | null, given: Given, expected: Expected])[] = [
    ['the configuration; two processes by default', null, {}, { port: 'yaml', children: 2 }],
    ['the configuration; slipstream.sidecar: off', 'off', {}, { port: 'yaml', children: 0 }],
    [
      'PORT beats it; SLIPSTREAM_SIDECAR=on beats sidecar: off',
      'off',
      { env: { PORT: 'litellm', SLIPSTREAM_SIDECAR: 'on' } },
      { port: 'litellm', children: 2 },
    ],
    [
      'PORT beats it; SLIPSTREAM_SIDECAR=off',
      null,
      { env: { PORT: 'litellm', SLIPSTREAM_SIDECAR: 'off' } },
      { port: 'litellm', children: 0 },
    ],
    [
      'SLIPSTREAM_PORT beats both; two processes',
      null,
      { env: { PORT: 'litellm', SLIPSTREAM_PORT: 'ours' } },
      { port: 'ours', children: 2 },
    ],
    [
      'SLIPSTREAM_PORT beats both; sidecar: off in an odd spelling',
      'odd',
      { env: { PORT: 'litellm', SLIPSTREAM_PORT: 'ours' } },
      { port: 'ours', children: 0 },
    ],
    [
      'the flag beats all; two processes',
      null,
      { env: { PORT: 'litellm', SLIPSTREAM_PORT: 'ours' }, args: ['--port', 'flag'] },
      { port: 'flag', children: 2 },
    ],
    [
      'the flag beats all; --no-sidecar beats SLIPSTREAM_SIDECAR=on',
      null,
      {
        env: { PORT: 'litellm', SLIPSTREAM_PORT: 'ours', SLIPSTREAM_SIDECAR: 'on' },
        args: ['--no-sidecar', '--port', 'flag'],
      },
      { port: 'flag', children: 0 },
    ],
  ];
  for (const [name, sidecar, given, expected] of rows) {
    it(name, async (t) => {
      const ports = new Map<string, number>();
      for (const source of ['yaml', 'litellm', 'ours', 'flag']) ports.set(source, await closedPort());
      const portFor = (text: string): string => String(ports.get(text) ?? text);
      const off = { off: ', sidecar: off', odd: ', "side\\u0063ar": "off"' }[sidecar ?? ''] ?? '';
      const top = sidecar === 'odd' ? '"slip\\x73tream"' : 'slipstream';
      const gateway = start(t, {
        yaml: `${top}: { host: 127.0.0.1, port: ${ports.get('yaml')}${off} }\n`,
        env: Object.fromEntries(Object.entries(given.env ?? {}).map(([key, value]) => [key, portFor(value)])),
        args: given.args?.map(portFor) ?? [],
      });
      assert.equal(await portOf(gateway), ports.get(expected.port));
      assert.equal(gateway.childPids().length, expected.children);
      assert.equal((await chat(`http://127.0.0.1:${ports.get(expected.port)}`)).status, 200);
      assert.equal(await gateway.stop(), 0);
    });
  }

  it('a Kubernetes service named slipstream does not decide the port', async (t) => {
    const port = await closedPort();
    const env = { SLIPSTREAM_PORT: 'tcp://10.0.0.1:4000', SLIPSTREAM_SERVICE_HOST: '10.0.0.1', PORT: String(port) };
    const gateway = start(t, { env });
    assert.equal(await portOf(gateway), port);
    assert.equal(await gateway.stop(), 0);
  });

  it('all addresses are the default with a configuration; the banner says so, and names no key', async (t) => {
    const gateway = start(t, { args: ['--port', '0'] });
    const url = await gateway.ready();
    assert.match(gateway.stdout, /listening on 0\.0\.0\.0, port \d+/);
    assert.match(gateway.stdout, /general_settings\.master_key/);
    assert.equal(gateway.stdout.includes(MASTER_KEY), false);
    assert.equal((await chat(url)).status, 200);
    assert.equal(await gateway.stop(), 0);
  });

  it('--host :: listens on both families, or on IPv4 where there is no IPv6', async (t) => {
    const gateway = start(t, { args: ['--port', '0', '--host', '::'] });
    const url = await gateway.ready();
    assert.equal((await chat(url.replace('localhost', '127.0.0.1'))).status, 200);
    assert.equal(await gateway.stop(), 0);
  });
});

describe('secrets', { concurrency: 2 }, () => {
  const SALT = 'salt-secret-0123456789';
  const env = {
    LITELLM_SALT_KEY: SALT,
    HTTPS_PROXY: 'http://user:proxy-secret@127.0.0.1:9',
    DATABASE_PASSWORD: 'db-secret-0123',
  };
  const secrets = [MASTER_KEY, PROVIDER_KEY, SALT, 'proxy-secret', 'db-secret-0123'];

  it('none in the command line or environment of the children, none in what is printed; options of Node reach only the process they are for', async (t) => {
    const options = { SLIPSTREAM_SIDECAR_NODE_OPTIONS: ' --max-old-space-size=200  --trace-warnings ' };
    const gateway = start(t, { env: { ...env, ...options }, args: ['--host', '127.0.0.1', '--port', '0', '--debug'] });
    const url = await gateway.ready();
    assert.equal((await chat(url)).status, 200);
    const children = gateway.childPids();
    assert.equal(children.length, 2);
    // The test would not notice an unreadable /proc, nor a mistaken idea of where secrets would be.
    assert.ok(readProc(gateway.pid, 'environ').includes(MASTER_KEY));
    for (const pid of children) {
      const seen = readProc(pid, 'cmdline') + readProc(pid, 'environ');
      assert.match(seen, /--child[^]*PATH=/);
      for (const secret of secrets) assert.equal(seen.includes(secret), false, `child ${pid} shows ${secret}`);
    }
    const sidecar = await gateway.until(() => gateway.childNamed('sidecar'), 'there is a sidecar');
    const control = await gateway.until(() => gateway.childNamed('control'), 'there is a control plane');
    assert.match(readProc(sidecar, 'cmdline'), /\0--max-old-space-size=200\0--trace-warnings\0/);
    assert.doesNotMatch(readProc(control, 'cmdline'), /max-old-space-size=200|trace-warnings/);
    assert.match(readProc(sidecar, 'environ'), /MALLOC_ARENA_MAX=2\0/);
    assert.match(readProc(sidecar, 'environ'), /UV_THREADPOOL_SIZE=\d+\0/);
    assert.equal(await gateway.stop(), 0);
    for (const secret of secrets) {
      assert.equal((gateway.stdout + gateway.stderr).includes(secret), false, `${secret} was printed`);
    }
  });

  it("the demo's key is in no command line or environment either", async (t) => {
    const data = makeDirectory(t);
    const gateway = new SlipstreamProcess(t, ['start', '--port', '0', '--data-dir', data]);
    await gateway.ready();
    const key = readFileSync(join(data, 'demo-key'), 'utf8').trim();
    for (const pid of gateway.childPids()) {
      assert.equal((readProc(pid, 'cmdline') + readProc(pid, 'environ')).includes(key), false);
    }
    assert.equal(gateway.stderr.includes(key), false);
    assert.equal(await gateway.stop(), 0);
  });
});
