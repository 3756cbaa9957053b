import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { after, before, describe, it } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { startMock, type RunningMock } from '../../src/cli/mock/mock-server.ts';
import { childNamed } from '../support/child-processes.ts';
import { metric } from '../support/flow-support.ts';
import { MODES, startGateway, type Gateway } from '../support/gateway.ts';
import { startLoad } from '../support/load.ts';
import { ask, eventually } from '../support/raw-client.ts';
import { MASTER_KEY, TEST_KEY } from '../support/sidecar-harness.ts';

function config(mockUrl: string): string {
  return (
    `model_list: [ { model_name: m, litellm_params: { model: "openai/mock?ttft=5", api_base: "${mockUrl}/v1", api_key: sk-provider } } ]\n` +
    `general_settings: { master_key: ${MASTER_KEY} }\nslipstream: { keys: [ { key: ${TEST_KEY} } ] }\n`
  );
}

let mock: RunningMock;
before(async () => {
  mock = await startMock();
});
after(() => mock.close());

function pidOf(gateway: Gateway, plane: 'control' | 'sidecar'): number {
  const pid = childNamed(gateway.process.pid!, plane);
  assert.ok(pid !== null, `there is a ${plane} process`);
  return pid;
}

describe('a process is killed under load', { concurrency: 2 }, () => {
  it('the sidecar: what was answered is in the journal, nothing twice; new connections are served', async (t) => {
    const gateway = await startGateway({ mode: 'sidecar', config: config(mock.url) });
    t.after(() => gateway.process.kill('SIGKILL'));
    const load = startLoad(gateway.port, 12, 'm');
    for (let round = 0; round < 2; round += 1) {
      const before = load.outcomes.length;
      await eventually(() => load.outcomes.length > before + 150, 'the load runs', 20_000);
      const sidecar = pidOf(gateway, 'sidecar');
      process.kill(sidecar, 'SIGKILL');
      const killed = load.outcomes.length;
      await eventually(() => load.outcomes.length > killed + 150, 'it goes on', 20_000);
      assert.notEqual(pidOf(gateway, 'sidecar'), sidecar);
    }
    await load.stop();
    const failures = load.outcomes.filter(({ status }) => status !== 200);
    // Only what was in flight on the connections that dropped, at most one each; nobody was refused.
    assert.ok(failures.length <= 2 * 12, `${failures.length} failed`);
    assert.deepEqual(
      failures.filter(({ failure }) => !failure?.startsWith('closed')),
      [],
    );
    const events = gateway.journal();
    const ids = events.map(({ id }) => id);
    assert.equal(new Set(ids).size, ids.length, 'no id twice');
    const recorded = new Set(ids);
    const lost = load.outcomes.filter(({ id }) => id !== null && !recorded.has(id));
    assert.deepEqual(lost, []);
    assert.equal(await gateway.stop(), 0);
  });

  it('the control plane: traffic does not notice; its own routes answer 503, and work again when it is back', async (t) => {
    const gateway = await startGateway({ mode: 'sidecar', config: config(mock.url) });
    t.after(() => gateway.process.kill('SIGKILL'));
    const admin = async (): Promise<number> =>
      (await ask(gateway.port, { method: 'GET', path: '/model/info', key: MASTER_KEY })).status;
    assert.equal(await admin(), 200);
    const load = startLoad(gateway.port, 4, 'm');
    const control = pidOf(gateway, 'control');
    process.kill(control, 'SIGKILL');
    const statuses = new Set<number>();
    const from = performance.now();
    while (childNamed(gateway.process.pid!, 'control') === control || (await admin()) !== 200) {
      statuses.add(await admin());
      assert.equal((await ask(gateway.port, { method: 'GET', path: '/health/readiness' })).status, 200);
      assert.ok(performance.now() - from < 20_000, 'it did not come back');
      await sleep(5);
    }
    assert.ok(statuses.has(503));
    for (const status of statuses) assert.ok(status === 503 || status === 200, `${status}`);
    await load.stop();
    assert.deepEqual(
      load.outcomes.filter(({ status }) => status !== 200),
      [],
    );
    assert.equal(await gateway.stop(), 0);
  });
});

const hasPrlimit = spawnSync('prlimit', ['--version']).status === 0;

describe('a disk that is full', { concurrency: 2, skip: hasPrlimit ? false : 'needs prlimit(1)' }, () => {
  for (const mode of MODES) {
    it(`requests are served, lost events are counted and told, and it goes on by itself, ${mode}`, async (t) => {
      const gateway = await startGateway({ mode, config: config(mock.url) });
      t.after(() => gateway.process.kill('SIGKILL'));
      const serving = mode === 'sidecar' ? pidOf(gateway, 'sidecar') : gateway.process.pid!;
      const limit = (bytes: string): void => {
        const { status } = spawnSync('prlimit', ['--pid', String(serving), `--fsize=${bytes}:`]);
        assert.equal(status, 0);
      };
      const some = async (count: number): Promise<void> => {
        const load = startLoad(gateway.port, 2, 'm');
        await eventually(() => load.outcomes.length >= count, 'they are answered');
        await load.stop();
        assert.deepEqual(
          load.outcomes.filter(({ status }) => status !== 200),
          [],
        );
        sent += load.outcomes.length;
      };
      let sent = 0;
      await some(5);
      limit('0');
      await some(20);
      await eventually(() => /usage events are dropped/.test(gateway.output()), 'it says so');
      assert.equal((await ask(gateway.port, { method: 'GET', path: '/health/readiness' })).status, 200);
      const dropped = await metric(gateway.port, 'slipstream_journal_dropped_total');
      assert.ok(dropped >= 20);
      limit('unlimited');
      await some(5);
      await eventually(() => /the journal is written again/.test(gateway.output()), 'it says that, too');
      assert.equal(await metric(gateway.port, 'slipstream_journal_dropped_total'), dropped);
      assert.equal(gateway.journal().length + dropped, sent);
      assert.equal(await gateway.stop(), 0);
    });
  }
});
