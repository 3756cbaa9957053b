import assert from 'node:assert/strict';
import { it } from 'node:test';
import { inheritedSockets, lastInheritedFd } from './inherited-sockets.ts';

const given = { LISTEN_PID: '42', LISTEN_FDS: '2', LISTEN_FDNAMES: 'web' };

it('takes the descriptors that systemd passed to this very process', () => {
  const found = inheritedSockets(given, 42);
  assert.deepEqual(
    found.map(({ fd, name }) => [fd, name]),
    [
      [3, 'web'],
      [4, 'unknown'],
    ],
  );
  assert.equal(lastInheritedFd(given, 42), 4);
});

it('takes none that were meant for another process, or that make no sense', () => {
  assert.deepEqual(inheritedSockets(given, 43), []);
  assert.equal(lastInheritedFd(given, 43), 2);
  for (const count of ['', '0', '-1', 'x', '1000000']) {
    assert.deepEqual(inheritedSockets({ LISTEN_PID: '42', LISTEN_FDS: count }, 42), []);
  }
});

it('takes those of the launcher that had to start another process', () => {
  assert.equal(inheritedSockets({ ...given, SLIPSTREAM_LAUNCHER_PID: '42' }, 43).length, 2);
});
