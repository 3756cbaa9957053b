import assert from 'node:assert/strict';
import { availableParallelism } from 'node:os';
import { describe, it } from 'node:test';
import { TIMEOUTS } from '../../src/contract/timeouts.ts';
import { compileYaml, type CompileOptions, GENERAL, MASTER_KEY } from './compile-yaml.ts';

const settingsOf = (text: string, options: CompileOptions = {}) => {
  const { config, errors } = compileYaml(GENERAL + text, options);
  assert.deepEqual(errors, []);
  return config.snapshot.settings;
};

describe('precedence', () => {
  const layers: readonly (readonly [text: string, options: CompileOptions, retries: number])[] = [
    ['', {}, 2],
    ['litellm_settings: {num_retries: 3}', {}, 3],
    ['litellm_settings: {num_retries: 3}\nrouter_settings: {num_retries: 4}', {}, 4],
    ['router_settings: {num_retries: 4}\nslipstream: {num_retries: 5}', {}, 5],
    ['slipstream: {num_retries: 5}', { env: { SLIPSTREAM_NUM_RETRIES: '6' } }, 6],
    ['slipstream: {num_retries: 5}', { env: { SLIPSTREAM_NUM_RETRIES: '6' }, flags: { num_retries: '7' } }, 7],
    ['slipstream: {num_retries: null}\nrouter_settings: {num_retries: ~}\nlitellm_settings: {num_retries: 3}', {}, 3],
    ['slipstream: {num_retries: 5}', { env: { SLIPSTREAM_NUM_RETRIES: '' } }, 5],
    ['environment_variables: {SLIPSTREAM_NUM_RETRIES: 8}', {}, 8],
    ['router_settings: {num_retries: os.environ/N}', { env: { N: '9' } }, 9],
    ['router_settings: {num_retries: os.environ/N}\nlitellm_settings: {num_retries: 3}', {}, 3],
  ];
  for (const [text, options, retries] of layers) {
    it(`${text.replaceAll('\n', '; ')} ${JSON.stringify(options)}`, () => {
      assert.equal(settingsOf(text, options).numRetries, retries);
    });
  }

  it('of LiteLLM’s environment is below ours', () => {
    const key = (env: Record<string, string>): string | null => compileYaml(GENERAL, { env }).config.masterKey;
    assert.equal(key({}), MASTER_KEY);
    assert.equal(key({ LITELLM_MASTER_KEY: 'sk-from-litellm-variable' }), 'sk-from-litellm-variable');
    assert.equal(
      key({ LITELLM_MASTER_KEY: 'sk-from-litellm-variable', SLIPSTREAM_MASTER_KEY: 'sk-from-our-variable' }),
      'sk-from-our-variable',
    );
  });
});

describe('defaults', () => {
  it('are those of the tables', () => {
    const settings = settingsOf('');
    for (const [name, spec] of Object.entries(TIMEOUTS))
      assert.equal(settings.timeouts[name as keyof typeof TIMEOUTS], spec.defaultMs, name);
    assert.equal(settings.threads, Math.max(1, availableParallelism() - 1));
    assert.equal(settings.limits.maxBodyBytes, 100_000_000);
    assert.equal(settings.limits.maxJsonBodyBytes, 32 * 1024 * 1024);
    assert.equal(settings.limits.maxReplayBytes, 8 * 1024 * 1024);
    assert.equal(settings.metricsRequireKey, true);
    assert.equal(settings.replyModel, 'requested');
    assert.equal(settings.keyHeaderName, null);
    assert.equal(settings.journal.fsyncIntervalMs, null);
  });
});

describe('values', () => {
  it('of timeouts are seconds, and the first byte may take as long as the call', () => {
    const { timeouts } = settingsOf(
      'litellm_settings: {request_timeout: "6000"}\nslipstream: {timeouts: {connect: 0.25, drain: 0}}',
    );
    assert.equal(timeouts.requestMs, 6_000_000);
    assert.equal(timeouts.firstByteMs, 6_000_000);
    assert.equal(timeouts.streamFirstEventMs, 6_000_000);
    assert.equal(timeouts.connectMs, 250);
    assert.equal(timeouts.drainMs, 0);
    assert.equal(settingsOf('router_settings: {timeout: 9, stream_timeout: 5}').timeouts.streamFirstEventMs, 5000);
    assert.equal(
      settingsOf('router_settings: {timeout: 9}\nslipstream: {timeouts: {first_byte: 7}}').timeouts.firstByteMs,
      7000,
    );
  });

  it('of switches are all the words of YAML, also as texts', () => {
    for (const word of ['no', 'No', 'off', 'OFF', 'false', '"false"', '"no"', '0']) {
      assert.equal(
        settingsOf(`litellm_settings: {require_auth_for_metrics_endpoint: ${word}}`).metricsRequireKey,
        false,
        word,
      );
    }
    for (const word of ['yes', 'on', 'True', '"on"', '1']) {
      assert.equal(
        settingsOf(`general_settings: {master_key: ${MASTER_KEY}, forward_client_headers_to_llm_api: ${word}}`)
          .forwardClientHeaders,
        true,
        word,
      );
    }
  });

  it('of the key header are lower case', () => {
    const text = `general_settings: {master_key: ${MASTER_KEY}, litellm_key_header_name: X-My-Key}`;
    assert.equal(compileYaml(text).config.snapshot.settings.keyHeaderName, 'x-my-key');
  });

  it('of the fsync interval may be never', () => {
    assert.equal(settingsOf('slipstream: {journal: {fsync_interval: 0}}').journal.fsyncIntervalMs, 0);
    assert.equal(settingsOf('slipstream: {journal: {fsync_interval: 2.5}}').journal.fsyncIntervalMs, 2500);
    assert.equal(settingsOf('slipstream: {journal: {fsync_interval: never}}').journal.fsyncIntervalMs, null);
  });

  const faulty: readonly (readonly [text: string, options: CompileOptions, error: string])[] = [
    [
      'slipstream: {num_retrys: 3}',
      {},
      'c.yaml:2:14: slipstream.num_retrys: there is no such setting; did you mean num_retries?',
    ],
    ['slipstream: {x: 3}', {}, 'c.yaml:2:14: slipstream.x: there is no such setting'],
    ['slipstream: {timeouts: {x: 3}}', {}, 'c.yaml:2:25: slipstream.timeouts.x: there is no such setting'],
    ['slipstream: {timeouts: 3}', {}, 'c.yaml:2:24: slipstream.timeouts: must be a map'],
    ['slipstream: []', {}, 'c.yaml:2:13: slipstream: must be a map'],
    ['slipstream: {threads: 0}', {}, 'c.yaml:2:14: slipstream.threads: must be from 1 to 256'],
    ['slipstream: {threads: 1.5}', {}, 'c.yaml:2:14: slipstream.threads: must be a whole number'],
    ['slipstream: {reply_model: both}', {}, 'c.yaml:2:14: slipstream.reply_model: must be one of: requested, upstream'],
    [
      'slipstream: {timeouts: {connect: 0}}',
      {},
      'c.yaml:2:25: slipstream.timeouts.connect: must be from 0.001 to 2678400 seconds',
    ],
    ['slipstream: {num_retries: [1]}', {}, 'c.yaml:2:14: slipstream.num_retries: must be a single value'],
    ['litellm_settings: {num_retries: many}', {}, 'c.yaml:2:20: litellm_settings.num_retries: must be a whole number'],
    ['', { env: { SLIPSTREAM_THREADS: 'all' } }, 'SLIPSTREAM_THREADS: must be a whole number'],
    ['', { flags: { threads: 'x' } }, 'threads: must be a whole number'],
    ['model_list: {a: b}', {}, 'c.yaml:2:13: model_list: must be a list'],
    ['router_settings: [a]', {}, 'c.yaml:2:18: router_settings: must be a map'],
  ];
  for (const [text, options, error] of faulty) {
    it(`that are wrong are named: ${error}`, () =>
      assert.deepEqual(compileYaml(GENERAL + text, options).errors, [error]));
  }
});

describe('master key', () => {
  const refused: readonly (readonly [text: string, error: RegExp])[] = [
    ['', /^no master key is set: set general_settings\.master_key/],
    ['general_settings: {master_key: null}', /^no master key is set/],
    ['general_settings: {master_key: os.environ/NOT_SET}', /^no master key is set/],
    ['general_settings: {master_key: sk-1234}', /^the master key is a well-known example/],
    ['general_settings: {master_key: sk-23456789abcd}', /^the master key has fewer than 16 characters/],
    ['general_settings: {master_key: "sk-secret 0123456789"}', /^the master key has characters/],
  ];
  for (const [text, error] of refused) {
    it(`refuses to start: ${text}`, () => {
      const { errors } = compileYaml(text);
      assert.match(errors.join(), error);
      assert.doesNotMatch(errors.join(), /secret|sk-/);
    });
    it(`starts with a warning where that is permitted: ${text}`, () => {
      const permitted = `slipstream: {dangerously_permit_weak_or_unset_master_key: true}\n${text}`;
      const { errors, warnings } = compileYaml(permitted);
      assert.deepEqual(errors, []);
      assert.match(warnings.join(), /dangerously_permit_weak_or_unset_master_key/);
    });
  }

  it('is null in the snapshot when none is set, else its hash', () => {
    const permitted = 'general_settings: {dangerously_permit_weak_or_unset_master_key: true}';
    assert.equal(compileYaml(permitted).config.snapshot.settings.masterKeyHash, null);
    assert.match(compileYaml(GENERAL).config.snapshot.settings.masterKeyHash ?? '', /^[0-9a-f]{64}$/);
  });
});

describe('version', () => {
  it('is the same for the same content, another for another', () => {
    const version = (text: string): string => compileYaml(GENERAL + text).config.snapshot.version;
    assert.equal(version('litellm_settings: {num_retries: 2}'), version('# comment\nslipstream: {num_retries: "2"}'));
    assert.notEqual(version(''), version('slipstream: {num_retries: 3}'));
  });
});

describe('include', () => {
  it('appends lists, merges maps, and takes the included value', () => {
    const { config, errors } = compileYaml(
      `include: [models.yaml, sub.yaml]\nmodel_list: [{model_name: a, litellm_params: {model: x, api_key: k}}]\n` +
        `litellm_settings: {num_retries: 1, request_timeout: 50}\n${GENERAL}`,
      {
        files: {
          'models.yaml':
            'model_list: [{model_name: b, litellm_params: {model: x, api_key: k}}]\nlitellm_settings: {num_retries: 4}',
          'sub.yaml': 'include: [deep.yaml]',
          'deep.yaml': 'model_list: [{model_name: c, litellm_params: {model: x, api_key: k}}]',
        },
      },
    );
    assert.deepEqual(errors, []);
    assert.deepEqual(
      config.snapshot.groups.map((group) => group.name),
      ['a', 'b', 'c'],
    );
    assert.equal(config.snapshot.settings.numRetries, 4);
    assert.equal(config.snapshot.settings.timeouts.requestMs, 50_000);
  });

  it('names the file in which something is wrong', () => {
    const files = { 'models.yaml': '\nmodel_list: [{model_name: b}]' };
    assert.deepEqual(compileYaml(`include: [models.yaml]\n${GENERAL}`, { files }).errors, [
      'models.yaml:2:14: model_list[0].litellm_params: is missing',
    ]);
  });

  const faulty: readonly (readonly [text: string, files: Record<string, string>, error: RegExp])[] = [
    ['include: [none.yaml]', {}, /^c\.yaml:1:11: cannot read none\.yaml \(ENOENT\)$/],
    ['include: [a.yaml]', { 'a.yaml': 'include: [a.yaml]' }, /included twice, or includes itself/],
    ['include: [a.yaml]', { 'a.yaml': 'include: [c.yaml]' }, /included twice, or includes itself/],
    ['include: [[a]]', {}, /must be a list of file names/],
    ['include: [a.yaml]', { 'a.yaml': '- list' }, /the file must hold a map/],
    ['include: [a.yaml]', { 'a.yaml': 'a: [' }, /^a\.yaml:1:/],
  ];
  for (const [text, files, error] of faulty) {
    it(`that cannot be: ${text} ${JSON.stringify(files)}`, () => {
      assert.match(compileYaml(`${text}\n${GENERAL}`, { files }).errors[0] ?? '', error);
    });
  }
});

describe('references to the environment', () => {
  it('that are not set are absent, with a warning', () => {
    const { warnings, errors } = compileYaml(
      `model_list: [{model_name: m, litellm_params: {model: x, api_key: os.environ/NOPE}}]\n${GENERAL}`,
    );
    assert.deepEqual(errors, []);
    assert.match(warnings[0] ?? '', /^c\.yaml:1:66: the environment variable NOPE is not set$/);
  });

  it('see environment_variables, which may refer themselves', () => {
    const { config } = compileYaml(
      `environment_variables: {A: os.environ/B, OPENAI_API_KEY: os.environ/B}\nmodel_list: [{model_name: m, litellm_params: {model: x}}]\n${GENERAL}`,
      { env: { B: 'value-of-b' } },
    );
    assert.deepEqual(config.snapshot.deployments[0]?.headers, [['authorization', 'Bearer value-of-b']]);
  });
});
