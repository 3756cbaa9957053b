import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { UsageEvent } from '../../../src/contract/usage-event.ts';
import { checkJournal, type JournalClaim } from './journal-check.ts';
import type { Outcome } from './load-client.ts';
import { newRunId, traceparent } from './nonce.ts';

const RUN = newRunId(() => 0.3);

function outcome(number: number, rest: Partial<Outcome> = {}): Outcome {
  return {
    number,
    plan: { model: 'good', stream: false },
    ending: 'complete',
    status: 200,
    callId: `id-${number}`,
    errorName: null,
    hasRetryAfter: false,
    configVersion: null,
    startedMs: number * 10,
    endedMs: number * 10 + 5,
    detail: '',
    ...rest,
  };
}

function line(number: number, rest: Partial<UsageEvent> = {}): UsageEvent {
  const traceId = traceparent(RUN, number).slice(3, 35);
  return { id: `id-${number}`, traceId, status: 200, ...rest } as UsageEvent;
}

function check(outcomes: readonly Outcome[], events: readonly UsageEvent[], rest: Partial<JournalClaim> = {}): string {
  const journal = { events, opens: [], tornLines: 0, malformed: [] };
  const claim = { runId: RUN, outcomes, journal, kills: [], dropped: 0, refusedBeforeAuthentication: 0, ...rest };
  return checkJournal(claim).violations.join('\n');
}

const LOST = outcome(2, { ending: 'cut', status: 0, callId: null });

describe('the check of the journal', () => {
  it('finds nothing wrong with a line for each request, and with lines of others', () => {
    assert.equal(check([outcome(1), outcome(2)], [line(1), line(2), line(3, { id: 'x', traceId: null })]), '');
  });

  it('finds an answer without a line', () => {
    assert.match(check([outcome(1), outcome(2)], [line(1)]), /no line \(#2/);
  });

  it('finds two lines for one request, and an id that comes twice', () => {
    assert.match(check([outcome(1)], [line(1), line(1, { id: 'id-9' })]), /two lines/);
    assert.match(check([outcome(1)], [line(1), line(1)]), /id id-1 twice/);
  });

  it('finds a line with another id or status than the client was told', () => {
    assert.match(check([outcome(1)], [line(1, { id: 'other' })]), /another id/);
    assert.match(check([outcome(1)], [line(1, { status: 502 })]), /a line with status 502/);
  });

  it('finds a line for what was never sent', () => {
    assert.match(check([outcome(1)], [line(1), line(7)]), /request 7, which was never sent/);
  });

  it('lets what was in flight at a kill be lost, and nothing else', () => {
    const kills = [{ fromMs: 22, untilMs: 30 }];
    assert.equal(check([outcome(1), LOST], [line(1)], { kills }), '');
    assert.match(check([outcome(1), LOST], [line(1)], { kills: [{ fromMs: 40, untilMs: 50 }] }), /no line/);
    assert.match(check([outcome(1), outcome(2)], [line(1)], { kills }), /no line/, 'it was answered completely');
  });

  it('counts what was refused and what was dropped', () => {
    const refused = outcome(2, { status: 503, callId: null });
    assert.equal(check([outcome(1), refused], [line(1)], { refusedBeforeAuthentication: 1 }), '');
    assert.match(check([outcome(1), refused], [line(1)]), /0 requests are counted as refused/);
    assert.equal(check([outcome(1), outcome(2)], [line(1)], { dropped: 1 }), '');
    assert.match(check([outcome(1)], [line(1)], { dropped: 1 }), /1 events are counted as dropped, 0 are missing/);
  });
});
