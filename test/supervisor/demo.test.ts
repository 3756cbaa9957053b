import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { describe, it, type TestContext } from 'node:test';
import { isPortFree, makeDirectory, SlipstreamProcess } from './slipstream-process.ts';

const hasCurl = spawnSync('curl', ['--version']).status === 0;

function startDemo(t: TestContext, dataDirectory: string, args: readonly string[] = []): SlipstreamProcess {
  return new SlipstreamProcess(t, ['start', '--port', '0', '--data-dir', dataDirectory, ...args]);
}

async function keyOf(gateway: SlipstreamProcess): Promise<string | undefined> {
  return (await gateway.says(/key: (sk-demo-\S+)/))[1];
}

/** By the kernel's tables: one socket listens on that port, on 127.0.0.1. */
function assertLoopbackOnly(url: URL): void {
  assert.equal(url.hostname, '127.0.0.1');
  const hexPort = Number(url.port).toString(16).toUpperCase().padStart(4, '0');
  const listening = ['tcp', 'tcp6']
    .flatMap((table) => readFileSync(`/proc/net/${table}`, 'utf8').split('\n'))
    .filter((row) => row.includes(`:${hexPort} `) && / 0A /.test(row));
  assert.equal(listening.length, 1);
  assert.match(listening[0] ?? '', /0100007F:/);
}

describe('the demo', { concurrency: 2 }, () => {
  for (const mode of [[], ['--no-sidecar']]) {
    const label = mode.length === 0 ? 'two processes' : 'one process';

    it(
      `${label}: the printed curl line works as printed, on 127.0.0.1 only; SIGTERM ends it with 0 and the port is free; the key is random, and the same at the next start`,
      {
        skip: hasCurl ? false : 'there is no curl on this machine',
      },
      async (t) => {
        const directory = makeDirectory(t);
        const data = join(directory, 'data');
        const gateway = startDemo(t, data, mode);
        const url = await gateway.ready();
        assertLoopbackOnly(new URL(url));
        const line = await gateway.says(/^ *(curl .*)$/m);
        const curl = spawnSync('sh', ['-c', line[1] ?? ''], { encoding: 'utf8', timeout: 20_000 });
        assert.equal(curl.status, 0, curl.stderr);
        const reply = JSON.parse(curl.stdout) as { choices: { message: { content: string } }[] };
        assert.ok((reply.choices[0]?.message.content.length ?? 0) > 0);
        assert.equal(gateway.childPids().length, mode.length === 0 ? 2 : 0);
        assert.equal(statSync(data).mode & 0o777, 0o700);
        assert.equal(statSync(join(data, 'demo-key')).mode & 0o777, 0o600);
        assert.equal(await gateway.stop(), 0);
        assert.ok(await isPortFree(Number(new URL(url).port)));
        const keys = [await keyOf(gateway)];
        for (const name of ['data', 'other']) {
          const next = startDemo(t, join(directory, name), mode);
          await next.ready();
          keys.push(await keyOf(next));
          assert.equal(await next.stop(), 0);
        }
        assert.equal(keys[0], keys[1]);
        assert.notEqual(keys[0], keys[2]);
      },
    );
  }

  for (const host of ['0.0.0.0', '::', 'localhost']) {
    it(`refuses --host ${host}`, async (t) => {
      const gateway = startDemo(t, makeDirectory(t), ['--host', host]);
      assert.equal((await gateway.exited).code, 2);
      assert.match(gateway.stderr, /^slipstream start: the demo listens on 127\.0\.0\.1 only.*--config FILE.*\n$/);
    });
  }
});
