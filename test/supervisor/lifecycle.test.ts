import assert from 'node:assert/strict';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import {
  chat,
  CONFIG_ENV,
  eventually,
  isPortFree,
  isRunning,
  makeDirectory,
  SlipstreamProcess,
  writeConfig,
} from './slipstream-process.ts';
import { portOf, startAt, startWatchedMock, type WatchedMock } from './watched-mock.ts';

let mock: WatchedMock;
before(async () => {
  mock = await startWatchedMock();
});
after(() => mock.close());

for (const mode of [[], ['--no-sidecar']]) {
  describe(mode.length === 0 ? 'stopping two processes' : 'stopping one process', { concurrency: 2 }, () => {
    it('two SIGINT of one Ctrl-C are one; a request in flight is answered; exit 0', async (t) => {
      const { gateway, url } = await startAt(mock, t, mode);
      const { answer } = await mock.startSlowRequest(url);
      gateway.child.kill('SIGINT');
      await sleep(100);
      gateway.child.kill('SIGINT');
      assert.equal((await answer).status, 200);
      assert.equal((await gateway.exited).code, 0);
      assert.ok(await isPortFree(portOf(url)));
    });

    it('a second signal later than that ends it at once, with 1', async (t) => {
      const { gateway, url } = await startAt(mock, t, mode, 'slipstream: { timeouts: { shutdown_delay: 60 } }\n');
      const children = gateway.childPids();
      gateway.child.kill('SIGTERM');
      await gateway.says(/"message":"stopping"/);
      await sleep(1100);
      assert.ok(isRunning(gateway.pid));
      gateway.child.kill('SIGTERM');
      assert.equal((await gateway.exited).code, 1);
      await eventually(() => !children.some(isRunning), 'all children are gone');
      assert.ok(await isPortFree(portOf(url)));
    });

    it('SIGHUP reads the configuration again, a bad one leaves the old one in force; SIGTERM: not ready any more, still served for shutdown_delay, then the port is closed', async (t) => {
      const { gateway, url, config } = await startAt(
        mock,
        t,
        mode,
        'slipstream: { timeouts: { shutdown_delay: 1.5 } }\n',
      );
      const text = readFileSync(config, 'utf8');
      writeFileSync(config, text.replace('model_name: m', 'model_name: renamed'));
      gateway.child.kill('SIGHUP');
      await gateway.until(async () => (await chat(url, { model: 'renamed' })).status === 200, 'the new name works');
      writeFileSync(config, 'model_list: [');
      gateway.child.kill('SIGHUP');
      await gateway.says(/the old one stays in force/);
      assert.equal((await chat(url, { model: 'renamed' })).status, 200);
      gateway.child.kill('SIGTERM');
      await gateway.until(async () => (await fetch(`${url}/health/readiness`)).status === 503, 'readiness is 503');
      assert.equal((await chat(url, { model: 'renamed' })).status, 200);
      assert.equal((await gateway.exited).code, 0);
      assert.ok(await isPortFree(portOf(url)));
    });

    it('SIGTERM while it starts ends it with 0', async (t) => {
      const directory = makeDirectory(t);
      const config = writeConfig(directory, mock.url);
      for (const waitMs of [150, 250]) {
        const args = ['start', '--port', '0', '--config', config, '--data-dir', join(directory, 'data'), ...mode];
        const gateway = new SlipstreamProcess(t, args, { env: CONFIG_ENV });
        await sleep(waitMs);
        gateway.child.kill('SIGTERM');
        const { code, signal } = await gateway.exited;
        // Before the handlers are there the signal itself ends it: that is no fault either.
        assert.ok(code === 0 || signal === 'SIGTERM', `exit code ${code}: ${gateway.stderr}`);
      }
    });
  });
}
