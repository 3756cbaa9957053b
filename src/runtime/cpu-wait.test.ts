import assert from 'node:assert/strict';
import { spawn, spawnSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { it } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { cpuWaitMs } from './cpu-wait.ts';

const TASKSET = 'taskset';
const isTold = existsSync('/proc/self/schedstat') && spawnSync(TASKSET, ['--version']).status === 0;

it('grows for who competes for a CPU, not for who is stopped', { skip: !isTold && 'needs taskset(1)' }, async (t) => {
  const spin = (): number => {
    const child = spawn(TASKSET, ['-c', '0', process.execPath, '-e', 'for (;;);'], { stdio: 'ignore' });
    t.after(() => child.kill('SIGKILL'));
    return child.pid ?? 0;
  };
  const pid = spin();
  spin();
  const started = cpuWaitMs(pid);
  while (cpuWaitMs(pid) < started + 100) await sleep(10);
  process.kill(pid, 'SIGSTOP');
  // It may have to wait for a CPU once more before it stops.
  while (!readFileSync(`/proc/${pid}/stat`, 'latin1').includes(') T ')) await sleep(10);
  const stopped = cpuWaitMs(pid);
  await sleep(200);
  assert.equal(cpuWaitMs(pid), stopped);
  assert.equal(cpuWaitMs(2 ** 22 + 1), 0, 'there is no such process');
});
