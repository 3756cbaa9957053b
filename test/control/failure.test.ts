import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { NO_COUNTS } from '../../src/domain/routing/error-class-counts.ts';
import { productFailure } from '../support/sidecar-harness.ts';
import { type Compiled, compileYaml, GENERAL } from './compile-yaml.ts';

const MODELS = `model_list:
  - {model_name: a, litellm_params: {model: x, api_key: k}, model_info: {id: first}}
  - {model_name: b, litellm_params: {model: y, api_key: k}}
`;

const compile = (rest: string, models = MODELS): Compiled => compileYaml(models + GENERAL + rest);

function clean(rest: string): Compiled['config']['snapshot'] {
  const { config, errors, warnings } = compile(rest);
  assert.deepEqual([...errors, ...warnings], []);
  return config.snapshot;
}

describe('failure settings', () => {
  it('have the defaults that the tests of the sidecar take for the product’s', () => {
    assert.deepEqual(clean('').settings.failure, productFailure());
  });

  it('come from LiteLLM’s keys in either section', () => {
    const { failure } = clean(
      'router_settings: {allowed_fails: 7, cooldown_time: 30, disable_cooldowns: true, retry_after: 2, retry_policy: {TimeoutErrorRetries: 4, RateLimitErrorRetries: 0}, allowed_fails_policy: {InternalServerErrorAllowedFails: 9}}\n',
    ).settings;
    assert.deepEqual(
      [failure.allowedFails, failure.cooldownMs, failure.areCooldownsOff, failure.backOff.floorMs],
      [7, 30_000, true, 2000],
    );
    assert.deepEqual(failure.retryPolicy, { ...NO_COUNTS, timeout: 4, rateLimit: 0 });
    assert.deepEqual(failure.allowedFailsPolicy, { ...NO_COUNTS, internal: 9 });
    assert.equal(clean('litellm_settings: {allowed_fails: 1, cooldown_time: 0.5}').settings.failure.cooldownMs, 500);
    const own = clean('slipstream: {retries: {budget_ratio: 0.5, budget_floor: 0, backoff_initial: 0}}').settings
      .failure;
    assert.deepEqual(own.retryBudget, { ratio: 0.5, floor: 0 });
    assert.equal(own.backOff.initialMs, 0);
  });

  it('policies of groups, and faults in a policy', () => {
    const { groupRetryPolicies } = clean(
      'router_settings: {model_group_retry_policy: {a: {BadRequestErrorRetries: 1}}}',
    );
    assert.deepEqual(groupRetryPolicies, { a: { ...NO_COUNTS, badRequest: 1 } });
    for (const [rest, fault] of [
      ['router_settings: {retry_policy: {TimeoutErrorRetries: -1}}', /must be a whole number/],
      ['router_settings: {retry_policy: {TimeoutErrorRetries: many}}', /must be a whole number/],
      ['router_settings: {retry_policy: 3}', /must be a map such as/],
      ['router_settings: {model_group_retry_policy: [a]}', /must be a map of groups/],
    ] as const) {
      assert.match(compile(rest).errors.join(), fault);
    }
    assert.match(compile('router_settings: {retry_policy: {WhateverRetries: 1}}').warnings.join(), /no such class/);
  });

  it('of a deployment', () => {
    const models =
      'model_list: [{model_name: "x/*", litellm_params: {model: openai/*, api_key: k, cooldown_time: 9}, model_info: {mode: embedding, health_check_model: openai/m, health_check_timeout: 3, health_check_max_tokens: 1, disable_background_health_check: true}}]\n';
    const { config, errors, warnings } = compile('', models);
    assert.deepEqual([...errors, ...warnings], []);
    const [spec] = config.snapshot.deployments;
    assert.equal(spec?.cooldownMs, 9000);
    assert.deepEqual(spec.healthCheck, {
      mode: 'embedding',
      model: 'm',
      timeoutMs: 3000,
      maxTokens: 1,
      isBackgroundOff: true,
    });
  });

  it('of health checks', () => {
    const keys =
      'background_health_checks: true, health_check_interval: 60, enable_health_check_routing: true, health_check_ignore_transient_errors: true';
    const general = GENERAL.replace('}', `, ${keys}}`);
    const { config, errors, warnings } = compileYaml(`${MODELS}${general}slipstream: {health_checks: {prompt: Hi}}\n`);
    assert.deepEqual([...errors, ...warnings], []);
    assert.deepEqual(config.snapshot.settings.failure.healthChecks, {
      inBackground: true,
      intervalMs: 60_000,
      steerRouting: true,
      ignoreTransient: true,
      prompt: 'Hi',
    });
  });
});

describe('fallbacks by kind', () => {
  it('are tables like the general ones, null where nothing stands; * is any group', () => {
    const none = clean('');
    assert.deepEqual([none.contextWindowFallbacks, none.contentPolicyFallbacks], [null, null]);
    const some = clean(
      'litellm_settings: {context_window_fallbacks: [{a: [b]}, {"*": [a]}], content_policy_fallbacks: [{a: b}]}\n',
    );
    assert.deepEqual(some.contextWindowFallbacks, { a: ['b'], '*': ['a'] });
    assert.deepEqual(some.contentPolicyFallbacks, { a: ['b'] });
  });

  it('may name a deployment by its id', () => {
    assert.deepEqual(clean('router_settings: {fallbacks: [{b: [first]}]}').fallbacks, { b: ['first'] });
    assert.match(compile('router_settings: {fallbacks: [{b: [nobody]}]}').warnings.join(), /no model is called nobody/);
  });
});
