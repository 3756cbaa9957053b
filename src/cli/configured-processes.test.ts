import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, it } from 'node:test';
import { mayConfigureProcesses, readConfiguredProcesses } from './configured-processes.ts';

const directory = mkdtempSync(join(tmpdir(), 'slipstream-processes-'));
after(() => rmSync(directory, { recursive: true, force: true }));
const path = join(directory, 'config.yaml');
const env = { LITELLM_MASTER_KEY: 'sk-master-0123456789abcdef' };

/** Whatever sets one of the three must be waited for: the quick look may err on one side only. */
for (const [yaml, found] of [
  ['slipstream:\n  port: 4100\n', { port: 4100 }],
  ['slipstream:\n  "host" : 10.0.0.1\n', { host: '10.0.0.1' }],
  ['"slipstream": {sidecar: off}\n', { sidecar: false }],
  ["'slipstream':\n  ? sidecar\n  : no\n", { sidecar: false }],
  ['base: &base { port: 4100 }\nslipstream: { <<: *base }\n', { port: 4100 }],
  ['base: &base\n  sidecar: off\nslipstream: *base\n', { sidecar: false }],
  ['"\\x73lipstream": { "p\\u006frt": 4100 }\n', { port: 4100 }],
  ['environment_variables: { SLIPSTREAM_PORT: "4100" }\n', { port: 4100 }],
] as const) {
  it(`sees ${JSON.stringify(yaml)}`, async () => {
    writeFileSync(path, yaml);
    const configured = await readConfiguredProcesses(path, env);
    assert.ok(configured !== null);
    for (const [name, value] of Object.entries(found)) {
      assert.equal(configured[name as keyof typeof configured], value);
    }
    assert.equal(mayConfigureProcesses(path), true);
  });
}

it('sees what an included file says', async () => {
  writeFileSync(join(directory, 'more.yaml'), 'slipstream: { port: 4100 }\n');
  writeFileSync(path, 'include: [more.yaml]\n');
  assert.equal((await readConfiguredProcesses(path, env))?.port, 4100);
  assert.equal(mayConfigureProcesses(path), true);
});

it('does not wait for a configuration that leaves all three alone', async () => {
  for (const yaml of [
    'model_list: [{ model_name: m, litellm_params: { model: openai/m, api_base: http://localhost:1/v1 } }]\n',
    'slipstream: { keys: [] }\nmodel_list: []\n',
    'router_settings: { redis_host: h, redis_port: 1 }\n',
  ]) {
    writeFileSync(path, yaml);
    assert.equal(mayConfigureProcesses(path), false, yaml);
    assert.deepEqual(await readConfiguredProcesses(path, env), {
      host: null,
      port: 4000,
      listeners: null,
      tls: { certFile: null, keyFile: null, caFile: null, clientAuth: null, minVersion: 'TLSv1.2' },
      proxyProtocol: false,
      sidecar: true,
      threads: null,
    });
  }
  assert.equal(mayConfigureProcesses(join(directory, 'absent.yaml')), false);
});

it('answers nothing for a configuration that is at fault', async () => {
  writeFileSync(path, 'slipstream: { port: many }\n');
  assert.equal(await readConfiguredProcesses(path, env), null);
});
