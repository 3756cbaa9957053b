import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { RoutingSettings } from '../../src/contract/snapshot.ts';
import { type Compiled, compileYaml, deploymentOf, GENERAL } from './compile-yaml.ts';

const MODELS = `model_list:
  - {model_name: a, litellm_params: {model: x, api_key: k}}
  - {model_name: b, litellm_params: {model: x, api_key: k}}
`;

const compile = (rest: string): Compiled => compileYaml(MODELS + GENERAL + rest);

/** The routing that `rest` makes, with no error or warning. */
function routingOf(rest: string): RoutingSettings {
  const { config, errors, warnings } = compile(rest);
  assert.deepEqual([...errors, ...warnings], []);
  return config.snapshot.settings.routing;
}

const DEFAULT = { name: 'simple-shuffle', latencyTtlMs: 3_600_000, latencyBuffer: 0 };

describe('routing_strategy', () => {
  it('is simple-shuffle, without tags or affinity, unless something else is said', () => {
    assert.deepEqual(routingOf(''), {
      strategy: DEFAULT,
      groupStrategies: {},
      tagFiltering: 'off',
      affinity: { session: false, key: false, prefixBytes: 0, prefixSpill: 1.5 },
    });
  });

  it('may be each of LiteLLM’s names, in either section, or ours', () => {
    for (const name of ['least-busy', 'latency-based-routing', 'usage-based-routing', 'cost-based-routing']) {
      assert.equal(routingOf(`router_settings: {routing_strategy: ${name}}\n`).strategy.name, name);
    }
    const usage = routingOf('litellm_settings: {routing_strategy: usage-based-routing-v2}\n');
    assert.equal(usage.strategy.name, 'usage-based-routing');
    const ours = 'router_settings: {routing_strategy: least-busy}\nslipstream: {routing: {strategy: power-of-two}}\n';
    assert.equal(routingOf(ours).strategy.name, 'power-of-two');
  });

  it('that exists nowhere is an error; one that is only LiteLLM’s a warning', () => {
    const { errors } = compile('router_settings: {routing_strategy: fastest}\n');
    assert.equal(errors.length, 1);
    assert.match(
      errors[0]!,
      /^c\.yaml:5:19: router_settings\.routing_strategy: must be one of: simple-shuffle, .*, usage-based-routing-v2$/,
    );
    const { config, warnings } = compile('router_settings: {routing_strategy: lar1}\n');
    assert.equal(config.snapshot.settings.routing.strategy.name, 'simple-shuffle');
    assert.match(warnings.join(), /routing_strategy: unsupported: lar1 is not in this version/);
  });

  it('has arguments', () => {
    const args = 'routing_strategy_args: {ttl: 10, lowest_latency_buffer: 0.5}';
    const routing = routingOf(`router_settings: {routing_strategy: latency-based-routing, ${args}}\n`);
    assert.deepEqual(routing.strategy, {
      name: 'latency-based-routing',
      latencyTtlMs: 10_000,
      latencyBuffer: 0.5,
    });
  });
});

describe('routing_groups', () => {
  it('give single groups a strategy of their own', () => {
    const group = '{group_name: g, models: [b], routing_strategy: least-busy, routing_strategy_args: {ttl: 7}}';
    const routing = routingOf(`router_settings: {routing_groups: [${group}]}\n`);
    assert.deepEqual(routing.groupStrategies, { b: { name: 'least-busy', latencyTtlMs: 7000, latencyBuffer: 0 } });
  });

  it('without a strategy take that of all groups', () => {
    const groups = 'routing_groups: [{group_name: g, models: b, routing_strategy_args: {lowest_latency_buffer: 1}}]';
    const routing = routingOf(`router_settings: {routing_strategy: latency-based-routing, ${groups}}\n`);
    assert.deepEqual(routing.groupStrategies['b'], {
      name: 'latency-based-routing',
      latencyTtlMs: 3_600_000,
      latencyBuffer: 1,
    });
  });

  it('are reported where they are wrong', () => {
    const wrong = (groups: string): string => {
      const { errors, warnings } = compile(`router_settings: {routing_groups: ${groups}}\n`);
      return [...errors, ...warnings].join('\n');
    };
    assert.match(wrong('least-busy'), /routing_groups: must be a list/);
    assert.match(
      wrong('[{group_name: g, models: [a], routing_strategy: x}]'),
      /\[0\]\.routing_strategy: must be one of/,
    );
    assert.match(wrong('[{group_name: g}]'), /\[0\]\.models: /);
    assert.match(wrong('[{group_name: g, models: [nobody]}]'), /no model is called nobody/);
    assert.match(wrong('[{group_name: g, models: [a]}, {group_name: h, models: [a]}]'), /a is in two routing groups/);
    assert.match(wrong('[{group_name: g, models: [a], routing_strategy: lar1}]'), /lar1 is not in this version/);
  });
});

describe('tags', () => {
  it('filter when that is on, by any or by all', () => {
    assert.equal(routingOf('router_settings: {enable_tag_filtering: true}\n').tagFiltering, 'any');
    const all = 'router_settings: {enable_tag_filtering: true, tag_filtering_match_any: false}\n';
    assert.equal(routingOf(all).tagFiltering, 'all');
    assert.equal(routingOf('router_settings: {tag_filtering_match_any: false}\n').tagFiltering, 'off');
  });

  it('and patterns of deployments are kept; a pattern that is none is an error', () => {
    const spec = deploymentOf(String.raw`{model: x, api_key: k, tags: [paid, default], tag_regex: '^User-Agent: a\/'}`);
    assert.deepEqual([spec.tags, spec.tagPatterns], [['paid', 'default'], [String.raw`^User-Agent: a\/`]]);
    const { errors } = compileYaml(
      `model_list: [{model_name: a, litellm_params: {model: x, api_key: k, tag_regex: ["("]}}]\n${GENERAL}`,
    );
    assert.match(errors.join(), /tag_regex: is not a regular expression/);
  });
});

describe('affinity', () => {
  it('is turned on here, or by LiteLLM’s optional_pre_call_checks', () => {
    const checks = 'optional_pre_call_checks: [prompt_caching, session_affinity, deployment_affinity]';
    assert.deepEqual(routingOf(`router_settings: {${checks}}\n`).affinity, {
      session: true,
      key: true,
      prefixBytes: 4096,
      prefixSpill: 1.5,
    });
    const ours =
      'slipstream: {routing: {prefix_affinity: on, prefix_affinity_bytes: 1024, prefix_affinity_spill: 2}}\n';
    assert.deepEqual(routingOf(ours).affinity, { session: false, key: false, prefixBytes: 1024, prefixSpill: 2 });
  });

  it('warns of checks that are not here', () => {
    const { errors, warnings } = compile('router_settings: {optional_pre_call_checks: [router_budget_limiting]}\n');
    assert.deepEqual(errors, []);
    assert.match(warnings.join(), /router_budget_limiting is not in this version/);
    assert.match(compile('router_settings: {optional_pre_call_checks: 5}\n').errors.join(), /must be a list of names/);
  });
});
