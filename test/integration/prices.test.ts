import assert from 'node:assert/strict';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { after, before, describe, it } from 'node:test';
import { MODES, startGateway, type Gateway } from '../support/gateway.ts';
import { ask, type RawReply } from '../support/raw-client.ts';
import { jsonReply, ScriptedUpstream } from '../support/scripted-upstream.ts';
import { MASTER_KEY, TEST_KEY } from '../support/sidecar-harness.ts';

const USAGE = '"usage":{"prompt_tokens":1000,"completion_tokens":100,"prompt_tokens_details":{"cached_tokens":600}}';

let provider: ScriptedUpstream;
/** Holds the map back until it is allowed. */
let maps: Server;
let release = (): void => {};
before(async () => {
  provider = await ScriptedUpstream.start((_request, answer) => answer.write(jsonReply(`{"model":"m",${USAGE}}`)));
  const map = {
    'gpt-5-mini': { litellm_provider: 'openai', input_cost_per_token: 1e-6, output_cost_per_token: 2e-6 },
    'gpt-new': { litellm_provider: 'openai', input_cost_per_token: 3e-6, output_cost_per_token: 4e-6 },
  };
  maps = createServer((_request, response) => {
    release = () => response.end(JSON.stringify(map));
  });
  await new Promise<void>((resolve) => maps.listen(0, '127.0.0.1', resolve));
});
after(() => {
  provider.stop();
  maps.close();
});

function config(): string {
  const model = (name: string, params = ''): string =>
    `  - { model_name: ${name}, litellm_params: { model: openai/${name}, api_base: "http://127.0.0.1:${provider.port}/v1", api_key: k${params} } }\n`;
  return (
    `model_list:\n${model('gpt-5-mini')}${model('gpt-new')}${model('own', ', input_cost_per_token: 5e-6')}` +
    `general_settings: { master_key: ${MASTER_KEY} }\n` +
    `slipstream: { keys: [ { key: ${TEST_KEY} } ], model_cost_map: "http://127.0.0.1:${(maps.address() as AddressInfo).port}/" }\n`
  );
}

for (const mode of MODES) {
  describe(`prices, ${mode}`, () => {
    let gateway: Gateway;
    before(async () => {
      gateway = await startGateway({ mode, config: config() });
    });
    after(() => gateway.stop());

    const send = (model: string): Promise<RawReply> =>
      ask(gateway.port, { key: TEST_KEY, body: `{"model":"${model}"}` });
    const costOf = async (model: string): Promise<string | null> =>
      (await send(model)).header('x-litellm-response-cost');
    const becomes = async (model: string, cost: string): Promise<void> => {
      const deadline = performance.now() + 5_000;
      while ((await costOf(model)) !== cost) assert.ok(performance.now() < deadline, `${model} costs ${cost}`);
    };

    it("are the gateway's own until a map has come, and the map's from then on", async () => {
      // 400 × 0.25 + 600 × 0.025 + 100 × 2 = 100 + 15 + 200 µ$
      assert.equal(await costOf('gpt-5-mini'), '0.000315000');
      assert.equal(await costOf('gpt-new'), null);
      assert.equal(await costOf('own'), '0.005000000');
      release();
      await becomes('gpt-new', '0.003400000');
      assert.equal(await costOf('gpt-5-mini'), '0.001200000');
      assert.equal(await costOf('own'), '0.005000000');
      assert.equal(gateway.journal().at(-1)?.costNano, 5_000_000);
      assert.deepEqual(new Set(gateway.journal().map(({ costNano }) => costNano)).has(315_000), true);
    });

    it('stand in /model/info', async () => {
      const { text } = await ask(gateway.port, { method: 'GET', path: '/model/info', key: MASTER_KEY });
      const { data } = JSON.parse(text) as { data: { model_info: Record<string, unknown> }[] };
      assert.deepEqual(
        data.map(({ model_info: info }) => [info['input_cost_per_token'], info['output_cost_per_token']]),
        [
          [1e-6, 2e-6],
          [3e-6, 4e-6],
          [5e-6, 0],
        ],
      );
    });
  });
}
