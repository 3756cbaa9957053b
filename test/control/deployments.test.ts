import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { compileYaml, deploymentOf, deploymentsOf, GENERAL } from './compile-yaml.ts';

describe('deployment: provider and address', () => {
  const cases: readonly (readonly [params: string, family: string, provider: string, model: string, url: string])[] = [
    ['{model: openai/gpt-4o, api_key: k}', 'openai', 'openai', 'gpt-4o', 'https://api.openai.com:443/v1'],
    ['{model: gpt-4o, api_key: k}', 'openai', 'openai', 'gpt-4o', 'https://api.openai.com:443/v1'],
    ['{model: anthropic/claude-x, api_key: k}', 'anthropic', 'anthropic', 'claude-x', 'https://api.anthropic.com:443'],
    ['{model: claude-x, api_key: k}', 'anthropic', 'anthropic', 'claude-x', 'https://api.anthropic.com:443'],
    ['{model: anthropic/c, api_base: "http://h/v1"}', 'anthropic', 'anthropic', 'c', 'http://h:80'],
    ['{model: anthropic/c, api_base: "http://h/v1/messages/"}', 'anthropic', 'anthropic', 'c', 'http://h:80'],
    ['{model: anthropic/c, api_base: "http://h/proxy"}', 'anthropic', 'anthropic', 'c', 'http://h:80/proxy'],
    ['{model: openai/x, api_base: "http://localhost:8000/v1/"}', 'openai', 'openai', 'x', 'http://localhost:8000/v1'],
    ['{model: openai/x, base_url: "http://h:8000"}', 'openai', 'openai', 'x', 'http://h:8000'],
    ['{model: hosted_vllm/a/b, api_base: "http://h:1/v1"}', 'openai', 'hosted_vllm', 'a/b', 'http://h:1/v1'],
    ['{model: openai_like/a, api_base: "http://h:1/v1"}', 'openai', 'openai_like', 'a', 'http://h:1/v1'],
    ['{model: groq/llama, api_key: k}', 'openai', 'groq', 'llama', 'https://api.groq.com:443/openai/v1'],
    ['{model: mistral/m, api_base: "http://h/v1"}', 'openai', 'mistral', 'm', 'http://h:80/v1'],
    ['{model: ollama/llama3}', 'openai', 'ollama', 'llama3', 'http://localhost:11434/v1'],
    ['{model: ollama_chat/l, api_base: "http://h:1/"}', 'openai', 'ollama_chat', 'l', 'http://h:1/v1'],
    ['{model: org/name, api_base: "http://h/v1"}', 'openai', 'openai', 'org/name', 'http://h:80/v1'],
    ['{model: x, custom_llm_provider: groq, api_key: k}', 'openai', 'groq', 'x', 'https://api.groq.com:443/openai/v1'],
    [
      '{model: groq/x, custom_llm_provider: groq, api_key: k}',
      'openai',
      'groq',
      'x',
      'https://api.groq.com:443/openai/v1',
    ],
    [
      '{model: fireworks_ai/llama, api_key: k}',
      'openai',
      'fireworks_ai',
      'accounts/fireworks/models/llama',
      'https://api.fireworks.ai:443/inference/v1',
    ],
    ['{model: openai/x, api_base: "http://[::1]:9/v1"}', 'openai', 'openai', 'x', 'http://::1:9/v1'],
    [
      '{model: openai/x, api_base: "http://169.254.169.254/v1"}',
      'openai',
      'openai',
      'x',
      'http://169.254.169.254:80/v1',
    ],
  ];
  for (const [params, family, provider, model, url] of cases) {
    it(params, () => {
      const spec = deploymentOf(params);
      assert.deepEqual([spec.family, spec.provider, spec.upstreamModel], [family, provider, model]);
      assert.equal(`${spec.origin.scheme}://${spec.origin.host}:${spec.origin.port}${spec.basePath}`, url);
    });
  }

  it('takes address and key from the environment where the file says nothing', () => {
    const env = { OPENAI_BASE_URL: 'http://gateway:9/v1', OPENAI_API_KEY: 'sk-env\n' };
    const spec = deploymentOf('{model: openai/x}', env);
    assert.equal(spec.origin.host, 'gateway');
    assert.deepEqual(spec.headers, [['authorization', 'Bearer sk-env']]);
  });

  it('leaves out a provider that is not supported, with one warning, and goes on', () => {
    const { config, errors, warnings } = compileYaml(
      `model_list:\n` +
        `  - {model_name: a, litellm_params: {model: azure/x, api_base: "https://x"}}\n` +
        `  - {model_name: b, litellm_params: {model: bedrock/x}}\n` +
        `  - {model_name: c, litellm_params: {model: nobody/x}}\n` +
        `  - {model_name: d, litellm_params: {model: openai/x, api_key: k}}\n${GENERAL}`,
    );
    assert.deepEqual(errors, []);
    assert.equal(warnings.length, 3);
    assert.match(warnings[0] ?? '', /^c\.yaml:2:38: model_list\[0\]\.litellm_params\.model: the provider azure is not/);
    assert.deepEqual(
      config.snapshot.groups.map((group) => group.name),
      ['d'],
    );
  });

  it('warns of a deployment that will send no credential', () => {
    const { warnings } = compileYaml(`model_list: [{model_name: m, litellm_params: {model: openai/x}}]\n${GENERAL}`);
    assert.match(warnings.join(), /has no api_key, and OPENAI_API_KEY is not set/);
  });
});

describe('deployment: headers and query', () => {
  it('sends OpenAI’s key as bearer token, Anthropic’s as x-api-key with a default version', () => {
    assert.deepEqual(deploymentOf('{model: gpt-4o, api_key: sk-1, organization: org}').headers, [
      ['authorization', 'Bearer sk-1'],
      ['openai-organization', 'org'],
    ]);
    const claude = deploymentOf('{model: claude-x, api_key: sk-2}');
    assert.deepEqual(claude.headers, [['x-api-key', 'sk-2']]);
    assert.deepEqual(claude.defaultHeaders, [['anthropic-version', '2023-06-01']]);
  });

  it('takes keys and headers as they are written, though they look like numbers', () => {
    const spec = deploymentOf(
      '{model: gpt-4o, api_key: 0123, extra_headers: {X-Version: 1.10, Authorization: Basic x}}',
    );
    assert.deepEqual(spec.headers, [
      ['authorization', 'Basic x'],
      ['x-version', '1.10'],
    ]);
  });

  it('adds api_version to the query of the address', () => {
    assert.equal(deploymentOf('{model: gpt-4o, api_key: k, api_version: 2024-02-01}').query, 'api-version=2024-02-01');
    const spec = deploymentOf('{model: x, api_base: "http://h/v1?a=b&c", api_version: "a b&c"}');
    assert.equal(spec.query, 'a=b&c&api-version=a%20b%26c');
  });

  const refused: readonly (readonly [name: string, params: string, error: RegExp])[] = [
    [
      'a line break in a value',
      '{model: x, extra_headers: {x-a: "secret\\r\\nx: y"}}',
      /extra_headers\.x-a: has a value/,
    ],
    ['a line break in a name', '{model: x, extra_headers: {"x\\r\\ny": a}}', /is no header name/],
    ['NUL', '{model: x, extra_headers: {x-a: "secret\\0"}}', /has a value/],
    ['text beyond latin1', '{model: x, extra_headers: {x-a: "secret€"}}', /has a value/],
    ['Host', '{model: x, extra_headers: {Host: secret}}', /Host: is set by the gateway/],
    ['Content-Length', '{model: x, extra_headers: {Content-Length: 5}}', /is set by the gateway/],
    ['Transfer-Encoding', '{model: x, extra_headers: {transfer-encoding: chunked}}', /is set by the gateway/],
    ['Connection', '{model: x, extra_headers: {CONNECTION: close}}', /is set by the gateway/],
    ['Accept-Encoding', '{model: x, extra_headers: {accept-encoding: gzip}}', /is set by the gateway/],
    ['a line break in the key', '{model: x, api_key: "sk-secret\\nx: y"}', /api_key: has characters/],
    ['a line break in the organization', '{model: x, organization: "secret\\ny"}', /organization: has characters/],
  ];
  for (const [name, params, error] of refused) {
    it(`refuses ${name}, quoting nothing`, () => {
      const { errors } = compileYaml(`model_list: [{model_name: m, litellm_params: ${params}}]\n${GENERAL}`);
      assert.match(errors[0] ?? '', error);
      assert.doesNotMatch(errors.join(), /secret/);
    });
  }
});

describe('deployment: figures', () => {
  it('reads times in seconds, rates, and prices as whole pico-dollars', () => {
    const spec = deploymentOf(
      `{model: x, api_key: k, timeout: "30", stream_timeout: 1.5, rpm: "10", tpm: 1_000, weight: 0.5, order: 2,
        input_cost_per_token: 1.1e-06, output_cost_per_token: 0.0000075, cache_read_input_token_cost: "3e-07",
        cache_creation_input_token_cost: 0}`,
    );
    const { timeoutMs, streamTimeoutMs, rpm, tpm, weight, order } = spec;
    assert.deepEqual([timeoutMs, streamTimeoutMs, rpm, tpm, weight, order], [30_000, 1500, 10, 1000, 0.5, 2]);
    assert.deepEqual(spec.price, {
      prices: { input: 1_100_000, output: 7_500_000, cacheRead: 300_000, cacheWrite: 0 },
      steps: [],
      tiers: {},
    });
  });

  it('reports a price that is finer than a pico-dollar', () => {
    const { warnings } = compileYaml(
      `model_list: [{model_name: m, litellm_params: {model: x, api_key: k, input_cost_per_token: 1.23e-13}}]\n${GENERAL}`,
    );
    assert.match(warnings.join(), /input_cost_per_token: is rounded to whole pico-dollars/);
  });

  it('weighs members of a group by what they have in common', () => {
    const entry = (rest: string): string => `{model_name: m, litellm_params: {model: x, api_key: k${rest}}}`;
    const weights = (...rests: string[]): number[] =>
      deploymentsOf(`[${rests.map((rest) => entry(rest)).join()}]`).map((spec) => spec.weight);
    assert.deepEqual(weights('', ''), [1, 1]);
    assert.deepEqual(weights(', weight: 3', ', weight: 1, rpm: 100'), [3, 1]);
    assert.deepEqual(weights(', rpm: 300', ', rpm: 100'), [300, 100]);
    assert.deepEqual(weights(', tpm: 300', ', tpm: 100'), [300, 100]);
    assert.deepEqual(weights(', weight: 0', ', weight: 2'), [0, 2]);
    assert.deepEqual(weights(', rpm: 300', ', rpm: 100', ''), [300, 100, 200]);
  });

  it('puts deployments without an order behind those with one', () => {
    const [first, second] = deploymentsOf(
      '[{model_name: m, litellm_params: {model: x, api_key: k}}, {model_name: m, litellm_params: {model: x, api_key: k, order: 5}}]',
    );
    assert.ok((first?.order ?? 0) > (second?.order ?? 0));
  });
});

describe('deployment: id', () => {
  const entry = (rest: string): string => `{model_name: m, litellm_params: {model: x, ${rest}}}`;

  it('is the given one', () => {
    const [spec] = deploymentsOf('[{model_name: m, litellm_params: {model: x, api_key: k}, model_info: {id: my-id}}]');
    assert.equal(spec?.id, 'my-id');
  });

  it('stays when keys, prices, limits or the order of the file change', () => {
    const before = deploymentsOf(`[${entry('api_key: os.environ/A')}, ${entry('api_key: os.environ/B')}]`, {
      A: '1',
      B: '2',
    });
    const after = deploymentsOf(
      `[${entry('api_key: os.environ/B, rpm: 5, timeout: 3')}, ${entry('api_key: os.environ/A, input_cost_per_token: 1e-6')}]`,
      { A: '9', B: '8' },
    );
    assert.deepEqual(before.map((spec) => spec.id).toSorted(), after.map((spec) => spec.id).toSorted());
    assert.notEqual(before[0]?.id, before[1]?.id);
  });

  it('differs for deployments that look the same', () => {
    const specs = deploymentsOf(`[${entry('api_key: a')}, ${entry('api_key: b')}, ${entry('api_key: c')}]`);
    assert.equal(new Set(specs.map((spec) => spec.id)).size, 3);
  });

  it('does not give the key away', () => {
    const of = (key: string): string | undefined => deploymentsOf(`[${entry(`api_key: ${key}`)}]`)[0]?.id;
    assert.equal(of('sk-a'), of('sk-b'));
  });

  it('given twice is an error', () => {
    const { errors } = compileYaml(
      `model_list: [{model_name: m, litellm_params: {model: x}, model_info: {id: a}}, {model_name: n, litellm_params: {model: x}, model_info: {id: a}}]\n${GENERAL}`,
    );
    assert.match(errors.join(), /model_list\[1\]\.model_info\.id: is the id of two deployments/);
  });

  for (const id of ['"a b"', '"a\\r\\nx: y"', '"é"', `"${'x'.repeat(257)}"`]) {
    it(`that could not stand in a header is an error: ${id.slice(0, 20)}`, () => {
      const { errors } = compileYaml(
        `model_list: [{model_name: m, litellm_params: {model: x}, model_info: {id: ${id}}}]\n${GENERAL}`,
      );
      assert.match(errors.join(), /visible ASCII/);
    });
  }

  it('is made from each of several organizations', () => {
    const specs = deploymentsOf(
      '[{model_name: m, litellm_params: {model: x, api_key: k, organization: [a, b]}, model_info: {id: i}}]',
    );
    assert.deepEqual(
      specs.map((spec) => [spec.id, spec.headers[1]]),
      [
        ['i-a', ['openai-organization', 'a']],
        ['i-b', ['openai-organization', 'b']],
      ],
    );
  });
});

describe('deployment: what is wrong is said with its place', () => {
  const cases: readonly (readonly [entry: string, error: string])[] = [
    ['{litellm_params: {model: x}}', 'c.yaml:2:5: model_list[0].model_name: is missing'],
    ['{model_name: m}', 'c.yaml:2:5: model_list[0].litellm_params: is missing'],
    ['{model_name: m, litellm_params: {}}', 'c.yaml:2:21: model_list[0].litellm_params.model: is missing'],
    ['{model_name: m, litellm_params: {model: null}}', 'c.yaml:2:38: model_list[0].litellm_params.model: is missing'],
    [
      '{model_name: m, litellm_params: {model: x, timeout: soon}}',
      'c.yaml:2:48: model_list[0].litellm_params.timeout: must be a number of seconds',
    ],
    [
      '{model_name: m, litellm_params: {model: x, rpm: -1}}',
      'c.yaml:2:48: model_list[0].litellm_params.rpm: must be from 0 to 2147483647',
    ],
    [
      '{model_name: m, litellm_params: {model: x, input_cost_per_token: free}}',
      'c.yaml:2:48: model_list[0].litellm_params.input_cost_per_token: must be a number',
    ],
    [
      '{model_name: m, litellm_params: {model: x, input_cost_per_token: 3}}',
      'c.yaml:2:48: model_list[0].litellm_params.input_cost_per_token: must be a price in dollars, from 0 to 1',
    ],
    [
      '{model_name: m, litellm_params: {model: x, api_base: "localhost:80"}}',
      'c.yaml:2:48: model_list[0].litellm_params.api_base: must be a URL that begins with http:// or https://',
    ],
    [
      '{model_name: m, litellm_params: {model: vllm/x}}',
      'c.yaml:2:21: model_list[0].litellm_params.api_base: is missing: vllm has no address of its own',
    ],
    ['just text', 'c.yaml:2:5: model_list[0]: must be a map with model_name and litellm_params'],
  ];
  for (const [entry, error] of cases) {
    it(entry, () => assert.deepEqual(compileYaml(`model_list:\n  - ${entry}\n${GENERAL}`).errors, [error]));
  }

  it('names a faulty proxy by its variable', () => {
    const { errors } = compileYaml(
      `model_list: [{model_name: m, litellm_params: {model: x, api_key: k}}]\n${GENERAL}`,
      {
        env: { HTTPS_PROXY: 'socks5://user:secret@proxy' },
      },
    );
    assert.match(errors.join(), /HTTPS_PROXY must be http:\/\/host:port/);
    assert.doesNotMatch(errors.join(), /secret/);
  });
});

describe('deployment: TLS and proxy', () => {
  it('verifies unless told otherwise, and reads authorities and certificate from files', () => {
    const directory = mkdtempSync(join(tmpdir(), 'pem-'));
    try {
      const pem = join(directory, 'both.pem');
      const subject = ['-subj', '/CN=test', '-days', '1', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256'];
      execFileSync('openssl', ['req', '-x509', '-nodes', ...subject, '-keyout', pem, '-out', `${pem}.crt`], {
        stdio: 'ignore',
      });
      writeFileSync(pem, readFileSync(`${pem}.crt`, 'latin1') + readFileSync(pem, 'latin1'));
      const tlsOf = (params: string, settings = ''): unknown => {
        const { config, errors } = compileYaml(
          `model_list: [{model_name: m, litellm_params: {model: x, api_key: k${params}}}]\n${GENERAL}litellm_settings: {${settings}}`,
        );
        assert.deepEqual(errors, []);
        const { verify, caPem, certPem, keyPem } = config.snapshot.deployments[0]?.origin.tls ?? {};
        return [verify, caPem?.slice(0, 11) ?? null, certPem?.slice(0, 11) ?? null, keyPem === certPem];
      };
      assert.deepEqual(tlsOf(''), [true, null, null, true]);
      assert.deepEqual(tlsOf('', 'ssl_verify: false'), [false, null, null, true]);
      assert.deepEqual(tlsOf(', ssl_verify: true', 'ssl_verify: false'), [true, null, null, true]);
      assert.deepEqual(tlsOf(`, ssl_verify: ${pem}`), [true, '-----BEGIN ', null, true]);
      assert.deepEqual(tlsOf('', `ssl_certificate: ${pem}`), [true, null, '-----BEGIN ', true]);
    } finally {
      rmSync(directory, { recursive: true });
    }
  });

  for (const [path, why] of [
    ['/nowhere/ca.pem', 'cannot read /nowhere/ca.pem (ENOENT)'],
    ['/etc/hostname', '/etc/hostname holds no certificate in PEM form'],
  ] as const) {
    it(`says that ${path} is no file of authorities`, () => {
      const { errors } = compileYaml(
        `model_list: [{model_name: m, litellm_params: {model: x, api_key: k, ssl_verify: ${path}}}]\n${GENERAL}`,
      );
      assert.match(errors.join(), new RegExp(why.replaceAll(/[()/]/g, String.raw`\$&`)));
    });
  }

  it('takes the proxy of the environment, or of environment_variables', () => {
    const entry = 'model_list: [{model_name: m, litellm_params: {model: x, api_key: k}}]\n';
    const proxyOf = (text: string, env = {}): unknown =>
      compileYaml(text + GENERAL, { env }).config.snapshot.deployments[0]?.origin.proxyUrl;
    assert.equal(proxyOf(entry), null);
    assert.equal(proxyOf(entry, { HTTPS_PROXY: 'http://p:1' }), 'http://p:1');
    assert.equal(
      proxyOf(`${entry}environment_variables: {HTTPS_PROXY: "http://q:2"}\n`, { HTTPS_PROXY: 'http://p:1' }),
      'http://q:2',
    );
    assert.equal(proxyOf(entry, { HTTPS_PROXY: 'http://p:1', NO_PROXY: '.openai.com' }), null);
  });
});
