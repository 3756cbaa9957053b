import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { fails, withWorld } from '../support/failure-support.ts';
import { ask } from '../support/raw-client.ts';
import { TEST_KEY } from '../support/sidecar-harness.ts';

describe('the retry budget of requests that wait before they are sent again', () => {
  it('is taken when the wait begins: who gets no retry has the error itself, and nobody waits for nothing', async () => {
    const failure = { retryBudget: { ratio: 0, floor: 2 }, backOff: { initialMs: 50, maxMs: 100, floorMs: 50 } };
    await withWorld({ alone: 'a' }, { failure, settings: { numRetries: 1 } }, async (world) => {
      world.answers('a', fails(500));
      const { port } = world.gateway;
      const replies = await Promise.all(
        Array.from({ length: 12 }, () => ask(port, { key: TEST_KEY, body: '{"model":"alone"}' })),
      );
      assert.deepEqual(
        replies.map(({ status }) => status),
        replies.map(() => 500),
      );
      assert.equal(world.asked.length, 12 + 2);
    });
  });
});
