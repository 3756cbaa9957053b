import assert from 'node:assert/strict';
import { test } from 'node:test';
import { memberId, parseMemberId } from './member-id.ts';

test('a member is one id, whatever is in the ids of its team and user', () => {
  for (const [teamId, userId] of [
    ['team', 'user'],
    ['a/b', 'c/d'],
    ['%2F', '/'],
    ['', 'ä@example.com'],
  ] as const) {
    assert.deepEqual(parseMemberId(memberId(teamId, userId)), { teamId, userId });
  }
});
