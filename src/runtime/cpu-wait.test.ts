import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { constants, setPriority } from 'node:os';
import { describe, it, type TestContext } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { CpuWait } from './cpu-wait.ts';

const skip = process.platform !== 'linux';
const LOOP = 'for (;;);';

/** One that we may use. */
const CPU = /^Cpus_allowed_list:\s*(\d+)/m.exec(skip ? '' : readFileSync('/proc/self/status', 'latin1'))?.[1] ?? '0';

/** A process of ours that runs `script`, all of them on the same CPU. */
function run(t: TestContext, script: string): ChildProcess & { readonly pid: number } {
  const child = spawn('taskset', ['-c', CPU, process.execPath, '-e', script], { stdio: 'ignore' });
  t.after(() => child.kill('SIGKILL'));
  assert.ok(child.pid !== undefined);
  return child as ChildProcess & { readonly pid: number };
}

/** Looks again and again: a process that is being loaded on a busy machine is none of what is meant yet. */
async function shareBecomes(pid: number, isMeant: (share: number) => boolean): Promise<void> {
  let share = Number.NaN;
  for (let tries = 0; tries < 60; tries += 1) {
    const wait = new CpuWait(pid, performance.now());
    await sleep(500);
    share = wait.shareNotWaiting(performance.now());
    if (isMeant(share)) return;
  }
  assert.fail(`it is ${share}`);
}

describe('share of the time that a process did not wait for a CPU', { skip }, () => {
  it('is 1 for one that sleeps, is stopped, or is no more', async (t) => {
    const child = run(t, 'setInterval(() => undefined, 60_000)');
    await shareBecomes(child.pid, (share) => share > 0.95);
    child.kill('SIGSTOP');
    await shareBecomes(child.pid, (share) => share === 1);
    child.kill('SIGKILL');
    await new Promise((resolve) => child.once('exit', resolve));
    await shareBecomes(child.pid, (share) => share === 1);
  });

  it('is small for one that others leave no CPU to', async (t) => {
    const starved = run(t, LOOP);
    setPriority(starved.pid, constants.priority.PRIORITY_LOW);
    for (let n = 0; n < 3; n += 1) run(t, LOOP);
    await shareBecomes(starved.pid, (share) => share < 0.3);
  });
});
