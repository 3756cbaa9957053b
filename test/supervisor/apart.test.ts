import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { startMock } from '../../src/cli/mock/mock-server.ts';
import { chat, CONFIG_ENV, makeDirectory, SlipstreamProcess, writeConfig } from './slipstream-process.ts';

let mock: Awaited<ReturnType<typeof startMock>>;
before(async () => {
  mock = await startMock({ host: '127.0.0.1', port: 0 });
});
after(() => mock.close());

describe('planes apart', { concurrency: 2 }, () => {
  it('a sidecar waits for its control plane, serves with it, and goes on serving without it', async (t) => {
    const directory = makeDirectory(t);
    const files = ['--data-dir', join(directory, 'data')];
    const sidecarArgs = ['sidecar', '--host', '127.0.0.1', '--port', '0', ...files];
    const sidecar = new SlipstreamProcess(t, sidecarArgs);
    const config = writeConfig(directory, mock.url);
    const control = new SlipstreamProcess(t, ['control', '--config', config, ...files], { env: CONFIG_ENV });
    const url = await sidecar.ready();
    assert.equal((await chat(url)).status, 200);
    assert.equal(await control.stop(), 0);
    assert.equal((await chat(url)).status, 200);
    assert.equal(await sidecar.stop(), 0);
    // Nor does a new one need it: the last configuration is on disk.
    const next = new SlipstreamProcess(t, sidecarArgs);
    assert.equal((await chat(await next.ready())).status, 200);
    assert.equal(await next.stop(), 0);
  });

  it('over sockets of its own choice', async (t) => {
    const directory = makeDirectory(t);
    const sockets = ['--control-socket', join(directory, 'c.sock'), '--admin-socket', join(directory, 'a.sock')];
    const config = writeConfig(directory, mock.url);
    const control = new SlipstreamProcess(
      t,
      ['control', '--config', config, '--data-dir', join(directory, 'control'), ...sockets],
      { env: CONFIG_ENV },
    );
    await control.says(/"message":"ready"/);
    const place = ['--host', '127.0.0.1', '--port', '0', '--data-dir', join(directory, 'sidecar')];
    const sidecar = new SlipstreamProcess(t, ['sidecar', ...place, ...sockets]);
    await sidecar.says(/control plane connected/);
    assert.equal(await sidecar.stop(), 0);
    assert.equal(await control.stop(), 0);
  });

  it('a sidecar that never had a configuration stops at once', async (t) => {
    const sidecar = new SlipstreamProcess(t, ['sidecar', '--port', '0', '--data-dir', makeDirectory(t)]);
    await sidecar.until(() => sidecar.childNamed('sidecar'), 'it runs');
    await sleep(300);
    assert.equal(await sidecar.stop(), 0);
  });
});

const canUnshare = spawnSync('unshare', ['-pf', 'true']).status === 0;

describe('as PID 1', { concurrency: 2 }, () => {
  for (const mode of [[], ['--no-sidecar']]) {
    it(
      `${mode.length === 0 ? 'two processes' : 'one process'}: SIGTERM ends it with 0`,
      {
        skip: canUnshare ? false : 'this user may not make a PID namespace',
      },
      async (t) => {
        const data = makeDirectory(t);
        // `--kill-child` so that a failed test leaves nothing behind.
        const gateway = new SlipstreamProcess(t, ['start', '--port', '0', '--data-dir', data, ...mode], {
          prefix: ['unshare', '-pf', '--kill-child'],
        });
        const url = await gateway.ready();
        const key = (await gateway.says(/key: (sk-demo-\S+)/))[1] ?? '';
        assert.equal((await chat(url, { key, model: 'mock-gpt' })).status, 200);
        const [first] = gateway.childPids();
        assert.ok(first !== undefined);
        process.kill(first, 'SIGTERM');
        assert.deepEqual(await gateway.exited, { code: 0, signal: null });
      },
    );
  }
});
