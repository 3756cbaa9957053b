import { spawnSync } from 'node:child_process';
import { readdirSync } from 'node:fs';
import { MODES } from '../support/gateway.ts';
import { ChaosRun } from './support/chaos-run.ts';
import type { Scenario } from './support/scenario.ts';

export const scenario: Scenario = {
  name: 'descriptor-limit',
  description: 'no file descriptor left for new connections: it stays alive and ready, and recovers by itself',
  modes: MODES,
  seconds: 6,
  unavailable: () => (spawnSync('prlimit', ['--version']).status === 0 ? null : 'needs prlimit(1)'),
  run: async (context) => {
    const run = await ChaosRun.start(context, { mockFlags: ['--tokens', '8', '--ttft-ms', '50'] });
    const pid = run.servingPid();
    const limit = (soft: number): void => {
      spawnSync('prlimit', ['--pid', String(pid), `--nofile=${soft}:`]);
    };
    const plan = (number: number) => ({ model: 'good', stream: number % 3 === 0 });
    // First some load that fits, so that descriptors of its own are open.
    await run.underLoad({ qps: 100, clients: 8, plan }, () => run.wait(0.2));
    const open = readdirSync(`/proc/${pid}/fd`).length;
    limit(open + 20);
    const fromMs = performance.now();
    await run.underLoad({ qps: 400, clients: 150, plan }, async () => {
      await run.wait(0.5);
      limit(20_000);
    });
    // A connection that there was no descriptor for is closed before a byte of it is read.
    run.unread.push({ fromMs, untilMs: performance.now() });
    run.expect(/out of file descriptors: new/.test(run.gateway.output()), 'nothing is said of it');
    run.expect(run.servingPid() === pid, 'the process that serves was replaced');
    return run.finish({ descriptors: open + 20 });
  },
};
