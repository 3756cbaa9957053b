import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, it, type TestContext } from 'node:test';
import { CostMapDownload } from '../../src/control/pricing/cost-map-download.ts';
import { createLogger } from '../../src/runtime/logger.ts';
import { closedPort } from '../support/closed-port.ts';
import { eventually } from '../support/raw-client.ts';
import { compileYaml, deploymentOf, deploymentsOf, GENERAL } from './compile-yaml.ts';

function temporaryDirectory(t: TestContext): string {
  const directory = mkdtempSync(join(tmpdir(), 'slipstream-prices-'));
  t.after(() => rmSync(directory, { recursive: true, force: true }));
  return directory;
}

const MAP = {
  'gpt-x': { litellm_provider: 'openai', input_cost_per_token: 2.5e-6, output_cost_per_token: 1.000_000_5e-6 },
};
const ONE_MODEL = 'model_list: [{model_name: m, litellm_params: {model: gpt-x, api_key: k}}]';

describe('price of a deployment', () => {
  it('is that of its model, known or not', () => {
    assert.equal(deploymentOf('{model: gpt-5-mini, api_key: k}').price?.prices.input, 250_000);
    assert.equal(deploymentOf('{model: anthropic/claude-haiku-4-5, api_key: k}').price?.prices.cacheWrite1h, 2_000_000);
    assert.equal(deploymentOf('{model: nobody-knows, api_key: k}').price, null);
    assert.equal(deploymentOf('{model: openai_like/gpt-5, api_base: "http://x/v1"}').price, null);
  });

  it('takes every price that LiteLLM has for tokens, calls and time', () => {
    const { price } = deploymentOf(
      `{model: gpt-5, api_key: k, input_cost_per_token: 1e-6, cache_creation_input_token_cost_above_1hr: 2e-6,
        output_cost_per_reasoning_token: "3e-6", output_cost_per_audio_token: 4e-6, input_cost_per_image_token: 5e-6,
        input_cost_per_request: 0.001, input_cost_per_second: 0.00042, input_cost_per_token_above_200k_tokens: 6e-6,
        output_cost_per_token_batches: 7e-6, cache_read_input_token_cost_priority: 8e-6}`,
    );
    assert.deepEqual(price, {
      prices: {
        input: 1_000_000,
        cacheWrite1h: 2_000_000,
        reasoning: 3_000_000,
        audioOutput: 4_000_000,
        imageInput: 5_000_000,
        request: 1_000_000_000,
        second: 420_000_000,
      },
      steps: [{ above: 200_000, prices: { input: 6_000_000 } }],
      tiers: {
        batch: { prices: { output: 7_000_000 }, steps: [] },
        priority: { prices: { cacheRead: 8_000_000 }, steps: [] },
      },
    });
  });

  it('takes what LiteLLM has for rerankers, old names, and long prompts of a tier', () => {
    const { price } = deploymentOf(
      `{model: gpt-5, api_key: k, input_cost_per_query: 0.002, input_cost_per_token_cache_hit: 1e-7,
        cache_creation_input_token_cost_above_1hr_above_200k_tokens: 2e-6, output_cost_per_reasoning_token_flex: 3e-6,
        input_cost_per_token_above_272k_tokens_priority: 4e-6}`,
    );
    assert.deepEqual(price, {
      prices: { request: 2_000_000_000, cacheRead: 100_000 },
      steps: [{ above: 200_000, prices: { cacheWrite1h: 2_000_000 } }],
      tiers: {
        flex: { prices: { reasoning: 3_000_000 }, steps: [] },
        priority: { prices: {}, steps: [{ above: 272_000, prices: { input: 4_000_000 } }] },
      },
    });
  });

  it('behind a wildcard is the listed one of each model, with the parts that are said here', () => {
    const [one] = deploymentsOf(
      '[{model_name: "gpt-*", litellm_params: {model: "openai/gpt-*", api_key: k, cache_read_input_token_cost: 0}}]',
    );
    const { price, modelPrices } = one!;
    assert.equal(price, null);
    assert.deepEqual([modelPrices?.['gpt-5']?.prices.input, modelPrices?.['gpt-5']?.prices.cacheRead], [1_250_000, 0]);
  });

  it('is that of base_model where one is named', () => {
    const deployments = deploymentsOf(
      `[{model_name: m, litellm_params: {model: openai/my-deployment, api_key: k}, model_info: {base_model: gpt-5}},
        {model_name: n, litellm_params: {model: openai/mine, api_key: k}, model_info: {base_model: xai/grok-3}}]`,
    );
    assert.deepEqual(
      deployments.map(({ price }) => price?.prices.input),
      [1_250_000, 3_000_000],
    );
  });

  it('is by model where the client names that', () => {
    const [any, priced] = deploymentsOf(
      `[{model_name: "*", litellm_params: {model: "openai/*", api_key: k}},
        {model_name: "c-*", litellm_params: {model: "anthropic/claude-*", api_key: k, input_cost_per_token: 1e-6}}]`,
    );
    assert.equal(any?.price, null);
    assert.equal(any?.modelPrices?.['gpt-5']?.prices.input, 1_250_000);
    assert.equal(any?.modelPrices?.['claude-haiku-4-5'], undefined);
    assert.deepEqual([priced?.price?.prices, priced?.modelPrices], [{ input: 1_000_000 }, null]);
  });
});

describe('model_cost_map', () => {
  it('a file: its prices come first, what is finer than a pico-dollar is reported', (t) => {
    const path = join(temporaryDirectory(t), 'map.json');
    writeFileSync(path, JSON.stringify(MAP));
    const { config, warnings, errors } = compileYaml(`${ONE_MODEL}\nslipstream: {model_cost_map: ${path}}\n${GENERAL}`);
    assert.deepEqual(errors, []);
    assert.deepEqual(config.snapshot.deployments[0]?.price?.prices, { input: 2_500_000, output: 1_000_001 });
    assert.match(warnings.join(), /output_cost_per_token of its listed price is rounded to whole pico-dollars/);
  });

  it('a file that is none is an error', (t) => {
    const path = join(temporaryDirectory(t), 'map.json');
    const setting = `slipstream: {model_cost_map: ${path}}`;
    assert.match(compileYaml(`${ONE_MODEL}\n${setting}\n${GENERAL}`).errors.join(), /model_cost_map: cannot be used/);
    writeFileSync(path, '{"a": 1}');
    assert.match(compileYaml(`${ONE_MODEL}\n${setting}\n${GENERAL}`).errors.join(), /no entry of it has/);
  });

  it('an address: nothing waits for it', () => {
    const env = { LITELLM_MODEL_COST_MAP_URL: 'https://prices.invalid/map.json' };
    const { config, errors, warnings } = compileYaml(`${ONE_MODEL}\n${GENERAL}`, { env });
    assert.deepEqual(errors, []);
    assert.match(warnings.join(), /LITELLM_MODEL_COST_MAP_URL: is not fetched here/);
    assert.equal(config.snapshot.deployments[0]?.price, null);
  });
});

describe('a map that is fetched', () => {
  async function serve(t: TestContext, reply: () => { status: number; text: string }): Promise<string> {
    const server = createServer((_request, response) => {
      const { status, text } = reply();
      response.writeHead(status).end(text);
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    t.after(() => server.close());
    return `http://127.0.0.1:${(server.address() as AddressInfo).port}/map.json`;
  }

  interface Download {
    readonly subject: CostMapDownload;
    readonly changes: () => number;
    readonly warnings: () => number;
  }

  function download(t: TestContext, dataDirectory: string): Download {
    let changes = 0;
    let warnings = 0;
    const logger = createLogger({ name: 'test', level: 'warn', format: 'json', write: () => (warnings += 1) });
    const subject = new CostMapDownload({ dataDirectory, logger, onChange: () => (changes += 1) });
    t.after(() => subject.close());
    return { subject, changes: () => changes, warnings: () => warnings };
  }

  it('is there when it has come, and at the next start before', async (t) => {
    const dataDirectory = temporaryDirectory(t);
    const address = await serve(t, () => ({ status: 200, text: JSON.stringify(MAP) }));
    const first = download(t, dataDirectory);
    assert.equal(first.subject.maps.get(address), undefined);
    first.subject.follow(address);
    await eventually(() => first.changes() === 1, 'it has come');
    assert.deepEqual(first.subject.maps.get(address), MAP);
    assert.equal(statSync(join(dataDirectory, 'model-cost-map.json')).mode & 0o777, 0o600);
    const second = download(t, dataDirectory);
    assert.deepEqual(second.subject.maps.get(address), MAP);
  });

  it('leaves what there is where it cannot be had, or is no map', async (t) => {
    const dataDirectory = temporaryDirectory(t);
    let text = JSON.stringify(MAP);
    const address = await serve(t, () => ({ status: text === '' ? 500 : 200, text }));
    const { subject, changes, warnings } = download(t, dataDirectory);
    subject.follow(address);
    await eventually(() => changes() === 1, 'it has come');
    const bad = ['{', '{}', '[]', '"x"', ''];
    for (const [index, reply] of bad.entries()) {
      text = reply;
      subject.follow(null);
      subject.follow(address);
      await eventually(() => warnings() === index + 1, `${reply} is refused`);
    }
    subject.follow(`http://127.0.0.1:${await closedPort()}/`);
    await eventually(() => warnings() === bad.length + 1, 'nobody there');
    assert.equal(changes(), 1);
    assert.deepEqual(subject.maps.get(address), MAP);
  });
});
