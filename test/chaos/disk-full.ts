import { spawnSync } from 'node:child_process';
import { closeSync, mkdtempSync, openSync, rmSync, unlinkSync, writeSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { MODES } from '../support/gateway.ts';
import { ChaosRun } from './support/chaos-run.ts';
import type { Scenario } from './support/scenario.ts';

const TIMES = 3;
const BALLAST_PIECE = Buffer.alloc(64 * 1024);

export const scenario: Scenario = {
  name: 'disk-full',
  description:
    'a disk that is full again and again: requests are served, lost events are counted, it goes on by itself',
  modes: MODES,
  seconds: 9,
  unavailable: () => (mountsWork() ? null : 'needs mount(8) of a tmpfs'),
  run: async (context) => {
    const folder = mkdtempSync(join(tmpdir(), 'slipstream-disk-'));
    context.cleanup.add(() => {
      spawnSync('umount', [folder]);
      rmSync(folder, { recursive: true, force: true, maxRetries: 3 });
    });
    const mounted = spawnSync('mount', ['-t', 'tmpfs', '-o', 'size=64m', 'tmpfs', folder], { encoding: 'utf8' });
    if (mounted.status !== 0) throw new Error(`mount: ${mounted.stderr}`);
    const run = await ChaosRun.start(context, { directory: folder });
    await run.underLoad(
      { qps: 400, clients: 48, plan: (number) => ({ model: 'good', stream: number % 3 === 0 }) },
      async () => {
        for (let i = 0; i < TIMES; i += 1) {
          await run.pause((context.seconds * 300) / TIMES);
          const dropped = await run.metric('slipstream_journal_dropped_total');
          const release = fill(join(folder, 'ballast'));
          const drops = async (): Promise<boolean> => (await run.metric('slipstream_journal_dropped_total')) > dropped;
          await run.until(drops, 'events are dropped');
          run.expect(await run.isReady(), 'not ready while the disk is full');
          await run.pause((context.seconds * 300) / TIMES);
          release();
          const lines = await run.metric('slipstream_journal_lines_total');
          const writes = async (): Promise<boolean> => (await run.metric('slipstream_journal_lines_total')) > lines;
          await run.until(writes, 'the journal is written again');
        }
        await run.wait(0.1);
      },
    );
    const failed = run.outcomes.filter(({ ending, status }) => ending !== 'complete' || status !== 200).length;
    run.expect(failed === 0, `${failed} requests failed`);
    return run.finish({ times: TIMES });
  },
};

/** Takes all the room there is. @returns what gives it back. */
function fill(path: string): () => void {
  const file = openSync(path, 'w');
  for (let size = BALLAST_PIECE.length; size > 0;) {
    try {
      if (writeSync(file, BALLAST_PIECE, 0, size) < size) size >>= 1;
    } catch {
      size >>= 1; // ENOSPC: there may be room for less
    }
  }
  return () => {
    closeSync(file);
    unlinkSync(path);
  };
}

function mountsWork(): boolean {
  return process.getuid?.() === 0 && spawnSync('mount', ['--version']).status === 0;
}
