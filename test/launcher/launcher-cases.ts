import assert from 'node:assert/strict';
import { spawn, spawnSync, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import {
  cpSync,
  existsSync,
  globSync,
  mkdirSync,
  mkdtempSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { describe, test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';

const REPO_ROOT = resolve(import.meta.dirname, '../..');
const GONE_WITHIN_MS = 5_000;

/** Says what it was started with, then does what its first argument names. */
const STUB_MAIN = `
export async function main(argv) {
  console.log(JSON.stringify({ version: process.version, argv, cache: process.env.NODE_COMPILE_CACHE }));
  if (argv.includes('fail')) process.exitCode = 7;
  if (argv.includes('die')) process.kill(process.pid, 'SIGKILL');
  if (argv.includes('wait')) {
    const timer = setInterval(() => {}, 1000);
    for (const signal of ['SIGTERM', 'SIGINT', 'SIGHUP', 'SIGQUIT', 'SIGUSR1', 'SIGUSR2']) {
      process.on(signal, () => { console.log('got ' + signal); clearInterval(timer); });
    }
    console.log('ready');
  }
}
`;

interface Project extends Disposable {
  readonly root: string;
  readonly launcher: string;
}

interface StubReport {
  readonly version: string;
  readonly argv: readonly string[];
  readonly cache?: string;
}

/** A checkout with the real launcher, a stub behind it, and (or not) the pinned Node. */
function makeProject({ withPinnedNode = true } = {}): Project {
  const root = mkdtempSync(join(tmpdir(), 'slipstream-launcher-'));
  cpSync(join(REPO_ROOT, 'bin'), join(root, 'bin'), { recursive: true });
  writeFileSync(join(root, 'package.json'), '{ "type": "module" }\n');
  mkdirSync(join(root, 'src/cli'), { recursive: true });
  writeFileSync(join(root, 'src/cli/main.ts'), STUB_MAIN);
  mkdirSync(join(root, 'node_modules'));
  if (withPinnedNode) {
    for (const name of globSync('node-*', { cwd: join(REPO_ROOT, 'node_modules') })) {
      symlinkSync(join(REPO_ROOT, 'node_modules', name), join(root, 'node_modules', name));
    }
  }
  return {
    root,
    launcher: join(root, 'bin/slipstream.js'),
    [Symbol.dispose]: () => rmSync(root, { recursive: true, force: true }),
  };
}

/** One suite for every Node that may run the launcher; `isOld` says that it has to hand over to the pinned one. */
export function testLauncher(label: string, node: string, isOld: boolean): void {
  void describe(`launcher on ${label}`, () => {
    const run = (project: Project, args: readonly string[], env: NodeJS.ProcessEnv = {}) =>
      spawnSync(node, [project.launcher, ...args], {
        cwd: project.root,
        encoding: 'utf8',
        env: { ...process.env, NODE_COMPILE_CACHE: undefined, ...env },
      });

    test('runs the entry with its arguments, on a Node that is new enough, and says nothing itself', () => {
      using project = makeProject();
      const { status, stdout, stderr } = run(project, ['--flag', 'a b']);
      const report = JSON.parse(stdout) as StubReport;
      assert.deepEqual(report.argv, ['--flag', 'a b']);
      assert.match(report.version, /^v(26\.(1\d|[2-9]\d)|2[7-9]|[3-9]\d)/);
      assert.deepEqual({ status, stderr }, { status: 0, stderr: '' });
    });

    test('exits with the exit code of the program', () => {
      using project = makeProject();
      assert.equal(run(project, ['fail']).status, 7);
    });

    test('ends by the signal that ended the program', () => {
      using project = makeProject();
      assert.equal(run(project, ['die']).signal, 'SIGKILL');
    });

    for (const signal of ['SIGTERM', 'SIGINT', 'SIGHUP', 'SIGQUIT', 'SIGUSR1', 'SIGUSR2'] as const) {
      test(`passes ${signal} on and waits for the program`, async () => {
        using project = makeProject();
        const child = await startWaiting(node, project, ['wait']);
        const output = collect(child);
        child.kill(signal);
        const [code, endedBy] = (await once(child, 'close')) as [number | null, string | null];
        assert.deepEqual({ code, endedBy, output: output() }, { code: 0, endedBy: null, output: `got ${signal}\n` });
      });
    }

    const endless = {
      'the program': ['wait'],
      'node --': ['node', '--', '-e', "console.log('{}\\nready'); setInterval(() => {}, 1e3)"],
    };
    for (const [name, args] of Object.entries(endless)) {
      test(`takes ${name} with it when it is killed`, { timeout: GONE_WITHIN_MS }, async () => {
        using project = makeProject();
        const child = await startWaiting(node, project, args);
        assert.ok(child.stdout);
        const allWritersGone = once(child.stdout, 'close');
        child.kill('SIGKILL');
        await allWritersGone;
      });
    }

    test('node -- runs the new enough Node with any arguments', () => {
      using project = makeProject();
      const { status, stdout, stderr } = run(project, ['node', '--', '-p', 'process.version']);
      assert.match(stdout, /^v(26\.(1\d|[2-9]\d)|2[7-9]|[3-9]\d)/);
      assert.deepEqual({ status, stderr }, { status: 0, stderr: '' });
    });

    test('node -- exits with the exit code of what it ran', () => {
      using project = makeProject();
      assert.equal(run(project, ['node', '--', '-e', 'process.exit(9)']).status, 9);
    });

    testCompileCache(run);
    if (isOld) testMissingNode(run);
  });
}

type Run = (project: Project, args: readonly string[], env?: NodeJS.ProcessEnv) => ReturnType<typeof spawnSync>;

function testCompileCache(run: Run): void {
  const reportOf = (result: ReturnType<Run>): StubReport => JSON.parse(String(result.stdout)) as StubReport;

  const places: Record<string, { args: string[]; env?: NodeJS.ProcessEnv; dataDir: string }> = {
    'by default': { args: ['start'], dataDir: 'data' },
    'with --data-dir': { args: ['start', '--data-dir', 'there'], dataDir: 'there' },
    'with --data-dir=': { args: ['sidecar', '--data-dir=there'], dataDir: 'there' },
    'with the environment variable': { args: ['control'], env: { SLIPSTREAM_DATA_DIR: 'env' }, dataDir: 'env' },
    'with both, the flag wins': {
      args: ['start', '--data-dir', 'there'],
      env: { SLIPSTREAM_DATA_DIR: 'env' },
      dataDir: 'there',
    },
  };
  for (const [name, { args, env, dataDir }] of Object.entries(places)) {
    test(`keeps the compile cache in the data directory ${name}`, () => {
      using project = makeProject();
      const report = reportOf(run(project, args, env));
      assert.equal(report.cache, join(project.root, dataDir, 'compile-cache'));
      assert.equal(statSync(join(project.root, dataDir)).mode & 0o777, 0o700);
      const cached = globSync('**/*', { cwd: join(project.root, dataDir, 'compile-cache'), withFileTypes: true });
      assert.ok(
        cached.some((entry) => entry.isFile()),
        'nothing was cached',
      );
    });
  }

  test('makes no data directory for a command that needs none', () => {
    using project = makeProject();
    assert.equal(run(project, ['--help']).status, 0);
    assert.equal(existsSync(join(project.root, 'data')), false);
  });

  test('goes on without a compile cache if the data directory cannot be made', () => {
    using project = makeProject();
    writeFileSync(join(project.root, 'data'), 'a file is in the way');
    assert.equal(run(project, ['start', '--data-dir', 'data/below']).status, 0);
  });
}

function testMissingNode(run: Run): void {
  for (const args of [['start'], ['node', '--', '-e', '0']]) {
    test(`says in one line what to do if the pinned Node is missing: ${args.join(' ')}`, () => {
      using project = makeProject({ withPinnedNode: false });
      const { status, stdout, stderr } = run(project, args);
      assert.equal(status, 1);
      assert.equal(stdout, '');
      assert.match(
        String(stderr),
        /^slipstream: Node 26\.10 or newer is needed \(this is v[\d.]+\) [^\n]+npm ci[^\n]+\n$/,
      );
    });
  }
}

async function startWaiting(node: string, project: Project, args: readonly string[]): Promise<ChildProcess> {
  const child = spawn(node, [project.launcher, ...args], { cwd: project.root, stdio: ['ignore', 'pipe', 'inherit'] });
  const output = collect(child);
  while (!output().includes('ready\n')) {
    assert.equal(child.exitCode, null, 'ended before it was ready');
    await delay(10);
  }
  return child;
}

function collect(child: ChildProcess): () => string {
  let text = '';
  child.stdout?.on('data', (chunk: Buffer) => (text += chunk.toString()));
  return () => text;
}
