import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { RestartPolicy } from './restart-policy.ts';

function delays(policy: RestartPolicy, deaths: number, livedMs = 10): (number | null)[] {
  return Array.from({ length: deaths }, () => {
    const decision = policy.onDeath(livedMs);
    return decision.restart ? decision.delayMs : null;
  });
}

describe('RestartPolicy', () => {
  it('gives up on a child that never served after three deaths', () => {
    assert.deepEqual(delays(new RestartPolicy(true), 3), [0, 100, null]);
    assert.deepEqual(delays(new RestartPolicy(false), 3), [0, 100, null]);
  });

  it('restarts at once, then ever later, and ends a sidecar that keeps dying', () => {
    const policy = new RestartPolicy(true);
    policy.onReady();
    assert.deepEqual(delays(policy, 10), [0, 100, 200, 400, 800, 1600, 3200, 6400, 10_000, null]);
  });

  it('never gives up on a control plane that has served', () => {
    const policy = new RestartPolicy(false);
    policy.onReady();
    assert.equal(delays(policy, 100).at(-1), 10_000);
  });

  it('forgets deaths once a child has lived for a while', () => {
    const policy = new RestartPolicy(true);
    policy.onReady();
    assert.deepEqual(delays(policy, 3), [0, 100, 200]);
    assert.deepEqual(delays(policy, 1, 30_000), [0]);
    assert.deepEqual(delays(policy, 2), [100, 200]);
  });
});
