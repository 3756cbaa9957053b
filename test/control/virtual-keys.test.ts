import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { describe, it } from 'node:test';
import type { KeyRecord } from '../../src/contract/key-record.ts';
import { intersect } from '../../src/control/keys/fold-key.ts';
import { type Compiled, compileYaml, GENERAL, MASTER_KEY } from './compile-yaml.ts';

const KEY = 'sk-key-0123456789abcdef';
const HASH = createHash('sha256').update(KEY).digest('hex');

function compile(section: string, env: Record<string, string> = {}): Compiled {
  return compileYaml(`${GENERAL}slipstream: {${section}}`, { env });
}

function recordOf(section: string): KeyRecord {
  const { config, errors } = compile(section);
  assert.deepEqual(errors, []);
  const [record] = config.keys;
  assert.ok(record);
  return record;
}

describe('virtual keys', () => {
  it('are known by their hash, and have what their entry says', () => {
    const record = recordOf(
      `keys: [{key: ${KEY}, alias: ci, user_id: u, team_id: t, models: [a, b/*], rpm_limit: 1, tpm_limit: "2", max_parallel_requests: 3, expires: 2027-01-01, blocked: no}]`,
    );
    assert.deepEqual(record, {
      hash: HASH,
      alias: 'ci',
      userId: 'u',
      teamId: 't',
      models: ['a', 'b/*'],
      aliases: {},
      allowedRoutes: [],
      tags: [],
      rpmLimit: 1,
      tpmLimit: 2,
      maxParallelRequests: 3,
      modelLimits: {},
      userLimits: null,
      teamLimits: null,
      expiresAtMs: Date.UTC(2027, 0, 1),
      blocked: false,
    });
  });

  it('may be given as reference or as hash', () => {
    assert.equal(compile('keys: [{key: os.environ/K}]', { K: KEY }).config.keys[0]?.hash, HASH);
    assert.equal(recordOf(`keys: [{key_hash: ${HASH.toUpperCase()}}]`).hash, HASH);
  });

  it('expire at a moment, UTC unless it says otherwise', () => {
    const expiry = (text: string): number | null => recordOf(`keys: [{key: ${KEY}, expires: ${text}}]`).expiresAtMs;
    assert.equal(expiry('"2027-01-01 10:00:00"'), Date.UTC(2027, 0, 1, 10));
    assert.equal(expiry('2027-01-01T10:00:00Z'), Date.UTC(2027, 0, 1, 10));
    assert.equal(expiry('"2027-01-01T10:00:00+02:00"'), Date.UTC(2027, 0, 1, 8));
    assert.equal(expiry('null'), null);
  });

  it('are blocked with their user or team', () => {
    assert.equal(recordOf(`keys: [{key: ${KEY}, user_id: u}], users: [{user_id: u, blocked: true}]`).blocked, true);
    assert.equal(recordOf(`keys: [{key: ${KEY}, team_id: t}], teams: [{team_id: t, blocked: on}]`).blocked, true);
    assert.equal(recordOf(`keys: [{key: ${KEY}, team_id: t}], teams: [{team_id: t}]`).blocked, false);
  });

  const models: readonly (readonly [section: string, models: readonly string[]])[] = [
    [`keys: [{key: ${KEY}}]`, []],
    [`keys: [{key: ${KEY}, models: all-proxy-models}]`, []],
    [`keys: [{key: ${KEY}, models: [a, "*"]}]`, []],
    [`keys: [{key: ${KEY}, team_id: t}], teams: [{team_id: t, models: [a]}]`, ['a']],
    [`keys: [{key: ${KEY}, team_id: t, models: [all-team-models]}], teams: [{team_id: t, models: [a]}]`, ['a']],
    [`keys: [{key: ${KEY}, team_id: t, models: [a, c]}], teams: [{team_id: t, models: [a, b]}]`, ['a']],
    [`keys: [{key: ${KEY}, team_id: t, models: [c]}], teams: [{team_id: t, models: [a]}]`, ['no-default-models']],
    [`keys: [{key: ${KEY}, team_id: t, models: ["gpt-*"]}], teams: [{team_id: t, models: [gpt-4o, x]}]`, ['gpt-4o']],
    [`keys: [{key: ${KEY}, user_id: u}], users: [{user_id: u, models: [a]}]`, ['a']],
    [
      `keys: [{key: ${KEY}, user_id: u, team_id: t}], users: [{user_id: u, models: [a]}], teams: [{team_id: t, models: [b]}]`,
      ['b'],
    ],
    [`keys: [{key: ${KEY}, models: [all-team-models]}]`, ['all-team-models']],
  ];
  for (const [section, expected] of models) {
    it(`may use ${expected.join() || 'all models'}: ${section.replace(KEY, '…')}`, () => {
      assert.deepEqual(recordOf(section).models, expected);
    });
  }

  const faulty: readonly (readonly [section: string, error: RegExp])[] = [
    ['keys: {}', /slipstream\.keys: must be a list/],
    ['keys: [{}]', /slipstream\.keys\[0\]: needs either key or key_hash/],
    [`keys: [{key: ${KEY}, key_hash: ${HASH}}]`, /needs either key or key_hash/],
    ['keys: [{key: os.environ/NOT_SET}]', /needs either key or key_hash/],
    ['keys: [{key_hash: abc}]', /keys\[0\]\.key_hash: must be a SHA-256/],
    [`keys: [{key: ${KEY}}, {key_hash: ${HASH}}]`, /keys\[1\]: is the same key as another/],
    [`keys: [{key: ${MASTER_KEY}}]`, /or as the master key/],
    [`keys: [{key: ${KEY}, model: a}]`, /keys\[0\]\.model: there is no such setting/],
    [`keys: [{key: ${KEY}, expires: tomorrow}]`, /expires: must be a date/],
    [`keys: [{key: ${KEY}, expires: 2027-13-01}]`, /expires: must be a date/],
    [`keys: [{key: ${KEY}, rpm_limit: -1}]`, /rpm_limit: must be from 0/],
    [`keys: [{key: ${KEY}, model_rpm_limit: {a: x}}]`, /model_rpm_limit\.a: must be a whole number/],
    ['users: [{user_id: u, model_tpm_limit: 5}]', /users\[0\]\.model_tpm_limit: /],
    ['model_groups: {m: {rpm_limit: -1}}', /slipstream\.model_groups\.m\.rpm_limit: must be from 0/],
    ['model_groups: {m: {rpm: 1}}', /slipstream\.model_groups\.m\.rpm: there is no such setting/],
    ['model_groups: [m]', /slipstream\.model_groups: must be a map/],
    [`keys: [{key: ${KEY}, blocked: maybe}]`, /blocked: must be true or false/],
    ['users: [{alias: x}]', /users\[0\]\.user_id: is missing/],
    ['teams: [{team_id: a}, {team_id: a}]', /teams\[1\]: has the id of another/],
    ['keys: [text]', /slipstream\.keys\[0\]/],
  ];
  for (const [section, error] of faulty) {
    it(`refuses ${section.replaceAll(KEY, '…').replace(HASH, '…')}`, () => {
      const { errors } = compile(section);
      assert.match(errors.join(), error);
      assert.match(errors[0] ?? '', /^c\.yaml:2:\d+: /);
      assert.doesNotMatch(errors.join(), new RegExp(`${KEY}|${MASTER_KEY}|${HASH}`));
    });
  }

  it('carry the limits of their user and team, and those by model', () => {
    const record = recordOf(
      `keys: [{key: ${KEY}, user_id: u, team_id: t, model_rpm_limit: {a: 1, b: 2}, model_tpm_limit: {b: 3}}], ` +
        'users: [{user_id: u, rpm_limit: 4, models: [a]}], ' +
        'teams: [{team_id: t, max_parallel_requests: 5, model_tpm_limit: {a: 6}}, {team_id: other, rpm_limit: 7}]',
    );
    assert.deepEqual(record.modelLimits, { a: { rpmLimit: 1, tpmLimit: null }, b: { rpmLimit: 2, tpmLimit: 3 } });
    assert.deepEqual(record.userLimits, { rpmLimit: 4, tpmLimit: null, maxParallelRequests: null, modelLimits: {} });
    assert.deepEqual(record.teamLimits, {
      rpmLimit: null,
      tpmLimit: null,
      maxParallelRequests: 5,
      modelLimits: { a: { rpmLimit: null, tpmLimit: 6 } },
    });
    const plain = recordOf(`keys: [{key: ${KEY}, user_id: u}], users: [{user_id: u, models: [a]}]`);
    assert.equal(plain.userLimits, null);
  });

  it('warn of short keys and of owners that are not described', () => {
    const { warnings, errors } = compile(
      'keys: [{key: sk-short, rpm_limit: 5, team_id: x}], teams: [{team_id: t, tpm_limit: 1}]',
    );
    assert.deepEqual(errors, []);
    assert.doesNotMatch(warnings.join('\n'), /limit/);
    assert.match(warnings.join('\n'), /keys\[0\]: has fewer than 16 characters/);
    assert.match(warnings.join('\n'), /keys\[0\]: names a team that is not in slipstream\.teams/);
  });
});

describe('intersection of model lists', () => {
  const cases: readonly (readonly [a: string[], b: string[], both: string[]])[] = [
    [[], [], []],
    [['a'], [], ['a']],
    [[], ['a'], ['a']],
    [['a', 'b'], ['b', 'c'], ['b']],
    [['a*'], ['ab', 'b'], ['ab']],
    [['a*'], ['ab*'], ['ab*']],
    [['a*', 'b'], ['*b'], ['b']],
    [['a*'], ['*b'], ['no-default-models']],
    [['a'], ['b'], ['no-default-models']],
  ];
  for (const [a, b, both] of cases) {
    it(`${a.join('|') || 'all'} ∩ ${b.join('|') || 'all'}`, () => {
      assert.deepEqual(intersect(a, b), both);
      assert.deepEqual(intersect(b, a).toSorted(), both.toSorted());
    });
  }
});
