// npm run bench:compare -- REF [--rounds 10] [--seconds 2] [--qps 0] [--tls] [--stream] [--body-bytes 300] [--body prose]
// A/B of this working tree against a git ref: CPU of the sidecar per request, and latency. Every round starts both anew,
// the order turns round each time; the ref runs twice, and the second run is the control.
import { spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { measureArm, probeArms, type Arm, type ArmRound, type LoadShape } from '../src/cli/bench/arm.ts';
import type { OverheadOptions } from '../src/cli/bench/bench-options.ts';
import { GatewayInstallation, startMockProcess, type BenchServer } from '../src/cli/bench/bench-processes.ts';
import { BenchError } from '../src/cli/bench/child-process.ts';
import type { Cleanup } from '../src/cli/bench/cleanup.ts';
import { PUBLIC_MODEL } from '../src/cli/bench/gateway-config.ts';
import { LoadGenerator } from '../src/cli/bench/load-generator.ts';
import { describeMachine } from '../src/cli/bench/machine.ts';
import { UsageError } from '../src/cli/command-line.ts';
import { overheadOptions, runScript } from './bench-script.ts';
import { compareRounds, renderComparison, type CompareRound, type Side } from './compare-summary.ts';

const ROOT = resolve(import.meta.dirname, '..');
const DEFAULT_ROUNDS = 10;
const DEFAULT_SECONDS = 2;
const KEY_COUNT = 10_000;
/** What each process does before it is measured: V8 compiles the hot path within some 10,000 requests. */
const WARM_UP_SECONDS = 1.5;

await runScript('bench:compare', compare);

async function compare([ref = '', ...flags]: readonly string[], cleanup: Cleanup): Promise<number> {
  if (ref === '' || ref.startsWith('-')) throw new UsageError('the git ref to compare with is missing');
  const options = readOptions(flags);
  const machine = describeMachine();
  const roots: Readonly<Record<Side, string>> = {
    here: ROOT,
    ref: checkOut(ref, cleanup),
    control: checkOut(ref, cleanup),
  };
  const generator = new LoadGenerator(options.cpusLoad);
  cleanup.add(() => generator.stop());
  const mock = await startMockProcess(options.mockFlags, options.cpusLoad, cleanup);
  const installations = new Map<Side, GatewayInstallation>();
  for (const side of ['here', 'ref', 'control'] as const) {
    const installation = await install(roots[side], mock, options, cleanup);
    installations.set(side, installation);
    await (await installation.start(cleanup)).child.stop(); // fills its compile cache
  }

  const rounds: CompareRound[] = [];
  for (let round = 0; round < options.rounds; round++) {
    const order: Side[] = ['ref', 'here', 'control'];
    for (const side of round % 2 === 0 ? order : order.toReversed()) {
      const installation = installations.get(side);
      if (installation === undefined) throw new BenchError(`no installation for ${side}`);
      rounds.push({
        side,
        round,
        measured: await measureOnce(generator, installation, mock, { options, round, cleanup }),
      });
      process.stderr.write(`\rround ${round + 1} of ${options.rounds}: ${side.padEnd(8)}`);
    }
  }
  process.stderr.write('\r\u001b[K');
  const summary = compareRounds(rounds, options.shape.qps);
  const title = `${describe(ROOT)} against ${ref} (${describe(roots.ref)})`;
  process.stdout.write(renderComparison({ title, machine, summary, rounds: options.rounds, shape: options.shape }));
  if (options.jsonFile !== null) {
    const raw = rounds.map(({ side, measured }) => ({
      side,
      ...measured,
      load: { ...measured.load, latencyHistogram: undefined },
    }));
    const result = { kind: 'compare', title, machine, options, summary, rounds: raw };
    writeFileSync(options.jsonFile, `${JSON.stringify(result, null, 1)}\n`);
  }
  return summary.problems.length === 0 ? 0 : 1;
}

/** A closed loop, in which CPU per request is exact, unless a rate is asked for. */
function readOptions(flags: readonly string[]): OverheadOptions {
  const options = overheadOptions(flags, [
    ['--rounds', String(DEFAULT_ROUNDS)],
    ['--seconds', String(DEFAULT_SECONDS)],
    ['--threads', '1'],
    ...(flags.includes('--stream') ? [] : [['--qps', '0'] as const]),
  ]);
  return { ...options, shape: { ...options.shape, warmUpSeconds: WARM_UP_SECONDS } };
}

/** A worktree of its own, with this one's dependencies. */
function checkOut(ref: string, cleanup: Cleanup): string {
  const folder = join(mkdtempSync(join(tmpdir(), 'slipstream-compare-')), 'tree');
  const { status, stderr } = git(['worktree', 'add', '--detach', folder, ref]);
  if (status !== 0) throw new BenchError(`git worktree add: ${stderr.trim()}`);
  cleanup.add(() => {
    git(['worktree', 'remove', '--force', folder]);
    rmSync(resolve(folder, '..'), { recursive: true, force: true });
  });
  if (!existsSync(join(folder, 'node_modules'))) symlinkSync(join(ROOT, 'node_modules'), join(folder, 'node_modules'));
  return folder;
}

function git(args: readonly string[], cwd = ROOT): { status: number | null; stdout: string; stderr: string } {
  return spawnSync('git', args, { cwd, encoding: 'utf8' });
}

function describe(folder: string): string {
  const { stdout } = git(['log', '-1', '--format=%h %s'], folder);
  const isDirty = git(['status', '--porcelain', '--untracked-files=no'], folder).stdout !== '';
  return `${stdout.trim()}${isDirty ? ' + changes' : ''}`;
}

async function install(
  root: string,
  mock: BenchServer,
  options: OverheadOptions,
  cleanup: Cleanup,
): Promise<GatewayInstallation> {
  const { threads, withSidecar, isTls, cpusGateway: cpus } = options;
  const installed = { mockPort: mock.port, isTls, threads, withSidecar, cpus, keyCount: KEY_COUNT, root };
  return GatewayInstallation.create(installed, cleanup);
}

/** One fresh gateway, one load. */
async function measureOnce(
  generator: LoadGenerator,
  installation: GatewayInstallation,
  mock: BenchServer,
  { options, round, cleanup }: { readonly options: OverheadOptions; readonly round: number; readonly cleanup: Cleanup },
): Promise<ArmRound> {
  const gateway = await installation.start(cleanup);
  try {
    const arm: Arm = {
      name: 'slipstream',
      target: {
        host: '127.0.0.1',
        port: gateway.port,
        basePath: '/v1',
        key: installation.config.key,
        model: PUBLIC_MODEL,
        tlsServerName: null,
      },
      rootPid: gateway.child.pid,
      mockPid: mock.child.pid,
    };
    const shape: LoadShape = options.shape;
    const lengths = await probeArms(generator, [arm], shape);
    return await measureArm(generator, arm, { shape, expectedBodyBytes: lengths.get(arm.name) ?? null, round });
  } finally {
    await gateway.child.stop();
  }
}
