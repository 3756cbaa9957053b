import { spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { MODES } from '../support/gateway.ts';
import { ask } from '../support/raw-client.ts';
import { ChaosRun } from './support/chaos-run.ts';
import type { Scenario } from './support/scenario.ts';

const FREEZES = 5;
const FREEZE_MS = 500;
/** By then the process has written its compile cache, which it does once and in place. */
const STARTED_MS = 2_500;
/** What a look at the gateway's health may take on a machine that is busy, and far less than a freeze. */
const RESPONSIVE_MS = 250;

export const scenario: Scenario = {
  name: 'disk-freezes',
  description:
    'a file system that takes no writes for half a second, again and again: the loop is held up once, answers wait',
  modes: MODES,
  seconds: 8,
  unavailable: () => (freezesWork() ? null : 'needs a loop device, mkfs.ext4(8) and fsfreeze(8)'),
  run: async (context) => {
    const scratch = mkdtempSync(join(tmpdir(), 'slipstream-freeze-'));
    const folder = join(scratch, 'disk');
    context.cleanup.add(() => {
      spawnSync('fsfreeze', ['-u', folder]);
      spawnSync('umount', [folder]);
      rmSync(scratch, { recursive: true, force: true, maxRetries: 3 });
    });
    mkdirSync(folder);
    const image = join(scratch, 'image');
    command('truncate', ['-s', '64M', image]);
    command('mkfs.ext4', ['-q', image]);
    command('mount', ['-o', 'loop', image, folder]);
    const run = await ChaosRun.start(context, { directory: folder });
    const slowestMs: number[] = [];
    await run.underLoad(
      { qps: 300, clients: 256, plan: (number) => ({ model: 'good', stream: number % 3 === 0 }) },
      async () => {
        await sleep(STARTED_MS);
        for (let i = 0; i < FREEZES; i += 1) {
          await run.pause((context.seconds * 500) / FREEZES);
          const probes = probeHealth(run.gateway.port);
          await sleep(50);
          command('fsfreeze', ['-f', folder]);
          await sleep(FREEZE_MS);
          command('fsfreeze', ['-u', folder]);
          slowestMs.push(await probes.stop());
        }
        await run.wait(0.1);
      },
    );
    const failed = run.outcomes.filter(({ ending, status }) => ending !== 'complete' || status !== 200).length;
    run.expect(failed === 0, `${failed} requests failed`);
    const [, ...later] = slowestMs;
    // The first one may hold up the loop: nothing in Node bounds a write in place.
    for (const ms of later) run.expect(ms < RESPONSIVE_MS, `the loop was held up for ${ms.toFixed(0)} ms again`);
    const waited = run.outcomes.filter(({ startedMs, endedMs }) => endedMs - startedMs > FREEZE_MS / 2).length;
    run.expect(waited > 0, 'no answer waited for the disk: it was not frozen');
    return run.finish({ freezes: FREEZES, healthSlowestMs: slowestMs.map((ms) => ms.toFixed(0)).join('/'), waited });
  },
};

/** Asks for the gateway's health over and over, which waits for its event loop and for no disk. */
function probeHealth(port: number): { stop: () => Promise<number> } {
  const state = { isRunning: true, slowestMs: 0 };
  const run = async (): Promise<void> => {
    while (state.isRunning) {
      const fromMs = performance.now();
      await ask(port, { method: 'GET', path: '/health/liveness' });
      state.slowestMs = Math.max(state.slowestMs, performance.now() - fromMs);
      await sleep(5);
    }
  };
  const running = run();
  return {
    stop: async () => {
      state.isRunning = false;
      await running;
      return state.slowestMs;
    },
  };
}

function command(name: string, args: readonly string[]): void {
  const { status, stderr } = spawnSync(name, args, { encoding: 'utf8' });
  if (status !== 0) throw new Error(`${name}: ${stderr}`);
}

function freezesWork(): boolean {
  const found = ['fsfreeze', 'mkfs.ext4', 'mount'].every((name) => spawnSync(name, ['--version']).error === undefined);
  return found && process.getuid?.() === 0 && spawnSync('losetup', ['-f']).status === 0;
}
