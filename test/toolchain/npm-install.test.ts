// A user's first minute, from what is committed: npm ci, npm start, the printed curl line, SIGTERM to npm.
import assert from 'node:assert/strict';
import { globSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import {
  cloneHead,
  makeTemporaryFolder,
  pressCtrlC,
  run,
  runPrintedCurl,
  startGateway,
  stopGateway,
  userEnvironment,
} from './clean-checkout.ts';

const NPM_VERSIONS = ['10.9.9', '11.21.2'];

const variants: readonly {
  readonly name: string;
  readonly args: readonly string[];
  readonly env: NodeJS.ProcessEnv;
}[] = [
  { name: 'npm ci', args: [], env: {} },
  { name: 'npm ci --ignore-scripts', args: ['--ignore-scripts'], env: {} },
  { name: 'NODE_ENV=production npm ci', args: [], env: { NODE_ENV: 'production' } },
];

for (const version of NPM_VERSIONS) {
  void describe(`npm ${version}`, () => {
    const tools = makeTemporaryFolder('npm');
    const npm = (...args: string[]): string[] => ['node', join(tools.path, 'node_modules/npm/bin/npm-cli.js'), ...args];
    before(() => void run(['npm', 'install', '--prefix', tools.path, `npm@${version}`], { cwd: tools.path }));
    after(() => tools[Symbol.dispose]());

    for (const { name, args, env } of variants) {
      test(`${name}, start, curl, SIGTERM; again, Ctrl-C`, async () => {
        using folder = makeTemporaryFolder('install');
        const cwd = cloneHead(folder);
        run(npm('ci', ...args), { cwd, env: userEnvironment(env) });
        assert.equal(run(['git', 'status', '--porcelain'], { cwd }), '', 'npm ci changed a committed file');

        const running = await startGateway(npm('start', '--', '--port', '{port}'), { cwd, env: userEnvironment(env) });
        assert.equal(runPrintedCurl(running).choices?.length, 1);
        await stopGateway(running);
        const cached = globSync('data/compile-cache/**/*', { cwd, withFileTypes: true }).filter((entry) =>
          entry.isFile(),
        );
        assert.ok(cached.length > 50, `the compile cache holds ${cached.length} modules`);

        const again = await startGateway(npm('start', '--', '--port', '{port}'), {
          cwd,
          env: userEnvironment(env),
          detached: true,
        });
        assert.equal(runPrintedCurl(again).choices?.length, 1);
        await pressCtrlC(again);
        assert.equal(run(['git', 'status', '--porcelain'], { cwd }), '', 'a start left files that git sees');
      });
    }
  });
}

test('the lockfile names exact versions with integrity, no registry host and no install script', () => {
  const { packages } = JSON.parse(readFileSync('package-lock.json', 'utf8')) as {
    packages: Record<
      string,
      { version?: string; integrity?: string; resolved?: string; dev?: boolean; hasInstallScript?: boolean }
    >;
  };
  const installed = Object.entries(packages).filter(([path]) => path !== '');
  assert.ok(installed.length > 0);
  for (const [path, entry] of installed) {
    assert.match(entry.integrity ?? '', /^sha512-/, path);
    assert.equal(entry.resolved, undefined, path);
    if (entry.dev !== true) assert.notEqual(entry.hasInstallScript, true, `${path} runs a script at install`);
  }
});
