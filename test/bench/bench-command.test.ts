import assert from 'node:assert/strict';
import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, describe, it } from 'node:test';
import { startMock } from '../../src/cli/mock/mock-server.ts';

const LAUNCHER = join(import.meta.dirname, '..', '..', 'bin', 'slipstream.js');
const directory = mkdtempSync(join(tmpdir(), 'slipstream-bench-test-'));
after(() => rmSync(directory, { recursive: true }));

/** Reading a configuration with the default number of them takes longer than all else here. */
const KEYS = ['--keys', '100'];

interface Run {
  readonly status: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

async function bench(...args: string[]): Promise<Run> {
  const child = spawn(process.execPath, [LAUNCHER, 'bench', ...args], { stdio: ['ignore', 'pipe', 'pipe'] });
  const output = { stdout: '', stderr: '' };
  child.stdout.on('data', (chunk) => (output.stdout += String(chunk)));
  child.stderr.on('data', (chunk) => (output.stderr += String(chunk)));
  const [status] = (await once(child, 'close')) as [number | null];
  return { status, ...output };
}

/** Exit status 1 may mean that this machine is too busy to measure on; that must then be the only reason. */
function assertNoFailure({ status, stdout, stderr }: Run): void {
  assert.equal(stderr, '');
  assert.ok(status === 0 || status === 1, stdout);
  assert.ok(!/failures: \d/.test(stdout), stdout);
  if (status === 1) assert.match(stdout, /client-bound|can not take it/);
}

describe('slipstream bench', () => {
  it('refuses a wrong flag or subcommand in one line, exit 2', async () => {
    for (const args of [['overheat'], ['overhead', '--qsp', '1']]) {
      const { status, stdout, stderr } = await bench(...args);
      assert.equal(status, 2, args.join(' '));
      assert.equal(stdout, '');
      assert.match(stderr, /^slipstream bench[^\n]*\n$/);
    }
  });

  it('has help, and help for each subcommand', async () => {
    assert.match((await bench('--help')).stdout, /bench overhead[^]*bench hold[^]*bench startup/);
    const { status, stdout } = await bench('hold', '--help');
    assert.equal(status, 0);
    assert.ok(stdout.includes('--json'));
  });

  it('overhead measures direct and through, checks every reply and writes the raw figures', async () => {
    const json = join(directory, 'overhead.json');
    const run = await bench('overhead', '--rounds', '2', '--seconds', '1', '--qps', '200', ...KEYS, '--json', json);
    assertNoFailure(run);
    const result = JSON.parse(readFileSync(json, 'utf8')) as {
      machine: { cpuCount: number };
      summary: { arms: { arm: string; completed: number; failures: object; cpuSidecar: object | null }[] };
      memory: { command: string; pssBytes: number }[];
      rounds: { arm: string; load: { latency: { count: number } } }[];
    };
    assert.deepEqual(
      result.summary.arms.map(({ arm, completed }) => [arm, completed]),
      [
        ['direct', 400],
        ['slipstream', 400],
      ],
    );
    assert.ok(result.summary.arms[1]?.cpuSidecar !== null);
    assert.equal(result.rounds.length, 4);
    assert.ok(result.rounds.every(({ load }) => load.latency.count === 200));
    assert.ok(result.memory.some(({ command, pssBytes }) => / sidecar /.test(command) && pssBytes > 0));
    assert.ok(result.machine.cpuCount > 0);
    assert.ok(!readFileSync(json, 'utf8').includes('sk-'), 'no key in what is published');
  });

  it('hold: streams through the gateway as one process, TLS to the provider', async () => {
    const load = ['--stream', '--qps', '20', '--seconds', '1', '--tokens', '5', ...KEYS];
    const run = await bench('hold', ...load, '--no-sidecar', '--tls');
    assertNoFailure(run);
    assert.match(run.stdout, /slipstream none \(20 good replies\)/);
  });

  it('overhead --target measures an installation of the user', async () => {
    const mock = await startMock();
    const target = ['--target', `${mock.url}/v1`, '--key', 'sk-secret', '--model', 'any'];
    const run = await bench('overhead', ...target, '--rounds', '1', '--seconds', '1', '--qps', '50');
    assertNoFailure(run);
    assert.match(run.stdout, /target +none \(50 good replies\)/);
    assert.ok(!run.stdout.includes('sk-secret'));
    await mock.close();
  });

  it('overhead says when the target fails, exit 1', async () => {
    const mock = await startMock({ failRate: 0.5 });
    const target = ['--target', `${mock.url}/v1`, '--model', 'any'];
    let run = await bench('overhead', ...target, '--rounds', '1', '--seconds', '1', '--qps', '50');
    // The first look at the target may already be what fails.
    for (let i = 0; i < 20 && run.stderr !== ''; i++) {
      assert.match(run.stderr, /^slipstream bench: target: status 500/);
      run = await bench('overhead', ...target, '--rounds', '1', '--seconds', '1', '--qps', '50');
    }
    assert.equal(run.status, 1);
    assert.match(run.stdout, /target: failures: \d+ × status 500/);
    await mock.close();
  });

  it('ends what it has started when it is told to stop', async () => {
    const child = spawn(process.execPath, [LAUNCHER, 'bench', 'hold', '--seconds', '60', '--qps', '10', ...KEYS], {
      stdio: 'ignore',
    });
    let family: string[] = [];
    while (family.length < 5) {
      await new Promise((resolve) => setTimeout(resolve, 50));
      family = descendants(child.pid ?? 0);
    }
    child.kill('SIGTERM');
    assert.deepEqual(await once(child, 'exit'), [143, null]);
    // A child of a child may need a moment more to notice.
    const isLeft = (): boolean => family.some((pid) => existsSync(`/proc/${pid}`));
    for (let i = 0; i < 100 && isLeft(); i++) await new Promise((resolve) => setTimeout(resolve, 50));
    assert.equal(isLeft(), false);
  });
});

/** All processes below this one, by ps. */
function descendants(root: number): string[] {
  const table = spawnSync('ps', ['-eo', 'pid=,ppid='], { encoding: 'utf8' })
    .stdout.trim()
    .split('\n')
    .map((line) => line.trim().split(/\s+/));
  const found: string[] = [];
  const waiting = [String(root)];
  for (let parent = waiting.pop(); parent !== undefined; parent = waiting.pop()) {
    for (const [pid = '', ppid] of table) if (ppid === parent) waiting.push(pid);
    found.push(...table.filter(([, ppid]) => ppid === parent).map(([pid = '']) => pid));
  }
  return found;
}
