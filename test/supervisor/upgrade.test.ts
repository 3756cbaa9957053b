import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { startMock, type RunningMock } from '../../src/cli/mock/mock-server.ts';
import { childNamed } from '../support/child-processes.ts';
import { chatClient } from '../support/flow-support.ts';
import { startGateway, type Gateway, type Mode } from '../support/gateway.ts';
import { startLoad } from '../support/load.ts';
import { ask, eventually, RawClient, requestBytes } from '../support/raw-client.ts';
import { ScriptedUpstream } from '../support/scripted-upstream.ts';
import { MASTER_KEY, TEST_KEY } from '../support/sidecar-harness.ts';
import { isRunning } from './slipstream-process.ts';

const LAUNCHER = resolve(import.meta.dirname, '../../bin/slipstream.js');

let mock: RunningMock;
/** Begins a stream, and ends it when the test says so. */
let streaming: ScriptedUpstream;
const endStreams: (() => void)[] = [];
before(async () => {
  mock = await startMock();
  streaming = await ScriptedUpstream.start((_request, reply) => {
    reply.write('HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n\r\ndata: {"choices":[{"delta":{}}]}\n\n');
    endStreams.push(() => {
      reply.write('data: [DONE]\n\n');
      reply.end();
    });
  });
});
after(async () => {
  streaming.stop();
  await mock.close();
});

function start(mode: Mode, more = '', keys = ''): Promise<Gateway> {
  const model = (name: string, upstream: string, base: string): string =>
    `  - { model_name: ${name}, litellm_params: { model: "openai/${upstream}", api_base: "${base}/v1", api_key: sk-provider } }\n`;
  const config =
    `model_list:\n${model('m', 'mock?ttft=5', mock.url)}${model('stream', 'x', `http://127.0.0.1:${streaming.port}`)}` +
    `general_settings: { master_key: ${MASTER_KEY} }\nslipstream: { keys: [ { key: ${TEST_KEY} }${keys} ]${more} }\n`;
  return startGateway({ mode, config });
}

async function upgrade(dataDirectory: string): Promise<{ code: number | null; stdout: string; stderr: string }> {
  const child = spawn(process.execPath, [LAUNCHER, 'upgrade', '--data-dir', dataDirectory], { stdio: 'pipe' });
  let stdout = '';
  let stderr = '';
  child.stdout.on('data', (chunk: Buffer) => (stdout += chunk.toString()));
  child.stderr.on('data', (chunk: Buffer) => (stderr += chunk.toString()));
  const code = await new Promise<number | null>((resolveCode) => child.once('close', resolveCode));
  return { code, stdout, stderr };
}

function pidOf(gateway: Gateway, plane: 'control' | 'sidecar'): number {
  const pid = childNamed(gateway.process.pid!, plane);
  assert.ok(pid !== null, `there is a ${plane} process`);
  return pid;
}

/** A probe that keeps its connection: the service as a whole is ready, also when the old sidecar answers its last. */
async function probeUntilClosed(port: number): Promise<void> {
  const probe = new RawClient(port);
  for (;;) {
    const reply = await probe.send(requestBytes({ method: 'GET', path: '/health/readiness' })).reply('GET');
    assert.equal(reply.status, 200);
    if (reply.header('connection') === 'close') return;
    await sleep(50);
  }
}

describe('upgrade', { concurrency: 2, timeout: 120_000 }, () => {
  it('under load no request fails, a stream goes on in the old sidecar to its end, the new one has more threads', async (t) => {
    const gateway = await start('sidecar', ', threads: 1');
    t.after(() => gateway.process.kill('SIGKILL'));
    const old = { control: pidOf(gateway, 'control'), sidecar: pidOf(gateway, 'sidecar') };
    const text = readFileSync(gateway.configPath, 'utf8');
    writeFileSync(gateway.configPath, text.replace('threads: 1', 'threads: 2'));
    const load = startLoad(gateway.port, 8, 'm');
    t.after(() => load.stop());
    const lastProbe = probeUntilClosed(gateway.port);
    const stream = chatClient(gateway.port, 'stream', ',"stream":true');
    await stream.until((received) => received.includes('data: '));
    const { code, stdout, stderr } = await upgrade(gateway.dataDirectory);
    assert.equal(code, 0, stderr);
    assert.match(stdout, /the new sidecar serves/);
    assert.ok(isRunning(old.sidecar), 'the stream keeps it');
    assert.ok(!isRunning(old.control));
    await lastProbe;
    for (const end of endStreams.splice(0)) end();
    assert.match((await stream.reply()).text, /\[DONE\]/);
    await eventually(() => !isRunning(old.sidecar), 'the old one has ended', 20_000);
    const served = load.outcomes.length;
    await eventually(() => load.outcomes.length > served + 50, 'the load goes on');
    await load.stop();
    assert.deepEqual(
      load.outcomes.filter(({ status }) => status !== 200),
      [],
    );
    const tasks = readFileSync(`/proc/${childNamed(gateway.process.pid!, 'sidecar')!}/status`, 'latin1');
    assert.ok(Number(/^Threads:\s+(\d+)/m.exec(tasks)?.[1]) >= 2);
    assert.match(gateway.output(), /the old sidecar finishes what is in progress/);
    const ids = gateway.journal().map(({ id }) => id);
    assert.equal(new Set(ids).size, ids.length, 'no id twice');
    const recorded = new Set(ids);
    for (const { id } of load.outcomes) assert.ok(recorded.has(id!), `${id} is in the journal`);
    // What was upgraded is supervised like what was started.
    const second = pidOf(gateway, 'sidecar');
    process.kill(second, 'SIGKILL');
    assert.equal((await ask(gateway.port, { key: TEST_KEY, body: '{"model":"m","messages":[]}' })).status, 200);
    assert.notEqual(pidOf(gateway, 'sidecar'), second);
    assert.equal(await gateway.stop(), 0);
  });

  it('a configuration that is broken by now: it fails and says so, the old sidecar goes on; then open windows of limits go with it', async (t) => {
    const key = 'sk-limited-0123456789abcdef';
    const gateway = await start('sidecar', '', `, { key: ${key}, rpm_limit: 4 }`);
    t.after(() => gateway.process.kill('SIGKILL'));
    const asking = async (): Promise<number> =>
      (await ask(gateway.port, { key, body: '{"model":"m","messages":[]}' })).status;
    const sidecar = pidOf(gateway, 'sidecar');
    const text = readFileSync(gateway.configPath, 'utf8');
    writeFileSync(gateway.configPath, 'model_list: [');
    const failed = await upgrade(gateway.dataDirectory);
    assert.equal(failed.code, 1);
    assert.match(failed.stderr, /the new control plane does not start/);
    assert.equal(pidOf(gateway, 'sidecar'), sidecar);
    assert.equal((await ask(gateway.port, { key: TEST_KEY, body: '{"model":"m","messages":[]}' })).status, 200);
    writeFileSync(gateway.configPath, text);
    await eventually(() => gateway.output().split('"control plane started"').length > 2, 'it starts again', 20_000);
    for (let i = 0; i < 3; i += 1) assert.equal(await asking(), 200);
    assert.equal((await upgrade(gateway.dataDirectory)).code, 0);
    assert.equal(await asking(), 200);
    assert.equal(await asking(), 429);
    await eventually(() => !isRunning(sidecar), 'the old one has ended', 20_000);
    assert.equal(await gateway.stop(), 0);
  });

  it('SIGTERM right after it stops all of them, and what is in progress is finished', async (t) => {
    const gateway = await start('sidecar');
    t.after(() => gateway.process.kill('SIGKILL'));
    const stream = chatClient(gateway.port, 'stream', ',"stream":true');
    await stream.until((received) => received.includes('data: '));
    const old = pidOf(gateway, 'sidecar');
    assert.equal((await upgrade(gateway.dataDirectory)).code, 0);
    const stopped = gateway.stop();
    for (const end of endStreams.splice(0)) end();
    assert.match((await stream.reply()).text, /\[DONE\]/);
    assert.equal(await stopped, 0);
    assert.ok(!isRunning(old));
  });

  it('in one process there is nothing that could serve meanwhile: it says so', async (t) => {
    const gateway = await start('no-sidecar');
    t.after(() => gateway.process.kill('SIGKILL'));
    const { code, stderr } = await upgrade(gateway.dataDirectory);
    assert.equal(code, 1);
    assert.match(stderr, /upgrade is not available in one process/);
    assert.equal(await gateway.stop(), 0);
    const nobody = await upgrade(join(gateway.dataDirectory, 'nothing'));
    assert.equal(nobody.code, 1);
    assert.match(nobody.stderr, /no slipstream runs with the data directory/);
  });
});
