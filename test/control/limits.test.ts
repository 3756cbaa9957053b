import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { compileYaml, GENERAL } from './compile-yaml.ts';

function model(params: string): string {
  return `model_list: [{model_name: m, litellm_params: {model: x, api_key: k, ${params}}}]\n${GENERAL}`;
}

describe('limits in the configuration', () => {
  it('of model groups are put into them; those of an unknown group are warned of', () => {
    const { config, warnings, errors } = compileYaml(
      `${model('')}slipstream: {model_groups: {m: {rpm_limit: 5, max_parallel_requests: "2"}, other: {tpm_limit: 1}}}`,
    );
    assert.deepEqual(errors, []);
    assert.deepEqual(config.snapshot.groups[0]?.limits, { rpmLimit: 5, tpmLimit: null, maxParallelRequests: 2 });
    assert.match(warnings.join(), /slipstream\.model_groups\.other: is no model group/);
    assert.equal(
      compileYaml(`${model('')}slipstream: {model_groups: {m: {}}}`).config.snapshot.groups[0]?.limits,
      null,
    );
  });

  it('of deployments: rpm and tpm only weight, unless they are enforced; max_parallel_requests always refuses', () => {
    const text = model('rpm: 5, tpm: 6, max_parallel_requests: 7');
    const limitsOf = (rest: string): unknown => compileYaml(text + rest).config.snapshot.deployments[0]?.limits;
    const parallel = { rpmLimit: null, tpmLimit: null, maxParallelRequests: 7 };
    const all = { rpmLimit: 5, tpmLimit: 6, maxParallelRequests: 7 };
    assert.deepEqual(limitsOf(''), parallel);
    assert.deepEqual(limitsOf('slipstream: {enforce_model_rate_limits: true}'), all);
    assert.deepEqual(limitsOf('router_settings: {optional_pre_call_checks: [enforce_model_rate_limits]}'), all);
    assert.deepEqual(limitsOf('litellm_settings: {optional_pre_call_checks: [enforce_model_rate_limits]}'), all);
    assert.deepEqual(limitsOf('router_settings: {optional_pre_call_checks: [prompt_caching]}'), parallel);
    assert.equal(compileYaml(model('rpm: 5, tpm: 6')).config.snapshot.deployments[0]?.limits, null);
  });

  it('the window is LITELLM_RATE_LIMIT_WINDOW_SIZE seconds, 60 by default', () => {
    const rateLimits = (env = {}, rest = ''): unknown =>
      compileYaml(model('') + rest, { env }).config.snapshot.settings.rateLimits;
    const defaults = { windowMs: 60_000, tokenReservation: 'prompt', maxSubjects: 262_144 };
    assert.deepEqual(rateLimits(), defaults);
    assert.deepEqual(rateLimits({ LITELLM_RATE_LIMIT_WINDOW_SIZE: '5' }), { ...defaults, windowMs: 5_000 });
    assert.deepEqual(rateLimits({}, 'slipstream: {tpm_reservation: prompt+max_tokens, rate_limits: {window: 0.5}}'), {
      ...defaults,
      windowMs: 500,
      tokenReservation: 'prompt+max_tokens',
    });
  });
});
