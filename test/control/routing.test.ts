import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { type Compiled, compileYaml, GENERAL } from './compile-yaml.ts';

const MODELS = `model_list:
  - {model_name: a, litellm_params: {model: x, api_key: k}}
  - {model_name: b, litellm_params: {model: x, api_key: k}}
  - {model_name: a, litellm_params: {model: y, api_key: k}}
  - {model_name: "*", litellm_params: {model: "*", api_base: "http://h/v1"}}
  - {model_name: openai/*, litellm_params: {model: openai/*, api_key: k}}
  - {model_name: openai/gpt-*, litellm_params: {model: openai/gpt-*, api_key: k}}
`;

/** Without the wildcard that matches everything. */
const FEW = MODELS.replace(/^.*"\*".*\n/m, '');

function compile(rest: string, models = FEW): Compiled {
  return compileYaml(models + GENERAL + rest);
}

describe('model groups', () => {
  it('are the entries of one name, in the order of the file, and wildcards from the most specific on', () => {
    const { snapshot } = compile('', MODELS).config;
    assert.deepEqual(
      snapshot.groups.map((group) => [group.name, group.deploymentIds.length]),
      [
        ['a', 2],
        ['b', 1],
      ],
    );
    assert.deepEqual(
      snapshot.wildcards.map((group) => group.name),
      ['openai/gpt-*', 'openai/*', '*'],
    );
    const models = new Map(snapshot.deployments.map((spec) => [spec.groupName, spec.upstreamModel]));
    assert.equal(models.get('openai/*'), '*');
    assert.equal(models.get('openai/gpt-*'), 'gpt-*');
    assert.equal(models.get('*'), '*');
  });

  it('warn of a star that nothing fills, and of protocols that mix', () => {
    const { warnings, config } = compileYaml(
      `model_list: [{model_name: a, litellm_params: {model: openai/*, api_key: k}}, {model_name: b, litellm_params: {model: gpt, api_key: k}}, {model_name: b, litellm_params: {model: claude, api_key: k}}]\n${GENERAL}`,
    );
    assert.match(warnings.join(), /has a \* but model_name has none/);
    assert.match(warnings.join(), /the model group b mixes protocols/);
    assert.equal(config.snapshot.deployments.length, 2);
  });

  it('may be none, with a warning', () => {
    for (const text of ['', 'model_list: []\n', 'model_list: null\n']) {
      const { errors, warnings } = compileYaml(text + GENERAL);
      assert.deepEqual(errors, []);
      assert.match(warnings.join(), /no model can be served/);
    }
  });
});

describe('aliases', () => {
  it('are texts or maps, from router_settings over litellm_settings', () => {
    const { config, warnings } = compile(
      'router_settings: {model_group_alias: {x: a, y: {model: b, hidden: true}, z: openai/gpt-9, __proto__: a}}\n' +
        'litellm_settings: {model_group_alias: {other: a}}\n',
    );
    assert.deepEqual(warnings, []);
    assert.deepEqual(Object.entries(config.snapshot.aliases), [
      ['x', { group: 'a', hidden: false }],
      ['y', { group: 'b', hidden: true }],
      ['z', { group: 'openai/gpt-9', hidden: false }],
      ['__proto__', { group: 'a', hidden: false }],
    ]);
  });

  it('to nothing are left out with a warning', () => {
    const { config, warnings, errors } = compile('litellm_settings: {model_group_alias: {x: nobody}}\n');
    assert.deepEqual(errors, []);
    assert.match(warnings.join(), /litellm_settings\.model_group_alias\.x: no model is called nobody/);
    assert.deepEqual(config.snapshot.aliases, {});
  });

  it('must be a map', () => {
    assert.match(compile('router_settings: {model_group_alias: [a]}').errors.join(), /must be a map of aliases/);
    assert.match(compile('router_settings: {model_group_alias: {a: []}}').errors.join(), /must be a group, or a map/);
  });
});

describe('fallbacks', () => {
  const fallbacksOf = (rest: string): unknown => {
    const { config, errors, warnings } = compile(rest);
    assert.deepEqual([...errors, ...warnings], []);
    return [config.snapshot.fallbacks, config.snapshot.defaultFallbacks];
  };

  it('are lists or texts, lists of maps or one map', () => {
    assert.deepEqual(fallbacksOf('litellm_settings: {fallbacks: [{a: [b, openai/x]}, {b: a}]}'), [
      { a: ['b', 'openai/x'], b: ['a'] },
      [],
    ]);
    assert.deepEqual(fallbacksOf('router_settings: {fallbacks: {a: b}}'), [{ a: ['b'] }, []]);
    assert.deepEqual(fallbacksOf('router_settings: {fallbacks: [], default_fallbacks: b}'), [{}, ['b']]);
    assert.deepEqual(fallbacksOf('litellm_settings: {default_fallbacks: [b, a]}'), [{}, ['b', 'a']]);
  });

  it('of * are for any group', () => {
    assert.deepEqual(fallbacksOf('litellm_settings: {fallbacks: [{"*": [b]}]}'), [{}, ['b']]);
  });

  it('follow aliases on both sides', () => {
    assert.deepEqual(fallbacksOf('router_settings: {model_group_alias: {x: a, y: b}, fallbacks: [{x: [y]}]}'), [
      { a: ['b'] },
      [],
    ]);
  });

  it('to nothing are left out with a warning', () => {
    const { config, warnings } = compile('router_settings: {fallbacks: [{a: [nobody, b]}]}');
    assert.deepEqual(config.snapshot.fallbacks, { a: ['b'] });
    assert.match(warnings.join(), /router_settings\.fallbacks\.a: no model is called nobody/);
  });

  it('of another protocol are named: they would need a translation', () => {
    const models = ['{model_name: gpt, litellm_params: {model: openai/g, api_key: k}}'];
    models.push('{model_name: claude, litellm_params: {model: anthropic/c, api_key: k}}');
    const fallbacks = (table: string): readonly string[] =>
      compileYaml(
        `${GENERAL}model_list: [${models.join()}]\nrouter_settings: {model_group_alias: {best: claude}, fallbacks: ${table}}`,
      ).warnings;
    assert.match(fallbacks('[{gpt: [best]}]').join(), /fallbacks\.gpt: claude speaks the anthropic protocol and gpt/);
    assert.match(fallbacks('[{best: [gpt]}]').join(), /fallbacks\.best: gpt speaks the openai protocol and claude/);
    assert.deepEqual(fallbacks('[{gpt: [gpt]}, {"*": [claude]}]'), []);
  });

  it('of another shape are an error', () => {
    assert.match(compile('router_settings: {fallbacks: a}').errors.join(), /must be a list/);
    assert.match(compile('router_settings: {fallbacks: [a]}').errors.join(), /must be a map of a group/);
    assert.match(compile('router_settings: {fallbacks: [{a: [[b]]}]}').errors.join(), /must be the name of a group/);
  });
});
