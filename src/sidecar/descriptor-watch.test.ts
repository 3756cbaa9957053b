import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { closeSync, openSync } from 'node:fs';
import { it } from 'node:test';
import { createLogger } from '../runtime/logger.ts';
import { DescriptorWatch } from './descriptor-watch.ts';

const hasPrlimit = spawnSync('prlimit', ['--version']).status === 0;

it(
  'says once that no descriptor is left, and once that there are some again',
  { skip: hasPrlimit ? false : 'needs prlimit(1)' },
  () => {
    const lines: string[] = [];
    const logger = createLogger({ level: 'debug', format: 'json', name: 'test', write: (line) => lines.push(line) });
    const watch = new DescriptorWatch(logger);
    watch.look();
    assert.deepEqual(lines, []);
    assert.equal(spawnSync('prlimit', ['--pid', String(process.pid), '--nofile=100:']).status, 0);
    const open: number[] = [];
    try {
      assert.throws(() => {
        for (;;) open.push(openSync('/dev/null', 'r'));
      }, /EMFILE/);
      watch.look();
      watch.look();
    } finally {
      for (const descriptor of open) closeSync(descriptor);
    }
    watch.look();
    watch.look();
    assert.equal(lines.length, 2);
    assert.match(lines[0] ?? '', /out of file descriptors/);
    assert.match(lines[1] ?? '', /again/);
  },
);
