import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { deploymentsForTags, type TaggedDeployment } from './tag-filter.ts';

const tagged = (...tags: string[]): TaggedDeployment => ({ tags, patterns: [] });
const agent = (pattern: string, ...tags: string[]): TaggedDeployment => ({ tags, patterns: [new RegExp(pattern)] });

/** Places that may serve, or null. */
function places(
  members: readonly TaggedDeployment[],
  tags: readonly string[],
  { userAgent = null, mode = 'any' }: { userAgent?: string | null; mode?: 'any' | 'all' } = {},
): number[] | null {
  const allowed = deploymentsForTags(members, { tags, userAgent }, mode);
  return allowed === null ? null : [...allowed.keys()].filter((place) => allowed[place] === 1);
}

const TIERS = [tagged('free'), tagged('paid', 'eu'), tagged('default'), tagged()];

describe('tags', () => {
  test('of the request lead to the deployments that have one of them', () => {
    assert.deepEqual(places(TIERS, ['free']), [0]);
    assert.deepEqual(places(TIERS, ['free', 'eu']), [0, 1]);
    assert.deepEqual(places(TIERS, ['eu', 'other']), [1]);
  });

  test('or, in mode all, to those that have every one', () => {
    assert.deepEqual(places(TIERS, ['paid', 'eu'], { mode: 'all' }), [1]);
    assert.deepEqual(places(TIERS.slice(0, 2), ['free', 'eu'], { mode: 'all' }), null);
  });

  test('that no deployment has lead to those tagged default, and without any nowhere', () => {
    assert.deepEqual(places(TIERS, ['nobody']), [2]);
    assert.equal(places([tagged('free'), tagged()], ['nobody']), null);
  });

  test('none at all: the deployments tagged default, else every one', () => {
    assert.deepEqual(places(TIERS, []), [2]);
    assert.deepEqual(places([tagged('free'), tagged()], []), [0, 1]);
  });
});

describe('exclusions', () => {
  test('take away the deployments that have the tag', () => {
    assert.deepEqual(places([tagged('a'), tagged('b'), tagged()], ['!a']), [1, 2]);
    assert.deepEqual(places([tagged('paid', 'a'), tagged('paid', 'b')], ['paid', '!a']), [1]);
    assert.equal(places([tagged('a')], ['!a']), null);
  });

  test('alone open no way past the default ones', () => {
    assert.deepEqual(places([tagged('default'), tagged('default', 'a'), tagged('paid')], ['!a']), [0]);
    assert.equal(places([tagged('default', 'a'), tagged('paid')], ['!a']), null);
  });

  test('a lone exclamation mark is a tag', () => {
    assert.deepEqual(places([tagged('!'), tagged('x')], ['!']), [0]);
  });
});

describe('patterns', () => {
  const members = [agent(String.raw`^User-Agent: claude-code\/`), tagged('default'), tagged('paid')];

  test('find the client by its user agent', () => {
    assert.deepEqual(places(members, [], { userAgent: 'claude-code/2.0' }), [0]);
    assert.deepEqual(places(members, [], { userAgent: 'curl/8' }), [1]);
    assert.deepEqual(places(members, []), [1]);
    assert.deepEqual(places(members, ['paid'], { userAgent: 'claude-code/2.0' }), [0, 2]);
  });

  test('do not override tags asked for in full', () => {
    const strict = [agent('claude', 'paid'), agent('claude')];
    assert.deepEqual(places(strict, ['free'], { userAgent: 'claude', mode: 'all' }), [1]);
    assert.deepEqual(places(strict, ['free'], { userAgent: 'claude', mode: 'any' }), [0, 1]);
  });

  test('of an excluded deployment count for nothing', () => {
    const both = [agent('claude', 'group:claude'), tagged('other')];
    assert.deepEqual(places(both, ['!group:claude'], { userAgent: 'claude' }), [1]);
  });

  test('where none fits and nothing is default, nobody serves', () => {
    assert.equal(places([agent('claude'), tagged('paid')], [], { userAgent: 'curl' }), null);
  });
});
