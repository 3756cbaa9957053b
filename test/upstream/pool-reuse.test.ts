import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import {
  closedPort,
  connected,
  eventually,
  exchange,
  origin,
  RecordingOwner,
  settle,
  startPeer,
  startPools,
} from './upstream-test-support.ts';

describe('a pool reuses connections', () => {
  it('serves the next request on the same connection', async (test) => {
    const peer = await startPeer(test);
    const pool = startPools(test).poolFor(origin({ port: peer.port }));
    const first = await exchange(pool);
    assert.equal(first.reused, false);
    first.release(null);
    assert.equal(first.owner, null);
    const owner = new RecordingOwner();
    const second = pool.acquire(owner, performance.now());
    assert.equal(second, first);
    assert.equal(second.owner, owner);
    assert.equal(second.reused, true);
    second.write('ping');
    await owner.gets('data');
    assert.equal(owner.text, 'pong');
    assert.deepEqual(owner.events, ['data']);
    assert.equal(peer.sockets.length, 1);
    assert.equal(pool.stats().opened, 1);
    assert.equal(pool.stats().reused, 1);
  });
});
