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

describe('host and port: flag, SLIPSTREAM_*, PORT, configuration', { concurrency: 2 }, () => {
  for (const mode of [[], ['--no-sidecar']]) {
    const label = mode.length === 0 ? 'two processes' : 'one process';

    it(`${label}: from the configuration`, async (t) => {
      const port = await closedPort();
      const gateway = start(t, { yaml: `slipstream: { host: 127.0.0.1, port: ${port} }\n`, args: mode });
      assert.equal(await portOf(gateway), port);
      assert.equal((await chat(`http://127.0.0.1:${port}`)).status, 200);
      assert.equal(await gateway.stop(), 0);
    });

    it(`${label}: each beats the one before`, async (t) => {
      const [inYaml, litellm, ours, flag] = [
        await closedPort(),
        await closedPort(),
        await closedPort(),
        await closedPort(),
      ];
      const yaml = `slipstream: { host: 127.0.0.1, port: ${inYaml} }\n`;
      const first = start(t, { yaml, env: { PORT: String(litellm) }, args: mode });
      assert.equal(await portOf(first), litellm);
      await first.stop();
      const env = { PORT: String(litellm), SLIPSTREAM_PORT: String(ours) };
      const second = start(t, { yaml, env, args: mode });
      assert.equal(await portOf(second), ours);
      await second.stop();
      const third = start(t, { yaml, env, args: [...mode, '--port', String(flag)] });
      assert.equal(await portOf(third), flag);
      await third.stop();
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

describe('number of processes', { concurrency: 2 }, () => {
  const cases: readonly (readonly [label: string, given: Given, children: number])[] = [
    ['by default', {}, 2],
    ['slipstream.sidecar: off', { yaml: 'slipstream: { sidecar: off }\n' }, 0],
    ['SLIPSTREAM_SIDECAR=off', { env: { SLIPSTREAM_SIDECAR: 'off' } }, 0],
    [
      'SLIPSTREAM_SIDECAR=on beats sidecar: off',
      { yaml: 'slipstream: { sidecar: off }\n', env: { SLIPSTREAM_SIDECAR: 'on' } },
      2,
    ],
    ['--no-sidecar beats SLIPSTREAM_SIDECAR=on', { env: { SLIPSTREAM_SIDECAR: 'on' }, args: ['--no-sidecar'] }, 0],
    ['sidecar: off in an odd spelling', { yaml: '"slip\\x73tream": { "side\\u0063ar": "off" }\n' }, 0],
  ];
  for (const [label, given, children] of cases) {
    it(`${label}: ${children} children`, async (t) => {
      const gateway = start(t, { ...given, args: ['--host', '127.0.0.1', '--port', '0', ...(given.args ?? [])] });
      const url = await gateway.ready();
      assert.equal(gateway.childPids().length, children);
      assert.equal((await chat(url)).status, 200);
      assert.equal(await gateway.stop(), 0);
    });
  }
});

describe('secrets', { concurrency: 2 }, () => {
  const SALT = 'salt-secret-0123456789';
  const env = {
    LITELLM_SALT_KEY: SALT,
    HTTPS_PROXY: 'http://user:proxy-secret@127.0.0.1:9',
    DATABASE_PASSWORD: 'db-secret-0123',
  };
  const secrets = [MASTER_KEY, PROVIDER_KEY, SALT, 'proxy-secret', 'db-secret-0123'];

  it('none in the command line or environment of the children, none in what is printed', async (t) => {
    const gateway = start(t, { env, args: ['--host', '127.0.0.1', '--port', '0', '--debug'] });
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

  it('options of Node reach only the process they are for', async (t) => {
    const options = { SLIPSTREAM_SIDECAR_NODE_OPTIONS: ' --max-old-space-size=200  --trace-warnings ' };
    const gateway = start(t, { env: options, args: ['--host', '127.0.0.1', '--port', '0'] });
    await gateway.ready();
    const sidecar = await gateway.until(() => gateway.childNamed('sidecar'), 'there is a sidecar');
    const control = await gateway.until(() => gateway.childNamed('control'), 'there is a control plane');
    assert.match(readProc(sidecar, 'cmdline'), /\0--max-old-space-size=200\0--trace-warnings\0/);
    assert.doesNotMatch(readProc(control, 'cmdline'), /max-old-space-size=200|trace-warnings/);
    assert.match(readProc(sidecar, 'environ'), /MALLOC_ARENA_MAX=2\0/);
    assert.match(readProc(sidecar, 'environ'), /UV_THREADPOOL_SIZE=\d+\0/);
    assert.equal(await gateway.stop(), 0);
  });
});
