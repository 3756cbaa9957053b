import assert from 'node:assert/strict';
import { writeFileSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { checkConfig, type CheckResult } from '../../src/control/check-config.ts';
import { LITELLM_KEYS, LITELLM_SECTIONS } from '../../src/control/config/litellm-keys.ts';
import { reportKeys } from '../../src/control/config/key-report.ts';
import { readYaml } from '../../src/control/config/yaml-reader.ts';
import { Findings } from '../../src/control/config/findings.ts';
import { compileYaml, GENERAL } from './compile-yaml.ts';

const MODEL = 'model_list: [{model_name: m, litellm_params: {model: x, api_key: k}}]\n';

function check(text: string, strict = false): CheckResult {
  const directory = mkdtempSync(join(tmpdir(), 'check-'));
  try {
    writeFileSync(join(directory, 'c.yaml'), text);
    const result = checkConfig({
      configPath: join(directory, 'c.yaml'),
      env: { SLIPSTREAM_MAX_FALLBACKS: '3' },
      strict,
      flags: { threads: '2' },
    });
    return { ...result, lines: result.lines.map((line) => line.replaceAll(`${directory}/`, '')) };
  } finally {
    rmSync(directory, { recursive: true });
  }
}

describe('keys that are not honoured', () => {
  const statuses: readonly (readonly [text: string, warning: RegExp | null])[] = [
    ['litellm_settings: {drop_params: true}', /^c\.yaml:3:20: litellm_settings\.drop_params: ignored: /],
    ['litellm_settings: {callbacks: [langfuse]}', /litellm_settings\.callbacks: unsupported: no callbacks/],
    ['litellm_settings: {callbacks: []}', /litellm_settings\.callbacks: ignored: it is off/],
    ['litellm_settings: {cache: no}', /litellm_settings\.cache: ignored: it is off/],
    ['litellm_settings: {cache: null}', null],
    ['litellm_settings: {cache: yes}', /cache: unsupported/],
    ['litellm_settings: {default_model: x}', /litellm_settings\.default_model: unknown: no such key is known/],
    ['litellm_settings: {allowed_fails: 3, retry_policy: {TimeoutErrorRetries: 1}}', null],
    ['litellm_settings: {master_key: x}', /litellm_settings\.master_key: unknown: it belongs into general_settings/],
    ['router_settings: {model: x}', /router_settings\.model: unknown: it belongs into litellm_params/],
    ['router_settings: {routing_strategy: simple-shuffle}', null],
    ['router_settings: {routing_strategy: least-busy}', null],
    ['router_settings: {routing_strategy_args: {ttl: 5}}', null],
    ['router_settings: {routing_strategy: lar1}', /routing_strategy: unsupported: lar1 is not in this version/],
    ['litellm_settings: {routing_strategy: lar1}', /routing_strategy: unsupported/],
    ['guardrails: [{a: b}]', /^c\.yaml:3:1: guardrails: unsupported/],
    ['mcp_servers: {a: b}', /mcp_servers: unsupported/],
    ['whatever: 1', /^c\.yaml:3:1: whatever: unknown/],
    ['router_settings: {fallbacks: []}', null],
    ['environment_variables: {A: b}', null],
  ];
  for (const [text, warning] of statuses) {
    it(`${text} → ${warning === null ? 'nothing' : warning.source}`, () => {
      const { warnings, errors } = compileYaml(MODEL + GENERAL + text);
      assert.deepEqual(errors, []);
      if (warning === null) assert.deepEqual(warnings, []);
      else {
        assert.equal(warnings.length, 1);
        assert.match(warnings[0] ?? '', warning);
      }
    });
  }

  it('give one warning however often they stand in model_list', () => {
    const entry =
      '{model_name: m, rpm: 5, litellm_params: {model: x, api_key: k, temperature: 1}, model_info: {mode: chat, mine: 1}}';
    const { warnings } = compileYaml(`model_list:\n  - ${entry}\n  - ${entry}\n${GENERAL}`);
    assert.deepEqual(warnings, [
      'c.yaml:2:21: model_list[].rpm: unknown (2 times): it belongs into litellm_params',
      'c.yaml:2:68: model_list[].litellm_params.temperature: unsupported (2 times): parameters of a deployment are not merged into requests in this version',
    ]);
  });

  it('stand in the table only if they are not honoured', () => {
    for (const section of LITELLM_SECTIONS) {
      for (const key of LITELLM_KEYS[section].keys()) {
        const isEntry = section === 'litellm_params' || section === 'model_info';
        const text = isEntry
          ? `model_list: [{${section}: {${key}: 1}}]`
          : section === ''
            ? `${key}: 1`
            : `${section}: {${key}: 1}`;
        const node = readYaml(text, 'f', new Findings());
        assert.ok(node?.kind === 'map');
        const report = reportKeys(node).find(({ path }) => path.endsWith(key));
        assert.equal(report?.status, LITELLM_KEYS[section].get(key)?.status, `${section}.${key}`);
      }
    }
  });
});

describe('slipstream check', () => {
  it('says where each value comes from', () => {
    const { lines, exitCode } = check(
      `${MODEL}${GENERAL}litellm_settings: {request_timeout: 5}\nslipstream: {limits: {max_headers: 50}}`,
    );
    const text = lines.join('\n');
    assert.equal(exitCode, 0);
    assert.match(text, /^ {2}threads +2 +flag$/m);
    assert.match(text, /^ {2}max_fallbacks +3 +environment: SLIPSTREAM_MAX_FALLBACKS$/m);
    assert.match(text, /^ {2}limits\.max_headers +50 +slipstream\.limits\.max_headers \(c\.yaml:4:23\)$/m);
    assert.match(text, /^ {2}timeouts\.request +5 +litellm_settings\.request_timeout \(c\.yaml:3:20\)$/m);
    assert.match(text, /^ {2}timeouts\.first_byte +5 +litellm_settings\.request_timeout/m);
    assert.match(text, /^ {2}num_retries +2 +default$/m);
    assert.match(text, /^ {2}master_key +\(secret\) +general_settings\.master_key/m);
    assert.match(text, /^It would start: 1 deployment, 1 model group, 0 virtual keys, 0 warnings\.$/m);
  });

  it('lists what becomes of each key', () => {
    const { lines } = check(
      `${MODEL}${GENERAL}litellm_settings: {drop_params: true, callbacks: [x], nonsense: 1, num_retries: 1}`,
    );
    const text = lines.join('\n');
    for (const status of [
      'ignored +litellm_settings.drop_params',
      'unsupported +litellm_settings.callbacks',
      'unknown +litellm_settings.nonsense',
      'honoured +litellm_settings.num_retries',
    ]) {
      assert.match(text, new RegExp(`^ {2}${status} +c\\.yaml:3:\\d+`, 'm'));
    }
  });

  it('ends with 1 if it would not start, or with --strict if anything is not honoured', () => {
    assert.equal(check(`${MODEL}${GENERAL}`, true).exitCode, 0);
    assert.equal(check(MODEL).exitCode, 1);
    assert.match(check(MODEL).lines.join('\n'), /^It would not start: 1 error\.$/m);
    assert.equal(check(`${MODEL}${GENERAL}litellm_settings: {drop_params: true}`, true).exitCode, 0);
    for (const rest of [
      'litellm_settings: {callbacks: [x]}',
      'litellm_settings: {nonsense: 1}',
      'router_settings: {optional_pre_call_checks: [router_budget_limiting]}',
    ]) {
      assert.equal(check(`${MODEL}${GENERAL}${rest}`).exitCode, 0, rest);
      assert.equal(check(`${MODEL}${GENERAL}${rest}`, true).exitCode, 1, rest);
    }
    const azure = `model_list: [{model_name: m, litellm_params: {model: azure/x}}]\n${GENERAL}`;
    assert.equal(check(azure).exitCode, 0);
    assert.equal(check(azure, true).exitCode, 1);
  });

  it('says so when there is no file', () => {
    const { lines, exitCode } = checkConfig({ configPath: '/nowhere/c.yaml', env: {}, strict: false, flags: {} });
    assert.equal(exitCode, 1);
    assert.match(lines.join('\n'), /cannot read \/nowhere\/c\.yaml \(ENOENT\)/);
  });

  it('names variables of the environment that do nothing here', () => {
    const warningsWith = (env: Readonly<Record<string, string>>): readonly string[] =>
      compileYaml(MODEL + GENERAL, { env }).warnings;
    assert.deepEqual(warningsWith({ STORE_MODEL_IN_DB: 'False', LITELLM_SALT_KEY: '' }), []);
    assert.deepEqual(warningsWith({ STORE_MODEL_IN_DB: 'True', LITELLM_SALT_KEY: 'sk-salt' }), [
      'STORE_MODEL_IN_DB: unsupported: models come from the file only in this version',
      'LITELLM_SALT_KEY: ignored: no provider credentials are stored in this version',
    ]);
    const { lines } = check(`${MODEL}${GENERAL}environment_variables: {STORE_MODEL_IN_DB: yes}`, true);
    assert.match(lines.join('\n'), /Warnings:\n  STORE_MODEL_IN_DB: unsupported: /);
    assert.match(lines.at(-1) ?? '', /1 thing in it would not be honoured/);
  });

  it('of a file that it cannot read it says only that', () => {
    for (const text of ['model_list: [', '- a list']) {
      const { lines } = check(text);
      assert.equal(lines.at(-1), 'It would not start: 1 error.', text);
    }
    assert.match(check('model_list: []').lines.join('\n'), /no master key is set/);
  });

  it('says once what is wrong with a value that several settings take', () => {
    const { lines } = check(`${MODEL}${GENERAL}slipstream: {timeouts: {request: -1}}`);
    assert.equal(lines.filter((line) => line.includes('slipstream.timeouts.request: must be')).length, 1);
  });

  it('shows what a number means that YAML reads in its own way', () => {
    const settings = 'litellm_settings: {request_timeout: 0600}\nslipstream: {timeouts: {connect: 1:30, drain: 12}}';
    const { lines } = check(`${MODEL}${GENERAL}${settings}`);
    const shown = (path: string): string => lines.find((line) => line.trim().startsWith(`${path} `)) ?? '';
    assert.match(shown('timeouts.request'), / 0600 \(384\) /);
    assert.match(shown('timeouts.connect'), / 1:30 \(90\) /);
    assert.match(shown('timeouts.drain'), / 12 /);
  });
});
