import assert from 'node:assert/strict';
import { existsSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { after, before, describe, it, type TestContext } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { childNamed } from '../support/child-processes.ts';
import { MODES, startGateway, type Gateway, type Mode, storeIsOpen } from '../support/gateway.ts';
import { ask, eventually, RawClient, requestBytes } from '../support/raw-client.ts';
import { jsonReply, ScriptedUpstream } from '../support/scripted-upstream.ts';
import { MASTER_KEY, TEST_KEY } from '../support/sidecar-harness.ts';

/** Each request uses 20 tokens at a millionth of a dollar: 500 of them cost a cent. */
const AFFORDABLE = 500;
const BUDGET = '0.01';
const IN_FLIGHT = 20;
const REPLY = jsonReply('{"model":"x","usage":{"prompt_tokens":10,"completion_tokens":10,"total_tokens":20}}');
/** By estimate a little more: a quarter of its bytes, and 10. */
const REQUEST = requestBytes({ key: TEST_KEY, body: '{"model":"m","max_tokens":10,"x":"................"}' });

let upstream: ScriptedUpstream;
before(async () => {
  upstream = await ScriptedUpstream.start(async (_request, reply) => {
    await sleep(5);
    reply.write(REPLY);
  });
});
after(() => {
  upstream.stop();
});

function config(reservation: string): string {
  return `model_list:
  - model_name: m
    litellm_params: { model: openai/x, api_base: "http://127.0.0.1:${upstream.port}/v1", api_key: sk-provider,
      input_cost_per_token: 0.000001, output_cost_per_token: 0.000001 }
general_settings: { master_key: ${MASTER_KEY} }
slipstream:
  budget_reservation: ${reservation}
  teams: [ { team_id: t, max_budget: ${BUDGET} } ]
  keys: [ { key: ${TEST_KEY}, team_id: t } ]
`;
}

/** How many are served to clients that ask one after another until nobody is any more. */
async function served(port: number): Promise<number> {
  let count = 0;
  let lastMs = performance.now();
  const client = async (): Promise<void> => {
    const connection = new RawClient(port);
    while (performance.now() - lastMs < 150) {
      const { status } = await connection.send(REQUEST).reply();
      assert.ok(status === 200 || status === 422, `status ${status}`);
      if (status === 200) {
        count += 1;
        lastMs = performance.now();
      } else await sleep(3);
    }
    connection.close();
  };
  await Promise.all(Array.from({ length: IN_FLIGHT }, client));
  return count;
}

async function started(t: TestContext, mode: Mode, reservation: string, before?: Gateway): Promise<Gateway> {
  const directory = before === undefined ? {} : { directory: before.directory };
  const gateway = await startGateway({ mode, config: config(reservation), ...directory });
  t.after(() => {
    gateway.process.kill('SIGKILL');
    rmSync(gateway.directory, { recursive: true, force: true });
  });
  return gateway;
}

/** SIGKILL to every process, the supervisor first: it must not start another. */
async function killAll(gateway: Gateway): Promise<void> {
  const supervisor = gateway.process.pid!;
  const pids = [supervisor, childNamed(supervisor, 'sidecar'), childNamed(supervisor, 'control')];
  const ended = new Promise((resolve) => gateway.process.once('exit', resolve));
  for (const pid of pids) if (pid !== null) process.kill(pid, 'SIGKILL');
  await ended;
}

async function refused(gateway: Gateway): Promise<void> {
  const reply = await new RawClient(gateway.port).send(REQUEST).reply();
  assert.equal(reply.status, 422);
  assert.match(reply.text, /Budget has been exceeded! Team=t Current cost: 0\.01/);
}

describe('a budget of 500 requests, 20 at the same time', () => {
  for (const mode of MODES) {
    it(`${mode}: 500 to 520 are served, and none after everything was killed`, async (t) => {
      const first = await started(t, mode, 'off');
      const count = await served(first.port);
      assert.ok(count >= AFFORDABLE && count <= AFFORDABLE + IN_FLIGHT, `${count} were served`);
      await killAll(first);
      // At once: what the journal has is not in the database yet.
      const second = await started(t, mode, 'off', first);
      await refused(second);
      // The base holds it, and the journal is not needed any more.
      const base = join(second.dataDirectory, 'budgets.json');
      const own = String(count * 20_000);
      const isWritten = (): boolean => existsSync(base) && readFileSync(base, 'utf8').includes(`"own":"${own}"`);
      await eventually(isWritten, 'the base has all', 60_000);
      await killAll(second);
      rmSync(join(second.dataDirectory, 'journal'), { recursive: true });
      await refused(await started(t, mode, 'off', first));
    });
  }

  it('with reservation exactly 500 are served; what another node spends counts here too', async (t) => {
    const gateway = await started(t, 'sidecar', 'prompt+max_tokens');
    assert.equal(await served(gateway.port), AFFORDABLE);
    const status = async (): Promise<number> => (await new RawClient(gateway.port).send(REQUEST).reply()).status;
    assert.equal(await status(), 422);
    // As another gateway on the same database would: it takes back one request's cost.
    await storeIsOpen(gateway); // so its tables are made
    const database = new DatabaseSync(join(gateway.dataDirectory, 'slipstream.db'), { timeout: 5000 });
    const insert = 'insert into budget_spend (name, node, end_ms, spend_nano, updated_at_ms) values (?, ?, null, ?, ?)';
    database.prepare(insert).run('team:t::0-0', 'another-node', -20_000, Date.now());
    database.close();
    const until = Date.now() + 10_000;
    while ((await status()) !== 200) {
      assert.ok(Date.now() < until, 'the sidecar is told');
      await sleep(50);
    }
    assert.equal(await status(), 422);
    const journal = gateway.journal().filter(({ costNano }) => costNano !== null);
    assert.equal(journal.length, AFFORDABLE + 1);
    assert.equal((await ask(gateway.port, { key: MASTER_KEY, body: '{"model":"m"}' })).status, 200);
  });
});
