import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { RETRY_BUDGET_WINDOW_MS, RetryBudget } from './retry-budget.ts';

/** Requests that all fail, each wanting `wanted` retries; answers how many attempts the deployment saw. */
function attempts(budget: RetryBudget, requests: number, wanted: number, fromMs: number, overMs: number): number {
  let seen = 0;
  for (let index = 0; index < requests; index += 1) {
    const nowMs = fromMs + (overMs * index) / requests;
    budget.onRequest(nowMs);
    budget.onFailure(nowMs);
    seen += 1;
    for (let retry = 0; retry < wanted && budget.allows(nowMs, 0.2, 10); retry += 1) {
      budget.onRetry(nowMs);
      budget.onFailure(nowMs);
      seen += 1;
    }
  }
  return seen;
}

describe('the retry budget', () => {
  it('bounds a deployment that fails always to requests × 1.2 + 10 per window', () => {
    for (const requests of [100, 1000, 10_000]) {
      const seen = attempts(new RetryBudget(), requests, 5, 0, RETRY_BUDGET_WINDOW_MS - 1);
      assert.ok(seen <= requests * 1.2 + 10, `${seen} of ${requests}`);
      assert.ok(seen >= requests * 1.2, 'and is used');
    }
  });

  it('holds over many windows, however they lie', () => {
    for (const rate of [10, 77, 1000]) {
      const requests = rate * 60;
      const seen = attempts(new RetryBudget(), requests, 3, 123, 60_000);
      assert.ok(seen <= requests * 1.3 + 30, `${seen} of ${requests}`);
    }
  });

  it('lets a quiet deployment have some retries at any time', () => {
    const budget = new RetryBudget();
    assert.equal(attempts(budget, 1, 2, 0, 1), 3);
    assert.equal(attempts(budget, 1, 2, 60_000, 1), 3);
  });

  it('does not bind one that has not failed: those are requests that another one lost', () => {
    const budget = new RetryBudget();
    for (let retry = 0; retry < 1000; retry += 1) {
      assert.equal(budget.allows(retry, 0.2, 10), true);
      budget.onRetry(retry);
    }
    budget.onFailure(1000);
    assert.equal(budget.allows(1000, 0.2, 10), false);
    assert.equal(budget.allows(1000 + 2 * RETRY_BUDGET_WINDOW_MS, 0.2, 10), true, 'the failure is forgotten');
  });
});
