import assert from 'node:assert/strict';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { connect } from 'node:net';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { startMock, type RunningMock } from '../../src/cli/mock/mock-server.ts';
import type { UsageEvent } from '../../src/contract/usage-event.ts';
import { chatClient } from '../support/flow-support.ts';
import { MODES, startGateway, type Gateway } from '../support/gateway.ts';
import { startLoad } from '../support/load.ts';
import { ask, eventually } from '../support/raw-client.ts';
import { MASTER_KEY, readJournal, TEST_KEY } from '../support/sidecar-harness.ts';

function config(mockUrl: string, more = ''): string {
  const model = (name: string, upstream: string): string =>
    `  - { model_name: ${name}, litellm_params: { model: "openai/${upstream}", api_base: "${mockUrl}/v1", api_key: sk-provider } }\n`;
  return (
    `model_list:\n${model('m', 'mock?ttft=5')}${model('endless', 'mock?tokens=100000&interval=20')}` +
    `general_settings: { master_key: ${MASTER_KEY} }\nslipstream: { keys: [ { key: ${TEST_KEY} } ]${more} }\n`
  );
}

function isPortFree(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(port, '127.0.0.1');
    socket.once('connect', () => {
      socket.destroy();
      resolve(false);
    });
    socket.once('error', () => resolve(true));
  });
}

/** SIGTERM; the exit code, and the journal as it was left. */
async function terminate(gateway: Gateway): Promise<{ code: number | null; events: UsageEvent[] }> {
  const exited = new Promise<number | null>((resolve) => gateway.process.once('exit', (code) => resolve(code)));
  gateway.process.kill('SIGTERM');
  const code = await exited;
  return { code, events: readJournal(join(gateway.dataDirectory, 'journal')) };
}

let mock: RunningMock;
before(async () => {
  mock = await startMock();
});
after(() => mock.close());

for (const mode of MODES) {
  describe(`SIGTERM under load, ${mode}`, { concurrency: 2 }, () => {
    it('no request fails, all are recorded, exit 0, the port is free', async (t) => {
      const gateway = await startGateway({ mode, config: config(mock.url, ', timeouts: { shutdown_delay: 1.5 }') });
      t.after(() => gateway.process.kill('SIGKILL'));
      const load = startLoad(gateway.port, 16, 'm');
      await eventually(() => load.outcomes.length > 100, 'the load runs');
      const terminating = terminate(gateway);
      const readiness = async (): Promise<number> =>
        (await ask(gateway.port, { method: 'GET', path: '/health/readiness' })).status;
      while ((await readiness()) !== 503) await sleep(10);
      const served = load.outcomes.length;
      await sleep(200);
      assert.ok(load.outcomes.length > served, 'requests are still served in shutdown_delay');
      // By now whoever looks at readiness sends its requests elsewhere.
      await load.stop();
      const { code, events } = await terminating;
      assert.equal(code, 0);
      assert.deepEqual(
        load.outcomes.filter(({ status }) => status !== 200),
        [],
      );
      assert.ok(await isPortFree(gateway.port));
      const ids = events.map(({ id }) => id);
      assert.equal(new Set(ids).size, ids.length, 'no id twice');
      assert.deepEqual(ids.toSorted(), load.outcomes.map(({ id }) => id!).toSorted());
      await gateway.stop();
    });

    it('a client that goes on to the end loses none of the requests that were accepted', async (t) => {
      const gateway = await startGateway({ mode, config: config(mock.url) });
      t.after(() => gateway.process.kill('SIGKILL'));
      const load = startLoad(gateway.port, 32, 'm');
      await eventually(() => load.outcomes.length > 100, 'the load runs');
      const { code, events } = await terminate(gateway);
      await load.stop();
      assert.equal(code, 0);
      const failures = load.outcomes.filter(({ status, failure }) => status !== 200 && failure !== 'connect');
      assert.deepEqual(failures, []);
      const recorded = new Set(events.map(({ id }) => id));
      for (const { id } of load.outcomes) assert.ok(id === null || recorded.has(id), `${id} is in the journal`);
      await gateway.stop();
    });

    it('streams get drain_timeout, then an event that says so', async (t) => {
      const gateway = await startGateway({ mode, config: config(mock.url, ', timeouts: { drain: 0.5 }') });
      t.after(() => gateway.process.kill('SIGKILL'));
      const clients = Array.from({ length: 3 }, () => chatClient(gateway.port, 'endless', ',"stream":true'));
      for (const client of clients) await client.until((received) => received.includes('data: '));
      const from = performance.now();
      const { code, events } = await terminate(gateway);
      assert.equal(code, 0);
      assert.ok(performance.now() - from >= 500);
      for (const client of clients) assert.ok(!(await client.ended()).includes('[DONE]'));
      assert.deepEqual(
        events.map(({ aborted, status, stream }) => ({ aborted, status, stream })),
        clients.map(() => ({ aborted: 'drain', status: 200, stream: true })),
      );
      await gateway.stop();
    });

    it('an edit of the file and SIGHUP change it under load, without a failed request; a bad edit changes nothing', async (t) => {
      const gateway = await startGateway({ mode, config: config(mock.url) });
      t.after(() => gateway.process.kill('SIGKILL'));
      const load = startLoad(gateway.port, 4, 'm');
      const text = readFileSync(gateway.configPath, 'utf8');
      const asking = async (model: string): Promise<number> =>
        (await ask(gateway.port, { key: TEST_KEY, body: `{"model":"${model}","messages":[]}` })).status;
      const tookMs: number[] = [];
      for (const name of ['added', 'another', 'third']) {
        assert.equal(await asking(name), 400);
        writeFileSync(gateway.configPath, text.replace('model_name: endless', `model_name: ${name}`));
        gateway.process.kill('SIGHUP');
        const from = performance.now();
        while ((await asking('endless')) !== 400 || (await asking(name)) === 400)
          assert.ok(performance.now() - from < 20_000, 'it never took effect');
        tookMs.push(performance.now() - from);
      }
      // What the machine is busy with may delay one of them; a wait of our own would delay all.
      assert.ok(Math.min(...tookMs) < 1_000, `a reload takes ${tookMs.map(Math.round).join(', ')} ms`);
      writeFileSync(gateway.configPath, 'model_list: [');
      gateway.process.kill('SIGHUP');
      await eventually(() => /stays in force/.test(gateway.output()), 'it says so');
      assert.equal(await asking('endless'), 400);
      assert.equal(await asking('m'), 200);
      await load.stop();
      assert.deepEqual(
        load.outcomes.filter(({ status }) => status !== 200),
        [],
      );
      assert.equal((await terminate(gateway)).code, 0);
      assert.ok(existsSync(gateway.dataDirectory));
      await gateway.stop();
    });
  });
}
