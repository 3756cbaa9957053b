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

describe('faults', { concurrency: 2 }, () => {
  it('a sidecar that hangs', async (t) => {
    const { gateway, url } = await startAt(mock, t);
    await t.test('is killed and replaced', async () => {
      const sidecar = await gateway.until(() => gateway.childNamed('sidecar'), 'there is a sidecar');
      process.kill(sidecar, 'SIGSTOP');
      // Longer than the ten heartbeats it takes; the request waits in the queue of the socket all the while.
      const answer = await chat(url, { signal: AbortSignal.timeout(25_000) });
      assert.equal(answer.status, 200);
      assert.match(gateway.stderr, /the sidecar process hangs/);
      assert.notEqual(gateway.childNamed('sidecar'), sidecar);
    });
    await t.test('while it should stop, does not keep the service from ending', async () => {
      const sidecar = await gateway.until(() => gateway.childNamed('sidecar'), 'there is a sidecar');
      process.kill(sidecar, 'SIGSTOP');
      assert.equal(await gateway.stop(), 0);
      assert.equal(isRunning(sidecar), false);
    });
  });

  it('a child: signals, death', async (t) => {
    const { gateway, url } = await startAt(mock, t);
    await t.test('signals to a child itself change nothing', async () => {
      const before = gateway.childPids();
      for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const)
        for (const pid of before) process.kill(pid, signal);
      await sleep(100);
      assert.equal((await chat(url)).status, 200);
      assert.deepEqual(gateway.childPids(), before);
    });
    await t.test('a killed sidecar is replaced; nobody is refused in the meantime', async () => {
      for (let round = 0; round < 3; round++) {
        const sidecar = await gateway.until(() => gateway.childNamed('sidecar'), 'there is a sidecar');
        process.kill(sidecar, 'SIGKILL');
        await eventually(() => !isRunning(sidecar), 'it is dead');
        // Connects to a socket that nobody accepts from, and waits.
        const answers = await Promise.all(Array.from({ length: 8 }, () => chat(url)));
        for (const answer of answers) assert.equal(answer.status, 200);
        assert.notEqual(gateway.childNamed('sidecar'), sidecar);
      }
      assert.match(gateway.stderr, /the sidecar process ended; it is started again/);
    });
    await t.test('a killed control plane is replaced; requests go on without it', async () => {
      const control = await gateway.until(() => gateway.childNamed('control'), 'there is a control plane');
      process.kill(control, 'SIGKILL');
      for (let i = 0; i < 5; i++) assert.equal((await chat(url)).status, 200);
      const next = await gateway.until(() => gateway.childNamed('control'), 'there is another one');
      assert.notEqual(next, control);
    });
    assert.equal(await gateway.stop(), 0);
  });

  it('a control plane that cannot start again, its file being broken by now, does not end the service', async (t) => {
    const key = 'sk-virtual-0123456789abcdef';
    const { gateway, url, config } = await startAt(mock, t, [], `slipstream: { keys: [ { key: ${key} } ] }\n`);
    const good = readFileSync(config, 'utf8');
    writeFileSync(config, 'model_list: [');
    const control = await gateway.until(() => gateway.childNamed('control'), 'there is a control plane');
    process.kill(control, 'SIGKILL');
    await gateway.until(() => gateway.stderr.split('the control process ended').length > 4, 'it failed some times');
    assert.equal((await chat(url)).status, 200);
    // Nor does a sidecar that dies now need it: configuration and keys are on disk.
    const sidecar = await gateway.until(() => gateway.childNamed('sidecar'), 'there is a sidecar');
    process.kill(sidecar, 'SIGKILL');
    assert.equal((await chat(url, { key })).status, 200);
    assert.equal((await chat(url, { key: 'sk-unknown-0123456789abcdef' })).status, 503);
    assert.match(gateway.stderr, /serving by the last configuration on disk/);
    writeFileSync(config, good);
    await gateway.until(
      () => gateway.stderr.split('"message":"control plane started"').length > 2,
      'the control plane is back',
    );
    assert.equal((await chat(url)).status, 200);
    assert.equal(await gateway.stop(), 0);
  });

  it('children end when the supervisor is killed, after finishing what they do', async (t) => {
    const { gateway, url } = await startAt(mock, t);
    const children = gateway.childPids();
    assert.equal(children.length, 2);
    const { answer } = await mock.startSlowRequest(url);
    gateway.child.kill('SIGKILL');
    assert.equal((await answer).status, 200);
    await eventually(() => !children.some(isRunning), `children ${children.join()} are gone`);
    assert.ok(await isPortFree(portOf(url)));
  });

  it('a control plane that takes long to start is not taken for one that hangs', async (t) => {
    const directory = makeDirectory(t);
    const files = ['--config', writeConfig(directory, mock.url), '--data-dir', join(directory, 'data')];
    const args = ['start', '--host', '127.0.0.1', '--port', '0', ...files];
    const gateway = new SlipstreamProcess(t, args, { env: CONFIG_ENV });
    const control = await gateway.until(() => gateway.childNamed('control'), 'there is a control plane');
    process.kill(control, 'SIGSTOP');
    await sleep(12_000); // more heartbeats than one that has started may miss
    process.kill(control, 'SIGCONT');
    assert.equal((await chat(await gateway.ready())).status, 200);
    assert.equal(gateway.childNamed('control'), control);
    assert.equal(await gateway.stop(), 0);
  });
});
