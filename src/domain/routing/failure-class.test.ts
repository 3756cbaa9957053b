import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { mergeCounts, NO_COUNTS } from './error-class-counts.ts';
import { afterFailure, classOfStatus, countFor } from './failure-class.ts';

describe('the class of a status, and what follows', () => {
  for (const [statuses, failure, rule] of [
    [[400, 402, 405, 410, 413, 415, 422, 424, 451, 499], 'client', 'relay'],
    [[401, 403], 'credential', 'another'],
    [[404], 'not_found', 'another'],
    [[408], 'timeout', 'again'],
    [[409], 'conflict', 'again'],
    [[429], 'rate_limit', 'again'],
    [[500, 501, 502, 503, 504, 529, 599], 'server', 'again'],
  ] as const) {
    it(statuses.join(', '), () => {
      for (const status of statuses) {
        assert.equal(classOfStatus(status), failure);
        assert.equal(afterFailure(classOfStatus(status)), rule);
      }
    });
  }

  it('each class has its row of a policy', () => {
    const counts = { badRequest: 1, authentication: 2, timeout: 3, rateLimit: 4, contentPolicy: 5, internal: 6 };
    for (const [failure, expected] of [
      ['client', 1],
      ['context_window', 1],
      ['credential', 2],
      ['timeout', 3],
      ['rate_limit', 4],
      ['content_policy', 5],
      ['server', 6],
      ['connection', 6],
      ['not_found', null],
      ['conflict', null],
    ] as const) {
      assert.equal(countFor(failure, counts), expected, failure);
    }
  });

  it('a group’s policy wins where it says something', () => {
    const all = { ...NO_COUNTS, timeout: 1, internal: 2 };
    assert.deepEqual(mergeCounts({ ...NO_COUNTS, timeout: 0 }, all), { ...NO_COUNTS, timeout: 0, internal: 2 });
  });
});
