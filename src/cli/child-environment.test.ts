import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { it } from 'node:test';
import { childEnvironment, nodeOptionsFor } from './child-environment.ts';

it('passes on what is on the list, and nothing else', () => {
  const env = childEnvironment({ PATH: '/bin', TZ: 'UTC', OPENAI_API_KEY: 'secret', HTTPS_PROXY: 'http://u:p@h' });
  assert.deepEqual(Object.keys(env).sort(), ['MALLOC_ARENA_MAX', 'PATH', 'TZ', 'UV_THREADPOOL_SIZE']);
});

it('sizes pool and arenas, unless the operator did', () => {
  assert.equal(childEnvironment({})['MALLOC_ARENA_MAX'], '2');
  assert.ok(Number(childEnvironment({})['UV_THREADPOOL_SIZE']) >= 8);
  const own = childEnvironment({ MALLOC_ARENA_MAX: '4', UV_THREADPOOL_SIZE: '3' });
  assert.deepEqual([own['MALLOC_ARENA_MAX'], own['UV_THREADPOOL_SIZE']], ['4', '3']);
});

it("splits Node's options for one process", () => {
  const env = { SLIPSTREAM_SIDECAR_NODE_OPTIONS: '  --a=1   --b ' };
  assert.deepEqual(nodeOptionsFor('sidecar', env, null).slice(-2), ['--a=1', '--b']);
  assert.deepEqual(nodeOptionsFor('control', env, null), []);
});

it("gives the sidecar options of V8, before the operator's, which win; a Node that lacks one would refuse to start", () => {
  const options = nodeOptionsFor('sidecar', { SLIPSTREAM_SIDECAR_NODE_OPTIONS: '--allocation-site-pretenuring' }, null);
  assert.equal(options[0], '--no-allocation-site-pretenuring');
  assert.equal(options.at(-1), '--allocation-site-pretenuring');
  const { status, stderr } = spawnSync(process.execPath, [...options, '-e', ''], { encoding: 'utf8' });
  assert.equal(status, 0, stderr);
  assert.deepEqual(nodeOptionsFor('control', {}, null), []);
});

const heapOptions = (...args: Parameters<typeof nodeOptionsFor>): readonly string[] =>
  nodeOptionsFor(...args).filter((option) => /old.space/.test(option));

it('limits the heaps where the memory of a container is limited, unless the operator did', () => {
  const limit = 2048 * 1024 * 1024;
  assert.deepEqual(nodeOptionsFor('control', {}, limit), ['--max-old-space-size=409']);
  assert.deepEqual(heapOptions('sidecar', {}, limit), ['--max-old-space-size=512']);
  assert.deepEqual(heapOptions('sidecar', {}, 1024), ['--max-old-space-size=64']);
  const own = { SLIPSTREAM_SIDECAR_NODE_OPTIONS: '--max_old_space_size=900' };
  assert.deepEqual(heapOptions('sidecar', own, limit), ['--max_old_space_size=900']);
  assert.deepEqual(nodeOptionsFor('control', own, limit), ['--max-old-space-size=409']);
  const general = { NODE_OPTIONS: '--max-old-space-size-percentage=30' };
  assert.deepEqual(heapOptions('sidecar', general, limit), []);
});
