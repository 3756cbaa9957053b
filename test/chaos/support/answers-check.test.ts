import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { SAMPLE_EVENT } from '../../support/usage-event-sample.ts';
import { checkAnswers, type Answer, type AnswersClaim } from './answers-check.ts';

const line = (id: string, status = 200) => ({ ...SAMPLE_EVENT, id, status });
const answer = (id: string, status = 200): Answer => ({ id, status });

/** One line, and the look at /metrics. */
const COUNTED: AnswersClaim['counted'] = {
  received: 2,
  lines: 1,
  dropped: 0,
  refused: 0,
  abandoned: 0,
  unrecorded: 0,
  inFlight: 1,
};

function check(
  answers: readonly Answer[],
  events: AnswersClaim['journal']['events'],
  counted: Partial<AnswersClaim['counted']> = {},
): string {
  const journal = { events, opens: [], tornLines: 0, malformed: [] };
  return checkAnswers({ answers, journal, counted: { ...COUNTED, ...counted } }).join('\n');
}

describe('the check of answers by their ids', () => {
  it('finds nothing wrong with a line for each, nor with what was refused before authentication', () => {
    assert.equal(check([answer('a')], [line('a')]), '');
    assert.equal(check([answer('a'), answer('b', 401)], [line('a')], { refused: 1, received: 3 }), '');
  });

  it('finds an answer without a line, with another status, without an id, or twice', () => {
    assert.match(check([answer('a'), answer('b')], [line('a')]), /1 answers have no such line, the first: b 200/);
    assert.match(check([answer('a')], [line('a', 502)]), /a 200, line 502/);
    assert.match(check([answer('a'), answer('-', 503)], [line('a')]), /the first: - 503/);
    assert.match(check([answer('a'), answer('a')], [line('a')]), /two answers have one id/);
    assert.match(
      check([answer('a'), answer('b', 401)], [line('a')]),
      /1 answers have no line, 0 requests were refused/,
    );
  });

  it('finds an id that stands twice, and lines that are not counted', () => {
    assert.match(check([answer('a')], [line('a'), line('a')], { lines: 2, received: 3 }), /1 ids stand twice/);
    assert.match(check([answer('a')], [line('a'), line('b')]), /2 events in the journal, 1 are counted/);
  });

  it('finds a sum that is not exact, and what stays in flight', () => {
    assert.match(check([answer('a')], [line('a')], { received: 3 }), /received 3 ≠ 2/);
    assert.match(check([answer('a')], [line('a')], { received: 3, inFlight: 2 }), /1 requests in flight for ever/);
  });
});
