import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, it, type TestContext } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { startMock } from '../../src/cli/mock/mock-server.ts';
import { niceOf } from '../support/child-processes.ts';
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

let mock: Awaited<ReturnType<typeof startMock>>;
const atProvider: string[] = [];
before(async () => {
  mock = await startMock({
    host: '127.0.0.1',
    port: 0,
    onRequest: (request) => {
      if (request.body.includes('slow-')) atProvider.push(request.body.toString());
    },
  });
});
after(() => mock.close());

interface Started {
  readonly gateway: SlipstreamProcess;
  readonly url: string;
  readonly config: string;
}

async function start(t: TestContext, args: readonly string[] = [], more = ''): Promise<Started> {
  const directory = makeDirectory(t);
  const config = writeConfig(directory, mock.url, more);
  const files = ['--config', config, '--data-dir', join(directory, 'data')];
  const gateway = new SlipstreamProcess(t, ['start', '--host', '127.0.0.1', '--port', '0', ...files, ...args], {
    env: CONFIG_ENV,
  });
  return { gateway, config, url: await gateway.ready() };
}

/** Sends a request that takes 1.2 s; resolves when it has reached the provider. */
async function startSlowRequest(url: string): Promise<{ answer: Promise<{ status: number; text: string }> }> {
  const content = `slow-${randomUUID()}`;
  const answer = chat(url, { model: 'slow', content });
  await eventually(() => atProvider.some((body) => body.includes(content)), 'the provider has the request');
  return { answer };
}

function portOf(url: string): number {
  return Number(new URL(url).port);
}

for (const mode of [[], ['--no-sidecar']]) {
  describe(mode.length === 0 ? 'stopping two processes' : 'stopping one process', { concurrency: 2 }, () => {
    it('two SIGINT of one Ctrl-C are one; a request in flight is answered; exit 0', async (t) => {
      const { gateway, url } = await start(t, mode);
      const { answer } = await startSlowRequest(url);
      gateway.child.kill('SIGINT');
      await sleep(100);
      gateway.child.kill('SIGINT');
      assert.equal((await answer).status, 200);
      assert.equal((await gateway.exited).code, 0);
      assert.ok(await isPortFree(portOf(url)));
    });

    it('a second signal later than that ends it at once, with 1', async (t) => {
      const { gateway, url } = await start(t, mode, 'slipstream: { timeouts: { shutdown_delay: 60 } }\n');
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
      const { gateway, url, config } = await start(t, mode, 'slipstream: { timeouts: { shutdown_delay: 1.5 } }\n');
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

describe('faults', { concurrency: 2 }, () => {
  it('a sidecar that hangs', async (t) => {
    const { gateway, url } = await start(t);
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
    const { gateway, url } = await start(t);
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
    const { gateway, url, config } = await start(t, [], `slipstream: { keys: [ { key: ${key} } ] }\n`);
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
    const { gateway, url } = await start(t);
    const children = gateway.childPids();
    assert.equal(children.length, 2);
    const { answer } = await startSlowRequest(url);
    gateway.child.kill('SIGKILL');
    assert.equal((await answer).status, 200);
    await eventually(() => !children.some(isRunning), `children ${children.join()} are gone`);
    assert.ok(await isPortFree(portOf(url)));
  });

  it('a control plane that takes long to start is not put behind others, and not taken for one that hangs', async (t) => {
    const directory = makeDirectory(t);
    const files = ['--config', writeConfig(directory, mock.url), '--data-dir', join(directory, 'data')];
    const args = ['start', '--host', '127.0.0.1', '--port', '0', ...files];
    const gateway = new SlipstreamProcess(t, args, { env: CONFIG_ENV });
    const control = await gateway.until(() => gateway.childNamed('control'), 'there is a control plane');
    process.kill(control, 'SIGSTOP');
    assert.deepEqual(niceOf(control), niceOf(process.pid).slice(0, 1));
    await sleep(12_000); // more heartbeats than one that has started may miss
    process.kill(control, 'SIGCONT');
    assert.equal((await chat(await gateway.ready())).status, 200);
    assert.equal(gateway.childNamed('control'), control);
    assert.equal(await gateway.stop(), 0);
  });
});
