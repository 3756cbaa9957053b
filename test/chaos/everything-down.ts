import { spawn } from 'node:child_process';
import { existsSync, renameSync } from 'node:fs';
import { join } from 'node:path';
import { processTree } from '../../src/cli/bench/process-stats.ts';
import { ask } from '../support/raw-client.ts';
import { ChaosRun } from './support/chaos-run.ts';
import { isAlive } from './support/processes.ts';
import type { Scenario } from './support/scenario.ts';

const LAUNCHER = join(import.meta.dirname, '../../bin/slipstream.js');
const BODY = JSON.stringify({ model: 'good', messages: [] });
/** Whatever of SQLite's there is. */
const DATABASE_FILES = ['slipstream.db', 'slipstream.db-wal', 'slipstream.db-shm'];

export const scenario: Scenario = {
  name: 'everything-down',
  description:
    'kill -9 of all processes at once; only a sidecar starts, with no control plane and no database: known keys are served',
  modes: ['sidecar'],
  seconds: 9,
  run: async (context) => {
    const run = await ChaosRun.start(context, { mockFlags: ['--tokens', '8', '--ttft-ms', '5'] });
    let backMs = 0;
    await run.underLoad(
      { qps: 300, clients: 32, plan: (number) => ({ model: 'good', stream: number % 3 === 0 }) },
      async () => {
        await run.pause(context.seconds * 300);
        const fromMs = performance.now();
        const { dataDirectory, port } = run.gateway;
        killAll(run);
        moveDatabase(dataDirectory, 'away');
        const alone = startAlone(dataDirectory, port);
        context.cleanup.add(async () => {
          await alone.end();
        });
        backMs = await run.until(() => run.isReady(), 'a sidecar serves by what is on disk');
        run.kills.push({ fromMs, untilMs: performance.now() });
        const unknown = await ask(port, { key: 'sk-nobody-knows-this-one', body: BODY });
        // The key may be good: only the control plane could say that it is not.
        run.expect(unknown.status === 503, `an unknown key got ${unknown.status}`);
        await run.wait(0.3);
        const againMs = performance.now();
        const exitCode = await alone.end();
        run.expect(exitCode === 0, `the sidecar ended with ${exitCode}`);
        moveDatabase(dataDirectory, 'back');
        await run.startAgain();
        run.kills.push({ fromMs: againMs, untilMs: performance.now() });
        await run.wait(0.2);
      },
    );
    const [down, again] = run.kills;
    const between = run.outcomes.filter(
      ({ startedMs, endedMs }) => startedMs > (down?.untilMs ?? 0) && endedMs < (again?.fromMs ?? 0),
    );
    const failed = between.filter(({ ending, status }) => ending !== 'complete' || status !== 200);
    run.expect(
      between.length > 0 && failed.length === 0,
      `${failed.length} of ${between.length} failed without the rest`,
    );
    return run.finish({ servedAlone: between.length, backAfterMs: backMs });
  },
};

function killAll(run: ChaosRun): void {
  run.countersAreWhole = false;
  const pids = [run.supervisorPid(), ...processTree(run.supervisorPid()).map(({ pid }) => pid)];
  // The supervisor first: it would start the others again.
  for (const pid of pids) if (isAlive(pid)) process.kill(pid, 'SIGKILL');
}

function moveDatabase(dataDirectory: string, direction: 'away' | 'back'): void {
  for (const name of DATABASE_FILES) {
    const [path, aside] = [join(dataDirectory, name), join(dataDirectory, `${name}.away`)];
    const [from, to] = direction === 'away' ? [path, aside] : [aside, path];
    if (existsSync(from)) renameSync(from, to);
  }
}

interface Alone {
  end(): Promise<number | null>;
}

/** `slipstream sidecar` on the same data, and the same address. */
function startAlone(dataDirectory: string, port: number): Alone {
  const address = ['--host', '127.0.0.1', '--port', String(port), '--data-dir', dataDirectory];
  const child = spawn(process.execPath, [LAUNCHER, 'sidecar', ...address], { stdio: 'ignore' });
  const exited = new Promise<number | null>((resolve) => child.once('exit', (code) => resolve(code)));
  return {
    end: () => {
      child.kill('SIGTERM');
      return exited;
    },
  };
}
