import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, describe, it } from 'node:test';
import { isProcessLockHeld, takeProcessLock } from './process-lock.ts';

const directory = mkdtempSync(join(tmpdir(), 'process-lock-'));
after(() => {
  rmSync(directory, { recursive: true });
});

describe('a process lock', () => {
  it('is held until it is given back, in the same process too', () => {
    const path = join(directory, 'own');
    assert.equal(isProcessLockHeld(path), false);
    assert.deepEqual(readdirSync(directory), [], 'looking leaves nothing behind');
    const lock = takeProcessLock(path);
    assert.ok(lock !== null);
    assert.equal(isProcessLockHeld(path), true);
    assert.equal(takeProcessLock(path), null);
    assert.equal(isProcessLockHeld(path), true, 'looking does not take it away');
    lock.release();
    lock.release();
    assert.equal(isProcessLockHeld(path), false);
    const again = takeProcessLock(path);
    assert.ok(again !== null);
    again.release();
  });

  it('ends with its process, also with kill -9', async (t) => {
    const path = join(directory, 'other');
    const script = `
      import { takeProcessLock } from ${JSON.stringify(new URL('./process-lock.ts', import.meta.url).href)};
      takeProcessLock(${JSON.stringify(path)});
      console.log('held');
      setInterval(() => undefined, 1000);`;
    const child = spawn(process.execPath, ['--input-type=module', '-e', script], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    t.after(() => child.kill('SIGKILL'));
    await once(child.stdout, 'data');
    assert.equal(isProcessLockHeld(path), true);
    assert.equal(takeProcessLock(path), null);
    const ended = once(child, 'exit');
    child.kill('SIGKILL');
    await ended;
    assert.equal(isProcessLockHeld(path), false);
  });

  it('in a directory that is not there is an error', () => {
    assert.throws(() => takeProcessLock(join(directory, 'none', 'lock')));
  });
});
