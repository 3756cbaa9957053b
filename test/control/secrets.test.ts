import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { describe, it } from 'node:test';
import { checkConfig } from '../../src/control/check-config.ts';
import { adminRequest, makeHome, SidecarEnd, withControl } from './control-harness.ts';
import { compileYaml, MASTER_KEY } from './compile-yaml.ts';

/** Each is used somewhere below, and no output may hold it. */
const SECRETS = {
  master: MASTER_KEY,
  provider: 'sk-provider-canary-1',
  environment: 'sk-environment-canary-2',
  header: 'header-canary-3',
  query: 'query-canary-4',
  password: 'password-canary-5',
  proxy: 'proxy-canary-6',
  virtual: 'sk-virtual-canary-7-0123456789',
  variable: 'variable-canary-8',
  database: 'database-canary-9',
  note: 'note-canary-10',
  wrong: 'sk-wrong-canary-11',
} as const;

const ENV = {
  PROVIDER_KEY: SECRETS.environment,
  HTTPS_PROXY: `http://user:${SECRETS.proxy}@proxy:3128`,
  NOTE: SECRETS.note,
};

const CONFIG = `
model_list:
  - model_name: gpt
    litellm_params:
      model: openai/gpt-4o
      api_key: ${SECRETS.provider}
      api_base: "https://user:${SECRETS.password}@host/v1?key=${SECRETS.query}"
      extra_headers: {x-token: ${SECRETS.header}}
      litellm_credential_name: ${SECRETS.database}
    model_info: {note: os.environ/NOTE}
  - {model_name: claude, litellm_params: {model: claude-x, api_key: os.environ/PROVIDER_KEY}}
environment_variables: {LANGFUSE_SECRET_KEY: ${SECRETS.variable}}
general_settings:
  master_key: ${SECRETS.master}
  database_url: postgres://user:${SECRETS.database}@host/db
litellm_settings: {cache_params: {password: ${SECRETS.database}}}
slipstream:
  keys: [{key: ${SECRETS.virtual}, rpm_limit: 5}]
`;

/** Edits that make the configuration bad around, or at, a secret. */
const BREAKS: readonly (readonly [name: string, broken: string])[] = [
  ['a quote that is not closed', CONFIG.replace(`api_key: ${SECRETS.provider}`, `api_key: "${SECRETS.provider}`)],
  ['a colon too many', CONFIG.replace(SECRETS.provider, `${SECRETS.provider}: x`)],
  ['a list for the key', CONFIG.replace(SECRETS.provider, `[${SECRETS.provider}]`)],
  ['a map for the key', CONFIG.replace(SECRETS.provider, `{a: ${SECRETS.provider}}`)],
  ['a line break in the key', CONFIG.replace(SECRETS.provider, `"${SECRETS.provider}\\nx"`)],
  ['a line break in a header', CONFIG.replace(`x-token: ${SECRETS.header}`, `x-token: "${SECRETS.header}\\r\\nx: y"`)],
  ['a list of headers', CONFIG.replace(`{x-token: ${SECRETS.header}}`, `[${SECRETS.header}]`)],
  ['an address that is none', CONFIG.replace('https://user', 'htps://user')],
  ['a short master key', CONFIG.replace(MASTER_KEY, 'sk-wrong-canary')],
  ['a list for the master key', CONFIG.replace(MASTER_KEY, `[${MASTER_KEY}]`)],
  ['a master key with a space', CONFIG.replace(MASTER_KEY, `"${MASTER_KEY} x"`)],
  ['a key that stands twice', CONFIG.replace('rpm_limit: 5}', `rpm_limit: 5}, {key: ${SECRETS.virtual}}`)],
  ['a hash that is none', CONFIG.replace('rpm_limit: 5}', `rpm_limit: 5}, {key_hash: ${SECRETS.wrong}}`)],
  ['a key for a setting', CONFIG.replace('slipstream:', `slipstream:\n  threads: ${SECRETS.wrong}`)],
  ['a key for a timeout', CONFIG.replace('slipstream:', `slipstream:\n  timeouts: {connect: ${SECRETS.wrong}}`)],
  ['a key for a choice', CONFIG.replace('slipstream:', `slipstream:\n  reply_model: ${SECRETS.wrong}`)],
  ['a key for a price', CONFIG.replace('api_base', `input_cost_per_token: ${SECRETS.wrong}\n      api_base`)],
  ['a key for a section', CONFIG.replace(/litellm_settings:.*/, `litellm_settings: ${SECRETS.wrong}`)],
  ['a key for the model list', `model_list: ${SECRETS.wrong}\n`],
  ['a key for the file', SECRETS.wrong],
  ['a key as a tag', CONFIG.replace(SECRETS.provider, `!${SECRETS.wrong} x`)],
  ['a key as an alias', CONFIG.replace(SECRETS.provider, `*${SECRETS.wrong}`)],
  [
    'environment variables that are a list',
    CONFIG.replace(/environment_variables:.*/, `environment_variables: [${SECRETS.wrong}]`),
  ],
];

function assertNoSecret(output: string, where: string): void {
  for (const [name, secret] of Object.entries(SECRETS))
    assert.ok(!output.includes(secret), `${where}: ${name} in\n${output}`);
  assert.ok(!output.includes('sk-wrong-canary'), where);
}

describe('no secret is ever printed', () => {
  it('the grep can find one', () => {
    assert.throws(() => assertNoSecret(`x${SECRETS.query}y`, 'here'));
  });

  it('in log, status and model info, through good and bad edits', async () => {
    const home = makeHome(CONFIG, ENV);
    await withControl(home, async (control) => {
      const end = SidecarEnd.hello(home.options.controlSocketPath);
      const { snapshot } = await end.take('snapshot');
      const text = JSON.stringify(snapshot);
      // The test would prove nothing if the secrets were not in use at all.
      for (const used of [SECRETS.provider, SECRETS.environment, SECRETS.header, SECRETS.query, SECRETS.proxy])
        assert.ok(text.includes(used));
      const answers: string[] = [];
      const ask = async (): Promise<void> => {
        for (const path of ['/slipstream/status', '/model/info', '/nothing']) {
          for (const key of [MASTER_KEY, SECRETS.virtual, SECRETS.wrong]) {
            const { text, headers } = await adminRequest(home, path, { headers: { authorization: `Bearer ${key}` } });
            answers.push(text, JSON.stringify(headers));
          }
        }
      };
      await ask();
      for (const [, broken] of BREAKS) {
        writeFileSync(home.configPath, broken);
        await control.reload();
        await ask();
      }
      assertNoSecret(home.log.join(''), 'log');
      assertNoSecret(answers.join('\n'), 'admin API');
      end.close();
    });
  });

  for (const [name, broken] of [['nothing', CONFIG] as const, ...BREAKS]) {
    it(`in errors, warnings and slipstream check, with ${name} wrong`, () => {
      const { errors, warnings } = compileYaml(broken, { env: ENV });
      assertNoSecret([...errors, ...warnings].join('\n'), 'findings');
      assert.equal(errors.length > 0, name !== 'nothing', errors.join());
      const home = makeHome(broken);
      const { lines } = checkConfig({ configPath: home.configPath, env: ENV, strict: false, flags: {} });
      home.remove();
      assertNoSecret(lines.join('\n'), 'check');
    });
  }
});
